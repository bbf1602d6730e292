"""From measured causes to options of the conversion that are worth a try."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snngen.convert import METHODS, Options
from snngen.convert.options import MAX_BITS, MAX_LEVELS, MAX_TIMESTEPS
from snngen.doctor.diagnosis import Diagnosis, Effect

ENOUGH = 0.01  # of the images: what costs less needs no cure
LEAST_GAIN = 0.25  # of the images that miss the CNN's class: a cause that is worth removing


@dataclass(frozen=True)
class Advice:
    """An option to convert with, and the measured reason."""

    option: str
    reason: str


def advise(found: Diagnosis, options: Options) -> tuple[Advice, ...]:
    """What to change about `options`, as `resolve` returned them, the costliest cause first;
    nothing where the network answers as the CNN does.
    """
    allowed, missed = ENOUGH * found.images, found.images - found.network.agreement
    if missed <= allowed:
        return ()
    advice: dict[str, Advice] = {}
    for cause in sorted(found.causes, key=lambda e: (e.alone.agreement, e.alone.likeness)):
        costs = found.images - cause.alone.agreement > allowed
        gains = cause.without.agreement - found.network.agreement > LEAST_GAIN * missed
        for option in _cures(cause.what, options) if costs or gains else ():
            advice.setdefault(option, Advice(option, _reason(cause, found)))
    return tuple(advice.values())


def _reason(cause: Effect, found: Diagnosis) -> str:
    def percent(agreement: int) -> str:
        return f"{100 * agreement / found.images:.1f} %"

    return (
        f"with {cause.what} alone {percent(cause.alone.agreement)} get the CNN's class, "
        f"without it {percent(cause.without.agreement)} instead of "
        f"{percent(found.network.agreement)}"
    )


def _cures(cause: str, options: Options) -> Iterator[str]:
    """Options that make less of `cause`."""
    method = METHODS[options.method]
    lengths, over_time = method.lengths(options.neuron), options.neuron == "if"
    longer, finer = options.timesteps < MAX_TIMESTEPS, options.levels < MAX_LEVELS
    if cause == "unevenness":
        yield "--neuron level"
    if cause in ("unevenness", "levels") and over_time and "timesteps" in lengths and longer:
        yield f"--timesteps {min(4 * options.timesteps, MAX_TIMESTEPS)}"
    if cause == "levels" and not over_time and "levels" in lengths and finer:
        yield f"--levels {min(2 * options.levels + 1, MAX_LEVELS)}"
    if cause == "clipping" and options.scaling == "literal":
        yield "--scaling consistent"
    elif cause == "clipping" and "percentile" in method.options and options.percentile != 100:
        yield "--percentile 100"
    elif cause == "clipping":
        yield "more --samples"
    if cause == "weights" and options.bits < MAX_BITS:
        yield f"--bits {min(options.bits + 2, MAX_BITS)}"
    if cause == "correction":
        yield "another --method"
