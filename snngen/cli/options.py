"""Options that several commands share, and the text forms of their values."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from math import isfinite
from typing import Annotated, Any, get_type_hints

import typer

from snngen.convert import METHODS, Options
from snngen.convert.options import TECHNIQUES
from snngen.data.fitting import MOST_SHRUNK, Binning, Fitting, read_binning
from snngen.errors import ConversionError, Problem
from snngen.pipeline import Normalisation
from snngen.targets import TARGETS
from snngen.targets.c.boards import PROCESSORS

DEFAULTS = Options()
UNITS = {"": 1, "k": 2**10, "M": 2**20}


Scale = Annotated[
    float | None, typer.Option(help="the model sees (byte / scale - mean) / std; default 255")
]
Mean = Annotated[str | None, typer.Option(help="one number, or one per channel: a,b,c; default 0")]
Std = Annotated[str | None, typer.Option(help="one number, or one per channel: a,b,c; default 1")]
Resize = Annotated[
    str | None,
    typer.Option(help="image files, the shorter side to so many pixels, or to height,width"),
]
Crop = Annotated[
    str | None,
    typer.Option(
        help="image files and recordings, to a centre of so many pixels square, or height,width"
    ),
]
Bins = Annotated[
    str | None,
    typer.Option(
        help="recordings of events: 16 (of equal duration), 16x10ms or 16x500ev (events); by "
        "default as many as timesteps, or one"
    ),
]
Shrink = Annotated[
    int | None, typer.Option(help="recordings, so many pixels square to one, which counts for all")
]
InputShape = Annotated[
    str | None, typer.Option(help="of one sample, where the model leaves it open: 1,28,28")
]
OutputName = Annotated[
    str | None, typer.Option(help="name of the output to use, where there are several")
]
Processor = Annotated[
    str, typer.Option("--on", help=f"the processor that costs are for: {', '.join(PROCESSORS)}")
]
Workers = Annotated[
    int | None, typer.Option(help="processes; by default one thread per core of this one")
]
Cluster = Annotated[
    str | None, typer.Option(help="use the workers of this Dask scheduler: tcp://host:8786")
]

TargetName = Annotated[str, typer.Option(help=f"one of: {', '.join(TARGETS)}")]
MaxRam = Annotated[str | None, typer.Option(help="fail beyond so much RAM, for example 32k")]
MaxFlash = Annotated[str | None, typer.Option(help="fail beyond so much flash")]


@dataclass(frozen=True)
class Conversion:
    """How a model becomes a network. None stands for an option that was not given."""

    method: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(METHODS)} or {DEFAULTS.method}; default {DEFAULTS.method}"),
    ] = None
    neuron: Annotated[
        str | None,
        typer.Option(
            help="if (spikes over time) or level (counts, one step); default if, of quantised "
            "activations level"
        ),
    ] = None
    timesteps: Annotated[
        int | None, typer.Option(help=f"of if neurons; default {DEFAULTS.timesteps}")
    ] = None
    levels: Annotated[
        int | None, typer.Option(help=f"of level neurons; default {DEFAULTS.levels}")
    ] = None
    bits: Annotated[int | None, typer.Option(help="of a weight, 2..8; default 8")] = None
    percentile: Annotated[
        str | None,
        typer.Option(help="of the currents that becomes the threshold, or auto; default auto"),
    ] = None
    scaling: Annotated[
        str | None, typer.Option(help="of spikes: consistent or literal; default consistent")
    ] = None
    v_init: Annotated[
        float | None, typer.Option(help="membrane at the start, in thresholds; default 0.5")
    ] = None
    without: Annotated[
        str | None, typer.Option(help=f"these of method ecc's techniques: {','.join(TECHNIQUES)}")
    ] = None
    coding: Annotated[
        str | None,
        typer.Option(
            help="direct (images) or events (streams of bins, one each timestep); default direct"
        ),
    ] = None
    calibrate: Annotated[
        str | None, typer.Option(help="images that thresholds are balanced on, training images")
    ] = None
    samples: Annotated[
        int | None,
        typer.Option(
            help="of the calibration images; by default what a few seconds can simulate, 16 to 256"
        ),
    ] = None
    scale: Scale = None
    mean: Mean = None
    std: Std = None
    resize: Resize = None
    crop: Crop = None
    bins: Bins = None
    shrink: Shrink = None
    input_shape: InputShape = None
    output: OutputName = None

    @property
    def given(self) -> list[str]:
        """The names of the options that the user gave; how to read data counts with the data."""
        names = [f.name for f in fields(self) if getattr(self, f.name) is not None]
        names = [name for name in names if name not in ("resize", "crop", "bins", "shrink")]
        return ["--" + name.replace("_", "-") for name in names]

    @property
    def options(self) -> Options:
        """For `convert`; ConversionError where a number is none."""
        names = [f.name for f in fields(Options)]
        chosen = {n: getattr(self, n) for n in names if getattr(self, n) is not None}
        unused = "timesteps" if self.neuron == "level" else "levels"
        if getattr(self, unused) is not None:
            other = {"levels": "level", "timesteps": "if"}[unused]
            rule = f"applies to {other} neurons only"
            hint = f"add --neuron {other}, or leave it out"
            found = str(getattr(self, unused))
            raise ConversionError(Problem(f"option --{unused}", rule, found, hint))
        if self.percentile not in (None, "auto"):
            chosen["percentile"] = number("--percentile", str(self.percentile))
        if self.coding == "events" and self.timesteps is None and self.bins is not None:
            chosen["timesteps"] = binning("--bins", self.bins).steps
        if self.without is not None:
            chosen["without"] = tuple(self.without.split(","))
        return Options(**chosen)

    @property
    def normalisation(self) -> Normalisation:
        given = {name: getattr(self, name) for name in ("mean", "std")}
        chosen: dict[str, Any] = {n: numbers(f"--{n}", text) for n, text in given.items() if text}
        if self.scale is not None:
            chosen["scale"] = self.scale
        return Normalisation(**chosen)

    @property
    def fitting(self) -> Fitting:
        """How image files and recordings become what the network reads; ConversionError where a
        size, or a binning, is none.
        """
        given = {name: getattr(self, name) for name in ("resize", "crop")}
        sides = {n: side("--" + n, text) for n, text in given.items() if text is not None}
        if self.shrink is not None and not 1 <= self.shrink <= MOST_SHRUNK:
            rule = f"must be 1 to {MOST_SHRUNK}"
            raise ConversionError(Problem("option --shrink", rule, str(self.shrink)))
        bins = None if self.bins is None else binning("--bins", self.bins)
        return Fitting(**sides, shrink=self.shrink, bins=bins)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The input shape; ConversionError where it is none."""
        if self.input_shape is None:
            return None
        return input_shape(self.input_shape)


def shared(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the options of `Conversion` in place of its parameter `conversion`.

    Where the command has no `--data` of its own, that name is a second one for `--calibrate`.
    """
    signature = inspect.signature(command, eval_str=True)
    own = {name: p for name, p in signature.parameters.items() if name != "conversion"}
    hints = get_type_hints(Conversion, include_extras=True)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in hints.items()
        if name in {f.name for f in fields(Conversion)}
    ]
    if "data" not in own:
        added = [_also_named_data(p) if p.name == "calibrate" else p for p in added]

    def run(**given: Any) -> None:
        chosen = {f.name: given.pop(f.name) for f in fields(Conversion)}
        command(**given, conversion=Conversion(**chosen))

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {}
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own.values()), *added]
    )
    return run


def _also_named_data(parameter: inspect.Parameter) -> inspect.Parameter:
    kind, option = parameter.annotation.__origin__, parameter.annotation.__metadata__[0]
    named = typer.Option("--data", "--calibrate", help=option.help)
    return parameter.replace(annotation=Annotated[kind, named])


def target_named(name: str) -> str:
    """`name`; ConversionError where it is none of TARGETS."""
    if name not in TARGETS:
        rule = f"must be one of {', '.join(TARGETS)}"
        raise ConversionError(Problem("option --target", rule, name))
    return name


def check_choice(option: str, given: str, known: Sequence[str]) -> None:
    """ConversionError where `given` is not `known`."""
    if given not in known:
        rule = f"must be {' or '.join(known)}"
        raise ConversionError(Problem(f"option {option}", rule, given))


def input_shape(text: str) -> tuple[int, ...]:
    """ "1,28,28" as (1, 28, 28); ConversionError where it is no shape."""
    try:
        shape = tuple(int(n) for n in text.split(","))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        rule = "must be whole numbers above 0, separated by commas"
        raise ConversionError(Problem("option --input-shape", rule, text, "for example 1,28,28"))
    return shape


def side(option: str, text: str) -> tuple[int, ...]:
    """ "224" as (224,), "96,128" as (96, 128); ConversionError where it is no size of an image."""
    parts = text.split(",")
    if len(parts) > 2 or not all(p.isascii() and p.isdigit() and 0 < len(p) < 6 for p in parts):
        rule = "must be a number of pixels, or height,width"
        raise ConversionError(Problem(f"option {option}", rule, text, "for example 224"))
    sides = tuple(int(part) for part in parts)
    if min(sides) < 1:
        raise ConversionError(Problem(f"option {option}", "must be at least 1", text))
    return sides


def binning(option: str, text: str) -> Binning:
    """What `read_binning` makes of `text`; ConversionError where that is nothing."""
    found = read_binning(text)
    if found is None:
        rule = "must be a number of bins, and how long each is or how many events it has"
        hint = "for example 16, 16x10ms, 16x2500us or 16x500ev"
        raise ConversionError(Problem(f"option {option}", rule, text, hint))
    return found


def number(option: str, text: str) -> float:
    """A finite number; ConversionError where it is none."""
    return numbers(option, text)[0]


def numbers(option: str, text: str) -> tuple[float, ...]:
    """ "a,b,c" as finite numbers; ConversionError where it is none."""
    try:
        values = tuple(float(n) for n in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(map(isfinite, values)):
        raise ConversionError(Problem(f"option {option}", "must be numbers", text))
    return values


def size(option: str, text: str | None) -> int | None:
    """ "32k" as 32,768 bytes; ConversionError where it is no size."""
    if text is None:
        return None
    digits = text.rstrip("kMB")
    unit = text[len(digits) :].removesuffix("B")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9 or unit not in UNITS:
        rule = "must be a number of bytes, k or M"
        raise ConversionError(Problem(f"option {option}", rule, text, "for example 32k"))
    return int(digits) * UNITS[unit]
