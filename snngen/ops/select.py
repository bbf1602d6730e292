"""Rewiring: slices, crops, pads, flips, shuffles and concatenation, as one map per axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.ops.interval import Interval, Ints
from snngen.ops.window import Array, Shape

Map = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Select:
    """out[c, y, x] = in[channels[c], rows[y], columns[x]], and 0 where any of the three is -1."""

    channels: Map
    rows: Map
    columns: Map

    @staticmethod
    def identity(shape: Shape) -> Select:
        return Select(*(np.arange(n, dtype=np.int32) for n in shape))

    def shape(self, source: Shape) -> Shape:
        for name, axis, size in zip(
            ("channels", "rows", "columns"),
            (self.channels, self.rows, self.columns),
            source,
            strict=True,
        ):
            if len(axis) == 0 or axis.min() < -1 or axis.max() >= size:
                raise ValueError(f"{name} must be indices below {size} or -1, not {axis.tolist()}")
        return (len(self.channels), len(self.rows), len(self.columns))

    def forward(self, x: Array) -> Array:
        """(N, C, H, W) -> (N, len(channels), len(rows), len(columns))."""
        zero = (self.channels < 0)[:, None, None] | (self.rows < 0)[:, None] | (self.columns < 0)
        picked = x[:, self.channels[:, None, None], self.rows[:, None], self.columns]
        return np.where(zero, x.dtype.type(0), picked)

    def backward(self, x: Array, gradient: Array) -> Array:
        """From the gradient of `forward`'s result to that of `x`."""
        for axis, places in enumerate((self.channels, self.rows, self.columns), 1):
            shape = list(gradient.shape)
            shape[axis] = x.shape[axis]
            total = np.zeros(shape, gradient.dtype)
            into, out_of = total.swapaxes(0, axis), gradient.swapaxes(0, axis)
            for k in np.flatnonzero(places >= 0):
                into[places[k]] += out_of[k]
            gradient = total
        return gradient

    def bounds(self, source: Interval) -> Interval:
        lo, hi = source.lo[self.channels], source.hi[self.channels]
        outside = (self.channels < 0) | bool((self.rows < 0).any() or (self.columns < 0).any())
        return Interval(
            np.where(outside, np.minimum(lo, 0), lo) * (self.channels >= 0),
            np.where(outside, np.maximum(hi, 0), hi) * (self.channels >= 0),
        )

    @property
    def fan_in(self) -> int:
        return 1

    def fan_out(self, source: Shape) -> Ints:
        counts = [
            np.bincount(axis[axis >= 0], minlength=n)
            for axis, n in zip((self.channels, self.rows, self.columns), source, strict=True)
        ]
        fan: Ints = counts[0][:, None, None] * counts[1][:, None] * counts[2]
        return fan
