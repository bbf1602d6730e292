"""What a core takes of an FPGA, before synthesis: from its RTLIL, the memories and operators in it.

Blocks of memory and multipliers are counted, by the rules that yosys chooses by. Logic is
estimated: a bit of each kind of operator takes so many tables, fitted by `python -m bench.area` on
what yosys makes of cores of many sizes (docs/benchmarks/area.md).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable

from snngen.targets.hdl.family import Area, Family

FITTED = Path(__file__).parent / "fitted"
ROM_COST, RAM_COST = 1 / 16, 1.0  # of a bit in logic: those of yosys' memory_libmap
SMALL_WORDS, SMALL_BITS, SMALL_COST = 16, 4, 4.0  # of a table that is used as memory
KINDS = {  # of operators, by the RTLIL cells that count
    "adds": ("add", "sub", "neg"),
    "compares": ("lt", "le", "gt", "ge"),
    "equals": ("eq", "ne"),
    "gates": ("and", "or", "xor", "not"),
    "reduces": ("reduce_or", "reduce_and", "reduce_bool", "reduce_xor", "logic_not"),
    "chooses": ("mux",),
    "shifts": ("shift", "shiftx", "shl", "shr", "sshr"),
}
FEATURES = (*KINDS, "cases", "products", "registers", "tables", "small", "one")

_CELL = re.compile(r"^ *cell \$(\w+) .*\n((?: +(?:parameter|connect) .*\n)*)", re.M)
_PARAMETER = re.compile(r"parameter (?:signed )?\\(\w+) (\d+)\n")
_CONSTANT = re.compile(r"connect \\[AB] \d+'")
_WRITTEN = re.compile(r'cell \$memwr_v2 .*\n(?: +parameter .*\n)*? +parameter \\MEMID "(.+)"')
_MEMORY = re.compile(r'(ram_style "logic"\n)? *memory width (\d+) size (\d+) (\S+)')
_CHOSEN = re.compile(r"^ +assign \S+ \[(\d+)(?::(\d+))?\]", re.M)


@dataclass(frozen=True)
class Memory:
    """`is_logic`: it has been asked for as such."""

    words: int
    bits: int
    is_rom: bool
    is_logic: bool

    def blocks(self, family: Family) -> int:
        """As few as a layout of theirs allows."""
        return min(-(-self.words // w) * -(-self.bits // b) for w, b in family.blocks)

    @property
    def smalls(self) -> int:
        """Tables that hold it as memories."""
        return -(-self.words // SMALL_WORDS) * -(-self.bits // SMALL_BITS)

    def home(self, family: Family) -> str:
        """What yosys makes of it: "block", "small" or "logic"."""
        if self.is_logic:
            return "logic"
        costs = {
            "block": self.blocks(family) * family.block_cost,
            "logic": self.words * self.bits * (ROM_COST if self.is_rom else RAM_COST),
        }
        if family.has_small and not self.is_rom:
            costs["small"] = self.smalls * SMALL_COST
        return min(costs, key=lambda home: costs[home])


@dataclass(frozen=True)
class Contents:
    """Of a design before synthesis: its memories, the widths of its products, how many registers,
    and the bits of each kind of operator.
    """

    memories: tuple[Memory, ...]
    products: tuple[tuple[int, int], ...]
    registers: int
    operators: Mapping[str, int]


def area_of(design: Elaboratable, family: Family) -> Area:
    """What `design` will take of an FPGA of `family`."""
    found = contents(design)
    known, table = features(found, family), fitted(family.name)
    luts, registers = (
        round(sum(table[what][name] * known[name] for name in FEATURES))
        for what in ("luts", "registers")
    )
    return Area(luts, registers, *counted(found, family))


def counted(found: Contents, family: Family) -> tuple[int, int]:
    """Blocks of memory and multipliers, which are not estimated."""
    blocks = sum(m.blocks(family) for m in found.memories if m.home(family) == "block")
    return blocks, len(found.products) if family.has_multipliers else 0


def features(found: Contents, family: Family) -> dict[str, float]:
    """What logic is estimated from, by FEATURES."""
    homes = [(memory, memory.home(family)) for memory in found.memories]
    products = () if family.has_multipliers else found.products
    return {
        **found.operators,
        "products": sum(a * b for a, b in products),
        "registers": found.registers,
        "tables": sum(memory.words * memory.bits for memory, home in homes if home == "logic"),
        "small": sum(memory.smalls for memory, home in homes if home == "small"),
        "one": 1,
    }


@cache
def fitted(family: str) -> Mapping[str, Mapping[str, float]]:
    """Tables and registers for a unit of each of FEATURES."""
    table: Mapping[str, Mapping[str, float]] = json.loads((FITTED / f"{family}.json").read_text())
    return table


def contents(design: Elaboratable) -> Contents:
    """What `design` and all its parts hold."""
    text = rtlil.convert(design, name="top", emit_src=False)
    bits: Counter[str] = Counter()
    products: list[tuple[int, int]] = []
    registers = 0
    for kind, said in _CELL.findall(text):
        given = {name: int(value) for name, value in _PARAMETER.findall(said)}
        if kind == "mul" and not _CONSTANT.search(said):
            products.append((given["A_WIDTH"], given["B_WIDTH"]))
        elif kind == "dff":
            registers += given["WIDTH"]
        else:
            bits[kind] += max(given.get(name, 0) for name in ("WIDTH", "A_WIDTH", "Y_WIDTH"))
    operators = {name: sum(bits[cell] for cell in cells) for name, cells in KINDS.items()}
    chosen = ((int(high), int(low or high)) for high, low in _CHOSEN.findall(text))
    operators["cases"] = sum(high - low + 1 for high, low in chosen)
    return Contents(tuple(_memories(text)), tuple(products), registers, operators)


def _memories(text: str) -> Iterator[Memory]:
    for module in re.split(r"^module ", text, flags=re.M):
        written = {name.replace("\\\\", "\\") for name in _WRITTEN.findall(module)}
        for is_logic, width, size, name in _MEMORY.findall(module):
            yield Memory(int(size), int(width), name not in written, bool(is_logic))
