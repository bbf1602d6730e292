"""The command `tune`: search, show the trade-offs, write the network that was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from snngen.cli.console import complain, say, say_json, status, table
from snngen.cli.options import (
    Bins,
    Cluster,
    Conversion,
    Crop,
    InputShape,
    Mean,
    OutputName,
    Processor,
    Resize,
    Scale,
    Shrink,
    Std,
    Workers,
    number,
)
from snngen.cli.stages import FAILED, training_images
from snngen.errors import ConversionError, Problem, printable
from snngen.evaluate import Ann
from snngen.files import write_file
from snngen.pipeline import read_model
from snngen.targets.c.boards import processor_of
from snngen.targets.c.budget import PROCESSOR
from snngen.tune import ACCURACY, GOALS, Candidate, Space, Tuning, divide, front
from snngen.tune import tune as search

MOST_HELD_OUT = 1024
SPACE = Space()

Value = TypeVar("Value")


def _all(values: tuple[object, ...]) -> str:
    return ",".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values)


def tune(
    model: Annotated[Path, typer.Argument(help="an ONNX file")],
    data: Annotated[
        str, typer.Option(help="training images, best with labels: some calibrate, others judge")
    ],
    goal: Annotated[str, typer.Option(help=f"one of: {', '.join(GOALS)}")] = "synops",
    drop: Annotated[
        float,
        typer.Option(
            help="points of accuracy that may be lost; not for goal accuracy; default 0.5"
        ),
    ] = 0.5,
    out: Annotated[
        Path | None,
        typer.Option("--output-file", "-o", help="the .snn file to write; default NAME.snn"),
    ] = None,
    method: Annotated[str, typer.Option(help="those to try")] = _all(SPACE.method),
    neuron: Annotated[str, typer.Option(help="those to try")] = _all(SPACE.neuron),
    timesteps: Annotated[str, typer.Option(help="of if neurons")] = _all(SPACE.timesteps),
    levels: Annotated[str, typer.Option(help="of level neurons")] = _all(SPACE.levels),
    bits: Annotated[str, typer.Option(help="of a weight")] = _all(SPACE.bits),
    percentile: Annotated[
        str, typer.Option(help="of the currents, where a method reads it")
    ] = _all(SPACE.percentile),
    held_out: Annotated[
        int | None,
        typer.Option(help="images to judge by; default half of them, at most 1024"),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(help="calibration images per network; default as for convert"),
    ] = None,
    on: Processor = PROCESSOR,
    workers: Workers = None,
    cluster: Cluster = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="folder of what was found so far; default NAME.tune"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    scale: Scale = None,
    mean: Mean = None,
    std: Std = None,
    resize: Resize = None,
    crop: Crop = None,
    bins: Bins = None,
    shrink: Shrink = None,
    input_shape: InputShape = None,
    output: OutputName = None,
) -> None:
    """Search for the network that serves a goal best, and write it."""
    space = Space(
        _listed("method", method, str),
        _listed("neuron", neuron, str),
        _listed("timesteps", timesteps, int),
        _listed("levels", levels, int),
        _listed("bits", bits, int),
        _listed("percentile", percentile, _percentile),
    )
    _check(goal, drop, samples, out)
    processor_of(on)
    conversion = Conversion(
        scale=scale, mean=mean, std=std, resize=resize, crop=crop, bins=bins, shrink=shrink,
        input_shape=input_shape, output=output,
    )  # fmt: skip
    graph = read_model(model, input_shape=conversion.shape, output=output)
    ann = Ann(graph, conversion.normalisation.preprocess(graph.input.shape[0]))
    given = training_images(data, graph, conversion.fitting)
    count = min(MOST_HELD_OUT, len(given.images) // 2) if held_out is None else held_out
    material = divide(ann, given.images, given.labels, count)
    folder = Path(f"{model.stem}.tune") if resume is None else resume
    with status() as heard:
        found = search(
            material, space, goal, drop, folder,
            samples=samples, on=on, workers=workers, cluster=cluster, heard=heard,
        )  # fmt: skip
    measure = "agreement with the CNN" if given.labels is None else "accuracy"
    out = Path(f"{model.stem}.snn") if out is None else out
    if found.network is not None:
        write_file(out, found.network)
    if as_json:
        say_json(_as_json(found, goal, drop, measure))
    else:
        say(*_lines(found, goal, drop, measure))
    if found.network is None:
        complain([_nothing(found, drop)])
        raise typer.Exit(FAILED)
    if not as_json:
        say(f"wrote {out}")


def _listed(option: str, text: str, read: Callable[[str], Value]) -> tuple[Value, ...]:
    """ "a,b,c" as values, each once; ConversionError where one is none."""
    try:
        return tuple(dict.fromkeys(read(part.strip()) for part in text.split(",")))
    except ValueError as error:
        rule = "must be values separated by commas"
        raise ConversionError(Problem(f"option --{option}", rule, text)) from error


def _percentile(text: str) -> float | str:
    return text if text == "auto" else number("--percentile", text)


def _check(goal: str, drop: float, samples: int | None, out: Path | None) -> None:
    """ConversionError with all that is wrong."""
    rules = (
        ("--goal", goal, goal in GOALS, f"must be one of {', '.join(GOALS)}"),
        ("--drop", drop, 0 <= drop < inf, "must be a number of points, at least 0"),
        ("--samples", samples, samples is None or samples >= 1, "must be at least 1"),
        ("-o", out, out is None or out.suffix == ".snn", "must name a file that ends in .snn"),
    )
    problems = [Problem(f"option {o}", rule, str(v)) for o, v, good, rule in rules if not good]
    if problems:
        raise ConversionError(*problems)


def _lines(found: Tuning, goal: str, drop: float, measure: str) -> list[str]:
    """The front, dearest last, with the chosen one marked, and what it took."""
    shown = front(found.finished(), GOALS[goal])
    if found.chosen is not None and found.chosen not in shown:
        shown.append(found.chosen)
    rows = [
        (
            "*" if c is found.chosen else "",
            c.options.method,
            f"T={c.options.timesteps}" if c.options.neuron == "if" else f"N={c.options.levels}",
            c.options.bits,
            str(c.options.percentile),
            f"{100 - 100 * c.errors / found.images:.2f} %",
            round(c.additions),
            round(c.instructions),
            c.network.flash,
            c.network.ram,
        )
        for c in shown
    ]
    headers = ("", "method", "size", "bits", "percentile", measure, "additions", "instructions",
               "flash", "RAM")  # fmt: skip
    spent, kept = found.spent, found.spent.judging - found.spent_now.judging
    return [
        f"held-out images {found.images:,}, of which the CNN gets {found.cnn_errors:,} wrong",
        f"goal {goal}" + ("" if goal == ACCURACY else f", at most {drop:g} points below the CNN"),
        "",
        *(table(headers, rows) if rows else []),
        *([""] if rows else []),
        f"judged {len(found.candidates)} of {found.networks} networks, as much work as "
        f"{found.evaluations:.1f} on all images: {100 * found.evaluations / found.networks:.1f} %",
        f"simulated {spent.judging:,} images x timesteps, "
        f"{100 * spent.judging / found.whole:.1f} % of what all networks on all images take"
        + (f"; {kept:,} of them were known" if kept else ""),
        f"calibrated on {spent.calibrating:,} images x timesteps",
        *(f"left out, {printable(p.where)}: {printable(p.rule)}" for p in found.refusals),
    ]


def _as_json(found: Tuning, goal: str, drop: float, measure: str) -> dict[str, Any]:
    """All that was judged; errors are on so many `images`, the hardest."""
    best = front(found.finished(), GOALS[goal])

    def row(c: Candidate) -> dict[str, Any]:
        return {
            "options": asdict(c.options),
            "digest": c.network.digest,
            "images": c.judged,
            "errors": c.errors,
            "rate": 1 - c.errors / c.judged if c.judged == found.images else None,
            "synops": c.synops / c.judged,
            "macs": c.macs,
            "additions": c.additions,
            "instructions": c.instructions,
            "flash": c.network.flash,
            "ram": c.network.ram,
            "front": c in best,
            "chosen": c is found.chosen,
        }

    return {
        "goal": goal,
        "drop": drop,
        "measure": measure,
        "held_out": found.images,
        "cnn_rate": 1 - found.cnn_errors / found.images,
        "networks": [row(c) for c in found.candidates],
        "of": found.networks,
        "evaluations": found.evaluations,
        "spent": asdict(found.spent),
        "spent_now": asdict(found.spent_now),
        "whole": found.whole,
        "refusals": [asdict(problem) for problem in found.refusals],
    }


def _nothing(found: Tuning, drop: float) -> Problem:
    best = min(found.candidates, key=lambda c: (found.least_errors(c), -c.judged))
    rate = 100 - 100 * found.least_errors(best) / found.images
    return Problem(
        "option --drop",
        f"no network comes within {drop:g} points of the CNN; nothing was written",
        f"{best.options.method}, {best.options.steps} timesteps: at most {rate:.2f} % of "
        f"{found.images:,} images",
        "allow more, or --goal accuracy writes the most accurate one",
    )
