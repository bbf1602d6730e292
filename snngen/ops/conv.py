"""Convolution over (C, H, W); a 1-D convolution is one of height 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snngen.ops.interval import Interval, Ints
from snngen.ops.window import Array, Shape, Window

CACHED = 2**19  # bytes of gathered windows at once


@dataclass(frozen=True, eq=False)
class Conv:
    """Cross-correlation with `weight` (O, I/groups, kh, kw), zero-padded, as ONNX Conv defines
    it.
    """

    weight: Array
    window: Window
    groups: int = 1

    def __post_init__(self) -> None:
        if self.weight.ndim != 4 or self.weight.shape[2:] != self.window.kernel:
            raise ValueError(
                f"weight must be (O, I/groups, kh, kw) with kernel {self.window.kernel}, "
                f"not {self.weight.shape}"
            )
        if self.groups < 1 or self.weight.shape[0] % self.groups:
            raise ValueError(
                f"{self.weight.shape[0]} output channels do not divide into {self.groups} groups"
            )

    def shape(self, source: Shape) -> Shape:
        """Output (O, H, W) for an input of shape `source`; raises ValueError where they do not
        fit.
        """
        if source[0] != self.weight.shape[1] * self.groups:
            raise ValueError(
                f"weight expects {self.weight.shape[1] * self.groups} input channels, "
                f"the input has {source[0]}"
            )
        return (self.weight.shape[0], *self.window.positions(source[1], source[2]))

    def forward(self, x: Array) -> Array:
        """(N, I, H, W) -> (N, O, H_out, W_out) in the common dtype of `x` and `weight`."""
        n, _, h, w = x.shape
        out_h, out_w = self.window.positions(h, w)
        g, o, i = self.groups, self.weight.shape[0] // self.groups, self.weight.shape[1]
        taps = self.window.taps(x)  # (N, G*I, kh, kw, Ho, Wo)
        if i == 1 and o == 1:  # depthwise: nothing to contract over channels
            return self._depthwise(taps)
        weight = self.weight.reshape(g, o, -1)
        y: Array = np.empty((n, g, o, out_h * out_w), np.result_type(x, self.weight))
        for part in self._cached(taps):
            columns = np.ascontiguousarray(taps[part])
            np.matmul(weight, columns.reshape(-1, g, weight.shape[2], out_h * out_w), out=y[part])
        return y.reshape(n, g * o, out_h, out_w)

    def _depthwise(self, taps: Array) -> Array:
        """One product per tap of `taps` (N, C, kh, kw, H_out, W_out), a few images at a time."""
        kh, kw = self.window.kernel
        y: Array = np.zeros((*taps.shape[:2], *taps.shape[4:]), np.result_type(taps, self.weight))
        step = max(1, CACHED // (y[:1].size * y.itemsize))
        for k in range(0, len(y), step):
            for ky in range(kh):
                for kx in range(kw):
                    factor = self.weight[:, 0, ky, kx, None, None]
                    y[k : k + step] += taps[k : k + step, :, ky, kx] * factor
        return y

    def backward(self, x: Array, gradient: Array) -> tuple[Array, Array]:
        """From the gradient of `forward`'s result (N, O, H_out, W_out) to those of `x` and
        `weight`.
        """
        n, _, h, w = x.shape
        g, o = self.groups, self.weight.shape[0] // self.groups
        taps = self.window.taps(x)
        weight, sent = self.weight.reshape(g, o, -1), gradient.reshape(n, g, o, -1)
        by_input, by_weight = np.empty_like(x), np.zeros_like(weight)
        for part in self._cached(taps):
            columns = taps[part].reshape(-1, g, weight.shape[2], sent.shape[3])
            by_weight += np.matmul(sent[part], columns.swapaxes(2, 3)).sum(0)
            by_tap = np.matmul(weight.swapaxes(1, 2), sent[part]).reshape(taps[part].shape)
            by_input[part] = self.window.scatter(by_tap, h, w)
        return by_input, by_weight.reshape(self.weight.shape)

    def _cached(self, taps: Array) -> Iterator[slice]:
        """A few images at a time: what BLAS reads of their windows is then still in the cache."""
        step = max(1, CACHED // (taps[:1].size * taps.itemsize))
        return (slice(k, k + step) for k in range(0, len(taps), step))

    def bounds(self, source: Interval) -> Interval:
        """Of every partial sum, in any order, so padding and skipped taps are covered."""
        source = source.with_zero() if any(self.window.pads) else source
        o, i = self.weight.shape[:2]
        lo = source.lo.reshape(self.groups, 1, i, 1, 1)
        hi = source.hi.reshape(self.groups, 1, i, 1, 1)
        weight = self.weight.astype(np.int64).reshape(
            self.groups, o // self.groups, *self.weight.shape[1:]
        )
        low, high = np.minimum(weight * lo, weight * hi), np.maximum(weight * lo, weight * hi)
        return Interval(
            np.minimum(low, 0).sum((2, 3, 4)).reshape(o),
            np.maximum(high, 0).sum((2, 3, 4)).reshape(o),
        )

    @property
    def fan_in(self) -> int:
        return int(np.prod(self.weight.shape[1:]))

    def fan_out(self, source: Shape) -> Ints:
        """Synapses leaving each input neuron, fewer at the borders: (I, H, W)."""
        per_group = self.weight.shape[0] // self.groups
        return np.broadcast_to(self.window.coverage(source[1], source[2]) * per_group, source)

    def scale_inputs(self, amplitude: Array) -> Conv:
        """With every weight multiplied by the amplitude (I,) of the input channel that it reads."""
        per_weight = amplitude.reshape(self.groups, 1, self.weight.shape[1], 1, 1)
        grouped = self.weight.reshape(self.groups, -1, *self.weight.shape[1:])
        return replace(self, weight=(grouped * per_weight).reshape(self.weight.shape))
