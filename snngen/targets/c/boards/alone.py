"""A network linked without any program around it: what its bytes are to the linker."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snngen.targets.c.boards import BOARDS
from snngen.targets.c.boards.firmware import run_tool

MAP = "alone.map"
IN_FLASH = (".text", ".rodata", ".data")
IN_RAM = (".data", ".bss")
OUTPUT = re.compile(r"^(\.\w+) +0x[0-9a-f]+ +0x([0-9a-f]+)(?: load address 0x[0-9a-f]+)?$", re.M)
MEMBER = re.compile(r"^(\S+\.a)\((\S+)\)$", re.M)


@dataclass(frozen=True)
class Alone:
    """`outputs`: bytes by what the linker makes of the sections, .text and so on. `members`: of
    libraries, archive and name, in the order in which the linker took them.
    """

    outputs: dict[str, int]
    members: tuple[tuple[str, str], ...]


def link_alone(name: str, entries: Sequence[str], objects: Sequence[str], folder: Path) -> Alone:
    """The `objects` in `folder` for the board called `name`, as far as the functions `entries` need
    them. ToolError and ConversionError as `build_firmware`.
    """
    board = BOARDS[name]
    options = ["-nostartfiles", "-Wl,--gc-sections", f"-Wl,-e,{entries[0]}", f"-Wl,-Map={MAP}"]
    options += [f"-Wl,-u,{entry}" for entry in entries]
    stack = f"-Wl,--defsym=BOARD_STACK_BYTES={board.stack_bytes}"
    command = [*board.compiler, *objects, *options, stack, "-o", "alone.elf", *board.link]
    run_tool(name, command, folder)
    taken, _, placed = (folder / MAP).read_text().partition("Linker script and memory map")
    outputs = {section: int(size, 16) for section, size in OUTPUT.findall(placed)}
    return Alone(outputs, tuple(MEMBER.findall(taken.partition("Discarded input sections")[0])))
