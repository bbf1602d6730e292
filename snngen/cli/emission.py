"""`snngen emit`: the files that run a network, for every target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from snngen.cli import summaries
from snngen.cli.console import say
from snngen.cli.options import (
    Conversion,
    MaxFlash,
    MaxRam,
    Processor,
    TargetName,
    check_choice,
    shared,
    size,
    target_named,
)
from snngen.cli.stages import enforce, obtain, warn_of_loss
from snngen.errors import ConversionError, Problem
from snngen.evaluate import evaluate
from snngen.files import write_tree
from snngen.fixed import FixedNet
from snngen.targets import TARGETS
from snngen.targets.c.boards import processor_of
from snngen.targets.c.budget import PROCESSOR, budget_for
from snngen.targets.c.packages import PACKAGES
from snngen.targets.hdl.boards import BOARDS, GENERIC, board_named

LOSS_IMAGES = 64  # of the calibration images that tell whether a network is worth emitting


@dataclass(frozen=True)
class Emitted:
    """`files` by their relative paths; `lines` say what they cost, `details` layer by layer."""

    files: Mapping[str, bytes]
    lines: list[str]
    details: list[str]


@shared
def emit(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="an ONNX file, or an .snn file")],
    conversion: Conversion,
    out: Annotated[
        Path | None,
        typer.Option("--output-folder", "-o", help="the folder to write; default NAME_TARGET"),
    ] = None,
    target: TargetName = "c",
    prefix: Annotated[
        str, typer.Option(help="of every public name in the emitted files")
    ] = "model",
    schedule: Annotated[str, typer.Option(help="smallest (memory) or fastest")] = "smallest",
    optimise: Annotated[
        str,
        typer.Option(help="speed, the size of weights in flash, or vectors of larger processors"),
    ] = "speed",
    package: Annotated[
        str, typer.Option(help=f"for a build system: {', '.join(PACKAGES)}")
    ] = "plain",
    on: Processor = PROCESSOR,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
    board: Annotated[str, typer.Option(help=f"of target hdl: {', '.join(BOARDS)}")] = GENERIC,
    bitstream: Annotated[
        bool, typer.Option("--bitstream", help="of target hdl: make what the board is flashed with")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="costs and kernels per layer")
    ] = False,
) -> None:
    """Write the source files that run a network."""
    chosen = target_named(target)
    given = {name: context.params[name] for name in TARGETS[chosen].options}
    _check_options(context, chosen)
    check, emitted = _EMITTERS[chosen]
    check(**given)
    obtained = obtain(model, conversion)
    net = obtained.net
    made = emitted(net, **given)
    out = Path(f"{model.stem}_{chosen}") if out is None else out
    write_tree(out, made.files)
    say(summaries.network_line(net), f"wrote {len(made.files)} files to {out}", *made.lines)
    if verbose:
        say("", *made.details)
    if obtained.ann is not None and obtained.calibration is not None:
        found = evaluate(net, obtained.calibration[:LOSS_IMAGES], ann=obtained.ann)
        assert found.agreement is not None and found.likeness is not None
        warn_of_loss(found.agreement[-1] / found.images, found.likeness, obtained.options)


def _check_options(context: typer.Context, target: str) -> None:
    """ConversionError, naming all options that another target has and this one has not."""
    problems = [
        Problem(
            f"option --{name.replace('_', '-')}",
            f"applies to --target {other} only",
            str(context.params[name]),
        )
        for other, described in TARGETS.items()
        for name in described.options
        if name not in TARGETS[target].options and _is_given(context, name)
    ]
    if problems:
        raise ConversionError(*problems)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)  # of typer's own click, or of click
    return source is not None and source.name != "DEFAULT"


def _check_c(
    *, schedule: str, optimise: str, package: str, on: str, max_ram: str, max_flash: str, **_: Any
) -> None:
    size("--max-ram", max_ram), size("--max-flash", max_flash)
    check_choice("--schedule", schedule, ("smallest", "fastest"))
    check_choice("--optimise", optimise, ("speed", "size", "vectors"))
    check_choice("--package", package, tuple(PACKAGES))
    processor_of(on)


def _emit_c(net: FixedNet, *, max_ram: str | None, max_flash: str | None, **given: Any) -> Emitted:
    files = TARGETS["c"].emit(net, **given)
    budget = budget_for(net, **{name: given[name] for name in ("schedule", "optimise", "on")})
    enforce(budget, (size("--max-ram", max_ram), size("--max-flash", max_flash)))
    details = [*summaries.budget_table(budget), "", *summaries.kernel_table(budget)]
    return Emitted(files, summaries.budget_lines(budget), details)


def _check_hdl(*, board: str, bitstream: bool) -> None:
    if bitstream and not board_named(board).platform:
        names = [name for name, known in BOARDS.items() if known.platform]
        rule = f"needs --board {', '.join(names[:-1])} or {names[-1]}"
        raise ConversionError(Problem("option --bitstream", rule, board))
    board_named(board)


def _emit_hdl(net: FixedNet, *, board: str, bitstream: bool) -> Emitted:
    from snngen.cli.hardware import area_lines, area_table
    from snngen.targets.hdl.emit import emit_chip

    made = emit_chip(net, board=board, bitstream=bitstream)
    return Emitted(made.files, area_lines(made), area_table(made.layout))


_EMITTERS: Mapping[str, tuple[Callable[..., None], Callable[..., Emitted]]] = {
    "c": (_check_c, _emit_c),
    "hdl": (_check_hdl, _emit_hdl),
}
