"""The neuron kinds that carry every network: the same classes hold real thresholds before and
integer ones after quantisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snngen.ops.window import Array


@dataclass(frozen=True, eq=False)
class IF:
    """Integrate and fire over T timesteps (docs/arithmetic.md section 3); arrays are per channel,
    (C,).

    v <- v + I(t); v <- min(max(v, v_min), v_max); s = min(floor(v / threshold), max_spikes) where
    v >= threshold, else 0; reset "subtract": v <- v - s * threshold; reset "zero": v <- 0 where
    s > 0.
    `signed`: s = -1 and v <- v + threshold where v < 0 and the neuron has sent more spikes than it
    took back.
    """

    threshold: Array
    v_init: Array
    v_min: Array | None = None
    v_max: Array | None = None
    reset: Literal["subtract", "zero"] = "subtract"
    max_spikes: int = 1
    signed: bool = False


@dataclass(frozen=True, eq=False)
class Level:
    """Stateless, count-coded: sends `lowest` + how many of its sorted `thresholds` (C, N) the sum
    has reached, lowest..lowest + N, in one step. `lowest` is below 0 where the activation keeps its
    sign.
    """

    thresholds: Array
    lowest: int = 0


@dataclass(frozen=True)
class Accumulate:
    """The output layer: integrates and never fires; with a `limit`, within -limit..limit."""

    limit: int | None = None


Neuron = IF | Level | Accumulate
