"""A chip on the pins of a board, by amaranth-boards, and its bitstream, by open tools."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from amaranth.hdl import Elaboratable, Module
from amaranth.lib.cdc import FFSynchronizer
from snngen_hdl.device import Device, DevicePlan

from snngen.errors import Problem, ToolError
from snngen.targets.c.build import write_tree
from snngen.targets.hdl.boards import Board
from snngen.targets.hdl.toolchain import FLAT, found, verilog_of

SCRIPT, STEPS, TIMING = "build_top.sh", "top.ys", "top.tim"
NEEDED = (SCRIPT, STEPS, "top.pcf", "top.lpf")  # of what Amaranth makes


@dataclass(frozen=True)
class Bitstream:
    """What the tools made, and said of it: cells by kind, used and there; the clock that it can
    have, in MHz.
    """

    files: Mapping[str, bytes]
    used: Mapping[str, tuple[int, int]]
    mhz: float


class _Top(Elaboratable):  # type: ignore[misc]
    """The device on the pins of a board."""

    def __init__(self, plan: DevicePlan) -> None:
        self._plan = plan

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.device = device = Device(self._plan)
        uart = platform.request("uart")
        m.submodules += FFSynchronizer(uart.rx.i, device.rx, init=1)
        m.d.comb += uart.tx.o.eq(device.tx)
        return m


def sources(device: DevicePlan, board: Board) -> dict[str, bytes]:
    """The device as Verilog; where its pins are; and the script that makes the bitstream. ToolError
    without amaranth-boards or yosys.
    """
    module, name = board.platform.split(":")
    try:
        platform = getattr(import_module(f"amaranth_boards.{module}"), name)()
    except ModuleNotFoundError:
        rule, way_out = "is needed for boards", "pip install 'snngen[fpga]'"
        raise ToolError(Problem("amaranth-boards", rule, "nothing of that name", way_out)) from None
    plan = platform.build(
        _Top(device),
        name="top",
        do_build=False,
        emit_src=False,
        script_after_read="\n".join(FLAT),
    )
    texts = {
        name: text if isinstance(text, bytes) else text.encode()
        for name, text in plan.files.items()
    }
    files = {name: texts[name] for name in NEEDED if name in texts}
    files[STEPS] = files[STEPS].replace(b"read_rtlil top.il", b"read_verilog top.v")
    return files | {"top.v": verilog_of(texts["top.il"])}


def build(files: Mapping[str, bytes], board: Board, folder: Path) -> Bitstream:
    """The bitstream that the script among `files` makes in `folder`. ToolError where a tool is
    missing or fails, as it does where the network is too large.
    """
    tools = {tool.upper().replace("-", "_"): found(tool) for tool in board.tools}
    write_tree(files, folder)
    done = subprocess.run(
        ["sh", SCRIPT], cwd=folder, env={"PATH": "/usr/bin:/bin", **tools}, capture_output=True
    )
    log = folder / TIMING
    timing = log.read_text() if log.exists() else ""
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace")
        errors = re.findall(r"^ERROR: .*$", said + timing, re.M) or [said[-500:].strip()]
        errors = [error for error in errors if error] or [f"exit code {done.returncode}"]
        raise ToolError(Problem(f"the bitstream for {board.name}", "must be built", errors[0]))
    used = {
        cell: (int(some), int(there))
        for cell, some, there in re.findall(r"Info:\s+(\w+):\s+(\d+)/\s*(\d+)", timing)
    }
    clocks = re.findall(r"Max frequency for clock\s+'[^']*':\s+([\d.]+) MHz", timing)
    made = {path.name: path.read_bytes() for path in sorted(folder.glob("top.bi[nt]"))}
    return Bitstream(made, used, float(clocks[-1]))
