"""Emitted C and a board's support as one program: compiled, linked, and weighed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from snngen.errors import ConversionError, Problem, ToolError
from snngen.resources import resource_dir
from snngen.targets.c.boards import BOARDS, PACKAGES, PROGRAM, Board, board_named
from snngen.targets.c.build import EXAMPLE, RUNTIME, write_tree
from snngen.targets.c.emit import render
from snngen.targets.c.engine import prefix_of

MAIN = "board_main.c"
SUPPORT = "board"
MAP = "firmware.map"
FLAGS = ("-O2",)
SECTION = re.compile(r"^ (\.\S+|COMMON)(?:\n {15})? +0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+)$", re.M)
OVERFLOW = re.compile(r"region `(\w+)' overflowed by (\d+) bytes")
UNADDRESSED = re.compile(r"error: size of array .(\w+). is too large")
OUTSIDE = re.compile(r"address 0x([0-9a-f]+) of \S+ section `\S+' is not within region `(\w+)'")
AVR_DATA = 0x800000  # where the linker for AVR sees RAM
REGIONS = {"FLASH": "flash", "text": "flash", "RAM": "RAM", "data": "RAM"}
ARENA = ".bss.arena"
PARAMETERS, COPIED = ".progmem", ".rodata"  # where flash is apart: what stays, and what does not
FLASH_POINTERS_REACH = 2**16
SMALLER = "fewer weight bits, fewer timesteps or level neurons need less"
KINDS = {  # of sections, by how their names begin
    "code": (".text", ".init", ".fini"),
    "constants": (".rodata", ".srodata", ".progmem"),
    "data": (".data", ".sdata", ".bss", ".sbss", "COMMON"),
}


@dataclass(frozen=True)
class Footprint:
    """Bytes of the network as the linker placed it: its own files, the runtime, and what they use
    of the compiler's libraries; neither the board's support nor the self-test. Without libraries on
    a hosted board, where the program that tests the network uses them too.

    `constants` are parameters and descriptors; `arena` is all the RAM that a run needs but stack,
    which includes descriptors where flash is apart.
    """

    code: int
    constants: int
    arena: int


@dataclass(frozen=True)
class Firmware:
    """A program for the board called `name` in `folder`. `arena_bytes`: of the variable of this
    name. `symbols`: the addresses of functions.
    """

    name: str
    board: Board
    folder: Path
    footprint: Footprint
    arena_bytes: int
    symbols: Mapping[str, int]


def build_firmware(
    files: Mapping[str, bytes],
    name: str,
    folder: Path,
    *,
    flags: tuple[str, ...] = FLAGS,
    main: bytes | None = None,
    of_streams: bool = False,
) -> Firmware:
    """Compile emitted `files` with board_main.c for the board called `name`, in `folder`; or any C
    `files` with another `main`. `of_streams`: the network has event coding.

    ConversionError for an unknown board, or where the program does not fit its memory; ToolError
    where a tool is missing or does not accept the files.
    """
    board, untold = board_named(name), set()
    if main is None:
        prefix = prefix_of(files)
        names = {"prefix": prefix, "PREFIX": prefix.upper()}
        kind = "board_stream.c.j2" if of_streams else "board_image.c.j2"
        calls = render(kind, names).decode("ascii")
        main = render("board_main.c.j2", {**names, "calls": calls})
        untold = {f"{prefix}_selftest.o", "snn_selftest.o"}
    own = {n: c for n, c in files.items() if n != EXAMPLE and not n.startswith(RUNTIME)}
    runtime = {n: c for n, c in files.items() if n.startswith(RUNTIME)}
    support = support_files()
    write_tree({**own, **runtime, **support, MAIN: main}, folder)
    shared = tuple(sorted({**runtime, **support}.items()))
    objects = _compiled(shared, name, flags)
    sources = [MAIN, *(n for n in sorted(own) if n.endswith(".c"))]
    compile_sources(name, flags, *sources, folder=folder)
    write_tree(objects, folder)
    inputs = [*map(_object, sources), *objects]
    options = ("-Wl,--gc-sections", f"-Wl,-Map={MAP}", "-o", PROGRAM)
    stack = f"-Wl,--defsym=BOARD_STACK_BYTES={board.stack_bytes}"
    run_tool(name, [*board.compiler, *inputs, *options, stack, *board.link], folder)
    network = {_object(n) for n in files if n.endswith(".c")} - untold
    placed = (folder / MAP).read_text().partition("Linker script and memory map")[2]
    if board.flash_is_apart:
        _check_pointers(name, placed)
    footprint = _footprint(placed, network, board)
    arena_bytes = sum(int(n, 16) for s, _, n, _ in SECTION.findall(placed) if s == ARENA)
    return Firmware(name, board, folder, footprint, arena_bytes, _symbols(placed))


@lru_cache(maxsize=16)
def _compiled(
    shared: tuple[tuple[str, bytes], ...], name: str, flags: tuple[str, ...]
) -> Mapping[str, bytes]:
    """The objects of the runtime and the board's support: the same for most networks."""
    with TemporaryDirectory(prefix="snngen-") as temporary:
        folder = Path(temporary)
        write_tree(dict(shared), folder)
        runtime = [n for n, _ in shared if n.startswith(RUNTIME) and n.endswith(".c")]
        sources = [*runtime, *(f"{SUPPORT}/{source}" for source in BOARDS[name].sources)]
        compile_sources(name, flags, *sources, folder=folder)
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.o"))}


def support_files() -> dict[str, bytes]:
    """Of all boards, by path."""
    root = resource_dir("runtime_c") / "boards"
    return {f"{SUPPORT}/{path.name}": path.read_bytes() for path in sorted(root.glob("*.*"))}


def _object(source: str) -> str:
    return PurePosixPath(source).stem + ".o"


def compile_sources(name: str, flags: tuple[str, ...], *sources: str, folder: Path) -> None:
    """Objects beside each other in `folder`, where the sources are, for the board called `name`."""
    include = ("-I.", "-Iruntime", f"-I{SUPPORT}")
    sections = ("-ffunction-sections", "-fdata-sections")
    board = BOARDS[name]
    command = [*board.compiler, f"-std={board.standard}", *flags, *sections, *include, "-c"]
    run_tool(name, [*command, *sources], folder)


def run_tool(name: str, command: Sequence[str], folder: Path) -> None:
    """A compiler or linker for the board called `name`. ConversionError where its memory is too
    small, ToolError where the tool complains otherwise.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    board = BOARDS[name]
    needed = _needed(board, done.stderr)
    if needed:
        raise ConversionError(*(_too_large(name, what, n) for what, n in needed.items()))
    unaddressed = UNADDRESSED.findall(done.stderr)
    if unaddressed:
        rule = "every array must be one that 16-bit indices reach, of at most 32,767 bytes"
        raise ConversionError(Problem(f"board {name}", rule, ", ".join(unaddressed), SMALLER))
    faults = ("error", "undefined reference")
    lines = done.stderr.splitlines()
    said = next((line for line in lines if any(f in line for f in faults)), done.stderr)
    raise ToolError(
        Problem(
            f"the C compiler of board {name}",
            "did not accept the emitted files",
            said[:400],
            f"it comes with the Debian packages {PACKAGES[board.compiler[0]]}",
        )
    )


def _needed(board: Board, said: str) -> dict[str, int]:
    """Bytes of "flash" and "RAM" by what the linker says of too small ones."""
    needed: dict[str, int] = {}
    for region, excess in OVERFLOW.findall(said):
        what = REGIONS[region]
        needed[what] = (board.ram if what == "RAM" else board.flash).bytes + int(excess)
    for end, region in OUTSIDE.findall(said):
        what = REGIONS[region]
        origin = AVR_DATA + board.ram.origin - board.stack_bytes if what == "RAM" else 0
        needed[what] = max(needed.get(what, 0), int(end, 16) - origin)
    return needed


def _too_large(name: str, what: str, needed: int) -> Problem:
    board = BOARDS[name]
    available = (board.ram if what == "RAM" else board.flash).bytes
    parts = "the network and the program that tests it need"
    if what == "RAM":
        constants = ", with all descriptors" if board.flash_is_apart else ""
        parts += f"{constants} and {board.stack_bytes:,} of stack,"
    return Problem(
        f"board {name}",
        f"{parts} {needed:,} bytes of {what}; the board has {available:,}",
        hint=SMALLER,
    )


def _check_pointers(name: str, placed: str) -> None:
    """The linker does not notice parameters where pointers to flash do not reach."""
    sections = SECTION.findall(placed)
    ends = [int(at, 16) + int(n, 16) for kind, at, n, _ in sections if kind.startswith(PARAMETERS)]
    if max(ends, default=0) > FLASH_POINTERS_REACH:
        rule = (
            f"parameters end {max(ends):,} bytes into flash;"
            f" pointers to flash reach {FLASH_POINTERS_REACH:,}"
        )
        raise ConversionError(Problem(f"board {name}", rule, hint=SMALLER))


def _footprint(text: str, network: set[str], board: Board) -> Footprint:
    """From the linker's map: sections of the `network`'s objects, and of libraries."""
    sizes = dict.fromkeys(KINDS, 0)
    arena = 0
    for section, _, size, origin in SECTION.findall(text):
        if origin in network or (not board.is_hosted and origin.endswith(")")):
            for kind, prefixes in KINDS.items():
                sizes[kind] += int(size, 16) * section.startswith(prefixes)
            if board.flash_is_apart and section.startswith(COPIED):
                arena += int(size, 16)
        elif section == ARENA:
            arena += int(size, 16)
    return Footprint(sizes["code"], sizes["constants"], arena + sizes["data"])


def _symbols(text: str) -> dict[str, int]:
    """Functions of their own section: .text.NAME."""
    return {
        section.removeprefix(".text."): int(address, 16)
        for section, address, _, _ in SECTION.findall(text)
        if section.startswith(".text.")
    }
