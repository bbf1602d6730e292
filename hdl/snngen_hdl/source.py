"""Where events come from: a memory for two images, and a look at each of their bytes at every
timestep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from snngen_hdl.neurons import value_shape
from snngen_hdl.streams import Kind, Shape3, Skid, token

Ints = np.ndarray[Any, np.dtype[np.integer[Any]]]


@dataclass(frozen=True, eq=False)
class SourcePlan:
    """Images of `shape`, one byte per value, channels first or last; byte b of channel c stands for
    `table`[c, b], (C, 256).
    """

    shape: Shape3
    channels_last: bool
    table: Ints
    timesteps: int

    @property
    def count(self) -> int:
        """Of an image's bytes."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def value(self) -> Any:
        """The shape of the number in an event."""
        return value_shape(min(0, int(self.table.min())), max(0, int(self.table.max())))


class ImageSource(wiring.Component):
    """Takes the bytes of an image while it sends the events of the one before: as many timesteps of
    them as the network has. A byte that stands for 0 takes a cycle and sends nothing.

    It begins with an image only where `may_start`, and tells so by `starts`.
    """

    def __init__(self, plan: SourcePlan) -> None:
        self.plan = plan
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(8))),
                "o": Out(stream.Signature(token(plan.shape, plan.value))),
                "may_start": In(1),
                "starts": Out(1),
            }
        )

    def compute(self, image: Ints) -> list[dict[str, Any]]:
        """The tokens of an image (C, H, W)."""
        plan = self.plan
        values = plan.table[np.arange(plan.shape[0])[:, None, None], image]
        axes = (1, 2, 0) if plan.channels_last else (0, 1, 2)
        events = []
        for place in np.argwhere(values.transpose(axes)):
            c, y, x = (int(place[axes.index(k)]) for k in range(3))
            event = {"kind": Kind.EVENT, "value": int(values[c, y, x]), "y": y, "x": x, "c": c}
            events.append(event)
        marker = {"value": 0, "y": 0, "x": 0, "c": 0}
        steps = [*events, marker | {"kind": Kind.STEP}] * (plan.timesteps - 1)
        return [*steps, *events, marker | {"kind": Kind.END}]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        size = plan.count
        m.submodules.images = images = memory.Memory(
            shape=unsigned(8), depth=2 * size, init=[], attrs={"no_rw_check": "1"}
        )
        read, write = images.read_port(), images.write_port()
        m.submodules.out = out = Skid(self.o.payload.shape())
        wiring.connect(m, out.o, wiring.flipped(self.o))

        full = Signal(2)
        filling, at = Signal(), Signal(range(size))
        m.d.comb += [
            self.i.ready.eq(~full.bit_select(filling, 1)),
            write.addr.eq(at + Mux(filling, size, 0)),
            write.data.eq(self.i.payload),
            write.en.eq(self.i.valid & self.i.ready),
        ]
        with m.If(write.en):
            m.d.sync += at.eq(at + 1)
            with m.If(at == size - 1):
                m.d.sync += [at.eq(0), filling.eq(~filling), full.bit_select(filling, 1).eq(1)]

        # Places in the order of the bytes; the marker follows the last one.
        sending, looked = Signal(), Signal(range(size))
        place = Signal(token(plan.shape, plan.value))
        limits = dict(zip("cyx", plan.shape, strict=True))
        order = "cxy" if plan.channels_last else "xyc"  # from the fastest on
        step = Signal(range(max(2, plan.timesteps)))
        marker, advance = Signal(), Signal()
        last_step = step == plan.timesteps - 1
        is_first = (step == 0) & (looked == 0) & ~marker
        scanning = full.bit_select(sending, 1) & (self.may_start | ~is_first)
        m.d.comb += [
            self.starts.eq(advance & scanning & is_first),
            read.addr.eq(looked + Mux(sending, size, 0)),
            read.en.eq(advance),
        ]
        with m.If(advance & scanning):
            carry: Value = Value.cast(~marker)
            for axis in order:
                counter = place[axis]
                ends = counter == limits[axis] - 1
                with m.If(carry):
                    m.d.sync += counter.eq(Mux(ends, 0, counter + 1))
                carry = carry & ends
            m.d.sync += looked.eq(Mux(marker | carry, 0, looked + 1))
            with m.If(marker):
                m.d.sync += [marker.eq(0), step.eq(Mux(last_step, 0, step + 1))]
                with m.If(last_step):
                    m.d.sync += [sending.eq(~sending), full.bit_select(sending, 1).eq(0)]
            with m.Elif(carry):
                m.d.sync += marker.eq(1)

        # One cycle for the byte, one for what it stands for.
        kind = Mux(marker, Mux(last_step, Kind.END, Kind.STEP), Kind.EVENT)
        was, held = Signal(), Signal(place.shape())
        then, late = Signal(), Signal(place.shape())
        with m.If(advance):
            m.d.sync += [was.eq(scanning), held.eq(place), held.kind.eq(kind)]
            m.d.sync += [then.eq(was), late.eq(held)]
        value = self._stands_for(m, read.data, held.c, advance)
        sends = then & ((late.kind != Kind.EVENT) | (value != 0))
        m.d.comb += [
            advance.eq(out.i.ready | ~sends),
            out.i.valid.eq(sends),
            out.i.payload.eq(late),
            out.i.payload.value.eq(value),
        ]
        return m

    def _stands_for(self, m: Module, byte: Value, channel: Value, advance: Value) -> Value:
        """The value of a byte, one cycle later."""
        table = self.plan.table
        if (table == np.arange(256)).all():
            value = Signal(8)
            with m.If(advance):
                m.d.sync += value.eq(byte)
            return value
        same = bool((table == table[:1]).all())
        content = [int(v) for v in (table[:1] if same else table).ravel()]
        m.submodules.values = rom = memory.Memory(
            shape=self.plan.value, depth=len(content), init=content
        )
        port = rom.read_port()
        m.d.comb += [
            port.addr.eq(byte if same else Cat(byte, channel)),
            port.en.eq(advance),
        ]
        return port.data


@dataclass(frozen=True, eq=False)
class ReadoutPlan:
    """Outputs of `shape`, sums of `bits` bits, numbered channels first or last."""

    shape: Shape3
    channels_last: bool
    bits: int
    timesteps: int
    in_flight: int  # images at most between the source and here

    @property
    def count(self) -> int:
        """Of outputs."""
        return self.shape[0] * self.shape[1] * self.shape[2]


class Readout(wiring.Component):
    """For each image: its class, the lowest index of the largest output; the cycles since its first
    byte was looked at; and all outputs. Words of 32 bits.
    """

    def __init__(self, plan: ReadoutPlan, value: Any) -> None:
        self.plan = plan
        super().__init__(
            {
                "i": In(stream.Signature(token(plan.shape, value))),
                "o": Out(stream.Signature(unsigned(32))),
                "starts": In(1),
                "may_start": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        channels, height, width = plan.shape
        count = plan.count
        event = self.i.payload
        place = Signal(range(max(2, count)))
        if plan.channels_last:
            m.d.comb += place.eq((event.y * width + event.x) * channels + event.c)
        else:
            m.d.comb += place.eq((event.c * height + event.y) * width + event.x)
        m.submodules.outputs = outputs = memory.Memory(
            shape=event.value.shape(), depth=max(2, count), init=[]
        )
        read, write = outputs.read_port(), outputs.write_port()
        clock = Signal(32)
        m.submodules.begun = begun = _Times(plan.in_flight)
        m.d.comb += [
            begun.now.eq(clock),
            begun.push.eq(self.starts),
            self.may_start.eq(begun.has_room),
        ]
        m.d.sync += clock.eq(clock + 1)

        best, winner, any_yet = Signal.like(event.value), Signal.like(place), Signal()
        better = (event.value > best) | ((event.value == best) & (place < winner)) | ~any_yet
        taken, sent, ready_word = Signal(32), Signal(range(count + 3)), Signal()
        with m.FSM():
            with m.State("listen"):
                is_event = event.kind == Kind.EVENT
                m.d.comb += [
                    self.i.ready.eq(1),
                    write.addr.eq(place),
                    write.data.eq(event.value),
                    write.en.eq(self.i.valid & is_event),
                ]
                with m.If(self.i.valid & is_event):
                    m.d.sync += any_yet.eq(1)
                    with m.If(better):
                        m.d.sync += [best.eq(event.value), winner.eq(place)]
                with m.If(self.i.valid & ~is_event):
                    m.d.sync += any_yet.eq(0)  # only the last timestep counts
                    with m.If(event.kind == Kind.END):
                        m.d.comb += begun.pop.eq(1)
                        m.d.sync += [taken.eq(clock - begun.oldest), sent.eq(0), ready_word.eq(0)]
                        m.next = "tell"
            with m.State("tell"):
                m.d.comb += [
                    read.addr.eq(sent - 2),
                    self.o.valid.eq(ready_word),
                    self.o.payload.eq(Mux(sent == 0, winner, Mux(sent == 1, taken, read.data))),
                ]
                m.d.sync += ready_word.eq(~(ready_word & self.o.ready))
                with m.If(ready_word & self.o.ready):
                    m.d.sync += sent.eq(sent + 1)
                    with m.If(sent == count + 1):
                        m.next = "listen"
        return m


class _Times(wiring.Component):
    """When the images that are in flight began."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        super().__init__(
            {
                "now": In(32),
                "push": In(1),
                "pop": In(1),
                "oldest": Out(32),
                "has_room": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kept = data.ArrayLayout(32, self.depth)
        times, first, free = Signal(kept), Signal(range(self.depth)), Signal(range(self.depth))
        count = Signal(range(self.depth + 1))
        m.d.comb += [self.oldest.eq(times[first]), self.has_room.eq(count != self.depth)]
        m.d.sync += count.eq(count + self.push - self.pop)
        with m.If(self.push):
            m.d.sync += [
                times[free].eq(self.now),
                free.eq(Mux(free == self.depth - 1, 0, free + 1)),
            ]
        with m.If(self.pop):
            m.d.sync += first.eq(Mux(first == self.depth - 1, 0, first + 1))
        return m
