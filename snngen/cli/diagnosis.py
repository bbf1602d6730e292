"""A diagnosis as lines of text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from snngen.cli.console import table
from snngen.doctor import Advice, Altered, Answers, Diagnosis, Effect, Finding, worst
from snngen.errors import printable

WIDEST_NAME = 22  # of a layer: tables then stay within 100 columns
MOST_CHANNELS = 8  # named on one line

KINDS = {
    "silent": "never send anything, though the CNN's are above 0",
    "dead": "never send anything, nor are the CNN's above 0",
    "saturated": "are asked for more than their largest value",
    "outlier": "have an error of {component} far above that of the others",
}


def diagnosis_lines(
    found: Diagnosis, changed: Sequence[Altered], advice: Sequence[Advice]
) -> list[str]:
    """All of it, most telling last."""
    return [
        *_answer_lines(found),
        "",
        "errors in parts of the RMS of the CNN's activation, and what their squares consist of:",
        *_error_table(found),
        "",
        "what layers add to that, by cause: in the CNN by itself, then left out of the network:",
        *_effect_table(found, "cause", found.causes),
        "",
        "the same, by layer:",
        *_effect_table(found, "layer", found.layers),
        *_channel_lines(found.findings),
        *_altered_lines(changed),
        *_conclusion_lines(found, advice),
    ]


def diagnosis_json(
    found: Diagnosis, changed: Sequence[Altered], advice: Sequence[Advice]
) -> dict[str, Any]:
    """The same for programs, names in full; counts of images are counts."""
    return {
        **asdict(found),
        "altered": [asdict(one) for one in changed],
        "advice": [asdict(one) for one in advice],
    }


def _answer_lines(found: Diagnosis) -> Iterator[str]:
    yield f"images   {found.images:,}"
    if found.network.correct is not None and found.cnn.correct is not None:
        yield f"accuracy {_percent(found.network.correct, found)}"
        yield f"the CNN  {_percent(found.cnn.correct, found)}"
    yield (
        f"same class as the CNN {_percent(found.network.agreement, found)}, "
        f"outputs correlated {found.network.likeness:.3f}"
    )


def _error_table(found: Diagnosis) -> list[str]:
    """A cause that there is nowhere has no column, and where there is none of it, no number."""
    names = [
        name
        for name in found.errors[0].components
        if any(layer.components[name].rms for layer in found.errors)
    ]
    rows = [
        (
            _name(layer.name),
            layer.rms,
            layer.mean,
            *(c.share if (c := layer.components[name]).rms else None for name in names),
        )
        for layer in found.errors
    ]
    return table(("layer", "RMS", "mean", *names), rows)


def _effect_table(found: Diagnosis, head: str, effects: Sequence[Effect]) -> list[str]:
    """What becomes of the answers; the accuracy only where there are labels."""
    labelled = found.cnn.correct is not None
    part = ("same class", "correlated", *(["accuracy"] if labelled else []))

    def cells(answers: Answers) -> tuple[object, ...]:
        correct = [] if answers.correct is None else [_percent(answers.correct, found)]
        return _percent(answers.agreement, found), answers.likeness, *correct

    rows = [(_name(e.what), *cells(e.alone), "", *cells(e.without)) for e in effects]
    return table((head, *part, "left out:", *part), rows)


def _channel_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Channels of one layer with the same trouble share a line, the worst first."""
    if findings:
        yield from ("", "channels that stand out:")

    def trouble(found: Finding) -> tuple[str, str, str]:
        return found.layer, found.kind, found.component

    for (layer, kind, component), group in groupby(findings, trouble):
        members = sorted(group, key=lambda f: -f.value)
        named = ", ".join(_channel(f) for f in members[:MOST_CHANNELS])
        more = f" and {len(members) - MOST_CHANNELS} more" if len(members) > MOST_CHANNELS else ""
        rule = KINDS[kind].format(component=component)
        yield f"{_name(layer)}: channels {named}{more}"
        yield f"  {rule}"


def _channel(found: Finding) -> str:
    match found.kind:
        case "saturated":
            return f"{found.channel} ({100 * found.value:.0f} %)"
        case "outlier":
            return f"{found.channel} ({found.value:.3f}, usually {found.typical:.3f})"
        case _:
            return str(found.channel)


def _altered_lines(changed: Sequence[Altered]) -> Iterator[str]:
    if changed:
        yield from ("", "numbers that these options do not make of the model:")
    for one in changed:
        some = ", ".join(map(str, one.channels[:MOST_CHANNELS]))
        named = f"channels {some}" if len(one.channels) <= MOST_CHANNELS else "channels"
        yield f"{_name(one.layer)}: {one.what} of {len(one.channels)} of {one.of} {named}"


def _conclusion_lines(found: Diagnosis, advice: Sequence[Advice]) -> Iterator[str]:
    cause, layer = worst(found.causes), worst(found.layers)
    if cause is not None and layer is not None:
        yield ""
        yield f"costliest cause: {cause.what}; costliest layer: {printable(layer.what)}"
    for one in advice:
        yield f"try {one.option}: {one.reason}"


def _percent(count: int, found: Diagnosis) -> str:
    return f"{100 * count / found.images:.2f} %"


def _name(text: str) -> str:
    """The end of a long name: its beginning is mostly that of all."""
    shown = printable(text)
    return shown if len(shown) <= WIDEST_NAME else "~" + shown[1 - WIDEST_NAME :]
