"""FixedNet -> a chip's Verilog, what a board needs beside it, and its bitstream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jinja2 import Environment, StrictUndefined
from snngen_hdl.chip import Chip
from snngen_hdl.device import DevicePlan
from snngen_hdl.link import LinkPlan

from snngen import __version__
from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedNet
from snngen.fixed_file import digest
from snngen.resources import resource_dir
from snngen.simulate import simulate
from snngen.targets.c.constants import harmless
from snngen.targets.hdl.bitstream import Bitstream, build, sources
from snngen.targets.hdl.boards import BAUD, GENERIC, Board, board_named
from snngen.targets.hdl.energy import SOURCE, Activity
from snngen.targets.hdl.layout import Layout, lay_out
from snngen.targets.hdl.toolchain import rtlil_of, verilog_of
from snngen.targets.identity import IDENTITY, PLAIN, VERSION
from snngen.targets.known import known_images
from snngen.targets.manifest import MANIFEST, as_json, manifest
from snngen.targets.trace_hash import trace_hashes

README, REPORT = "README.txt", "report.json"
MOST_NAME = 255


@dataclass(frozen=True, eq=False)
class Emitted:
    """`files` by their relative paths; what they were made of, and the bitstream's figures."""

    files: Mapping[str, bytes]
    layout: Layout
    made: Bitstream | None


def emit(net: FixedNet, *, board: str = GENERIC, bitstream: bool = False) -> Mapping[str, bytes]:
    """The files of the chip that runs `net` on one of BOARDS, by their relative paths; with
    `bitstream` that too. Errors: those of `emit_chip`.
    """
    return emit_chip(net, board=board, bitstream=bitstream).files


def emit_chip(net: FixedNet, *, board: str = GENERIC, bitstream: bool = False) -> Emitted:
    """`emit`, and what it found.

    ConversionError for an unknown board, a network that the cores do not compute or that does not
    fit; ToolError where a tool is missing or fails.
    """
    chosen = board_named(board)
    if bitstream and not chosen.platform:
        rule, hint = "needs a board", "--board names it"
        raise ConversionError(Problem("option --bitstream", rule, hint=hint))
    layout = lay_out(net, chosen)
    made = None
    if chosen.platform:
        files = sources(device_of(net, layout), chosen)
    else:
        files = {"top.v": verilog_of(rtlil_of(Chip(layout.plan)))}
    if bitstream:
        with TemporaryDirectory(prefix="snngen-") as folder:
            made = build(files, chosen, Path(folder))
        files |= made.files
    report = _report(layout, made)
    files |= {REPORT: as_json(report), README: _readme(net, layout, sorted(files))}
    options = {"board": board, "bitstream": bitstream}
    files[MANIFEST] = manifest(net, "hdl", files, options)
    return Emitted({name: files[name] for name in sorted(files)}, layout, made)


def device_of(net: FixedNet, layout: Layout) -> DevicePlan:
    """The chip of `layout` behind a link that says what `net` is (docs/link.md), and that knows, if
    the chip has witnesses, an image and the hash of its trace.
    """
    plan, board = layout.plan, layout.board
    known = None
    if plan.network.witnessed:
        images = known_images(net, 1)
        trace = simulate(net, images, trace=True).trace
        assert trace is not None
        ordered = images.transpose(0, 2, 3, 1) if plan.source.channels_last else images
        known = (ordered.tobytes(), trace_hashes(net, trace)[0])
    said = _identity(net, board, PLAIN if known is None else 0)
    link = LinkPlan(said, plan.source.count, plan.readout.count, known)
    return DevicePlan(plan, link, round(board.hertz / BAUD))


def _identity(net: FixedNet, board: Board, flags: int) -> bytes:
    is_last = int(net.input.layout == "HWC")
    outputs = net.layers[-1].shape
    numbers = (*net.input.shape, net.timesteps, flags, prod(outputs), board.hertz)
    head = IDENTITY.pack(VERSION, is_last, *numbers, digest(net).encode())
    return head + net.name.encode()[:MOST_NAME]


def _report(layout: Layout, made: Bitstream | None) -> dict[str, Any]:
    """What the chip takes, estimated and, where there is a bitstream, as the tools say."""
    layers = {
        name: {
            **fold._asdict(),
            **asdict(layout.cores[name]),
            "cycles_of_additions": round(layout.cycles[name].additions),
            "cycles_of_passes": round(layout.cycles[name].passes),
        }
        for name, fold in layout.folds.items()
    }
    board = layout.board
    report: dict[str, Any] = {
        "board": board.name,
        "chip": board.chip,
        "clock_hz": board.hertz,
        "estimated": {
            **asdict(layout.area),
            "around_layers": asdict(layout.around),
            "layers": layers,
            "cycles_from_image_to_image": round(layout.period),
        },
        "energy_of_an_image": _energy(layout.activity),
    }
    if made is not None:
        report["routed"] = {
            "mhz": made.mhz,
            "cells": {cell: {"used": u, "there": t} for cell, (u, t) in made.used.items()},
            "bytes": {name: len(content) for name, content in made.files.items()},
        }
    return report


def _energy(activity: Activity) -> dict[str, Any]:
    """An estimate, and what it is an estimate of."""
    parts = activity.picojoules
    return {
        "is": "estimated from activity on images drawn at random; nothing was measured",
        "energies": SOURCE,
        "additions": round(activity.additions),
        "multiplications": round(activity.products),
        "memory_bits": round(activity.memory_bits),
        "picojoules": {name: round(value) for name, value in parts.items()},
        "picojoules_in_all": round(sum(parts.values())),
    }


def _readme(net: FixedNet, layout: Layout, names: list[str]) -> bytes:
    board, area = layout.board, layout.area
    name = "README_board.txt.j2" if board.platform else "README_chip.txt.j2"
    template = (resource_dir("templates") / "hdl" / name).read_text()
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    facts = {
        "network": harmless(net.name),
        "version": __version__,
        "board": board.name,
        "baud": BAUD,
        "pins": next((name for name in names if name in ("top.pcf", "top.lpf")), ""),
        "bitstreams": [name for name in names if name in ("top.bin", "top.bit")],
        "shape": "x".join(map(str, net.input.shape)),
        "layout": net.input.layout,
        "outputs": prod(net.layers[-1].shape),
        "takes": f"It takes about {area.luts:,} tables, {area.registers:,} registers, "
        f"{area.blocks} blocks of memory and\n{area.multipliers} multipliers ({board.chip}), and "
        f"{layout.period:,.0f} cycles from image to image:\nestimates, on images drawn at random.",
    }
    return environment.from_string(template).render(facts).encode()
