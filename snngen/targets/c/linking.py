"""What the linker will place of the runtime, and how deep the stack will grow, without a toolchain.

`linked/PROCESSOR.json` says for every section of the runtime's objects, and of the compiler's
libraries, how large it is, which others it refers to and what its function leaves on the stack.
From these follow what a network needs, where the linker puts it, and the deepest chain of calls.
`python -m snngen.targets.c.boards.sections` measures the tables anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from snngen.targets.c.structs import padded

TABLES = Path(__file__).parent / "linked"
SMALL, FAST = OPTIMISATIONS = ("-Os", "-O2")
IMAGES, STREAMS = "model", "stream"  # prefixes of the networks that the tables were measured of
CODE, CONSTANTS = ".text", ".rodata"
ARGUMENT, OWN = "an argument", "its own"  # pointers that are no field of a descriptor
TRACE = "trace"  # the field that holds the user's function
JAL_REACH, SHORT_JUMP_REACH = 2**20, 2**11  # of RISC-V, in bytes to either side


@dataclass(frozen=True)
class Section:
    """What the linker places or leaves out as a whole: a function, or a constant of one.

    `output`: where it goes, CODE or CONSTANTS. `frame`: bytes of stack, the return address
    included. `calls` are made on top of them, `jumps` once they are given back. `refers`: other
    sections that it needs. `pointers`: where the functions come from that it calls by pointers,
    fields of structs by their names; `ends_by_pointer` where these are jumps. `far_calls`: calls by
    offset that the linker shortens, as RISC-V's does. `is_kept`: whether anything refers to it or
    not.
    """

    name: str
    output: str
    bytes: int
    align: int
    frame: int = 0
    calls: tuple[str, ...] = ()
    jumps: tuple[str, ...] = ()
    refers: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    ends_by_pointer: bool = False
    far_calls: tuple[tuple[int, str], ...] = ()
    is_kept: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        return (*self.calls, *self.jumps, *self.refers)


@dataclass(frozen=True)
class Table:
    """`builds`: the sections in the order in which the linker places them, by optimisation.
    `compiler`: name and version. `digest`: of the sources, see `boards.sections`.
    """

    compiler: str
    digest: str
    builds: Mapping[str, tuple[Section, ...]]


@cache
def table_of(processor: str) -> Table:
    """The committed table."""
    held = json.loads((TABLES / f"{processor}.json").read_text("ascii"))
    builds = {flag: tuple(map(_section, rows)) for flag, rows in held["builds"].items()}
    return Table(held["compiler"], held["digest"], builds)


def table_text(table: Table) -> str:
    """As `table_of` reads it, a section on a line; what is as usual is left out."""
    usual = {each.name: each.default for each in fields(Section)}

    def row(section: Section) -> str:
        held = {name: value for name, value in vars(section).items() if value != usual[name]}
        return json.dumps(held)

    builds = ",\n".join(
        f'"{flag}": [\n' + ",\n".join(map(row, rows)) + "\n]" for flag, rows in table.builds.items()
    )
    head = f'"compiler": "{table.compiler}",\n"digest": "{table.digest}"'
    return f'{{\n{head},\n"builds": {{\n{builds}\n}}\n}}\n'


def _section(held: Mapping[str, Any]) -> Section:
    def frozen(value: Any) -> Any:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return Section(**{name: frozen(value) for name, value in held.items()})


# called where there is a trace only
TRACING = {"snn_report", "snn_report_line", "snn_report_rows"}


class Linked:
    """The sections of a build that a network needs. `functions`: those that its descriptors name,
    by the field that holds them ("run", "fire", "add", "prepare"). `is_stream`: of
    event coding.
    """

    def __init__(
        self,
        build: Sequence[Section],
        functions: Mapping[str, Iterable[str]],
        *,
        is_stream: bool = False,
    ) -> None:
        self.entries = entries_of(STREAMS if is_stream else IMAGES, is_stream=is_stream)
        self.functions = {field: tuple(sorted(named)) for field, named in functions.items()}
        named = {section.name: section for section in build}
        found: dict[str, Section] = {}
        roots = [*self.entries, *(name for names in self.functions.values() for name in names)]
        rest = [*roots, *(section.name for section in build if section.is_kept)]
        while rest:
            section = named[rest.pop()]
            if section.name not in found:
                found[section.name] = section
                rest += section.needs
        self.sections = {section.name: section for section in build if section.name in found}

    def code_bytes(self, start: int = 0) -> int:
        """Of the code with what aligns it, behind `start` bytes."""
        return end_of(self._shortened(), start) - start

    def constants(self) -> Iterator[tuple[int, int]]:
        """Bytes and alignments of the runtime's own constants."""
        return ((s.bytes, s.align) for s in self.sections.values() if s.output == CONSTANTS)

    def addressed(self) -> int:
        """How many functions are called by pointers."""
        code = {section.name for section in self.sections.values() if section.output == CODE}
        known = {other for section in self.sections.values() for other in section.refers}
        return len(known.union(*self.functions.values()) & code)

    def stack_bytes(self) -> int:
        """Of the deepest chain of calls, from those of the entries on, of what is not traced."""
        return max(self._depth(entry, frozenset(), ()) for entry in self.entries)

    def _depth(self, name: str, given: frozenset[str], path: tuple[str, ...]) -> int:
        """`given`: functions that one in the `path` has the address of."""
        assert name not in path, f"a recursion: {' '.join(path)} {name}"
        section, path = self.sections[name], (*path, name)
        known = {r for r in section.refers if self.sections[r].output == CODE}
        by_pointer: set[str] = set()
        for pointer in section.pointers:
            sources = {ARGUMENT: given, OWN: known, TRACE: ()}
            by_pointer.update(sources.get(pointer) or self.functions.get(pointer, ()))
        on_top = {*section.calls, *(() if section.ends_by_pointer else by_pointer)} - TRACING
        instead = {*section.jumps, *(by_pointer if section.ends_by_pointer else ())}
        given |= known
        called = max((self._depth(other, given, path) for other in sorted(on_top)), default=0)
        jumped = max((self._depth(other, given, path) for other in sorted(instead)), default=0)
        return max(section.frame + called, jumped)

    def _shortened(self) -> list[tuple[int, int]]:
        """Bytes and alignments of the code. The linker for RISC-V makes a call of 8 bytes one of 4,
        or of 2 if it is near: going once through the sections, it knows where those before the
        current one have come to lie, the others are where they were.
        """
        code = [section for section in self.sections.values() if section.output == CODE]
        places: dict[str, int] = {}
        end = 0
        for section in code:
            places[section.name] = padded(end, section.align)
            end = places[section.name] + section.bytes
        slack = max((section.align for section in code), default=1)
        sizes: list[tuple[int, int]] = []
        end = 0
        for section in code:
            size = section.bytes
            for offset, name in section.far_calls:
                distance = places[name] - (places[section.name] + offset)
                distance += slack if distance >= 0 else -slack
                assert -JAL_REACH <= distance < JAL_REACH
                size -= 6 if -SHORT_JUMP_REACH <= distance < SHORT_JUMP_REACH else 4
            places[section.name] = padded(end, section.align)
            end = places[section.name] + size
            sizes.append((size, section.align))
        return sizes


def entries_of(prefix: str, *, is_stream: bool) -> tuple[str, ...]:
    """The functions of an emitted network that a caller needs."""
    calls = ("reset", "step", "result") if is_stream else ("run",)
    return tuple(f"{prefix}_{call}" for call in calls)


def end_of(parts: Iterable[tuple[int, int]], start: int = 0) -> int:
    """Where parts end that lie behind each other from `start`, given by bytes and alignments."""
    for size, align in parts:
        start = padded(start, align) + size
    return start
