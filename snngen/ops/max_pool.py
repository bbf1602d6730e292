"""Maximum over a window. Over spike trains it acts on running counts, of streams on how far these
are behind the largest (see `snngen.golden`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snngen.ops.interval import Interval, Ints
from snngen.ops.window import Array, Shape, Window

STEPS_BEHIND = 127  # for spikes, what an int8 can hold


@dataclass(frozen=True)
class MaxPool:
    """The largest value of each window; positions on padding take no part."""

    window: Window

    def shape(self, source: Shape) -> Shape:
        out = self.window.positions(source[1], source[2])
        if self.window.taps_inside(source[1], source[2]).min() == 0:
            raise ValueError(f"a window lies wholly on padding: {self.window}")
        return (source[0], *out)

    def forward(self, x: Array) -> Array:
        """(N, C, H, W) -> (N, C, H_out, W_out)."""
        out_h, out_w = self.window.positions(x.shape[2], x.shape[3])
        (sy, sx), (dy, dx) = self.window.stride, self.window.dilation
        lowest = _lowest(x)
        padded = self.window.pad(x, lowest)
        best: Array = np.full((*x.shape[:2], out_h, out_w), lowest, x.dtype)
        for ky in range(self.window.kernel[0]):
            for kx in range(self.window.kernel[1]):
                tap = padded[:, :, ky * dy :, kx * dx :][
                    :, :, : (out_h - 1) * sy + 1 : sy, : (out_w - 1) * sx + 1 : sx
                ]
                np.maximum(best, tap, out=best)
        return best

    def backward(self, x: Array, gradient: Array) -> Array:
        """From the gradient of `forward`'s result to that of `x`, which goes to the first tap of
        each window that is largest.
        """
        taps = self.window.taps(x, _lowest(x))
        kh, kw = self.window.kernel
        first = taps.reshape(*taps.shape[:2], kh * kw, *taps.shape[4:]).argmax(2)
        is_first = np.arange(kh * kw)[:, None, None] == first[:, :, None]
        return self.window.scatter(
            (is_first * gradient[:, :, None]).reshape(taps.shape), *x.shape[2:]
        )

    def bounds(self, source: Interval) -> Interval:
        return source

    @property
    def fan_in(self) -> int:
        return self.window.kernel[0] * self.window.kernel[1]

    def fan_out(self, source: Shape) -> Ints:
        return np.broadcast_to(self.window.coverage(source[1], source[2]), source)


def most_behind(source: Interval) -> int:
    """How far an input of a stream's pool can be behind the one that has sent most: what `source`
    can send in STEPS_BEHIND timesteps.
    """
    return STEPS_BEHIND * max(source.max, 1)


def _lowest(x: Array) -> float:
    return -np.inf if np.issubdtype(x.dtype, np.floating) else int(np.iinfo(x.dtype).min)
