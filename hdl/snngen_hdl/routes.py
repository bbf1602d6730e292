"""Where the events of a source go, as lists: geometry is looked up, not computed.

Any linear map whose rows, columns and channels are independent of each other has this form:
convolution with any stride, padding and dilation, dense layers, pooling, selections.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen_hdl.streams import Shape3

Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Tap:
    """One target of a coordinate: through which weight, to which place."""

    weight: int
    place: int


Taps = tuple[tuple[Tap, ...], ...]  # for every coordinate of the source


@dataclass(frozen=True, eq=False)
class Routes:
    """Event (c, y, x) reaches output (place of rows[y], place of columns[x]) of a group of lanes.

    `rows`, `columns`: weight index and output coordinate. `channels`: weight word and group of
    lanes; None where every channel reaches every group g through word g * C + c. `weights` (KH, KW,
    words, lanes), signed integers of `weight_bits`; None where all are 1 and a group is one lane.
    """

    source: Shape3
    rows: Taps
    columns: Taps
    channels: Taps | None
    weights: Ints | None
    weight_bits: int

    def __post_init__(self) -> None:
        sizes = (len(self.rows), len(self.columns))
        if sizes != self.source[1:]:
            raise ValueError(f"routes of {sizes} rows and columns, the source is {self.source}")
        if self.channels is not None and len(self.channels) != self.source[0]:
            raise ValueError(f"routes of {len(self.channels)} channels, not {self.source[0]}")
        if self.weights is not None:
            most = 1 << (self.weight_bits - 1)
            if self.weights.min() < -most or self.weights.max() >= most:
                raise ValueError(f"weights do not fit {self.weight_bits} bits")

    def groups_of(self, channel: int, groups: int) -> tuple[Tap, ...]:
        """The weight words and groups that events of a channel reach."""
        if self.channels is not None:
            return self.channels[channel]
        return tuple(Tap(g * self.source[0] + channel, g) for g in range(groups))

    @cached_property
    def words(self) -> int:
        """Weight words for each tap of the kernel."""
        return 1 if self.weights is None else self.weights.shape[2]


Step = tuple[Tap | None, ...]  # what one cycle does of a coordinate: for each bank its tap, or None


def steps_of(coordinates: Taps, banks: int) -> tuple[tuple[Step, ...], ...]:
    """The taps of each row, or column, in as few steps as banks allow: output k lies in bank
    k % `banks`, at place k // `banks`.
    """
    found = []
    for taps in coordinates:
        steps: list[list[Tap | None]] = []
        for tap in taps:
            bank = tap.place % banks
            free = next((s for s in steps if s[bank] is None), None)
            if free is None:
                free = [None] * banks
                steps.append(free)
            free[bank] = Tap(tap.weight, tap.place // banks)
        found.append(tuple(tuple(step) for step in steps))
    return tuple(found)
