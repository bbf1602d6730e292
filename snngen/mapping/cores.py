"""What a core is told: which spikes drive its axons, its weights, and what its neurons do with
their sums.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer
from snngen.mapping.device import Crossbar
from snngen.mapping.populations import Population
from snngen.mapping.tiles import Tiling
from snngen.mapping.wires import Box, Ints, Wires
from snngen.neurons import IF, Accumulate, Level

Rule = Literal["level", "subtract", "zero", "accumulate"]


@dataclass(frozen=True, eq=False)
class Axons:
    """The spikes of layer `source` that come in, one axon each: `spikes` (n,) are its neurons'
    numbers, (value, copy) row-major. What weights are too wide for, `further` axons add, where a
    spike may be listed more than once.
    """

    source: str
    spikes: NDArray[np.int32]
    further: bool = False


@dataclass(frozen=True, eq=False)
class Neurons:
    """What m columns do with their sum I at every timestep; arrays (m,) of int64.

    I <- I + bias, then by `rule`: "level" v <- I; others v <- v + I, at first `start`, within
    `floor`..`ceiling` where these are set. "level", "subtract" and "zero" send a spike where
    v >= threshold; "subtract" then takes the threshold off v, "zero" makes it 0. "accumulate" sends
    none: v is read.
    """

    rule: Rule
    bias: Ints
    threshold: Ints
    start: Ints
    floor: Ints | None
    ceiling: Ints | None


@dataclass(frozen=True, eq=False)
class Group:
    """Neurons of one layer that share an axon set. `neurons` (m,) are their numbers, as in Axons;
    `weights` int8 (n, m), axons in the order in which `axons` list them.
    """

    layer: str
    neurons: NDArray[np.int32]
    axons: tuple[Axons, ...]
    weights: NDArray[np.int8]
    does: Neurons
    width: int
    extension: int

    @property
    def kind(self) -> tuple[int, int]:
        """What all groups of a core have in common."""
        return self.width, self.extension


@dataclass(frozen=True, eq=False)
class Core:
    """One core, all of its program; groups of the same layer share axons, those of others do
    not.
    """

    groups: tuple[Group, ...]

    @property
    def width(self) -> int:
        return self.groups[0].width

    @property
    def extension(self) -> int:
        return self.groups[0].extension

    @property
    def neurons(self) -> int:
        return sum(len(group.neurons) for group in self.groups)

    @cached_property
    def axons(self) -> dict[str, dict[tuple[str, bool], NDArray[np.int32]]]:
        """By layer, then by source and whether they are further ones, which groups do not share,
        the spikes that come in.
        """
        found: dict[str, dict[tuple[str, bool], NDArray[np.int32]]] = {}
        for group in self.groups:
            of_layer = found.setdefault(group.layer, {})
            for axons in group.axons:
                key = axons.source, axons.further
                if key not in of_layer:
                    of_layer[key] = axons.spikes
                elif axons.further:
                    of_layer[key] = np.concatenate([of_layer[key], axons.spikes])
                else:
                    of_layer[key] = np.union1d(of_layer[key], axons.spikes)
        return found

    @cached_property
    def fan_in(self) -> int:
        """How many axons are used."""
        return sum(len(spikes) for layer in self.axons.values() for spikes in layer.values())

    def program(self) -> bytes:
        """All that the core is told, one way to write it."""
        parts = [repr((self.width, self.extension)).encode()]
        for group in self.groups:
            does = group.does
            arrays = (does.bias, does.threshold, does.start, does.floor, does.ceiling)
            parts += [repr((group.layer, does.rule)).encode(), group.neurons.tobytes()]
            for axons in group.axons:
                parts += [repr((axons.source, axons.further)).encode(), axons.spikes.tobytes()]
            parts.append(np.ascontiguousarray(group.weights).tobytes())
            parts += [b"-" if array is None else array.tobytes() for array in arrays]
        return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


class Programs:
    """Makes the groups of one population; those that look alike share their weights."""

    def __init__(self, population: Population, wires: Wires, device: Crossbar, width: int) -> None:
        self.population, self.wires, self.device, self.width = population, wires, device, width
        self._expanded: dict[Any, tuple[NDArray[np.int8], list[_Used]]] = {}
        self._axons: dict[Any, tuple[Axons, ...]] = {}

    def groups(self, tilings: Iterable[Tiling]) -> tuple[Group, ...]:
        """Of all tiles, neighbours next to each other."""
        _, height, width = self.population.shape
        groups = [
            self._group(block, held, tiling.extension)
            for tiling in tilings
            for block, held in tiling.blocks(self.population)
        ]

        def position(group: Group) -> int:
            return int(group.neurons[0]) // self.population.copies % (height * width)

        return tuple(sorted(groups, key=position))

    def _group(self, block: Box, held: slice, extension: int) -> Group:
        population = self.population
        weights, used = self._weights(block, held)
        every = [_copied(box.flat(p.shape), p.copies) for p, box in self.wires.read(block)]
        axons = tuple(
            Axons(
                self.wires.sources[u.source], every[u.source][u.spikes].astype(np.int32), u.further
            )
            for u in used
        )
        key = tuple((a.source, a.further, a.spikes.tobytes()) for a in axons)
        neurons = _copied(block.flat(population.shape), population.copies)
        neurons = neurons[self._columns(block, held)]
        return Group(
            population.name,
            neurons.astype(np.int32),
            self._axons.setdefault(key, axons),
            weights,
            behaviour(population, neurons),
            self.width,
            extension,
        )

    def _weights(self, block: Box, held: slice) -> tuple[NDArray[np.int8], list[_Used]]:
        """The crossbar (axons, neurons), and whose axons these are."""
        matrices = self.wires.weights(block)
        key = tuple(map(id, matrices)), held.start, held.stop  # all stay known, and so alive
        if key not in self._expanded:
            columns = self._columns(block, held)
            parts, used = [], []
            for source, matrix in enumerate(matrices):
                left = self._between_copies(matrix, self.wires.copies[source])[:, columns]
                first, further = _divided(left, self.device)
                for is_further, (spikes, part) in ((False, first), (True, further)):
                    if len(spikes) or not is_further:
                        parts.append(part)
                        used.append(_Used(source, is_further, spikes))
            self._expanded[key] = np.concatenate(parts), used
        return self._expanded[key]

    def _columns(self, block: Box, held: slice) -> Ints:
        """Which of the copies of all of a block's values, copies last, are held."""
        copies = self.population.copies
        chosen = np.zeros(len(block.channels) * copies, bool)
        chosen[held] = True
        shape = (len(block.channels), len(block.rows), len(block.columns), copies)
        spread = np.broadcast_to(chosen.reshape(-1, 1, 1, copies), shape)
        return np.flatnonzero(spread)

    def _between_copies(self, matrix: Ints, given: int) -> Ints:
        """From each of `given` copies of the inputs to those of the outputs."""
        own = self.population.copies
        links = np.ones((given, own), np.int64)
        if self.population.copywise:
            links = np.eye(given, own, dtype=np.int64)
        weights = matrix[:, None, :, None] * links[:, None, :]
        return weights.reshape(matrix.shape[0] * given, matrix.shape[1] * own)


@dataclass(frozen=True, eq=False)
class _Used:
    """The `spikes` of source number `source` that have axons, first or `further` ones."""

    source: int
    further: bool
    spikes: Ints


_Rows = tuple[Ints, NDArray[np.int8]]  # inputs (n,), and the weights of their axons (n, m)


def _divided(weights: Ints, device: Crossbar) -> tuple[_Rows, _Rows]:
    """`weights` (inputs, m) as axons that the device can hold: the first of each input that has a
    weight, and further ones with what the first cannot hold.
    """
    rows: list[_Rows] = []
    left = weights
    while not rows or left.any():
        part = np.clip(left, *device.weights)
        spikes = np.flatnonzero(part.any(1))
        rows.append((spikes, part[spikes].astype(np.int8)))
        left = left - part
    further = rows[1:] or [(rows[0][0][:0], rows[0][1][:0])]
    spikes, parts = (np.concatenate(kind) for kind in zip(*further, strict=True))
    return rows[0], (spikes, parts)


def _copied(values: Ints, copies: int) -> Ints:
    """The numbers of all `copies` of each of `values`."""
    return (values[:, None] * copies + np.arange(copies)).reshape(-1)


def behaviour(population: Population, neurons: Ints) -> Neurons:
    """What the neurons of these numbers do."""
    layer = population.layer
    plane = layer.shape[1] * layer.shape[2]
    channel, copy = neurons // population.copies // plane, neurons % population.copies
    none = np.zeros(len(neurons), np.int64)
    bias = none if layer.bias is None else layer.bias[channel]
    match layer.neuron:
        case Level(thresholds):
            return Neurons("level", bias, thresholds[channel, copy], none, None, None)
        case IF() as neuron:
            return Neurons(
                neuron.reset,
                bias,
                neuron.threshold[channel],
                neuron.v_init[channel],
                None if neuron.v_min is None else neuron.v_min[channel],
                None if neuron.v_max is None else neuron.v_max[channel],
            )
        case Accumulate(limit):
            within = None if limit is None else np.full(len(neurons), limit)
            floor = None if within is None else -within
            return Neurons("accumulate", bias, none, none, floor, within)
        case None:  # a maximum: copy by copy, whether any input fires
            return Neurons("level", none, np.ones(len(neurons), np.int64), none, None, None)


def widest(layer: FixedLayer) -> int:
    """The bits that the layer's sums and membranes need, thresholds included."""
    ends = [layer.current.min, layer.current.max]
    if layer.membrane is not None:
        ends += [layer.membrane.min, layer.membrane.max]
    if isinstance(layer.neuron, Level):
        ends += [int(layer.neuron.thresholds.min()), int(layer.neuron.thresholds.max())]
    return max(1 + (end if end >= 0 else -end - 1).bit_length() for end in ends)
