"""How many cycles hardware takes for images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Of cycles: the fewest, the mean, the most, of so many images."""

    best: int
    mean: float
    worst: int
    images: int

    @classmethod
    def of(cls, cycles: Sequence[int]) -> Spread | None:
        """None of no images."""
        if not cycles:
            return None
        return cls(min(cycles), sum(cycles) / len(cycles), max(cycles), len(cycles))


@dataclass(frozen=True)
class Timing:
    """`latency`: cycles from the first byte of an image, looked at, to its class, of images that
    were alone in the chip. `interval`: from one answer to the next, of images that followed each
    other at once. None where there were no such images. `hertz`: the board's clock, or 0.
    """

    latency: Spread | None
    interval: Spread | None
    hertz: int = 0
