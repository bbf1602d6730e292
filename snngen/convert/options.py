"""What a user can choose about a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snngen.errors import ConversionError, Problem
from snngen.spiking import SpikingLayer


@dataclass(frozen=True)
class Options:
    """`timesteps` T counts for IF neurons, `levels` N for level neurons, which need one step only.

    `percentile` of the currents seen in calibration becomes the threshold, 100 being their maximum;
    "auto" takes the one of PERCENTILES whose network is most like the CNN's outputs on the
    calibration images. `scaling` "consistent" lets a spike stand for its threshold; "literal" sends
    it as 1, as published (paper 2). `v_init` is the membrane's start: "half" the threshold rounds
    the activation, "zero" rounds it down.
    """

    method: str = "channel-max"
    neuron: Literal["if", "level"] = "if"
    timesteps: int = 16
    levels: int = 15
    percentile: float | Literal["auto"] = "auto"
    scaling: Literal["consistent", "literal"] = "consistent"
    v_init: Literal["half", "zero"] = "half"

    @property
    def steps(self) -> int:
        """Timesteps that the network runs for."""
        return self.timesteps if self.neuron == "if" else 1


@dataclass(frozen=True, eq=False)
class Converted:
    """What a method makes: all layers with their neurons, and the outputs that they give on the
    calibration images, in the CNN's units, averaged over time: float32 (batch, C, H, W).
    """

    layers: tuple[SpikingLayer, ...]
    outputs: NDArray[np.float32]


PERCENTILES = (100.0, 99.9, 99.8, 99.5)
MAX_TIMESTEPS = 1024
MAX_LEVELS = 255


def check_options(options: Options, methods: tuple[str, ...]) -> None:
    """Refuse values outside their range, all of them at once; ConversionError."""
    percentile = options.percentile
    rules = {
        "--method": (options.method, options.method in methods, "one of " + ", ".join(methods)),
        "--neuron": (options.neuron, options.neuron in ("if", "level"), "if or level"),
        "--timesteps": _within(options.timesteps, MAX_TIMESTEPS),
        "--levels": _within(options.levels, MAX_LEVELS),
        "--percentile": (
            percentile,
            percentile == "auto" or (not isinstance(percentile, str) and 0 < percentile <= 100),
            "auto, or above 0 and at most 100",
        ),
        "--scaling": (
            options.scaling,
            options.scaling in ("consistent", "literal"),
            "consistent or literal",
        ),
        "--v-init": (options.v_init, options.v_init in ("half", "zero"), "half or zero"),
    }
    problems = [
        Problem(f"option {name}", f"must be {allowed}", str(value))
        for name, (value, good, allowed) in rules.items()
        if not good
    ]
    if problems:
        raise ConversionError(*problems)


def _within(value: int, most: int) -> tuple[int, bool, str]:
    return value, 1 <= value <= most, f"1..{most}"
