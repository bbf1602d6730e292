"""What a user can choose about a conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snngen.errors import ConversionError, Problem


@dataclass(frozen=True)
class Options:
    """`timesteps` T counts for IF neurons, `levels` N for level neurons, which need one step only.

    `percentile` of the currents seen in calibration becomes the threshold, 100 being their maximum.
    `scaling` "consistent" lets a spike stand for its threshold; "literal" sends it as 1, as
    published (paper 2). `v_init` is the membrane's start: "half" the threshold rounds the
    activation, "zero" rounds it down.
    """

    method: str = "channel-max"
    neuron: Literal["if", "level"] = "if"
    timesteps: int = 16
    levels: int = 15
    percentile: float = 100.0
    scaling: Literal["consistent", "literal"] = "consistent"
    v_init: Literal["half", "zero"] = "half"

    @property
    def steps(self) -> int:
        """Timesteps that the network runs for."""
        return self.timesteps if self.neuron == "if" else 1


MAX_TIMESTEPS = 1024
MAX_LEVELS = 255


def check_options(options: Options, methods: tuple[str, ...]) -> None:
    """Refuse values outside their range, all of them at once; ConversionError."""
    rules = [
        ("--method", options.method, options.method in methods, "one of " + ", ".join(methods)),
        ("--neuron", options.neuron, options.neuron in ("if", "level"), "if or level"),
        (
            "--timesteps",
            options.timesteps,
            1 <= options.timesteps <= MAX_TIMESTEPS,
            f"1..{MAX_TIMESTEPS}",
        ),
        ("--levels", options.levels, 1 <= options.levels <= MAX_LEVELS, f"1..{MAX_LEVELS}"),
        ("--percentile", options.percentile, 0 < options.percentile <= 100, "above 0, at most 100"),
        (
            "--scaling",
            options.scaling,
            options.scaling in ("consistent", "literal"),
            "consistent or literal",
        ),
        ("--v-init", options.v_init, options.v_init in ("half", "zero"), "half or zero"),
    ]
    problems = [
        Problem(f"option {name}", f"must be {allowed}", str(value))
        for name, value, good, allowed in rules
        if not good
    ]
    if problems:
        raise ConversionError(*problems)
