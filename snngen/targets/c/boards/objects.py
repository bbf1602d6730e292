"""Compiled objects as sections: their sizes, what they refer to, and what their functions call.

Read from what objdump prints, from gcc's -fstack-usage, and, for calls by pointers, from its
-fdump-tree-optimized, which still says which field of which struct a pointer was read from.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snngen.targets.c.linking import ARGUMENT, CODE, CONSTANTS, OWN, Section

DUMPS = ("-fstack-usage", "-fdump-tree-optimized")
FILE = re.compile(r"^(\S+):\s+file format .*\n((?:(?!.*:\s+file format ).*\n)*)", re.M)
HEADER = re.compile(r"^ +\d+ (\S+) +([0-9a-f]{8}) .* 2\*\*(\d+) +(.*)$", re.M)
SYMBOL = re.compile(r"^[0-9a-f]{8} (..).{5} (\S+)\t[0-9a-f]{8} (?:\.hidden )?(\S+)$", re.M)
RELOCATIONS = re.compile(r"^RELOCATION RECORDS FOR \[(\S+)\]:\n.*\n((?:\S.*\n)*)", re.M)
RELOCATION = re.compile(r"^([0-9a-f]{8}) \S+ +(\S+?)(?:[+-]0x[0-9a-f]+)?$", re.M)
CODE_OF = re.compile(r"^Disassembly of section (\S+):\n((?:(?!^Disassembly).*\n)*)", re.M)
INSTRUCTION = re.compile(r"^ +([0-9a-f]+):\t(?:[0-9a-f]+ )+ *\t(\S+)\t?(.*)$", re.M)
FAR_CALL = "auipc"  # and the instruction behind it
CALL = re.compile(r"blx?|r?call|jalr?")
JUMP = re.compile(r"b(?!lx?$|x$|kpt).*|r?jmp|jr?|c\.j")
CALL_BY_POINTER = re.compile(r"blx|e?icall|jalr")
FUNCTION = re.compile(r"^;; Function \S+ \((\S+?),.*\n((?:(?!^;; Function).*\n)*)", re.M)
READ = re.compile(r"^  ([\w.$]+) = [^;=]*(?:->|\.)(\w+);$", re.M)
MERGED = re.compile(r"^  # ([\w.$]+) = PHI <(.*)>$", re.M)
MERGED_VALUE = re.compile(r"([\w.$]+(?:\(D\))?)\(\d+\)")
CALLED = re.compile(r"^  (?:[^=;]+ = )?([\w.$]*_\d+(?:\(D\))?) \(", re.M)
PUSHES = re.compile(r"(?:push|stmdb)(?:\.w)?\t(?:sp!, )?\{(.*)\}")
LOWERS = re.compile(r"(?:add|addi|sub)\tsp,(?: ?sp,)? ?[#-](\d+)|strd?\t.*\[sp, #-(\d+)\]!")
PUSH_OF_AVR = re.compile(r"push\tr\d+")


@dataclass(frozen=True)
class Object:
    """An object file as objdump prints it. `headers`: bytes, alignment and flags of sections;
    `symbols`: their sections; `relocations`: by section, offsets and symbols; `instructions`: by
    section, offsets, names and operands.
    """

    name: str
    headers: Mapping[str, tuple[int, int, str]]
    symbols: Mapping[str, str]
    exported: frozenset[str]
    relocations: Mapping[str, Sequence[tuple[int, str]]]
    instructions: Mapping[str, Sequence[tuple[int, str, str]]]

    @property
    def sections(self) -> Iterator[str]:
        """Those that hold something that a processor sees."""
        for name, (size, _, flags) in self.headers.items():
            if size and "ALLOC" in flags and not name.startswith((".ARM", ".eh_frame")):
                yield name

    def name_of(self, section: str) -> str:
        """Of its first symbol, with the object's where others may have the same."""
        names = [name for name, where in self.symbols.items() if where == section]
        public = [name for name in names if name in self.exported]
        own = [name for name in names if name != section and not name.startswith((".L", "$"))]
        return public[0] if public else f"{self.name}:{(own or names)[0]}"


def read_objects(objdump: str, files: Sequence[str], folder: Path) -> list[Object]:
    """In the order of `files`, which lie in `folder`."""

    def shown(*options: str) -> dict[str, str]:
        command = [objdump, "-w", *options, *files]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return dict(FILE.findall(done.stdout))

    codes = shown("-d")
    return [_object(Path(name).stem, text, codes[name]) for name, text in shown("-htr").items()]


def _object(name: str, text: str, code: str) -> Object:
    symbols = SYMBOL.findall(text)
    return Object(
        name,
        {
            n: (int(size, 16), 2 ** int(align), flags)
            for n, size, align, flags in HEADER.findall(text)
        },
        {symbol: section for _, section, symbol in symbols if section not in ("*UND*", "*ABS*")},
        frozenset(s for bind, section, s in symbols if bind in ("g ", " w") and section != "*UND*"),
        {
            section: [(int(at, 16), symbol) for at, symbol in RELOCATION.findall(rows)]
            for section, rows in RELOCATIONS.findall(text)
        },
        {
            section: [(int(at, 16), name, rest) for at, name, rest in INSTRUCTION.findall(rows)]
            for section, rows in CODE_OF.findall(code)
        },
    )


def sections_of(objects: Sequence[Object], folder: Path, return_bytes: int) -> list[Section]:
    """All that the objects hold, in order. `folder` has what DUMPS wrote of those that gcc made;
    what others leave on the stack is taken from their instructions. `return_bytes`: of an address
    that a call itself puts on the stack.
    """
    public = {
        symbol: each.name_of(section)
        for each in reversed(objects)
        for symbol, section in each.symbols.items()
        if symbol in each.exported
    }
    return [
        _Reader(each, public, folder, return_bytes).section(name)
        for each in objects
        for name in each.sections
    ]


class _Reader:
    """The sections of one object."""

    def __init__(
        self, found: Object, public: Mapping[str, str], folder: Path, return_bytes: int
    ) -> None:
        self.object, self.public, self.return_bytes = found, public, return_bytes
        self.frames = _frames(found, folder / f"{found.name}.su")
        dumps = sorted(folder.glob(f"{found.name}.c.*.optimized"))
        self.bodies = dict(FUNCTION.findall(dumps[0].read_text("utf-8"))) if dumps else {}

    def section(self, name: str) -> Section:
        size, align, flags = self.object.headers[name]
        assert "READONLY" in flags, f"{self.object.name} has variables: {name}"
        instructions = self.object.instructions.get(name, ())
        at = {offset: (k, what) for k, (offset, what, _) in enumerate(instructions)}
        calls: dict[str, None] = {}
        jumps: dict[str, None] = {}
        refers: dict[str, None] = {}
        far: list[tuple[int, str]] = []
        for offset, symbol in self.object.relocations.get(name, ()):
            target = self._target(symbol)
            own = self.object.name_of(name)
            if target is None or target == own:
                continue
            k, what = at.get(offset, (0, ""))
            if what == FAR_CALL and instructions[k + 1][1] in ("jalr", "jr"):
                far.append((offset, target))
                what = instructions[k + 1][1]
            kind = calls if CALL.fullmatch(what) else jumps if JUMP.fullmatch(what) else refers
            kind[target] = None
        functions = [s for s, where in self.object.symbols.items() if where == name]
        pointers = {p for f in functions if f in self.bodies for p in _pointers(self.bodies[f])}
        by_call = any(
            CALL_BY_POINTER.fullmatch(what) and offset not in self._relocated(name)
            for offset, what, _ in instructions
        )
        return Section(
            self.object.name_of(name),
            CODE if "CODE" in flags or name.startswith(".progmem") else CONSTANTS,
            size,
            align,
            self._frame(name, functions),
            tuple(calls),
            tuple(jumps),
            tuple(r for r in refers if r not in calls and r not in jumps),
            tuple(sorted(pointers)),
            bool(pointers) and not by_call,
            tuple(far),
            name.startswith(".init"),
        )

    def _relocated(self, name: str) -> set[int]:
        """Offsets of instructions whose target the linker fills in."""
        offsets = {offset for offset, _ in self.object.relocations.get(name, ())}
        instructions = self.object.instructions.get(name, ())
        far = {offset for offset, what, _ in instructions if what == FAR_CALL}
        return offsets | {offset + 4 for offset in offsets & far}

    def _target(self, symbol: str) -> str | None:
        if symbol in self.object.symbols:
            section = self.object.symbols[symbol]
            return self.object.name_of(section) if section in self.object.headers else None
        return self.public.get(symbol)

    def _frame(self, section: str, functions: Sequence[str]) -> int:
        if section not in self.object.instructions:
            return 0
        known = [self.frames[name] for name in functions if name in self.frames]
        if known:
            return max(known)
        return self.return_bytes + sum(
            _lowered(f"{what}\t{rest}") for _, what, rest in self.object.instructions[section]
        )


def _frames(found: Object, usage: Path) -> dict[str, int]:
    """Bytes by function, copies of one that gcc has made in the order of its file."""
    if not usage.exists():
        return {}
    rows = [line.split("\t") for line in usage.read_text("utf-8").splitlines()]
    unbounded = [place for place, _, kind in rows if kind == "dynamic"]
    assert not unbounded, f"nobody knows how much stack these take: {unbounded}"
    functions = [name.removeprefix(".text.") for name in found.headers]
    frames: dict[str, int] = {}
    for place, size, _ in rows:
        name = place.rsplit(":", 1)[1].partition(".")[0]
        same = (f for f in functions if f.partition(".")[0] == name and f not in frames)
        frames[next(same)] = int(size)
    return frames


def _pointers(body: str) -> set[str]:
    """Where the functions come from that one calls by pointers, as -fdump-tree-optimized has it."""
    fields = dict(READ.findall(body))
    merged = {name: MERGED_VALUE.findall(values) for name, values in MERGED.findall(body)}

    def sources(value: str, seen: tuple[str, ...]) -> set[str]:
        if value.endswith("(D)"):
            return {ARGUMENT}
        if value in fields:
            return {fields[value]}
        into = [v for v in merged.get(value, ()) if v not in seen]
        return set().union(*(sources(v, (*seen, value)) for v in into)) if into else {OWN}

    found: set[str] = set()
    for value in CALLED.findall(body):
        if value.endswith("(D)") or value in fields or value in merged:
            found |= sources(value, ())
    return found


def _lowered(instruction: str) -> int:
    """By how many bytes an instruction lowers the stack pointer."""
    pushes, lowers = PUSHES.match(instruction), LOWERS.match(instruction)
    if pushes:
        return 4 * len(pushes[1].split(","))
    if lowers:
        return int(lowers[1] or lowers[2])
    return int(PUSH_OF_AVR.match(instruction) is not None)
