"""Boards with an FPGA: one entry of BOARDS each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snngen.errors import ConversionError, Problem
from snngen.targets.hdl.family import FAMILIES, Area, Family

GENERIC = "generic"
BAUD = 115_200


@dataclass(frozen=True)
class Board:
    """`platform`: the class in amaranth-boards, "module:name", or "" where there is no board.
    `hertz`: of its clock. `has`: what its FPGA has. `waiting`: how many events may wait between
    cores; iCE40 has no small memories for them. `tools`: programs of the family, in turn.
    """

    name: str
    chip: str
    family: Family
    has: Area
    waiting: int
    platform: str = ""
    hertz: int = 0
    tools: tuple[str, ...] = ()


def _ice40(name: str, chip: str, luts: int, blocks: int, platform: str) -> Board:
    tools = ("yosys", "nextpnr-ice40", "icepack")
    has = Area(luts, luts, blocks, 0)
    return Board(name, chip, FAMILIES["ice40"], has, 2, platform, 12_000_000, tools)


def _ecp5(name: str, chip: str, platform: str = "", hertz: int = 0) -> Board:
    tools = ("yosys", "nextpnr-ecp5", "ecppack")
    has = Area(83_640, 83_640, 208, 156)
    return Board(name, chip, FAMILIES["ecp5"], has, 16, platform, hertz, tools)


BOARDS: Mapping[str, Board] = {
    board.name: board
    for board in (
        _ecp5(GENERIC, "any, with as much room as an ECP5-85"),
        _ice40("icebreaker", "iCE40UP5K", 5280, 30, "icebreaker:ICEBreakerPlatform"),
        _ice40("hx8k_evn", "iCE40HX8K", 7680, 32, "ice40_hx8k_b_evn:ICE40HX8KBEVNPlatform"),
        _ecp5("ulx3s_85f", "LFE5U-85F", "ulx3s:ULX3S_85F_Platform", 25_000_000),
        _ecp5("ecp5_evn", "LFE5UM5G-85F", "ecp5_5g_evn:ECP55GEVNPlatform", 12_000_000),
    )
}


def board_named(name: str) -> Board:
    """One of BOARDS; ConversionError where there is none of that name."""
    if name not in BOARDS:
        raise ConversionError(Problem("the board", f"must be one of {', '.join(BOARDS)}", name))
    return BOARDS[name]
