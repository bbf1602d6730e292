"""Bytes over two wires: eight bits, no parity, one stop bit."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

BITS = 10  # of a byte, with start and stop


class Receiver(wiring.Component):
    """`pin` is synchronous to the clock; a bit takes `divisor` cycles. A byte that is not taken
    before the next one is complete is lost; so is one without its stop bit.
    """

    def __init__(self, divisor: int) -> None:
        if divisor < 4:
            raise ValueError(f"a bit must take at least 4 cycles, not {divisor}")
        self.divisor = divisor
        super().__init__({"pin": In(1, init=1), "o": Out(stream.Signature(unsigned(8)))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wait, left = Signal(range(2 * self.divisor)), Signal(range(BITS + 1))
        bits = Signal(8)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(left == 0), m.If(~self.pin):  # from here to the middle of the start bit
            m.d.sync += [wait.eq(self.divisor // 2 - 1), left.eq(BITS)]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else():
            m.d.sync += [wait.eq(self.divisor - 1), left.eq(left - 1)]
            with m.If((left == BITS) & self.pin):  # no start bit after all
                m.d.sync += left.eq(0)
            with m.Elif(left == 1):
                m.d.sync += [self.o.payload.eq(bits), self.o.valid.eq(self.pin)]
            with m.Elif(left != BITS):
                m.d.sync += bits.eq(Cat(bits[1:], self.pin))
        return m


class Transmitter(wiring.Component):
    """A bit takes `divisor` cycles."""

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(unsigned(8))), "pin": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        wait, left = Signal(range(self.divisor)), Signal(range(BITS + 1))
        bits = Signal(BITS, init=1)
        m.d.comb += [self.i.ready.eq(left == 0), self.pin.eq(bits[0])]
        with m.If(left == 0), m.If(self.i.valid):
            m.d.sync += [
                bits.eq(Cat(Const(0, 1), self.i.payload, Const(1, 1))),
                left.eq(BITS),
                wait.eq(self.divisor - 1),
            ]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else():
            m.d.sync += [bits.eq(Cat(bits[1:], Const(1, 1))), left.eq(left - 1)]
            m.d.sync += wait.eq(self.divisor - 1)
        return m
