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
QUIET = ("-nographic", "-monitor", "none", "-serial", "none")
SEMIHOSTING = (*QUIET, "-semihosting-config", "enable=on,target=native", "-kernel")
ARM = "arm-none-eabi-gcc"
RISCV = "riscv64-unknown-elf-gcc"
AVR = "avr-gcc"
POWERPC = "powerpc-linux-gnu-gcc"

PACKAGES = {  # of Debian and Ubuntu, by the program that they bring
    ARM: "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    RISCV: "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    AVR: "gcc-avr avr-libc",
    POWERPC: "gcc-powerpc-linux-gnu libc6-dev-powerpc-cross",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
    "qemu-ppc": "qemu-user",
    "simavr": "simavr libsimavr-dev libelf-dev",
}


@dataclass(frozen=True)
class Memory:
    """A block of `bytes` bytes at address `origin`."""

    origin: int
    bytes: int


@dataclass(frozen=True)
class Chip:
    """A processor that one can buy, as the front page of its data sheet has it: the highest clock
    at so many volts, and there the current per MHz of running from flash, in microamperes.
    """

    name: str
    mhz: float
    microamperes: float
    volts: float

    @property
    def nanojoules(self) -> float:
        """Energy of a cycle."""
        return self.microamperes * self.volts / 1000


@dataclass(frozen=True)
class Timing:
    """Cycles that a processor is taken to need for an access to memory and for a jump beyond the
    one of every instruction; flash is taken not to let it wait.
    """

    access: int
    jump: int


SHORT_PIPELINE = Timing(access=1, jump=2)  # as Arm states for Cortex-M0, M3 and M4, and Ibex has


@dataclass(frozen=True)
class Board:
    """A processor with its memory, and the commands that build for it and emulate it.

    `sources`: files of runtime_c/boards. `link`: the linker's options, after the objects.
    `machine`: the emulator's command, without the program. `stack_bytes` of RAM are kept free for
    the stack. `unit` is what the emulator counts exactly. `standard`: the compiler's name of C99.
    Where `flash_is_apart`, the processor cannot read flash like memory: parameters are read from
    there by instructions of their own, and descriptors are copied to RAM at the start. `is_hosted`:
    the program runs under an operating system, and shares its C library with the network. `timing`
    and `chip` serve estimates of cycles and energy, where there is a plain answer.
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
    standard: str = "c99"
    is_hosted: bool = False
    flash_is_apart: bool = False
    byte_order: Literal["little", "big"] = "little"
    timing: Timing | None = None
    chip: Chip | None = None

    @property
    def tools(self) -> tuple[str, str]:
        """The compiler and the emulator, as programs."""
        return self.compiler[0], self.machine[0]

    @property
    def return_bytes(self) -> int:
        """Bytes of stack that a call takes by itself."""
        if self.compiler[0] != AVR:
            return 0
        return 3 if self.flash.bytes > 2 * 2**16 else 2  # of 16 bits where these reach all words


def _cortex_m(
    summary: str,
    flags: str,
    machine: str,
    flash: Memory,
    ram: Memory,
    stack_bytes: int = 4096,
    timing: Timing | None = SHORT_PIPELINE,
    chip: Chip | None = None,
) -> Board:
    return Board(
        summary=summary,
        compiler=(ARM, "-mthumb", *flags.split()),
        sources=("cortex_m.c", "semihosting.c", "marks.c", "start.c", "stack.c"),
        link=(*_memory_map(flash, ram), "-nostdlib", "-lm", "-lc", "-lgcc"),
        machine=("qemu-system-arm", "-M", machine, *SEMIHOSTING),
        flash=flash,
        ram=ram,
        stack_bytes=stack_bytes,
        timing=timing,
        chip=chip,
    )


def _rv32(summary: str, flags: str, machine: str, flash: Memory, ram: Memory) -> Board:
    return Board(
        summary=summary,
        compiler=(RISCV, "--specs=picolibc.specs", *flags.split()),
        sources=("riscv.c", "semihosting.c", "marks.c", "start.c", "stack.c"),
        link=(*_memory_map(flash, ram), "-nostdlib", "-lm", "-lc", "-lgcc"),
        machine=("qemu-system-riscv32", "-M", machine, "-bios", "none", *SEMIHOSTING),
        flash=flash,
        ram=ram,
        timing=SHORT_PIPELINE,
    )


def _avr(summary: str, mcu: str, flash: Memory, ram: Memory, stack_bytes: int, chip: Chip) -> Board:
    """`ram` is where data go, and the stack at its end; without `stack_bytes` the stack has the
    processor's own memory.
    """
    return Board(
        summary=summary,
        compiler=(AVR, f"-mmcu={mcu}"),
        sources=("avr.c", "stack.c"),
        link=(
            f"-Wl,--defsym=__TEXT_REGION_LENGTH__={flash.bytes}",
            f"-Wl,--defsym=__DATA_REGION_ORIGIN__={0x800000 + ram.origin:#x}",
            f"-Wl,--defsym=__DATA_REGION_LENGTH__={ram.bytes - stack_bytes}",
            f"-Wl,--section-start=.data={0x800000 + ram.origin:#x}",
        ),
        machine=("simavr", mcu, hex(ram.origin + ram.bytes - 1)),
        flash=flash,
        ram=ram,
        stack_bytes=stack_bytes,
        unit="cycles",
        standard="gnu99",  # which has __flash
        flash_is_apart=True,
        timing=Timing(access=0, jump=0),  # cycles as they are
        chip=chip,
    )


def _powerpc(summary: str, flags: str) -> Board:
    address_space = Memory(0, 2**32)
    return Board(
        summary=summary,
        compiler=(POWERPC, *flags.split()),
        sources=("hosted.c", "marks.c", "stack.c"),
        link=("-static", "-no-pie"),
        machine=("qemu-ppc",),
        flash=address_space,
        ram=address_space,
        is_hosted=True,
        byte_order="big",
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
NRF51822 = Chip("nRF51822", 16, 275, 3)
STM32L151 = Chip("STM32L151", 32, 214, 3)
STM32L476 = Chip("STM32L476", 80, 100, 3)
STM32L552 = Chip("STM32L552", 110, 106, 3)
ATMEGA1284P = Chip("ATmega1284P", 4, 400, 1.8)
ATMEGA2560V = Chip("ATmega2560V", 4, 500, 1.8)

BOARDS: Mapping[str, Board] = {
    "cortex-m0": _cortex_m(
        "Cortex-M0 code, much memory",
        "-mcpu=cortex-m0 -mfloat-abi=soft",
        "mps2-an385",
        *MPS2,
        chip=NRF51822,
    ),
    "cortex-m3": _cortex_m(
        "Cortex-M3, much memory",
        "-mcpu=cortex-m3 -mfloat-abi=soft",
        "mps2-an385",
        *MPS2,
        chip=STM32L151,
    ),
    "cortex-m4": _cortex_m(
        "Cortex-M4F, much memory",
        f"-mcpu=cortex-m4 {DSP_FPU}=fpv4-sp-d16",
        "mps2-an386",
        *MPS2,
        chip=STM32L476,
    ),
    "cortex-m7": _cortex_m(
        "Cortex-M7, much memory",
        f"-mcpu=cortex-m7 {DSP_FPU}=fpv5-sp-d16",
        "mps2-an500",
        *MPS2,
        timing=None,  # it begins up to two instructions in a cycle
    ),
    "cortex-m33": _cortex_m(
        "Cortex-M33, much memory",
        f"-mcpu=cortex-m33 {DSP_FPU}=fpv5-sp-d16",
        "mps2-an505",
        Memory(0x10000000, 4 * M),
        Memory(0x38000000, 2 * M),
        chip=STM32L552,
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
        chip=NRF51822,
    ),
    "atmega1284": _avr(
        "8-bit AVR, 128 KiB of flash, 16 KiB of RAM",
        "atmega1284p",
        Memory(0, 128 * K),
        Memory(0x100, 16 * K),
        stack_bytes=1024,
        chip=ATMEGA1284P,
    ),
    "atmega2560": _avr(
        "8-bit AVR, 256 KiB of flash, 54.5 KiB of external RAM without wait states",
        "atmega2560",
        Memory(0, 256 * K),
        Memory(0x2200, 64 * K - 0x2200),
        stack_bytes=0,
        chip=ATMEGA2560V,
    ),
    "powerpc": _powerpc("32-bit PowerPC, big-endian, under Linux", "-mcpu=powerpc -fno-pie"),
}

PROCESSORS = tuple(  # whose bytes are known before compiling, see linking.py
    name
    for name, board in BOARDS.items()
    if not board.is_hosted
    and all(
        board.compiler != BOARDS[other].compiler
        for other in list(BOARDS)[: list(BOARDS).index(name)]
    )
)


def processor_of(name: str) -> str:
    """The one of PROCESSORS that a board has; ConversionError where there is none."""
    board = BOARDS.get(name)
    for processor in PROCESSORS:
        if board is not None and BOARDS[processor].compiler == board.compiler:
            return processor
    raise ConversionError(Problem("the processor", f"must be one of {', '.join(PROCESSORS)}", name))


def check_board(name: str) -> None:
    """ConversionError unless it is one of BOARDS."""
    if name not in BOARDS:
        raise ConversionError(Problem("the board", f"must be one of {', '.join(BOARDS)}", name))


def board_named(name: str) -> Board:
    """The entry of BOARDS; ConversionError for another name, ToolError without its tools."""
    check_board(name)
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
