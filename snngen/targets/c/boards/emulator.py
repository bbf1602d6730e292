"""Runs a program on an emulated board: bytes in, bytes and exact counts out."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from snngen.errors import Problem, ToolError
from snngen.resources import resource_dir
from snngen.targets.c.boards import PACKAGES, PROGRAM
from snngen.targets.c.boards.firmware import Firmware
from snngen.targets.c.build import host_compiler


class Count(NamedTuple):
    """What passed between two marks: instructions or cycles; and of instructions, how many words or
    bytes they loaded and stored, and how many did not follow the one before. Of cycles these are 0.
    """

    units: int
    accesses: int
    jumps: int


def emulate(
    firmware: Firmware, request: bytes, *, seconds: float, count: bool = False
) -> tuple[bytes, list[Count]]:
    """What the program answers to `request` on its board; with `count` also what passed between
    each pair of marks.

    ToolError where the program does not end within `seconds`, or ends by a fault.
    """
    name, folder = firmware.name, firmware.folder
    for stale in ("output", "counts"):
        (folder / stale).unlink(missing_ok=True)
    (folder / "input").write_bytes(request)
    command = _simavr(firmware) if firmware.board.machine[0] == "simavr" else _qemu(firmware, count)
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=seconds,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        rule = f"did not end within {seconds:g} seconds and was stopped"
        raise ToolError(Problem(f"the program on board {name}", rule)) from error
    if done.returncode != 0:
        said = next(iter(reversed(done.stderr.splitlines())), f"exit code {done.returncode}")
        raise ToolError(Problem(f"the program on board {name}", "ended by a fault", said[:400]))
    lines = (folder / "counts").read_text().splitlines() if count else []
    counts = [Count(*map(int, line.split())) for line in lines]
    return (folder / "output").read_bytes(), counts


def _qemu(firmware: Firmware, count: bool) -> list[str]:
    emulator, *machine = firmware.board.machine
    plugin: list[str] = []
    if count:
        (firmware.folder / "count.so").write_bytes(
            _host_tool("count_instructions.c", "-shared", "-fPIC", "-fvisibility=hidden")
        )
        begin, end = (firmware.symbols[f"board_{mark}"] for mark in ("begin", "end"))
        plugin = ["-plugin", f"./count.so,begin={begin:#x},end={end:#x},to=counts"]
    return [emulator, *plugin, *machine, PROGRAM]


def _simavr(firmware: Firmware) -> list[str]:
    _, chip, ram_end = firmware.board.machine
    runner = firmware.folder / "run_avr"
    runner.write_bytes(_host_tool("run_avr.c", "-lsimavr", "-lelf"))
    runner.chmod(0o700)
    return ["./run_avr", chip, ram_end, PROGRAM]


@cache
def _host_tool(source: str, *options: str) -> bytes:
    """A program of runtime_c/boards/host, compiled for this machine."""
    path = resource_dir("runtime_c") / "boards" / "host" / source
    with TemporaryDirectory(prefix="snngen-") as folder:
        built = Path(folder) / "tool"
        done = subprocess.run(
            [*host_compiler(), "-O2", "-o", str(built), str(path), *options],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            said = next((line for line in done.stderr.splitlines() if "error" in line), "")
            hint = f"Debian, Ubuntu: apt install {PACKAGES['simavr']}" if "avr" in source else ""
            raise ToolError(Problem("the emulator's helper", "does not compile", said[:400], hint))
        return built.read_bytes()
