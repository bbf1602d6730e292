"""What travels between cores, and the small parts that streams are joined with.

A link is one stream of tokens: events of a timestep in any order, then the marker that ends it. So
order and back-pressure come with the stream; nothing is ever dropped, and no counter of spikes is
needed.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal, Value, unsigned
from amaranth.lib import data, enum, fifo, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

Shape3 = tuple[int, int, int]  # (C, H, W)


class Kind(enum.Enum, shape=2):
    """Of a token. END ends the last timestep of an image: neurons return to their initial state."""

    EVENT = 0
    STEP = 1
    END = 2


def index(count: int) -> unsigned:
    """The shape of a number in 0..count - 1; one bit at least."""
    return unsigned(bits_for(max(1, count - 1)))


def token(shape: Shape3, value: ShapeLike) -> data.StructLayout:
    """Neuron (c, y, x) of a layer of `shape` sends `value`, which is not 0; without meaning in a
    marker.
    """
    channels, height, width = shape
    return data.StructLayout(
        {
            "kind": Kind,
            "value": value,
            "y": index(height),
            "x": index(width),
            "c": index(channels),
        }
    )


class Skid(wiring.Component):
    """Two places, so that neither `ready` nor `valid` passes through combinationally.

    One token per cycle; latency 1.
    """

    def __init__(self, shape: ShapeLike) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        waiting = Signal()
        kept = Signal(self.i.payload.shape())
        m.d.comb += self.i.ready.eq(~waiting)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(waiting | self.i.valid),
                self.o.payload.eq(Mux(waiting, Value.cast(kept), Value.cast(self.i.payload))),
                waiting.eq(0),
            ]
        with m.Elif(self.i.valid & ~waiting):
            m.d.sync += [kept.eq(self.i.payload), waiting.eq(1)]
        return m


class Queue(wiring.Component):
    """A first-in, first-out buffer of `depth` tokens."""

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        self.depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self.depth <= 2:
            m.submodules.skid = skid = Skid(self.i.payload.shape())
            wiring.connect(m, wiring.flipped(self.i), skid.i)
            wiring.connect(m, skid.o, wiring.flipped(self.o))
            return m
        width = len(Value.cast(self.i.payload))
        # SyncFIFOBuffered keeps all but one of its words in a memory: 16 are one LUT's worth
        m.submodules.fifo = queue = fifo.SyncFIFOBuffered(width=width, depth=self.depth + 1)
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
        ]
        return m


class Fork(wiring.Component):
    """Hands every token to each of `count` readers, at whatever pace these take it."""

    def __init__(self, shape: ShapeLike, count: int) -> None:
        self.count = count
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)).array(count),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        taken = Signal(self.count)  # by readers that were faster than others
        served = Signal(self.count)
        m.d.comb += [
            served.eq(taken | Cat(o.ready for o in self.o)),
            self.i.ready.eq(served.all()),
        ]
        with m.If(self.i.valid):
            m.d.sync += taken.eq(Mux(served.all(), 0, served))
        for k, o in enumerate(self.o):
            m.d.comb += [o.valid.eq(self.i.valid & ~taken[k]), o.payload.eq(self.i.payload)]
        return m


def lowest(bits: Value) -> Value:
    """One-hot: the lowest bit set. Two levels of logic where `x & -x` has a carry chain."""
    return Cat(bit & ~bits[:k].any() if k else bit for k, bit in enumerate(bits))


def encode(one_hot: Value) -> Value:
    """The place of the bit that is set."""
    width = bits_for(max(1, len(one_hot) - 1))
    return Cat(Cat(bit for k, bit in enumerate(one_hot) if k >> b & 1).any() for b in range(width))


def choose(one_hot: Value, values: list[Value]) -> Value:
    """The value whose bit is set."""
    chosen = values[0] & one_hot[0].replicate(len(values[0]))
    for bit, value in zip(one_hot[1:], values[1:], strict=True):
        chosen = chosen | (value & bit.replicate(len(value)))
    return chosen


class Stutter(wiring.Component):
    """Lets tokens pass at random moments only: for tests, every link slow in its own way."""

    def __init__(self, shape: ShapeLike, seed: int) -> None:
        self.seed = seed
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        noise = Signal(16, init=self.seed * 40503 % 65535 + 1)  # x^16 + x^14 + x^13 + x^11 + 1
        is_open = Signal()  # until a token has passed: what is valid stays valid
        m.d.sync += noise.eq(Cat(noise[15] ^ noise[13] ^ noise[12] ^ noise[10], noise))
        with m.If(~is_open | (self.i.valid & self.o.ready)):
            m.d.sync += is_open.eq(noise[:2] == 0)
        m.d.comb += [
            self.o.valid.eq(self.i.valid & is_open),
            self.i.ready.eq(self.o.ready & is_open),
            self.o.payload.eq(self.i.payload),
        ]
        return m
