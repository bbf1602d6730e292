"""Families of FPGAs: what they are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Area:
    """Of an FPGA: tables, registers, blocks of memory, multipliers."""

    luts: int = 0
    registers: int = 0
    blocks: int = 0
    multipliers: int = 0

    @property
    def numbers(self) -> tuple[int, ...]:
        return astuple(self)

    def __add__(self, other: Area) -> Area:
        return Area(*(a + b for a, b in zip(self.numbers, other.numbers, strict=True)))


@dataclass(frozen=True)
class Family:
    """Of FPGAs. `blocks`: how a block of memory can be laid out, words and bits; `block_cost`, what
    it counts beside logic. `has_small`: whether tables can be memories. `lone_registers`: the share
    of registers that take a cell with a table for themselves, as nextpnr was seen to pack them.
    """

    name: str
    blocks: tuple[tuple[int, int], ...]
    block_cost: float
    has_small: bool
    has_multipliers: bool
    lone_registers: float


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("ice40", ((256, 16), (512, 8), (1024, 4), (2048, 2)), 64, False, False, 0.63),
        Family(
            "ecp5",
            ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)),
            128,
            True,
            True,
            0.0,
        ),
    )
}
