"""A diagnosis as lines of text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from snngen.cli.console import table
from snngen.doctor import Advice, Altered, Answers, Diagnosis, Effect, Finding, worst
from snngen.errors import printable

WIDEST_NAME = 21  # of a layer: tables then stay within 100 columns
MOST_CHANNELS = 5  # named on one line

KINDS = {
    "silent": "never sends anything, though the CNN does",
    "dead": "never sends anything, nor does the CNN",
    "saturated": "asked for more than its largest value, on so many of its outputs",
    "outlier": "error of {component} stands out, in parts of the range; usually {typical:.2f}",
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
            _rounded(layer.mean),
            *(_rounded(c.share) if (c := layer.components[name]).rms else None for name in names),
        )
        for layer in found.errors
    ]
    return table(("layer", "RMS", "mean", *names), rows)


def _effect_table(found: Diagnosis, head: str, effects: Sequence[Effect]) -> list[str]:
    """What becomes of the answers; the accuracy only where there are labels."""
    labelled = found.cnn.correct is not None
    part = ("same class", "correlated", *(["accuracy"] if labelled else []))

    def cells(answers: Answers) -> tuple[object, ...]:
        correct = [] if answers.correct is None else [_percent(answers.correct, found).rjust(8)]
        return _percent(answers.agreement, found).rjust(8), _rounded(answers.likeness), *correct

    rows = [(_name(e.what), *cells(e.alone), "", *cells(e.without)) for e in effects]
    return table((head, *part, "left out:", *part), rows)


def _channel_lines(findings: Sequence[Finding]) -> Iterator[str]:
    """Channels of one layer with the same trouble share a line, the worst first."""
    if findings:
        yield from ("", "channels that stand out:")

    groups: dict[tuple[str, str, str, float], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.layer, one.kind, one.component, one.typical), []).append(one)
    for (layer, kind, component, typical), members in groups.items():
        members.sort(key=lambda f: -f.value)
        yield f"{_name(layer)}: {KINDS[kind].format(component=component, typical=typical)}"
        yield f"  {_channels([_channel(f) for f in members])}"


def _channel(found: Finding) -> str:
    match found.kind:
        case "saturated":
            return f"{found.channel} ({100 * found.value:.0f} %)"
        case "outlier":
            return f"{found.channel} ({found.value:.2f})"
        case _:
            return str(found.channel)


def _channels(shown: Sequence[str]) -> str:
    """The first of them by name, the others by number."""
    more = len(shown) - MOST_CHANNELS
    named = ", ".join(shown[:MOST_CHANNELS]) + (f" and {more} more" if more > 0 else "")
    return f"channel{'s' * (len(shown) > 1)} {named}"


def _altered_lines(changed: Sequence[Altered]) -> Iterator[str]:
    if changed:
        yield from ("", "numbers that these options do not make of the model:")
    for one in changed:
        yield f"{_name(one.layer)}: {one.what} of {len(one.channels)} in {one.of} channels"
        yield f"  {_channels([str(channel) for channel in one.channels])}"


def _conclusion_lines(found: Diagnosis, advice: Sequence[Advice]) -> Iterator[str]:
    cause, layer = worst(found.causes), worst(found.layers)
    if cause is not None and layer is not None:
        yield ""
        yield f"costliest cause: {cause.what}; costliest layer: {_name(layer.what)}"
    for one in advice:
        yield f"try {one.option}"
        yield f"  {one.reason}"


def _rounded(value: float) -> float:
    """To what a table shows, without a minus before 0."""
    return round(value, 3) + 0.0


def _percent(count: int, found: Diagnosis) -> str:
    return f"{100 * count / found.images:.2f} %"


def _name(text: str) -> str:
    """The end of a long name: its beginning is mostly that of all."""
    shown = printable(text)
    return shown if len(shown) <= WIDEST_NAME else "~" + shown[1 - WIDEST_NAME :]
