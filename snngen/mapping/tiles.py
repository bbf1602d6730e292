"""How a population can be cut into tiles, one to a core: as few as possible, or smaller ones that
read less and so compute in less time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np

from snngen.mapping.device import Crossbar
from snngen.mapping.populations import Population
from snngen.mapping.wires import Bools, Box, Ints, Reach

MOST_REGIONS = 25


@dataclass(frozen=True)
class Region:
    """Positions: rows `top`..`bottom` - 1, columns `left`..`right` - 1."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True)
class Tiling:
    """Cores of `extension` for a `region`, for at most so many `rows` and `columns` of it each, and
    at each of these positions `outputs`, which are copies of channels, (channel, copy) in row-major
    order.
    """

    region: Region
    extension: int
    rows: int
    columns: int
    outputs: int

    def blocks(self, population: Population) -> Iterator[tuple[Box, slice]]:
        """All tiles, position after position: what values they hold, and which of these values'
        outputs.
        """
        region, copies = self.region, population.copies
        for y in _steps(region.top, region.bottom, self.rows):
            for x in _steps(region.left, region.right, self.columns):
                for part in _steps(0, population.shape[0] * copies, self.outputs):
                    first, end = part.start // copies, -(-part.stop // copies)
                    held = slice(part.start - first * copies, part.stop - first * copies)
                    yield Box(np.arange(first, end), _range(y), _range(x)), held


@dataclass(frozen=True)
class Choice:
    """Tilings of all positions with what they cost: so many `tiles`, of which the busiest takes
    `axons`.
    """

    tiles: int
    axons: int
    tilings: tuple[Tiling, ...]


# From the fewest tiles to the fewest axons: each takes fewer of these than all before it.
Choices = tuple[Choice, ...]


def choices(
    population: Population,
    reaches: Sequence[Reach],
    each: Sequence[Ints],
    extensions: Ints,
    device: Crossbar,
    width: int,
) -> Choices:
    """Empty where not even a single neuron fits a core. A spike of source k takes `each[k]`
    (C_in,) axons, by channel.

    `extensions` (H, W) are the least that positions need: where they differ, as at borders, parts
    of the image may have tilings of their own.
    """
    _, height, columns = population.shape

    def of(region: Region) -> Choices:
        inside = [
            replace(
                reach,
                rows=reach.rows[region.top : region.bottom],
                columns=reach.columns[region.left : region.right],
            )
            for reach in reaches
        ]
        return _choices(region, _Counts(population, inside, each), device, width)

    whole = of(Region(0, height, 0, columns))
    regions = _regions(extensions)
    if not 1 < len(regions) <= MOST_REGIONS or not whole:
        return whole
    return _best([*whole, *_together([of(region) for region in regions])])


def _choices(region: Region, counts: _Counts, device: Crossbar, width: int) -> Choices:
    height, columns = region.bottom - region.top, region.right - region.left
    least = counts.axons(1, 1, 1)
    found: list[Choice] = []
    for extension in range(device.longest + 1):
        room, limit = device.neurons(width, extension), device.fan_in(extension)
        for y in range(1, min(height, room) + 1):
            for x in range(1, min(columns, room // y) + 1):
                outputs = counts.most_outputs(y, x, room // (y * x), limit)
                if outputs == 0:
                    break  # nor with more columns
                parts = -(-counts.outputs // outputs)
                tiles = -(-height // y) * -(-columns // x) * parts
                if not any(c.tiles <= tiles and c.axons == least for c in found):
                    tiling = Tiling(region, extension, y, x, outputs)
                    found.append(Choice(tiles, counts.axons(y, x, outputs), (tiling,)))
    return _best(found)


def _regions(extensions: Ints) -> list[Region]:
    """Rectangles within which all need the same, cut along whole rows and columns."""
    rows = np.flatnonzero((np.diff(extensions, axis=0) != 0).any(1)) + 1
    columns = np.flatnonzero((np.diff(extensions, axis=1) != 0).any(0)) + 1
    height, width = extensions.shape
    return [
        Region(top, bottom, left, right)
        for top, bottom in pairwise([0, *rows.tolist(), height])
        for left, right in pairwise([0, *columns.tolist(), width])
    ]


def _together(regions: Sequence[Choices]) -> Iterator[Choice]:
    """Of all regions, for each limit on axons the fewest tiles."""
    for limit in sorted({choice.axons for region in regions for choice in region}):
        within = [next((c for c in region if c.axons <= limit), None) for region in regions]
        chosen = [choice for choice in within if choice is not None]
        if len(chosen) == len(regions):
            yield Choice(
                sum(choice.tiles for choice in chosen),
                max(choice.axons for choice in chosen),
                tuple(tiling for choice in chosen for tiling in choice.tilings),
            )


def _best(found: Sequence[Choice]) -> Choices:
    """Those that no other is better than."""
    best: list[Choice] = []
    for choice in sorted(found, key=lambda choice: (choice.tiles, choice.axons)):
        if not best or choice.axons < best[-1].axons:
            best.append(choice)
    return tuple(best)


class _Counts:
    """How many axons tiles take."""

    def __init__(
        self, population: Population, reaches: Sequence[Reach], each: Sequence[Ints]
    ) -> None:
        self.population, self.reaches, self.each = population, reaches, each
        self.outputs = population.shape[0] * population.copies
        self.of_outputs = cache(self._of_outputs)
        self.of_rows = cache(lambda size: _distinct([_read(r.rows, size) for r in reaches]))
        self.of_columns = cache(lambda size: _distinct([_read(r.columns, size) for r in reaches]))

    def axons(self, rows: int, columns: int, outputs: int) -> int:
        """Of the busiest tile of that size."""
        by_source = (
            self.of_outputs(outputs)[:, None, None]
            * self.of_rows(rows)[:, None]
            * self.of_columns(columns)
        )
        return int(by_source.sum(-1).max())

    def most_outputs(self, rows: int, columns: int, room: int, limit: int) -> int:
        """The size of the fewest parts, all of about one size and of at most `room`, with which no
        tile takes more axons than `limit`; 0 where there is none.
        """

        def size(parts: int) -> int:
            return -(-self.outputs // parts)

        def fits(parts: int) -> bool:
            return self.axons(rows, columns, size(parts)) <= limit

        fewest = -(-self.outputs // min(self.outputs, room))
        if fits(fewest):
            return size(fewest)
        if not fits(self.outputs):
            return 0
        too_few, enough = fewest, self.outputs
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            too_few, enough = (too_few, middle) if fits(middle) else (middle, enough)
        return size(enough)

    def _of_outputs(self, size: int) -> Ints:
        """The axons that parts of `size` outputs take of each position: (kinds, sources)."""
        starts = np.arange(0, self.outputs, size)
        ends = np.minimum(starts + size, self.outputs)
        copies = self.population.copies
        counts = []
        for reach, each in zip(self.reaches, self.each, strict=True):
            if self.population.copywise:
                by_channel = (reach.channels @ each)[:, None]
                by_output = (by_channel * (np.arange(copies) < reach.copies)).reshape(-1)
                total = np.concatenate([[0], np.cumsum(by_output)])
                counts.append(total[ends] - total[starts])
            else:
                read = _read_between(reach.channels, starts // copies, -(-ends // copies))
                counts.append(read @ each * reach.copies)
        return _distinct(counts)


def _distinct(counts: list[Ints]) -> Ints:
    """By source what each part counts, as (kinds of parts, sources)."""
    kinds: Ints = np.unique(np.stack(counts, -1), axis=0)
    return kinds


def _read(links: Bools, size: int) -> Ints:
    """How much of an axis each part of `size` reads."""
    starts = np.arange(0, len(links), size)
    count: Ints = _read_between(links, starts, np.minimum(starts + size, len(links))).sum(1)
    return count


def _read_between(links: Bools, starts: Ints, ends: Ints) -> Bools:
    """What of an axis starts[k]..ends[k] - 1 read together."""
    padded = np.concatenate([links, np.zeros_like(links[:1])])
    both = np.stack([starts, ends], -1).reshape(-1)
    read: Bools = np.logical_or.reduceat(padded, both, axis=0)[::2]
    return read


def _steps(start: int, stop: int, step: int) -> Iterator[slice]:
    return (slice(k, min(k + step, stop)) for k in range(start, stop, step))


def _range(part: slice) -> Ints:
    return np.arange(part.start, part.stop)
