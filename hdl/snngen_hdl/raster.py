"""The order in which a pass visits the words of a layer."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from snngen_hdl.streams import Shape3, index


class Raster(wiring.Component):
    """Where a layer's words lie: row after row, column after column, groups innermost. `next` goes
    on to the word behind, and from the `last` to the first.

    `bank` is one-hot, row after row of them; `address` is that of the word in its bank, as
    `snngen_hdl.scatter` says.
    Counting where a word is needed takes less than carrying its place along with it.
    """

    def __init__(self, shape: Shape3, *, groups: int, banks: int = 1, bank_rows: int = 1) -> None:
        self.shape, self.groups, self.banks, self.bank_rows = shape, groups, banks, bank_rows
        self.depth = -(-shape[1] // bank_rows) * -(-shape[2] // banks) * groups
        super().__init__(
            {
                "next": In(1),
                "y": Out(index(shape[1])),
                "x": Out(index(shape[2])),
                "group": Out(index(groups)),
                "bank": Out(bank_rows * banks, init=1),
                "address": Out(index(self.depth)),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        _, height, width = self.shape
        column_ends = _counts(m, self.group, self.groups, self.next)
        row_ends = _counts(m, self.x, width, column_ends)
        ends = _counts(m, self.y, height, row_ends)
        if self.banks == self.bank_rows == 1:
            _counts(m, self.address, self.depth, self.next)
            m.d.comb += self.last.eq(self.address == self.depth - 1)
            return m
        column, row = Signal(self.banks, init=1), Signal(self.bank_rows, init=1)
        line = Signal.like(self.address)  # where a row of blocks begins
        first = Signal.like(self.address)  # of the groups of a block
        m.d.comb += [
            self.address.eq(first + self.group),
            self.bank.eq(Cat(column & r.replicate(self.banks) for r in row)),
        ]
        with m.If(column_ends):
            m.d.sync += column.eq(Mux(row_ends, 1, column.rotate_left(1)))
        with m.If(row_ends):
            m.d.sync += row.eq(Mux(ends, 1, row.rotate_left(1)))
        below = first + self.groups
        with m.If(ends):
            m.d.sync += [first.eq(0), line.eq(0)]
        with m.Elif(row_ends & row[-1]):
            m.d.sync += [first.eq(below), line.eq(below)]
        with m.Elif(row_ends):
            m.d.sync += first.eq(line)
        with m.Elif(column_ends & column[-1]):
            m.d.sync += first.eq(below)
        last_bank = column[(width - 1) % self.banks] & row[(height - 1) % self.bank_rows]
        m.d.comb += self.last.eq((self.address == self.depth - 1) & last_bank)
        return m


def _counts(m: Module, value: Value, count: int, goes_on: Value) -> Value:
    """`value` counts 0..count - 1 where it `goes_on`; whether it then begins anew."""
    if count == 1:
        return goes_on
    is_last = value == count - 1
    with m.If(goes_on):
        m.d.sync += value.eq(Mux(is_last, 0, value + 1))
    return goes_on & is_last
