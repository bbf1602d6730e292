"""Closed integer intervals, one per channel: what the overflow proof computes with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Interval:
    """Per-channel bounds `lo[c] <= value <= hi[c]`, two int64 arrays of shape (C,)."""

    lo: Ints
    hi: Ints

    def __post_init__(self) -> None:
        assert (
            self.lo.shape == self.hi.shape
            and self.lo.ndim == 1
            and bool(np.all(self.lo <= self.hi))
        )

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.lo + other.lo, self.hi + other.hi)

    def hull(self, other: Interval) -> Interval:
        return Interval(np.minimum(self.lo, other.lo), np.maximum(self.hi, other.hi))

    def with_zero(self) -> Interval:
        """The smallest interval that also holds 0: what a tap reads when it may fall on padding."""
        return Interval(np.minimum(self.lo, 0), np.maximum(self.hi, 0))

    @property
    def min(self) -> int:
        return int(self.lo.min())

    @property
    def max(self) -> int:
        return int(self.hi.max())

    @staticmethod
    def constant(values: Ints) -> Interval:
        return Interval(values, values)
