"""Processors that emitted C is run on, under an emulator: one entry of BOARDS each.

`runtime_c/boards/` holds what runs on them beside the network.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from snngen.errors import ConversionError, Problem, ToolError

PROGRAM = "firmware.elf"
ARM = "arm-none-eabi-gcc"
RISCV = "riscv64-unknown-elf-gcc"
AVR = "avr-gcc"

PACKAGES = {  # of Debian and Ubuntu, by the program that they bring
    ARM: "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    RISCV: "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    AVR: "gcc-avr avr-libc",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
    "simavr": "simavr libsimavr-dev libelf-dev",
}


@dataclass(frozen=True)
class Memory:
    """A block of `bytes` bytes at address `origin`."""

    origin: int
    bytes: int


@dataclass(frozen=True)
class Board:
    """A processor with its memory, and the commands that build for it and emulate it.

    `sources`: files of runtime_c/boards. `link`: the linker's options, after the objects.
    `machine`: the emulator's command, without the program. `stack_bytes` of RAM are kept free for
    the stack. `unit` is what the emulator counts exactly. Where `constants_in_ram`, constants are
    copied there at the start, because the processor cannot read its flash like memory.
    """

    summary: str
    compiler: tuple[str, ...]
    sources: tuple[str, ...]
    link: tuple[str, ...]
    machine: tuple[str, ...]
    flash: Memory
    ram: Memory
    stack_bytes: int = 4096
    unit: Literal["instructions", "cycles"] = "instructions"
    constants_in_ram: bool = False

    @property
    def tools(self) -> tuple[str, str]:
        """The compiler and the emulator, as programs."""
        return self.compiler[0], self.machine[0]


def _cortex_m(
    summary: str, flags: str, machine: str, flash: Memory, ram: Memory, stack_bytes: int = 4096
) -> Board:
    return Board(
        summary=summary,
        compiler=(ARM, "-mthumb", *flags.split()),
        sources=("cortex_m.c", "semihosting.c", "start.c", "stack.c"),
        link=(*_memory_map(flash, ram), "-nostdlib", "-lc", "-lgcc"),
        machine=("qemu-system-arm", "-M", machine),
        flash=flash,
        ram=ram,
        stack_bytes=stack_bytes,
    )


def _rv32(summary: str, flags: str, machine: str, flash: Memory, ram: Memory) -> Board:
    return Board(
        summary=summary,
        compiler=(RISCV, "--specs=picolibc.specs", *flags.split()),
        sources=("riscv.c", "semihosting.c", "start.c", "stack.c"),
        link=(*_memory_map(flash, ram), "-nostdlib", "-lc", "-lgcc"),
        machine=("qemu-system-riscv32", "-M", machine, "-bios", "none"),
        flash=flash,
        ram=ram,
    )


def _avr(summary: str, chip: str, flash: Memory, ram: Memory, stack_bytes: int) -> Board:
    """`ram` is where data go, and the stack at its end; without `stack_bytes` the stack has the
    processor's own memory.
    """
    return Board(
        summary=summary,
        compiler=(AVR, f"-mmcu={chip}"),
        sources=("avr.c", "stack.c"),
        link=(
            f"-Wl,--defsym=__TEXT_REGION_LENGTH__={flash.bytes}",
            f"-Wl,--defsym=__DATA_REGION_ORIGIN__={0x800000 + ram.origin:#x}",
            f"-Wl,--defsym=__DATA_REGION_LENGTH__={ram.bytes - stack_bytes}",
            f"-Wl,--section-start=.data={0x800000 + ram.origin:#x}",
        ),
        machine=("simavr", chip, hex(ram.origin + ram.bytes - 1)),
        flash=flash,
        ram=ram,
        stack_bytes=stack_bytes,
        unit="cycles",
        constants_in_ram=True,
    )


def _memory_map(flash: Memory, ram: Memory) -> tuple[str, ...]:
    symbols = {
        "FLASH_ORIGIN": flash.origin,
        "FLASH_BYTES": flash.bytes,
        "RAM_ORIGIN": ram.origin,
        "RAM_BYTES": ram.bytes,
    }
    options = [f"-Wl,--defsym={name}={value:#x}" for name, value in symbols.items()]
    return (*options, "-T", "board/board.ld")


K, M = 2**10, 2**20
MPS2 = Memory(0, 4 * M), Memory(0x20000000, 4 * M)  # Arm's prototyping boards
DSP_FPU = "-mfloat-abi=hard -mfpu"

BOARDS: Mapping[str, Board] = {
    "cortex-m0": _cortex_m(
        "Cortex-M0 code, much memory", "-mcpu=cortex-m0 -mfloat-abi=soft", "mps2-an385", *MPS2
    ),
    "cortex-m3": _cortex_m(
        "Cortex-M3, much memory", "-mcpu=cortex-m3 -mfloat-abi=soft", "mps2-an385", *MPS2
    ),
    "cortex-m4": _cortex_m(
        "Cortex-M4F, much memory", f"-mcpu=cortex-m4 {DSP_FPU}=fpv4-sp-d16", "mps2-an386", *MPS2
    ),
    "cortex-m7": _cortex_m(
        "Cortex-M7, much memory", f"-mcpu=cortex-m7 {DSP_FPU}=fpv5-sp-d16", "mps2-an500", *MPS2
    ),
    "cortex-m33": _cortex_m(
        "Cortex-M33, much memory",
        f"-mcpu=cortex-m33 {DSP_FPU}=fpv5-sp-d16",
        "mps2-an505",
        Memory(0x10000000, 4 * M),
        Memory(0x38000000, 2 * M),
    ),
    "rv32imac": _rv32(
        "32-bit RISC-V, much memory",
        "-march=rv32imac -mabi=ilp32",
        "virt",
        Memory(0x80000000, 16 * M),
        Memory(0x81000000, 16 * M),
    ),
    "microbit": _cortex_m(
        "BBC micro:bit: Cortex-M0, 256 KiB of flash, 16 KiB of RAM",
        "-mcpu=cortex-m0 -mfloat-abi=soft",
        "microbit",
        Memory(0, 256 * K),
        Memory(0x20000000, 16 * K),
        stack_bytes=2048,
    ),
    "atmega1284": _avr(
        "8-bit AVR, 128 KiB of flash, 16 KiB of RAM",
        "atmega1284p",
        Memory(0, 128 * K),
        Memory(0x100, 16 * K),
        stack_bytes=1024,
    ),
    "atmega2560": _avr(
        "8-bit AVR, 256 KiB of flash, 54.5 KiB of external RAM without wait states",
        "atmega2560",
        Memory(0, 256 * K),
        Memory(0x2200, 64 * K - 0x2200),
        stack_bytes=0,
    ),
}


def board_named(name: str) -> Board:
    """The entry of BOARDS; ConversionError for another name, ToolError without its tools."""
    if name not in BOARDS:
        raise ConversionError(Problem("the board", f"must be one of {', '.join(BOARDS)}", name))
    board = BOARDS[name]
    absent = [tool for tool in board.tools if shutil.which(tool) is None]
    if absent:
        raise ToolError(
            *(
                Problem(
                    f"board {name}",
                    f"needs the program {tool}, which was not found",
                    hint=f"Debian, Ubuntu: apt install {PACKAGES[tool]}",
                )
                for tool in absent
            )
        )
    return board
