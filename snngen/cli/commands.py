"""The commands, each a few stages long."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from snngen import __version__, fixed_file
from snngen.check import check as check_model
from snngen.cli import summaries
from snngen.cli.console import complain, progress, say, say_json, warn
from snngen.cli.demo import run_demo
from snngen.cli.device import run
from snngen.cli.diagnosis import diagnosis_json, diagnosis_lines
from snngen.cli.emission import emit
from snngen.cli.mapping import map_
from snngen.cli.options import (
    Cluster,
    Conversion,
    MaxFlash,
    MaxRam,
    Processor,
    TargetName,
    Workers,
    check_choice,
    input_shape,
    shared,
    size,
    target_named,
)
from snngen.cli.stages import (
    FAILED,
    enforce,
    labelled_images,
    obtain,
    prepare,
    read_emitted,
    samples_for,
    verification_images,
    warn_of_chance,
    warn_of_loss,
)
from snngen.cli.train import train
from snngen.cli.tune import tune
from snngen.compare import compare
from snngen.doctor import advise, altered, check_layers, diagnose
from snngen.errors import ConversionError, Problem
from snngen.evaluate import ENGINES, evaluate_samples
from snngen.files import write_file
from snngen.fixed import FixedNet
from snngen.pipeline import build_in_steps
from snngen.targets.c.boards import BOARDS, board_named, check_board, processor_of
from snngen.targets.c.boards.cost import measure
from snngen.targets.c.budget import PROCESSOR, budget_for
from snngen.targets.c.estimate import FORMS, estimate, table_of
from snngen.verify import verify as verify_target

LOSS_IMAGES = 64  # of the calibration images that tell whether a network is worth emitting
DIAGNOSED_IMAGES = 256
COST_IMAGES = 10

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)

Model = Annotated[Path, typer.Argument(help="an ONNX file")]
Network = Annotated[Path, typer.Argument(help="an ONNX file, or an .snn file")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON")]
Limit = Annotated[int | None, typer.Option(help="use so many images, evenly spread")]
On = Annotated[
    str | None,
    typer.Option(
        "--on",
        help=f"the emulated board to run on: {', '.join(BOARDS)}; of target hdl the board that the "
        "chip is laid out for",
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"snngen {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option("--version", help="print the version", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """A trained CNN in, an integer spiking network out, as C99, checked bit for bit."""


@app.command()
def check(
    model: Model,
    as_json: AsJson = False,
    input_shape_text: Annotated[
        str | None, typer.Option("--input-shape", help="of one sample: 1,28,28")
    ] = None,
    output: Annotated[str | None, typer.Option(help="name of the output to use")] = None,
) -> None:
    """Say whether a model can be converted, and if not, everything that is in the way."""
    shape = None if input_shape_text is None else input_shape(input_shape_text)
    report = check_model(model, input_shape=shape, output=output)
    if as_json:
        say_json(report.to_dict())
    else:
        complain(report.problems)
        for problem in report.warnings:
            warn(problem)
        if report.ok:
            say(*summaries.check_lines(report))
    if not report.ok:
        raise typer.Exit(2)


@app.command()
@shared
def convert(
    model: Model,
    conversion: Conversion,
    out: Annotated[
        Path | None,
        typer.Option("--output-file", "-o", help="the .snn file to write; default NAME.snn"),
    ] = None,
) -> None:
    """Convert a model to an integer spiking network in one .snn file."""
    out = Path(f"{model.stem}.snn") if out is None else out
    if out.suffix != ".snn":
        raise ConversionError(Problem("option -o", "must name a file that ends in .snn", str(out)))
    obtained = obtain(model, conversion)
    ann, source, images = obtained.ann, obtained.source, obtained.calibration
    if ann is None or source is None or images is None:
        raise ConversionError(Problem(str(model), "is converted already", hint="give the model"))
    fixed_file.save(obtained.net, out)
    forms = compare(ann, obtained.net, images, obtained.options, source=source)
    say(*summaries.network_lines(obtained.net), "", *summaries.form_lines(forms))
    warn_of_loss(forms[0].agreement, forms[0].likeness, obtained.options)


app.command()(emit)


@app.command()
@shared
def verify(
    model: Network,
    conversion: Conversion,
    target: TargetName = "c",
    images: Annotated[
        str | None, typer.Option(help="to verify on; synthetic ones by default")
    ] = None,
    limit: Limit = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="verify the files emitted here, edits included")
    ] = None,
    on: On = None,
    netlist: Annotated[
        str | None,
        typer.Option(
            help="of target hdl: synthesised or routed, what tools make of the chip for the board, "
            "in place of the chip itself"
        ),
    ] = None,
    waves: Annotated[
        Path | None,
        typer.Option(
            help="of target hdl: where an image differs, write all signals of the chip while it "
            "runs that image alone to this VCD file"
        ),
    ] = None,
) -> None:
    """Compile what a target emits, run it beside the network, and compare every bit."""
    chosen = target_named(target)
    if netlist is not None and (chosen != "hdl" or out is not None):
        raise ConversionError(Problem("option --netlist", "goes with --target hdl, without --out"))
    if waves is not None and (chosen != "hdl" or netlist is not None):
        rule = "goes with --target hdl, without --netlist"
        raise ConversionError(Problem("option --waves", rule))
    net = obtain(model, conversion).net
    files = None if out is None else read_emitted(out, net)
    shown = verification_images(images, limit, net, conversion.fitting)
    if netlist is not None:
        _verify_netlist(net, shown, on, netlist)
        return
    result = verify_target(net, shown, target=chosen, files=files, on=on)
    say(summaries.network_line(net), str(result), *summaries.cycle_lines(result.timing))
    if waves is not None and result.difference is not None:
        _write_waves(net, shown, result.difference.image, on, waves)
    if not result.is_equal:
        raise typer.Exit(FAILED)


def _verify_netlist(net: FixedNet, images: NDArray[np.uint8], on: str | None, stage: str) -> None:
    from snngen.targets.hdl.netlist_check import verify_netlist  # Amaranth takes a while to import

    result = verify_netlist(net, images, on=on, stage=stage)
    say(summaries.network_line(net), str(result))
    if not result.is_equal:
        raise typer.Exit(FAILED)


def _write_waves(
    net: FixedNet, images: NDArray[np.uint8], image: int, on: str | None, path: Path
) -> None:
    from snngen.targets.hdl.engine import waves  # as above

    write_file(path, waves(net, images[image : image + 1], on))
    say(f"waves of image {image}: {path}")


@app.command()
@shared
def evaluate(
    model: Network,
    data: Annotated[str, typer.Option(help="labelled test images")],
    conversion: Conversion,
    limit: Limit = None,
    engine: Annotated[
        str, typer.Option(help=f"{' or '.join(ENGINES)}: what computes; the results are the same")
    ] = ENGINES[0],
    workers: Workers = None,
    cluster: Cluster = None,
    as_json: AsJson = False,
    on: Processor = PROCESSOR,
    max_ram: MaxRam = None,
    max_flash: MaxFlash = None,
) -> None:
    """Measure accuracy at every timestep, activity and costs."""
    limits = size("--max-ram", max_ram), size("--max-flash", max_flash)
    processor_of(on)
    check_choice("--engine", engine, ENGINES)
    obtained = obtain(model, conversion, evaluated_on=data)
    net = obtained.net
    samples = samples_for(net, data, limit, conversion.fitting)
    with progress("evaluating", len(samples)) as heard:
        found = evaluate_samples(
            net,
            samples,
            ann=obtained.ann,
            engine=engine,
            workers=workers,
            cluster=cluster,
            progress=heard,
        )
    budget = budget_for(net, on=on)
    if as_json:
        say_json(summaries.evaluation_json(net, found, budget))
    else:
        say(*summaries.evaluation_lines(net, found, budget))
    if found.agreement is not None and found.likeness is not None:
        warn_of_loss(found.agreement[-1] / found.images, found.likeness, obtained.options)
    warn_of_chance(found, int(np.prod(net.layers[-1].shape)))
    enforce(budget, limits)


@app.command()
@shared
def cost(
    model: Network,
    conversion: Conversion,
    on: Annotated[str, typer.Option("--on", help=f"the board: {', '.join(BOARDS)}")],
    data: Annotated[
        str | None, typer.Option(help="images to run; synthetic ones by default")
    ] = None,
    limit: Annotated[
        int, typer.Option(help=f"use so many images, evenly spread; default {COST_IMAGES}")
    ] = COST_IMAGES,
    mhz: Annotated[
        float | None,
        typer.Option(min=0.001, help="the clock; default the highest of the chip named"),
    ] = None,
    optimise: Annotated[str, typer.Option(help="speed, or the size of weights in flash")] = "speed",
    estimated: Annotated[
        bool, typer.Option("--estimate", help="without compiler and emulator, and not exact")
    ] = False,
) -> None:
    """Count instructions and bytes on an emulated board, or estimate instructions without one."""
    check_board(on)
    if not estimated:
        board_named(on)
    else:
        table_of(on)
    check_choice("--optimise", optimise, FORMS)
    form = next(form for form in FORMS if form == optimise)
    net = obtain(model, conversion, evaluated_on=data).net
    shown = verification_images(data, limit, net, conversion.fitting)
    lines = (
        summaries.estimated_lines(estimate(net, on, shown, optimise=form), mhz)
        if estimated
        else summaries.cost_lines(measure(net, on, shown, optimise=form), mhz)
    )
    say(summaries.network_line(net), *lines)


app.command()(run)
app.command("map")(map_)
app.command()(tune)
app.command()(train)


@app.command()
@shared
def doctor(
    model: Model,
    data: Annotated[str, typer.Option(help="images to diagnose on, best labelled")],
    conversion: Conversion,
    network: Annotated[
        Path | None,
        typer.Option(help="diagnose this .snn file of the model, converted with the same options"),
    ] = None,
    limit: Annotated[
        int, typer.Option(help="use so many images, evenly spread; default 256")
    ] = DIAGNOSED_IMAGES,
    as_json: AsJson = False,
) -> None:
    """Say where a network loses accuracy: by cause, layer and channel, and what to try."""
    given = None if network is None else fixed_file.load(network)
    if conversion.options.coding == "events" or (given is not None and given.is_stream):
        rule = "the CNN and the network are compared on images, not on streams of events"
        raise ConversionError(
            Problem("doctor", rule, hint="snngen evaluate compares their classes")
        )
    prepared = prepare(model, conversion, evaluated_on=data)
    built = build_in_steps(prepared.source, prepared.calibration, prepared.options)
    if given is not None:
        check_layers(given, built.net, str(network))
    net = given or built.net
    samples = labelled_images(data, limit, net, conversion.fitting)
    with progress("examining", len(samples.images)) as heard:
        found = diagnose(
            prepared.ann,
            replace(built, net=net),
            samples.images,
            samples.labels,
            progress=heard,
        )
    changed, advice = altered(net, built.net), advise(found, prepared.options)
    if as_json:
        say_json(diagnosis_json(found, changed, advice))
    else:
        say(summaries.network_line(net), *diagnosis_lines(found, changed, advice))


@app.command()
def info(network: Annotated[Path, typer.Argument(help="an .snn file")]) -> None:
    """Show what an .snn file holds, having checked all of it."""
    say(*_info_lines(fixed_file.load(network)))


@app.command()
def demo() -> None:
    """Convert, emit, compile, verify and evaluate a small network that comes with snngen."""
    if not run_demo():
        raise typer.Exit(FAILED)


def _info_lines(net: FixedNet) -> list[str]:
    return [*summaries.network_lines(net), "", *summaries.budget_lines(budget_for(net))]
