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
    """`options` to convert with, and the measured reason."""

    options: str
    reason: str


def advise(found: Diagnosis, options: Options) -> tuple[Advice, ...]:
    """What to change about `options`, with the costliest cause first; nothing where the network
    answers as the CNN does, or where no option touches the cause.
    """
    if found.images - found.network.agreement <= ENOUGH * found.images:
        return ()
    advice: dict[str, Advice] = {}
    for cause in sorted(found.causes, key=lambda e: (e.alone.agreement, e.alone.likeness)):
        spoilt = found.images - cause.alone.agreement
        gained = cause.without.agreement - found.network.agreement
        if max(spoilt, gained) > ENOUGH * found.images:
            for option in _cures(cause.what, options):
                advice.setdefault(option, Advice(option, _reason(cause, found)))
    return tuple(advice.values())


def _reason(cause: Effect, found: Diagnosis) -> str:
    alone, without, now = (
        100 * n / found.images
        for n in (cause.alone.agreement, cause.without.agreement, found.network.agreement)
    )
    return (
        f"{cause.what} alone leave{'s' if cause.what in ('clipping', 'unevenness') else ''} "
        f"the CNN's class to {alone:.1f} % of the images; without, {without:.1f} % instead of {now:.1f} %"
    )


def _cures(cause: str, options: Options) -> Iterator[str]:
    timed = options.neuron == "if"
    reads = METHODS[options.method].options
    match cause:
        case "unevenness":
            yield "--neuron level"
    if cause in ("unevenness", "levels") and timed and options.timesteps < MAX_TIMESTEPS:
        yield f"--timesteps {min(4 * options.timesteps, MAX_TIMESTEPS)}"
