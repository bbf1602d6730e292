"""What a user can choose about a conversion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from snngen.convert.structure import Population
from snngen.errors import ConversionError, Problem
from snngen.graph import Staircase
from snngen.spiking import Coding, SpikingLayer


@dataclass(frozen=True)
class Options:
    """What every method reads: `method` itself and `neuron`, "auto" being what suits the model;
    `timesteps` T for IF neurons, `levels` N for level neurons, which need one step only; `bits` of
    a weight.

    The others belong to the methods that list them. `percentile` of the currents seen in
    calibration becomes the threshold, 100 being their maximum; "auto" takes the one of PERCENTILES
    whose network is most like the CNN's outputs on the calibration images. `scaling` "consistent"
    lets a spike stand for its threshold; "literal" sends it as 1, as published (paper 2). `v_init`
    is the membrane's start as a fraction of the threshold: 0.5 rounds the activation, 0 rounds it
    down. `without` names the TECHNIQUES of method ecc that are switched off. `coding` "events" is
    for streams: the CNN is one for all events of `timesteps` bins together.
    """

    method: str = "auto"
    neuron: Literal["auto", "if", "level"] = "auto"
    timesteps: int = 16
    levels: int = 15
    bits: int = 8
    percentile: float | Literal["auto"] = "auto"
    scaling: Literal["consistent", "literal"] = "consistent"
    v_init: float = 0.5
    without: tuple[str, ...] = ()
    coding: Coding = "direct"

    @property
    def steps(self) -> int:
        """Timesteps that the network runs for."""
        return 1 if self.neuron == "level" else self.timesteps


@dataclass(frozen=True, eq=False)
class Converted:
    """What a method makes: all layers with their neurons, and, of a method that reads `percentile`,
    the outputs that they give on the calibration images, in the CNN's units, averaged over time:
    float32 (batch, C, H, W). `quantiser`: what the layers read in place of the input's values.
    """

    layers: tuple[SpikingLayer, ...]
    outputs: NDArray[np.float32] | None = None
    quantiser: Staircase | None = None


@dataclass(frozen=True)
class Method:
    """A conversion method. `convert` takes the populations, calibration images as model values
    (batch, C, H, W) and the options; `options` names those of Options that it reads beside the
    common ones. One for `quantised` networks takes levels from their activations, so that it needs
    neither `levels` nor calibration; the others want ReLUs. One that `rounds` looks at the weights
    as `bits` round them, so that each number of bits needs a conversion of its own. One that
    `trains` reads its images many times, and wants more of them.
    """

    convert: Callable[[tuple[Population, ...], NDArray[np.floating], Options], Converted]
    options: tuple[str, ...] = ()
    quantised: bool = False
    rounds: bool = False
    trains: bool = False

    def lengths(self, neuron: str) -> tuple[str, ...]:
        """Those of `timesteps` and `levels` that it reads for such neurons."""
        if not self.quantised:
            return ("timesteps", "levels")
        return ("timesteps",) if neuron == "if" else ()


COMMON = ("method", "neuron", "bits")
TECHNIQUES = ("cn", "tre", "cmb")
PERCENTILES = (100.0, 99.9, 99.8, 99.5)
MAX_TIMESTEPS = 1024
MAX_LEVELS = 255
MAX_BITS = 8


def check_options(options: Options, methods: dict[str, Method]) -> None:
    """Refuse values outside their range, all of them at once, and options that the method does not
    read; ConversionError.
    """
    percentile = options.percentile
    rules = {
        "method": (options.method, options.method in methods, "one of " + ", ".join(methods)),
        "neuron": (options.neuron, options.neuron in ("auto", "if", "level"), "if or level"),
        "timesteps": _within(options.timesteps, 1, MAX_TIMESTEPS),
        "levels": _within(options.levels, 1, MAX_LEVELS),
        "bits": _within(options.bits, 2, MAX_BITS),
        "percentile": (
            percentile,
            percentile == "auto" or (not isinstance(percentile, str) and 0 < percentile <= 100),
            "auto, or above 0 and at most 100",
        ),
        "scaling": (
            options.scaling,
            options.scaling in ("consistent", "literal"),
            "consistent or literal",
        ),
        "v_init": (options.v_init, 0 <= options.v_init < 1, "at least 0 and below 1"),
        "without": (
            ",".join(options.without),
            set(options.without) <= set(TECHNIQUES),
            "some of " + ",".join(TECHNIQUES),
        ),
        "coding": (options.coding, options.coding in get_args(Coding), "direct or events"),
    }
    problems = [
        Problem(_named(name), f"must be {allowed}", str(value))
        for name, (value, good, allowed) in rules.items()
        if not good
    ]
    if options.coding == "events" and options.neuron == "level":
        rule = "must be if for streams of events, which only such neurons add up"
        problems.append(Problem(_named("neuron"), rule, "level", "leave out --coding, or --neuron"))
    if options.method in methods:
        method = methods[options.method]
        read = (*COMMON, *method.lengths(options.neuron), *method.options)
        problems += [
            Problem(_named(f.name), f"is not read by method {options.method}", str(value))
            for f in fields(options)
            if f.name not in read and (value := getattr(options, f.name)) != f.default
        ]
    if problems:
        raise ConversionError(*problems)


def _named(option: str) -> str:
    return f"option --{option.replace('_', '-')}"


def _within(value: int, least: int, most: int) -> tuple[int, bool, str]:
    return value, least <= value <= most, f"{least}..{most}"
