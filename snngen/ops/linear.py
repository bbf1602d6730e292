"""A dense layer, its weight laid out over the (C, H, W) of what it reads, so that the flatten order
is explicit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snngen.ops.interval import Interval, Ints
from snngen.ops.window import Array, Shape


@dataclass(frozen=True, eq=False)
class Linear:
    """Every output reads every input: `weight` is (O, C, H, W) for an input of shape (C, H, W)."""

    weight: Array

    def __post_init__(self) -> None:
        if self.weight.ndim != 4:
            raise ValueError(f"weight must be (O, C, H, W), not {self.weight.shape}")

    def shape(self, source: Shape) -> Shape:
        if source != self.weight.shape[1:]:
            raise ValueError(
                f"weight expects an input of shape {self.weight.shape[1:]}, not {source}"
            )
        return (self.weight.shape[0], 1, 1)

    def forward(self, x: Array) -> Array:
        """(N, C, H, W) -> (N, O, 1, 1)."""
        flat: Array = x.reshape(len(x), -1) @ self.weight.reshape(len(self.weight), -1).T
        return flat[:, :, None, None]

    def backward(self, x: Array, gradient: Array) -> tuple[Array, Array]:
        """From the gradient of `forward`'s result (N, O, 1, 1) to those of `x` and `weight`."""
        sent = gradient.reshape(len(x), -1)
        by_input: Array = sent @ self.weight.reshape(len(self.weight), -1)
        by_weight: Array = sent.T @ x.reshape(len(x), -1)
        return by_input.reshape(x.shape), by_weight.reshape(self.weight.shape)

    def bounds(self, source: Interval) -> Interval:
        """Of every partial sum, in any order."""
        weight = self.weight.astype(np.int64)
        lo, hi = weight * source.lo[:, None, None], weight * source.hi[:, None, None]
        low, high = np.minimum(lo, hi), np.maximum(lo, hi)
        return Interval(np.minimum(low, 0).sum((1, 2, 3)), np.maximum(high, 0).sum((1, 2, 3)))

    @property
    def fan_in(self) -> int:
        return int(np.prod(self.weight.shape[1:]))

    def fan_out(self, source: Shape) -> Ints:
        """Synapses leaving each input neuron: (C, H, W)."""
        return np.full(source, len(self.weight), np.int64)

    def scale_inputs(self, amplitude: Array) -> Linear:
        """With every weight multiplied by the amplitude (C,) of the input channel that it reads."""
        return replace(self, weight=self.weight * amplitude[:, None, None])
