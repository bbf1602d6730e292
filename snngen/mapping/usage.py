"""What a mapping uses of its device, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from snngen.mapping.cores import Core
from snngen.mapping.mapping import Mapping
from snngen.ops import WEIGHTED, Shape


@dataclass(frozen=True)
class Shares:
    """Of cores, the fractions that are used: of `axons`, of `neurons` as dendrites, and of the
    crossbar's bits those of `weights` that are not 0.
    """

    axons: float
    neurons: float
    weights: float


@dataclass(frozen=True)
class Usage:
    """One layer. `neurons`: copies included. `fan_in`: spikes that a neuron reads at most. `bits`
    of a weight; `slots` in which axons are read, at most. `cores` that hold some of it, `bound` of
    how many it takes at least; `shares` of these cores, together with what other layers have in
    them. On the host all but the first two are None.
    """

    layer: str
    neurons: int
    fan_in: int | None = None
    bits: int | None = None
    slots: int | None = None
    cores: int | None = None
    bound: int | None = None
    shares: Shares | None = None


def usages(mapping: Mapping) -> list[Usage]:
    """All populations in order."""
    rows = []
    for population in mapping.populations:
        if population.on_host:
            rows.append(Usage(population.name, population.neurons))
            continue
        layer, numbers = mapping.layers[population.name], mapping.cores_of[population.name]
        rows.append(
            Usage(
                population.name,
                population.neurons,
                layer.plan.fan_in,
                2**layer.plan.width,
                2 ** max(tiling.extension for tiling in layer.choice.tilings),
                len(numbers),
                layer.plan.bound.cores(mapping.device),
                shares(mapping, (mapping.cores[k] for k in numbers)),
            )
        )
    return rows


def shares(mapping: Mapping, cores: Iterable[Core]) -> Shares:
    """Of `cores`, which are some of `mapping`."""
    device = mapping.device
    axons = neurons = weights = lines = count = 0
    not_zero: dict[int, int] = {}  # by the identity of weights, which many groups share
    for core in cores:
        count += 1
        axons += core.fan_in
        lines += device.fan_in(core.extension)
        neurons += core.neurons << (core.width + core.extension)
        for group in core.groups:
            key = id(group.weights)
            if key not in not_zero:
                not_zero[key] = int(np.count_nonzero(group.weights))
            weights += not_zero[key] << group.width
    return Shares(
        axons / lines, neurons / (count * device.dendrites), weights / (count * device.bits)
    )


def host_macs(mapping: Mapping) -> int:
    """The multiplications that the host does for an image, or for a timestep of a stream; an input
    that does not change is multiplied once.
    """
    return sum(
        synapse.op.fan_in * _values(layer.shape)
        for layer in mapping.host.layers
        for synapse in layer.synapses
        if isinstance(synapse.op, WEIGHTED)
    )


def _values(shape: Shape) -> int:
    return int(np.prod(shape))
