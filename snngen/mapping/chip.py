"""The mapped cores at work: spikes and membranes from what the cores are told and what the host
sends, and from nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.mapping.cores import Axons, Group, Neurons
from snngen.mapping.mapping import Mapping
from snngen.mapping.populations import Population
from snngen.mapping.wires import Ints
from snngen.parallel import alone
from snngen.simulate import LARGEST_EXACT_FLOAT32, simulate

Spikes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Run:
    """What happened, by layer; neurons as in Axons, (batch, T, neurons).

    `spikes`: 0 or 1, of the host's layers as well. `membranes`: of the layers on cores, as
    `Neurons` has v after a reset; of "level" neurons the sum.
    """

    spikes: dict[str, Spikes]
    membranes: dict[str, Ints]


def run(mapping: Mapping, images: NDArray[np.uint8]) -> Run:
    """Run raw bytes `images` (batch, C, H, W), of a stream (batch, T, C, H, W)."""
    with alone():
        return _run(mapping, images)


def _run(mapping: Mapping, images: NDArray[np.uint8]) -> Run:
    spikes = from_host(mapping, images)
    batch, steps = len(images), mapping.net.steps_of(images)
    membranes: dict[str, Ints] = {}
    floats = _Floats()
    groups: dict[str, list[Group]] = {name: [] for name in mapping.layers}
    for core in mapping.cores:
        for group in core.groups:
            groups[group.layer].append(group)
    for population in mapping.populations:
        if population.on_host:
            continue
        sent = np.zeros((batch, steps, population.neurons), np.uint8)
        held = np.zeros((batch, steps, population.neurons), np.int64)
        read: tuple[Axons, ...] | None = None
        for group in groups[population.name]:
            if group.axons is not read:
                read = group.axons
                incoming = np.concatenate([spikes[a.source][..., a.spikes] for a in read], -1)
                values = incoming.reshape(batch * steps, -1).astype(np.float32)
            sums = (values @ floats(group.weights)).astype(np.int64)
            fired, v = fire(group.does, sums.reshape(batch, steps, -1))
            sent[..., group.neurons], held[..., group.neurons] = fired, v
        spikes[population.name], membranes[population.name] = sent, held
    return Run(spikes, membranes)


class _Floats:
    """Weights as floats that sum up exactly (docs/decisions/0009)."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[NDArray[np.int8], NDArray[np.floating[Any]]]] = {}

    def __call__(self, weights: NDArray[np.int8]) -> NDArray[np.floating[Any]]:
        known = self._known.get(id(weights))
        if known is None or known[0] is not weights:
            exact = len(weights) * 2**7 <= LARGEST_EXACT_FLOAT32
            known = weights, weights.astype(np.float32 if exact else np.float64)
            self._known[id(weights)] = known
        return known[1]


def from_host(mapping: Mapping, images: NDArray[np.uint8]) -> dict[str, Spikes]:
    """The spikes that the host sends, by its layers: (batch, T, neurons)."""
    trace = simulate(mapping.host, images, trace=True).trace
    assert trace is not None
    return {
        population.name: as_spikes(population, trace[population.name].output)
        for population in mapping.populations
        if population.on_host and mapping.net[population.name].neuron is not None
    }


def as_spikes(population: Population, counts: Ints) -> Spikes:
    """Counts (batch, T, C, H, W) as spikes of copies (batch, T, neurons): copy i of n fires where
    the count is more than i.
    """
    fired = counts[..., None] > np.arange(population.copies)
    return fired.reshape(*counts.shape[:2], -1).astype(np.uint8)


def fire(does: Neurons, sums: Ints) -> tuple[Spikes, Ints]:
    """What columns make of their sums (batch, T, m): spikes and membranes, as `Neurons` says."""
    sums = sums + does.bias
    if does.rule == "level":
        return (sums >= does.threshold).astype(np.uint8), sums
    fired = np.zeros(sums.shape, np.uint8)
    held = np.empty_like(sums)
    v = np.broadcast_to(does.start, sums[:, 0].shape)
    for t in range(sums.shape[1]):
        v = v + sums[:, t]
        v = v if does.floor is None else np.maximum(v, does.floor)
        v = v if does.ceiling is None else np.minimum(v, does.ceiling)
        if does.rule != "accumulate":
            above = v >= does.threshold
            fired[:, t] = above
            v = np.where(above, 0 if does.rule == "zero" else v - does.threshold, v)
        held[:, t] = v
    return fired, held
