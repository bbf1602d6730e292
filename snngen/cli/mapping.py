"""`snngen map`: a network on the cores of a crossbar chip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from snngen.cli.console import progress, say, table
from snngen.cli.options import Conversion, shared
from snngen.cli.stages import FAILED, obtain, verification_images
from snngen.cli.summaries import network_line
from snngen.errors import ConversionError, Problem, printable
from snngen.files import write_file
from snngen.mapping import DEVICES, Mapping, map_network
from snngen.mapping.estimate import Estimate
from snngen.mapping.floorplan import floorplan
from snngen.mapping.trial import Trial, try_on
from snngen.mapping.usage import Shares, host_macs, shares, usages

DEVICE = next(iter(DEVICES))
IMAGES = 4
LONGEST = 3  # stages that are shown


@shared
def map_(
    model: Annotated[Path, typer.Argument(help="an ONNX file, or an .snn file")],
    conversion: Conversion,
    device: Annotated[str, typer.Option(help=f"one of: {', '.join(DEVICES)}")] = DEVICE,
    chips: Annotated[int, typer.Option(help="so many of them, side by side; default 1", min=1)] = 1,
    balance: Annotated[
        bool, typer.Option("--balance", help="use all cores, so that the busiest has less to do")
    ] = False,
    images: Annotated[
        str | None, typer.Option(help="to run on the cores; synthetic ones by default")
    ] = None,
    limit: Annotated[
        int, typer.Option(help=f"use so many images, evenly spread; default {IMAGES}")
    ] = IMAGES,
    svg: Annotated[Path | None, typer.Option(help="draw the floorplan in this file")] = None,
) -> None:
    """Map a network to the cores of a crossbar chip, run it there and count cycles."""
    if device not in DEVICES:
        rule = f"must be one of {', '.join(DEVICES)}"
        raise ConversionError(Problem("option --device", rule, device))
    net = obtain(model, conversion).net
    mapping = map_network(net, DEVICES[device], chips=chips, balance=balance)
    say(network_line(net), *_mapping_lines(mapping))
    if svg is not None:
        write_file(svg, floorplan(mapping).encode())
        say(f"wrote {svg}")
    shown = verification_images(images, limit, net, conversion.fitting)
    with progress("running", len(shown)) as heard:
        trial = try_on(mapping, shown, heard)
    say("", *_trial_lines(trial, "streams" if net.is_stream else "images"))
    if trial.difference is not None:
        raise typer.Exit(FAILED)


def _mapping_lines(mapping: Mapping) -> list[str]:
    """What is used, in all and layer by layer."""
    device, cores = mapping.device, len(mapping.cores)
    bound = mapping.bound.cores(device)
    chips = "1 chip" if mapping.chips == 1 else f"{mapping.chips} chips"
    rows = [
        (
            use.layer,
            "host" if use.cores is None else use.cores,
            use.bound,
            use.neurons,
            use.fan_in,
            use.bits,
            use.slots,
            *_percent(use.shares),
        )
        for use in usages(mapping)
    ]
    headers = ("layer", "cores", "bound", "neurons", "fan-in", "bits", "slots")
    axons, neurons, weights = _percent(shares(mapping, mapping.cores))
    return [
        f"device {device.name}: {cores:,} of {mapping.chips * device.cores:,} cores on {chips}, "
        f"{cores / bound:.2f} times the bound of {bound:,}",
        f"of these cores in use: axons {axons} %, dendrites {neurons} %, bits {weights} %",
        f"on the host: {host_macs(mapping):,} multiply-accumulates",
        "",
        *table((*headers, "axons %", "dendrites %", "bits %"), rows),
    ]


def _percent(used: Shares | None) -> tuple[str, str, str]:
    if used is None:
        return "", "", ""
    axons, neurons, weights = (
        f"{100 * share:.1f}" for share in (used.axons, used.neurons, used.weights)
    )
    return axons, neurons, weights


def _trial_lines(trial: Trial, what: str) -> list[str]:
    count, mean, formula = len(trial.timings), trial.mean, trial.estimate.timing
    rows = [
        (name, seen, guessed, f"{100 * (guessed / seen - 1):+.1f} %")
        for name, seen, guessed in (
            ("from one to the next", mean.interval, formula.interval),
            ("for one alone", mean.latency, formula.latency),
        )
    ]
    verdict = f"PASS: every spike and membrane of the cores is equal on {count} {what}"
    if trial.difference is not None:
        verdict = f"FAIL: {trial.difference}"
    headers = (f"cycles, mean of {count} {what}", "simulated", "by formula", "error")
    return [*table(headers, rows), _longest(trial.estimate), "", verdict]


def _longest(estimate: Estimate) -> str:
    """What the pipeline waits for."""
    longest = sorted(estimate.stages.items(), key=lambda item: -item[1])[:LONGEST]
    stages = ", ".join(f"'{printable(name)}' {round(cycles):,}" for name, cycles in longest)
    return f"longest stages {stages}; busiest link {round(estimate.busiest):,} packets"
