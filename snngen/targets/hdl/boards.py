"""Boards with an FPGA, and their bitstreams: by amaranth-boards and the tools of YoWASP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from amaranth.hdl import Elaboratable, Module
from amaranth.lib.cdc import FFSynchronizer
from snngen_hdl.chip import ChipPlan
from snngen_hdl.device import Device, DevicePlan
from snngen_hdl.link import LinkPlan

from snngen.errors import Problem, ToolError
from snngen.targets.hdl.toolchain import found


@dataclass(frozen=True)
class Board:
    """`platform`: the class in amaranth-boards, "module:name". `hertz`: of its clock. `tools`: the
    programs of the family, by the variable that tells amaranth where they are.
    """

    platform: str
    hertz: int
    baud: int
    tools: tuple[str, ...]


ICE40 = ("yosys", "nextpnr-ice40", "icepack")
ECP5 = ("yosys", "nextpnr-ecp5", "ecppack")
BOARDS: Mapping[str, Board] = {
    "icebreaker": Board("icebreaker:ICEBreakerPlatform", 12_000_000, 115_200, ICE40),
    "hx8k_evn": Board("ice40_hx8k_b_evn:ICE40HX8KBEVNPlatform", 12_000_000, 115_200, ICE40),
    "ulx3s_85f": Board("ulx3s:ULX3S_85F_Platform", 25_000_000, 115_200, ECP5),
}


@dataclass(frozen=True)
class Bitstream:
    """What the tools made, and said of it: cells by kind, used and there; the clock that it can
    have, in MHz.
    """

    files: Mapping[str, bytes]
    used: Mapping[str, tuple[int, int]]
    mhz: float


def device_plan(chip: ChipPlan, board: Board, identity: bytes) -> DevicePlan:
    """The chip with a link of the board's speed that says `identity` of itself (docs/link.md)."""
    link = LinkPlan(identity, chip.source.count, chip.readout.count)
    return DevicePlan(chip, link, round(board.hertz / board.baud))


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


def build(chip: ChipPlan, board: Board, identity: bytes, folder: Path) -> Bitstream:
    """Everything from cores to the bitstream, in `folder`. ToolError where a tool is missing or
    fails, as it does where the network is too large.
    """
    module, name = board.platform.split(":")
    platform = getattr(import_module(f"amaranth_boards.{module}"), name)()
    tools = {tool.upper().replace("-", "_"): found(tool) for tool in board.tools}
    plan = platform.build(_Top(device_plan(chip, board, identity)), name="top", do_build=False)
    try:
        plan.execute_local(folder, env=tools)
    except Exception as error:
        said = (folder / "top.tim").read_text()[-1500:] if (folder / "top.tim").exists() else ""
        raise ToolError(Problem("the bitstream", "must be built", f"{error} {said}")) from None
    timing = (folder / "top.tim").read_text()
    used = {
        cell: (int(some), int(all_))
        for cell, some, all_ in re.findall(r"Info:\s+(\w+):\s+(\d+)/\s*(\d+)", timing)
    }
    clocks = re.findall(r"Max frequency for clock\s+'[^']*':\s+([\d.]+) MHz", timing)
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("top.bi[nt]"))}
    return Bitstream(files, used, float(clocks[-1]))
