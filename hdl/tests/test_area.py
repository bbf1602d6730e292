"""What hardware takes, before synthesis: memories where yosys puts them, and what fits a board."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from snngen.errors import ConversionError
from snngen.targets.hdl.area import Memory, contents, counted
from snngen.targets.hdl.boards import BOARDS
from snngen.targets.hdl.family import FAMILIES, Area
from snngen.targets.hdl.layout import lay_out
from snngen.targets.hdl.plan import Fold
from tests.networks import level_showcase


class Stores(wiring.Component):
    """A memory that is written, one that is not, one that is asked for as logic, and a product."""

    def __init__(self) -> None:
        super().__init__({"at": In(9), "given": In(8), "found": Out(16)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.kept = kept = memory.Memory(shape=unsigned(8), depth=300, init=[])
        m.submodules.table = table = memory.Memory(shape=unsigned(8), depth=512, init=[1, 2])
        m.submodules.small = small = memory.Memory(
            shape=unsigned(4), depth=8, init=[], attrs={"ram_style": "logic"}
        )
        read, write, port, few = (
            kept.read_port(),
            kept.write_port(),
            table.read_port(),
            small.read_port(),
        )
        product = Signal(16)
        m.d.comb += [
            read.addr.eq(self.at),
            port.addr.eq(self.at),
            few.addr.eq(self.at),
            write.addr.eq(self.at),
            write.data.eq(self.given),
            write.en.eq(1),
            product.eq(read.data * port.data),
        ]
        m.d.sync += self.found.eq(product + few.data)
        return m


def test_contents_of_a_design() -> None:
    found = contents(Stores())
    assert sorted(found.memories, key=lambda m: m.words) == [
        Memory(8, 4, is_rom=True, is_logic=True),
        Memory(300, 8, is_rom=False, is_logic=False),
        Memory(512, 8, is_rom=True, is_logic=False),
    ]
    assert found.products == ((8, 8),) and found.registers == 16
    assert found.operators["adds"] >= 16
    assert counted(found, FAMILIES["ice40"]) == (2, 0)
    assert counted(found, FAMILIES["ecp5"]) == (2, 1)


@pytest.mark.parametrize(
    ("words", "bits", "is_rom", "ice40", "ecp5"),
    [
        (16, 44, True, "logic", "logic"),
        (16, 68, False, "block", "small"),
        (192, 32, True, "block", "block"),
        (256, 4, False, "block", "small"),
        (512, 5, False, "block", "block"),
        (2, 3, False, "logic", "small"),
    ],
)
def test_where_memories_go(words: int, bits: int, is_rom: bool, ice40: str, ecp5: str) -> None:
    """As yosys was seen to place them."""
    memory = Memory(words, bits, is_rom, is_logic=False)
    assert (memory.home(FAMILIES["ice40"]), memory.home(FAMILIES["ecp5"])) == (ice40, ecp5)


def test_the_slowest_layer_gets_more() -> None:
    net = level_showcase()
    small, large = lay_out(net, BOARDS["hx8k_evn"]), lay_out(net, BOARDS["generic"])
    assert small.folds.keys() == {layer.name for layer in net.layers}
    assert large.period < small.period
    for layout in (small, large):
        has = layout.board.has.numbers
        assert all(used <= there for used, there in zip(layout.area.numbers, has, strict=True))
        slowest = max(layout.cycles, key=lambda name: layout.cycles[name].additions)
        assert layout.folds[slowest] != Fold() or net[slowest].is_wiring


def test_what_does_not_fit_is_told() -> None:
    net = level_showcase()
    board = BOARDS["hx8k_evn"]
    tiny = type(board)(board.name, board.chip, board.family, Area(900, 900, 4), 2)
    with pytest.raises(ConversionError, match="board hx8k_evn: has no room") as caught:
        lay_out(net, tiny)
    (problem,) = caught.value.problems
    assert " of 873; " in problem.found and "'" in problem.rule
    assert np.isfinite(lay_out(net, board).period)
