"""`snngen run`: images on a device, beside the network."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from snngen.cli.console import progress, say, warn
from snngen.cli.options import Conversion, shared
from snngen.cli.stages import FAILED, obtain, verification_images
from snngen.cli.summaries import network_line
from snngen.errors import ConversionError, Problem
from snngen.link import Answer, Device, answers, check_network, open_port

BAUD = 115_200
IMAGES = 10
TRACED_IMAGES = 8


@shared
def run(
    model: Annotated[Path, typer.Argument(help="an ONNX file, or an .snn file")],
    conversion: Conversion,
    port: Annotated[
        str, typer.Option(help="the device: /dev/ttyACM0, COM3 or socket://localhost:5555")
    ],
    baud: Annotated[int, typer.Option(help=f"bits per second; default {BAUD}", min=1)] = BAUD,
    images: Annotated[
        str | None, typer.Option(help="images to run; synthetic ones by default")
    ] = None,
    limit: Annotated[
        int, typer.Option(help=f"use so many images, evenly spread; default {IMAGES}")
    ] = IMAGES,
) -> None:
    """Run images on a device over its serial port, and compare its answers with the network."""
    net = obtain(model, conversion).net
    if net.is_stream:
        rule = "the link carries single images, and this network reads a stream of events"
        raise ConversionError(Problem(str(model), rule))
    shown = verification_images(images, limit, net, conversion.fitting)
    with closing(open_port(port, baud)) as opened:
        device = Device(opened, f"port {port}", int(np.prod(net.input.shape)))
        identity = check_network(device, net)
        selftest = 0 if identity.is_plain else device.selftest()
        verdict = "PASS" if selftest == 0 else f"FAIL ({selftest})"
        verdict = "none" if identity.is_plain else verdict
        say(network_line(net), f"the device runs this network; self-test: {verdict}")
        given: list[Answer] = []
        with progress("running", len(shown)) as heard:
            traced = 0 if identity.is_plain else TRACED_IMAGES
            for answer in answers(device, net, shown, full_trace_images=traced):
                say(_line(len(given), answer, identity.ticks_per_second))
                given.append(answer)
                heard(len(given))
    if device.repeated:
        rule = f"{device.repeated} of {device.requests} requests had to be repeated"
        hint = "the line loses or changes bytes: try a lower --baud, or a shorter cable"
        warn(Problem(f"port {port}", rule, hint=hint))
    say(_verdict(given, selftest))
    if selftest != 0 or any(answer.difference for answer in given):
        raise typer.Exit(FAILED)


def _line(number: int, answer: Answer, ticks_per_second: int) -> str:
    line = f"image {number}: class {answer.winner}"
    if ticks_per_second:
        line += f", {answer.ticks:,} ticks, {1000 * answer.ticks / ticks_per_second:.2f} ms"
    return line if answer.difference is None else f"{line}; differs: {answer.difference}"


def _verdict(given: list[Answer], selftest: int) -> str:
    different = sum(answer.difference is not None for answer in given)
    if different:
        return f"FAIL: {different} of {len(given)} images differ from the network"
    if selftest != 0:
        return f"FAIL: {len(given)} images are equal, the self-test fails with {selftest}"
    traced = sum(answer.traced for answer in given)
    line = f"PASS: class and outputs are equal on {len(given)} images"
    return f"{line}, on {traced} of them every spike and membrane" if traced else line
