"""From measured causes to options of the conversion that are worth a try."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snngen.convert import METHODS, Options
from snngen.convert.options import MAX_BITS, MAX_LEVELS, MAX_TIMESTEPS
from snngen.doctor.diagnosis import Diagnosis, Effect

ENOUGH = 0.01  # of the images: what costs less needs no cure


@dataclass(frozen=True)
class Advice:
    """An option to convert with, and the measured reason."""

    option: str
    reason: str


def advise(found: Diagnosis, options: Options) -> tuple[Advice, ...]:
    """What to change about `options`, the costliest cause first; nothing where the network answers
    as the CNN does.
    """
    allowed = ENOUGH * found.images
    if found.images - found.network.agreement <= allowed:
        return ()
    advice: dict[str, Advice] = {}
    for cause in sorted(found.causes, key=lambda e: (e.alone.agreement, e.alone.likeness)):
        gain = cause.without.agreement - found.network.agreement
        if max(found.images - cause.alone.agreement, gain) <= allowed:
            continue
        for option in _cures(cause.what, options):
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
    reads = METHODS[options.method].options
    over_time = options.neuron == "if"
    if cause == "unevenness":
        yield "--neuron level"
    if cause in ("unevenness", "levels") and over_time and options.timesteps < MAX_TIMESTEPS:
        yield f"--timesteps {min(4 * options.timesteps, MAX_TIMESTEPS)}"
    if cause == "levels" and not over_time and options.levels < MAX_LEVELS:
        yield f"--levels {min(2 * options.levels + 1, MAX_LEVELS)}"
    if cause == "clipping" and options.scaling == "literal":
        yield "--scaling consistent"
    elif cause == "clipping" and "percentile" in reads and options.percentile != 100:
        yield "--percentile 100"
    elif cause == "clipping":
        yield "more --samples"
    if cause == "weights" and options.bits < MAX_BITS:
        yield f"--bits {min(options.bits + 2, MAX_BITS)}"
    if cause == "correction":
        yield "another --method"
