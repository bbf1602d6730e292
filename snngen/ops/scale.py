"""One weight per channel: the shortcut of a residual block, or a batch norm that no neighbour could
absorb.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snngen.ops.interval import Interval, Ints
from snngen.ops.window import Array, Shape


@dataclass(frozen=True, eq=False)
class Scale:
    """Multiplies channel c by `weight[c]`; `weight` is (C,)."""

    weight: Array

    def __post_init__(self) -> None:
        if self.weight.ndim != 1:
            raise ValueError(f"weight must be (C,), not {self.weight.shape}")

    def shape(self, source: Shape) -> Shape:
        if source[0] != len(self.weight):
            raise ValueError(
                f"weight expects {len(self.weight)} channels, the input has {source[0]}"
            )
        return source

    def forward(self, x: Array) -> Array:
        """(N, C, H, W) -> (N, C, H, W)."""
        scaled: Array = x * self.weight[:, None, None]
        return scaled

    def backward(self, x: Array, gradient: Array) -> tuple[Array, Array]:
        """From the gradient of `forward`'s result to those of `x` and `weight`."""
        by_weight: Array = (gradient * x).sum((0, 2, 3))
        return self.forward(gradient), by_weight

    def bounds(self, source: Interval) -> Interval:
        weight = self.weight.astype(np.int64)
        low, high = (
            np.minimum(weight * source.lo, weight * source.hi),
            np.maximum(weight * source.lo, weight * source.hi),
        )
        return Interval(np.minimum(low, 0), np.maximum(high, 0))

    @property
    def fan_in(self) -> int:
        return 1

    def fan_out(self, source: Shape) -> Ints:
        return np.ones(source, np.int64)

    def scale_inputs(self, amplitude: Array) -> Scale:
        return replace(self, weight=self.weight * amplitude)
