"""Average pooling without its division: the window's sum, an integer; the divisor goes into the
spike's amplitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import numpy as np
from numpy.typing import NDArray

from snngen.ops.interval import Interval, Ints
from snngen.ops.window import Array, Shape, Window


@dataclass(frozen=True, eq=False)
class SumPool:
    """Sums each window of a zero-padded input; the average is this sum divided by `divisor`.

    Where the windows of an average differ in size (border windows that do not count their padding),
    `multiplier` (H_out, W_out) brings all of them to the common `divisor`, so that the result stays
    an integer and exact.
    """

    window: Window
    divisor: int
    multiplier: NDArray[np.int64] | None = None

    @staticmethod
    def average(window: Window, counts: NDArray[np.int64]) -> SumPool:
        """The average pool whose output position (y, x) divides by `counts[y, x]`."""
        divisor = lcm(*(int(c) for c in np.unique(counts)))
        multiplier = divisor // counts
        return SumPool(window, divisor, None if np.all(multiplier == 1) else multiplier)

    def shape(self, source: Shape) -> Shape:
        out = self.window.positions(source[1], source[2])
        if self.multiplier is not None and self.multiplier.shape != out:
            raise ValueError(f"multiplier is {self.multiplier.shape}, the output is {out}")
        return (source[0], *out)

    def forward(self, x: Array) -> Array:
        """(N, C, H, W) -> (N, C, H_out, W_out): the sums, not yet divided."""
        out_h, out_w = self.window.positions(x.shape[2], x.shape[3])
        (sy, sx), (dy, dx) = self.window.stride, self.window.dilation
        padded = self.window.pad(x)
        total: Array = np.zeros((*x.shape[:2], out_h, out_w), x.dtype)
        for ky in range(self.window.kernel[0]):
            for kx in range(self.window.kernel[1]):
                total += padded[:, :, ky * dy :, kx * dx :][
                    :, :, : (out_h - 1) * sy + 1 : sy, : (out_w - 1) * sx + 1 : sx
                ]
        return total if self.multiplier is None else total * self.multiplier.astype(x.dtype)

    def backward(self, x: Array, gradient: Array) -> Array:
        """From the gradient of `forward`'s result to that of `x`."""
        if self.multiplier is not None:
            gradient = gradient * self.multiplier.astype(gradient.dtype)
        taps = np.broadcast_to(
            gradient[:, :, None, None],
            (*gradient.shape[:2], *self.window.kernel, *gradient.shape[2:]),
        )
        return self.window.scatter(taps, *x.shape[2:])

    def bounds(self, source: Interval) -> Interval:
        """Of every partial sum, in any order."""
        taps = self.window.kernel[0] * self.window.kernel[1]
        most = taps * (1 if self.multiplier is None else int(self.multiplier.max()))
        return Interval(np.minimum(source.lo, 0) * most, np.maximum(source.hi, 0) * most)

    @property
    def fan_in(self) -> int:
        return self.window.kernel[0] * self.window.kernel[1]

    def fan_out(self, source: Shape) -> Ints:
        return np.broadcast_to(self.window.coverage(source[1], source[2]), source)
