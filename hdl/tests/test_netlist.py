"""What synthesis makes of a chip, and the models of cells that it is simulated with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
from amaranth.hdl import Cat, Elaboratable, Module, Signal, Value, unsigned
from amaranth.lib.memory import Memory
from snngen_hdl.chip import ChipPlan
from snngen_hdl.watch import plain_bus

from snngen.errors import ConversionError, ToolError
from snngen.fixed import FixedNet
from snngen.neurons import Accumulate, Level
from snngen.ops import Conv, Linear, Window
from snngen.resources import resource_dir
from snngen.spiking import INPUT
from snngen.targets.hdl import netlist_check
from snngen.targets.hdl.boards import BOARDS
from snngen.targets.hdl.netlist import NETLIST, SYNTHESISED, Netlist, cells_of, netlist_of
from snngen.targets.hdl.netlist_check import answers_of, verify_netlist
from snngen.targets.hdl.plan import Fold
from snngen.targets.hdl.simulation import Answers, verilog_of_chip
from snngen.verify import verify
from tests.chips import planned, small
from tests.networks import Builder, fixed_input, level_showcase, random_images, spiking_showcase

Change = Callable[[str], str]


def tiny() -> FixedNet:
    rng = np.random.default_rng(4)
    builder = Builder(fixed_input(rng, (1, 4, 4), "HWC", 0, 40), 1)
    conv = Conv(rng.integers(1, 8, (2, 1, 2, 2)), Window((2, 2)))
    builder.add("conv", [(INPUT, conv)], None, Level(np.array([[200], [300]])))
    dense = Linear(rng.integers(-7, 8, (2, 2, 3, 3)))
    builder.add("dense", [("conv", dense)], rng.integers(-9, 10, 2), Accumulate())
    return builder.finish()


def smallest(net: FixedNet) -> ChipPlan:
    return planned(net, Fold(), stutters=False, depth=2)


def changed(netlist: Netlist, change: Change) -> Netlist:
    return replace(
        netlist,
        files={**netlist.files, NETLIST: change(netlist.files[NETLIST].decode()).encode()},
    )


def bit_of(memory: str) -> Change:
    """Changes the last known bit of the first words in a block that holds a part of `memory`."""

    def change(text: str) -> str:
        blocks = re.finditer(r"^  (?:SB_RAM40_4K|DP16KD) #\((?:\n    .*)+\n  \) (\S+)", text, re.M)
        begin = next(block.start() for block in blocks if f".{memory}." in block[1])
        found = re.compile(r"INIT(?:VAL_0|_)0\(\d+'[bh][0-9a-fx]*([0-9a-f])x*\)").search(
            text, begin
        )
        assert found is not None
        return text[: found.start(1)] + f"{int(found[1], 16) ^ 1:x}" + text[found.end(1) :]

    return change


def table(text: str) -> str:
    """One table of those that a neuron's arithmetic takes."""
    found = list(re.finditer(r"INIT\(16'h([0-9a-f]{4})\)", text))
    place = found[len(found) // 2]
    return text[: place.start(1)] + f"{int(place[1], 16) ^ 0xFFFF:04x}" + text[place.end(1) :]


# --- Chips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "board", "fault"),
    [
        (tiny, "hx8k_evn", bit_of("values")),
        (tiny, "ulx3s_85f", None),
        pytest.param(tiny, "ulx3s_85f", table, marks=pytest.mark.slow),
        pytest.param(
            level_showcase, "hx8k_evn", bit_of("synapse0_weights"), marks=pytest.mark.slow
        ),
        pytest.param(
            level_showcase, "ulx3s_85f", bit_of("synapse0_weights"), marks=pytest.mark.slow
        ),
    ],
)
def test_a_chip_and_a_fault_in_it(make, board, fault, require, monkeypatch) -> None:
    require("verilator")
    net = make()
    given = netlist_of(smallest(net), BOARDS[board])
    images = random_images(net, 60)  # not every one meets the fault
    chip = answers_of(net, images, {"top.v": given.design}, given.options)

    def answers(net, images, files, *others) -> Answers:
        return chip if "top.v" in files else answers_of(net, images, files, *others)

    monkeypatch.setattr(netlist_check, "answers_of", answers)
    monkeypatch.setattr(netlist_check, "lay_out", lambda net, board: SimpleNamespace(plan=None))
    monkeypatch.setattr(netlist_check, "netlist_of", lambda plan, board, stage: given)
    result = verify_netlist(net, images, on=board)
    assert result.is_equal and "class, outputs and cycles equal on 60 images" in str(result)
    assert result.cells["SB_LUT4" if board == "hx8k_evn" else "LUT4"] > 100
    if fault is not None:
        given = changed(given, fault)
        result = verify_netlist(net, images, on=board)
        assert re.search(r"differs: image \d+: (output|class|cycle|no answer)", str(result))


def test_boards_without_a_netlist() -> None:
    net = small()
    images = random_images(net, 1)
    for on, stage, wrong in [
        (None, SYNTHESISED, "synthesised needs one of the boards icebreaker, hx8k_evn"),
        ("ulx3s_85f", "routed", "routed needs one of the boards hx8k_evn"),
        ("hx8k_evn", "mapped", "must be one of synthesised, routed"),
    ]:
        with pytest.raises(ConversionError, match=wrong):
            verify_netlist(net, images, on=on, stage=stage)


def test_the_first_difference() -> None:
    outputs = np.array([[3, 9], [8, 2]])
    right = Answers(np.array([1, 0]), np.array([70, 80]), outputs, np.array([100, 200]))
    for wrong, said in [
        (right, None),
        (replace(right, outputs=np.array([[3, 9], [8, 3]])), "image 1: output 1 expected 2, got 3"),
        (replace(right, classes=np.array([0, 0])), "image 0: class expected 1, got 0"),
        (replace(right, cycles=np.array([70, 81])), "image 1: cycles expected 80, got 81"),
        (
            replace(right, at=np.array([101, 200])),
            "image 0: cycle of the answer expected 100, got 101",
        ),
        (replace(right, at=right.at[:1]), "image 1: no answer"),
    ]:
        assert netlist_check.first_difference(outputs, right, wrong) == said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "board", "stage"),
    [
        (small, "hx8k_evn", "routed"),
        (spiking_showcase, "ulx3s_85f", SYNTHESISED),
        (spiking_showcase, "hx8k_evn", "routed"),
    ],
)
def test_other_chips(make: Callable[[], FixedNet], board: str, stage: str) -> None:
    net = make()
    assert verify_netlist(net, random_images(net, 30), on=board, stage=stage).is_equal
    assert verify(net, random_images(net, 3), target="hdl", on=board).is_equal


# --- Models of cells -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Ram:
    """`apart`: what is read is never what is written in the same cycle, and yosys is told so.
    `same_address`: for both, and what is read is new if it `is_transparent`, else old.
    """

    words: int
    bits: int
    granularity: int = 0
    is_rom: bool = False
    apart: bool = False
    same_address: bool = False
    is_transparent: bool = False


class Zoo(Elaboratable):
    """Memories and products at random inputs, on the bus of a chip: it takes whatever comes, and
    its outputs are a checksum of all that they ever gave.
    """

    def __init__(self, memories: list[Ram], products: list[tuple[int, bool, int, bool]]) -> None:
        self._memories, self._products = memories, products
        self.bus = plain_bus()

    @property
    def ports(self) -> list[Signal]:
        return list(self.bus.values())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state, checksum = Signal(64, init=0x9E3779B97F4A7C15), Signal(32)
        mixed: Value = state
        for shift in (13, -7, 17):
            moved = mixed << shift if shift > 0 else mixed >> -shift
            mixed = (mixed ^ moved)[:64]
        m.d.sync += state.eq(mixed ^ self.bus["in_data"])
        found: Value = checksum.rotate_left(1)
        for k, ram in enumerate(self._memories):
            found = found ^ self._memory(m, k, ram, state.rotate_left(11 * k))
        for k, (a, a_signed, b, b_signed) in enumerate(self._products):
            factors = state.rotate_left(7 * k)
            left = factors[:a].as_signed() if a_signed else factors[:a]
            right = factors[20 : 20 + b].as_signed() if b_signed else factors[20 : 20 + b]
            product = left * right
            found = found ^ Value.cast(product).as_unsigned()[:32] ^ product[-4:]
        m.d.sync += checksum.eq(found)
        m.d.comb += [
            self.bus["in_ready"].eq(1),
            self.bus["out_valid"].eq(1),
            self.bus["out_data"].eq(checksum),
        ]
        return m

    def _memory(self, m: Module, number: int, ram: Ram, random: Value) -> Value:
        attributes = {"ram_style": "block"} | ({"no_rw_check": "1"} if ram.apart else {})
        init = np.random.default_rng(number).integers(0, 2**ram.bits, ram.words, dtype=np.uint64)
        m.submodules[f"memory{number}"] = memory = Memory(
            shape=unsigned(ram.bits), depth=ram.words, init=init.tolist(), attrs=attributes
        )
        write = None if ram.is_rom else memory.write_port(granularity=ram.granularity or None)
        read = memory.read_port(transparent_for=[write] if ram.is_transparent else [])
        at = random[: len(read.addr)]
        m.d.comb += [read.addr.eq(at), read.en.eq(random[40:42] != 0)]
        if write is not None:
            to = at if ram.same_address else random[17 : 17 + len(read.addr)]
            m.d.comb += [
                write.addr.eq(Cat(~at[0], to[1:]) if ram.apart else to),
                write.data.eq(Cat(random[24:], random[:24])),
                write.en.eq(Cat(random[43:], random[:43]) if ram.granularity else random[43]),
            ]
        return read.data[:32] ^ read.data[32:]


ICE40 = [Ram(256, 16), Ram(512, 8, apart=True), Ram(1024, 4), Ram(2048, 2, apart=True)]
ICE40 += [Ram(256, 16, granularity=4), Ram(300, 20, is_rom=True), Ram(2048, 2, is_rom=True)]
ECP5 = [Ram(16384 // bits, bits + bits // 8, apart=bits % 4 == 1) for bits in (1, 2, 4, 8, 16, 32)]
ECP5 += [Ram(512, 36, granularity=9), Ram(1024, 18, granularity=9, apart=True)]
ECP5 += [Ram(16384 // b, b + b // 8, is_rom=True) for b in (1, 2, 4, 8, 16, 32)]
ECP5 += [Ram(16384 // b, b + b // 8, same_address=True) for b in (1, 2, 4, 8, 16)]
ECP5 += [Ram(4096, 4, same_address=True, is_transparent=True)]
ECP5 += [Ram(1024, 18, 9, same_address=True, is_transparent=True)]
PRODUCTS = [
    (18, True, 18, True),
    (18, False, 18, False),
    (18, True, 12, False),
    (9, False, 9, True),
]


def both(board: str, zoo: Zoo) -> tuple[Netlist, np.ndarray, np.ndarray]:
    """What a zoo tells as it is written, and as cells."""
    net = tiny()
    netlist = cells_of(verilog_of_chip(zoo), BOARDS[board], SYNTHESISED)
    images = random_images(net, 2000)
    expected = answers_of(net, images, {"top.v": netlist.design}, netlist.options)
    return (
        netlist,
        expected.outputs,
        answers_of(net, images, netlist.files, netlist.options).outputs,
    )


@pytest.mark.slow
def test_memories_of_ice40(require) -> None:
    require("verilator")
    netlist, expected, got = both("hx8k_evn", Zoo(ICE40, []))
    modes = set(re.findall(r"READ_MODE\(2'h(\d)\)", netlist.files[NETLIST].decode()))
    assert netlist.cells["SB_RAM40_4K"] >= len(ICE40) and modes == set("0123")
    assert np.array_equal(expected, got)


@pytest.mark.slow
def test_memories_and_products_of_ecp5(require) -> None:
    require("verilator")
    netlist, expected, got = both("ulx3s_85f", Zoo(ECP5, PRODUCTS))
    text = netlist.files[NETLIST].decode()
    assert netlist.cells["DP16KD"] >= len(ECP5) and netlist.cells["MULT18X18D"] >= len(PRODUCTS)
    for port, widths in (("A", {1, 2, 4, 9, 18, 36}), ("B", {1, 2, 4, 9, 18, 36})):
        found = re.findall(rf"DATA_WIDTH_{port}\(32'd(\d+)\)", text)
        assert {int(width) for width in found} == widths
    wrong = netlist.files["ecp5_cells.v"].replace(b"+ 4 * at[2]", b"+ 4 * at[3]")
    files = {**netlist.files, "ecp5_cells.v": wrong}
    found = answers_of(tiny(), random_images(tiny(), 2000), files, netlist.options)
    assert not np.array_equal(expected, found.outputs)
    assert set(re.findall(r"WRITEMODE_.\(\"(\w+)\"", text)) == {"READBEFOREWRITE"}
    assert np.array_equal(expected, got)


BUS = """
module top(input clk, rst, input [7:0] in_data, input in_valid, output in_ready,
    output [31:0] out_data, output out_valid, input out_ready);
    assign out_valid = 1;
    %s
endmodule
"""


@pytest.mark.parametrize(
    ("cell", "wrong"),
    [
        ('DP16KD #(.REGMODE_A("OUTREG")) x();', "with_registers_is_not_modelled"),
        ('DP16KD #(.CLKBMUX("INV")) x();', "inverted_clock_is_not_modelled"),
        ('DP16KD #(.CSDECODE_A("0b001")) x();', "CSDECODE_is_not_modelled"),
        ("DP16KD #(.DATA_WIDTH_A(5)) x();", "width_is_not_modelled"),
        ('DP16KD #(.WRITEMODE_A("WRITETHROUGH")) x();', "WRITEMODE_is_not_modelled"),
        ("DP16KD #(.WID(1)) x();", "WID"),
        ('MULT18X18D #(.REG_OUTPUT_CLK("CLK0")) x();', "with_registers_is_not_modelled"),
        ("MULT18X18D x(.CLK0(clk));", "CLK0"),
    ],
)
def test_what_the_models_do_not_do(cell: str, wrong: str, require) -> None:
    require("verilator")
    net = tiny()
    models = (resource_dir("templates") / "hdl" / "ecp5_cells.v").read_bytes()
    with pytest.raises(ToolError, match=wrong):
        answers_of(net, random_images(net, 1), {"top.v": (BUS % cell).encode(), "cells.v": models})


@pytest.mark.slow
def test_resets_stop_the_simulation(require) -> None:
    require("verilator")
    net = tiny()
    models = (resource_dir("templates") / "hdl" / "ecp5_cells.v").read_bytes()
    design = BUS % "DP16KD x(.CLKA(clk), .RSTA(1'b1));"
    with pytest.raises(ToolError, match="reset and chip select are not modelled"):
        answers_of(net, random_images(net, 1), {"top.v": design.encode(), "cells.v": models})
