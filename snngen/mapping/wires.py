"""Which spikes a block of neurons reads, and with what weights: operators as sums over taps, and
chains of operators as one matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.mapping.populations import Path, Population
from snngen.ops import Conv, Linear, MaxPool, Op, Scale, Select, Shape, SumPool, Window

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Box:
    """The values at all combinations of `channels`, `rows` and `columns`, each in ascending
    order.
    """

    channels: Ints
    rows: Ints
    columns: Ints

    @property
    def size(self) -> int:
        return len(self.channels) * len(self.rows) * len(self.columns)

    def flat(self, shape: Shape) -> Ints:
        """Their indices in an array of `shape`, row-major."""
        _, height, width = shape
        plane = self.rows[:, None] * width + self.columns
        return (self.channels[:, None, None] * height * width + plane).reshape(-1)

    def union(self, other: Box) -> Box:
        """The smallest box with both."""
        return Box(
            np.union1d(self.channels, other.channels),
            np.union1d(self.rows, other.rows),
            np.union1d(self.columns, other.columns),
        )

    def places(self, inner: Box) -> Ints:
        """Where the values of `inner`, a part of this box, lie among its own: (inner.size,)."""
        at = Box(
            np.searchsorted(self.channels, inner.channels),
            np.searchsorted(self.rows, inner.rows),
            np.searchsorted(self.columns, inner.columns),
        )
        return at.flat((len(self.channels), len(self.rows), len(self.columns)))


@dataclass(frozen=True, eq=False)
class Taps:
    """An operator, out[o, y, x] = sum of weight[o, i, k, l] * in[i, a, b] over all i, and those a
    and b of which rows[k, y, a] and columns[l, x, b] say that tap (k, l) reads them; multiplied by
    `multiplier` (H_out, W_out).
    """

    weight: Ints
    rows: Bools
    columns: Bools
    multiplier: Ints | None = None

    def box(self, outputs: Box) -> Box:
        """What `outputs` read; of channels only those with a weight that is not 0."""
        return Box(
            np.flatnonzero(self.weight[outputs.channels].any((0, 2, 3))),
            np.flatnonzero(self.rows[:, outputs.rows].any((0, 1))),
            np.flatnonzero(self.columns[:, outputs.columns].any((0, 1))),
        )

    def matrix(self, outputs: Box, inputs: Box) -> NDArray[np.float64]:
        """The weight from each of `inputs` to each of `outputs`: (outputs.size, inputs.size), of
        integers.
        """
        weight = self.weight[outputs.channels][:, inputs.channels].astype(np.float64)
        rows = self.rows[:, outputs.rows][:, :, inputs.rows].astype(np.float64)
        columns = self.columns[:, outputs.columns][:, :, inputs.columns].astype(np.float64)
        by_column = np.tensordot(weight, columns, ([3], [0]))  # o i k x b
        full = np.tensordot(by_column, rows, ([2], [0]))  # o i x b y a
        if self.multiplier is not None:
            factor = self.multiplier[np.ix_(outputs.rows, outputs.columns)]
            full = full * factor.T[:, None, :, None]
        return full.transpose(0, 4, 2, 1, 5, 3).reshape(outputs.size, inputs.size)

    def pattern(self, outputs: Box, inputs: Box) -> tuple[bytes, ...]:
        """What `matrix` depends on beside the channels."""
        rows = self.rows[:, outputs.rows][:, :, inputs.rows]
        columns = self.columns[:, outputs.columns][:, :, inputs.columns]
        factor = b""
        if self.multiplier is not None:
            factor = self.multiplier[np.ix_(outputs.rows, outputs.columns)].tobytes()
        shapes = repr((rows.shape, columns.shape)).encode()
        return shapes, rows.tobytes(), columns.tobytes(), factor


def taps(op: Op, source: Shape) -> Taps:
    """`op` on a source of shape `source`; of a maximum, which inputs it is taken of."""
    channels, height, width = source
    match op:
        case Conv(weight, window, groups):
            return Taps(_dense(weight, groups), *_windows(window, height, width))
        case SumPool(window, _, multiplier):
            return Taps(
                _each(channels, window.kernel), *_windows(window, height, width), multiplier
            )
        case MaxPool(window):
            return Taps(_each(channels, window.kernel), *_windows(window, height, width))
        case Linear(weight):
            return Taps(weight.astype(np.int64), _all(height), _all(width))
        case Scale(weight):
            diagonal = np.diag(weight.astype(np.int64))[:, :, None, None]
            return Taps(diagonal, np.eye(height, dtype=bool)[None], np.eye(width, dtype=bool)[None])
        case Select(picked, rows, columns):
            chosen = _one_hot(picked, channels).astype(np.int64)[:, :, None, None]
            return Taps(chosen, _one_hot(rows, height)[None], _one_hot(columns, width)[None])


def _dense(weight: NDArray[Any], groups: int) -> Ints:
    """(O, I/groups, kh, kw) with 0 for the channels of other groups: (O, I, kh, kw)."""
    outputs, inputs = weight.shape[:2]
    full = np.zeros((outputs, inputs * groups, *weight.shape[2:]), np.int64)
    for g in range(groups):
        of_group = slice(g * (outputs // groups), (g + 1) * (outputs // groups))
        full[of_group, g * inputs : (g + 1) * inputs] = weight[of_group]
    return full


def _each(channels: int, kernel: tuple[int, int]) -> Ints:
    """Weight 1 from a channel to itself, at every tap."""
    eye = np.eye(channels, dtype=np.int64)[:, :, None, None]
    return np.broadcast_to(eye, (channels, channels, *kernel))


def _windows(window: Window, height: int, width: int) -> tuple[Bools, Bools]:
    out_h, out_w = window.positions(height, width)
    top, left, _, _ = window.pads
    return (
        _axis(window.kernel[0], window.stride[0], window.dilation[0], top, out_h, height),
        _axis(window.kernel[1], window.stride[1], window.dilation[1], left, out_w, width),
    )


def _axis(kernel: int, stride: int, dilation: int, pad: int, out: int, size: int) -> Bools:
    """Whether tap k of output y reads input a: (kernel, out, size)."""
    k, y = np.arange(kernel)[:, None], np.arange(out)
    reads = y * stride + k * dilation - pad
    taken: Bools = reads[:, :, None] == np.arange(size)
    return taken


def _all(size: int) -> Bools:
    """Tap k of the one output reads input k: (size, 1, size)."""
    return np.eye(size, dtype=bool)[:, None, :]


def _one_hot(chosen: NDArray[np.int32], size: int) -> Bools:
    hot: Bools = chosen[:, None] == np.arange(size)
    return hot


@dataclass(frozen=True, eq=False)
class Reach:
    """What a population reads of one source: which of its channels, rows and columns each of ours
    does, (C, C_in), (H, H_in), (W, W_in). All combinations are as much as is read, or more.
    """

    copies: int
    channels: Bools
    rows: Bools
    columns: Bools


class Wires:
    """All that one population reads: for any block of its neurons the spikes, and their weights."""

    def __init__(self, population: Population) -> None:
        self.population = population
        by_source = sorted(population.paths, key=lambda path: path.source)
        self.ways = [
            [(path, [taps(op, shape) for op, shape in path.ops]) for path in group]
            for _, group in groupby(by_source, lambda path: path.source)
        ]
        self.sources = [ways[0][0].source for ways in self.ways]
        self.copies = [ways[0][0].copies for ways in self.ways]
        self._known: dict[Any, list[Ints]] = {}

    def reaches(self) -> list[Reach]:
        """By source, in the order of their names."""
        found = []
        for ways in self.ways:
            chains = [[_links(t) for t in chain] for _, chain in ways]
            ends = [[reduce(_through, axis) for axis in zip(*c, strict=True)] for c in chains]
            axes = [np.logical_or.reduce(axis) for axis in zip(*ends, strict=True)]
            found.append(Reach(ways[0][0].copies, axes[0], axes[1], axes[2]))
        return found

    def ranges(self) -> list[tuple[Ints, Ints]]:
        """By source the smallest and the largest weight of each of its channels, and 0: (C_in,)."""
        found = []
        for number, ways in enumerate(self.ways):
            channels = ways[0][0].shape[0]
            lo, hi = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
            for inside, weights in self._by_channel(number):
                lo[inside] = np.minimum(lo[inside], weights.min(1, initial=0))
                hi[inside] = np.maximum(hi[inside], weights.max(1, initial=0))
            found.append((lo, hi))
        return found

    def _by_channel(self, number: int) -> Iterator[tuple[Ints, Ints]]:
        """Channels of source `number` with all weights that they have somewhere: (n,), (n, m)."""
        ways = self.ways[number]
        if len(ways) == len(ways[0][1]) == 1:
            weight = ways[0][1][0].weight.swapaxes(0, 1)
            yield np.arange(len(weight)), weight.reshape(len(weight), -1)
            return
        channels, height, width = self.population.shape
        for y in range(height):
            for x in range(width):
                block = Box(np.arange(channels), np.array([y]), np.array([x]))
                inside = self.read(block)[number][1].channels
                if len(inside):
                    yield inside, self.weights(block)[number].reshape(len(inside), -1)

    def fan_in(self) -> Ints:
        """How many spikes each of our values reads at least: what its longest path to each source
        reads, (C, H, W).
        """
        total = np.zeros(self.population.shape, np.int64)
        for ways in self.ways:
            most = np.zeros_like(total)
            for _, chain in ways:
                c, h, w = (
                    reduce(_through, axis).sum(1) for axis in zip(*map(_links, chain), strict=True)
                )
                np.maximum(most, c[:, None, None] * h[:, None] * w, out=most)
            total += most * (1 if self.population.copywise else ways[0][0].copies)
        return total

    def read(self, block: Box) -> list[tuple[Path, Box]]:
        """By source, in the order of their names, what `block` reads."""
        return [
            (ways[0][0], reduce(Box.union, (_chain(chain, block)[-1] for _, chain in ways)))
            for ways in self.ways
        ]

    def weights(self, block: Box) -> list[Ints]:
        """By source as in `read`, the weight from each value to each of `block`: (inputs, outputs),
        shared by blocks that look alike.
        """
        unions = [box for _, box in self.read(block)]
        chains = [[_chain(chain, block) for _, chain in ways] for ways in self.ways]
        key = (
            block.channels.tobytes(),
            tuple(
                (
                    tuple(
                        t.pattern(a, b) for t, a, b in zip(chain, boxes, boxes[1:], strict=False)
                    ),
                    union.places(boxes[-1]).tobytes() if len(ways) > 1 else b"",
                )
                for ways, found, union in zip(self.ways, chains, unions, strict=True)
                for (_, chain), boxes in zip(ways, found, strict=True)
            ),
        )
        if key not in self._known:
            copywise = self.population.copywise
            self._known[key] = [
                _summed(ways, found, union, copywise)
                for ways, found, union in zip(self.ways, chains, unions, strict=True)
            ]
        return self._known[key]


def _links(t: Taps) -> tuple[Bools, Bools, Bools]:
    """Which channels, rows and columns read which."""
    channels: Bools = np.any(t.weight, axis=(2, 3))
    rows: Bools = np.any(t.rows, axis=0)
    columns: Bools = np.any(t.columns, axis=0)
    return channels, rows, columns


def _through(first: Bools, then: Bools) -> Bools:
    joined: Bools = first @ then
    return joined


def _chain(chain: list[Taps], block: Box) -> list[Box]:
    """`block`, and what it reads after each operator."""
    boxes = [block]
    for t in chain:
        boxes.append(t.box(boxes[-1]))
    return boxes


def _summed(
    ways: list[tuple[Path, list[Taps]]], found: list[list[Box]], union: Box, copywise: bool
) -> Ints:
    """All ways to one source as one matrix, (inputs, outputs); of a maximum only whether there is
    one.
    """
    total = np.zeros((found[0][0].size, union.size))
    for (_, chain), boxes in zip(ways, found, strict=True):
        parts = [t.matrix(a, b) for t, a, b in zip(chain, boxes[:-1], boxes[1:], strict=True)]
        total[:, union.places(boxes[-1])] += reduce(np.matmul, parts)
    whole = np.rint(total.T).astype(np.int64)
    return np.minimum(whole, 1) if copywise else whole
