"""From words of neurons to events, one for each that sends, and from sums to levels."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from snngen_hdl.neurons import value_shape
from snngen_hdl.scatter import rom_style
from snngen_hdl.streams import Kind, Shape3, Skid, choose, encode, lowest, token

Ints = np.ndarray[Any, np.dtype[np.int64]]


class Serialise(wiring.Component):
    """Words of neurons to events: one per cycle, then the marker if there is one. A word in which
    nothing sends takes a cycle.

    `place`: the layout of where a word lies, with its marker; `values`: that of its lanes' values.
    """

    def __init__(
        self, shape: Shape3, lanes: int, place: data.StructLayout, values: data.ArrayLayout
    ) -> None:
        self.lanes = lanes
        self.token = token(shape, values.elem_shape)
        word = data.StructLayout({"place": place, "sends": lanes, "value": values})
        super().__init__({"i": In(stream.Signature(word)), "o": Out(stream.Signature(self.token))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = Signal(self.i.payload.shape())
        left = Signal(self.lanes + 1)  # events still to be sent; above them the marker
        one = Signal(self.lanes + 1)
        advance, is_last = Signal(), Signal()
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            one.eq(lowest(left)),
            is_last.eq((left & ~one) == 0),
            self.i.ready.eq((left == 0) | (advance & is_last)),
        ]
        with m.If(self.i.valid & self.i.ready):
            is_marker = self.i.payload.place.kind != Kind.EVENT
            m.d.sync += [word.eq(self.i.payload), left.eq(Cat(self.i.payload.sends, is_marker))]
        with m.Elif(advance):
            m.d.sync += left.eq(left & ~one)
        place = word.place
        values = [Value.cast(word.value[k]) for k in range(self.lanes)]
        lane = encode(one[: self.lanes])
        with m.If(advance):
            m.d.sync += [
                self.o.valid.eq(left.any()),
                self.o.payload.kind.eq(Mux(one[-1], place.kind, Kind.EVENT)),
                self.o.payload.y.eq(place.y),
                self.o.payload.x.eq(place.x),
                self.o.payload.c.eq(
                    place.group if self.lanes == 1 else place.group * self.lanes + lane
                ),
                Value.cast(self.o.payload.value).eq(choose(one[: self.lanes], values)),
            ]
        return m


class Search(wiring.Component):
    """Sums to levels: `lowest` + how many of the channel's sorted thresholds a sum has reached. A
    binary search, a stage for each bit of the level; one event per cycle.
    """

    def __init__(self, shape: Shape3, sums: Shape, thresholds: Ints, lowest_level: int) -> None:
        """`thresholds` (C, N)."""
        self.lowest, self._exact = lowest_level, thresholds
        channels, levels = thresholds.shape
        self.stages = max(1, int(levels).bit_length())
        unreachable = (1 << (sums.width - 1)) - 1  # a number above every sum
        padded = np.full((channels, (1 << self.stages) - 1), unreachable + 1, np.int64)
        padded[:, :levels] = np.minimum(thresholds, unreachable + 1)
        self.thresholds = np.maximum(padded, -unreachable - 1)
        self.value = value_shape(min(lowest_level, 0), lowest_level + levels)
        super().__init__(
            {
                "i": In(stream.Signature(token(shape, sums))),
                "o": Out(stream.Signature(token(shape, self.value))),
            }
        )

    def compute(self, channel: int, total: int) -> int:
        """The level of a sum."""
        return self.lowest + int((total >= self._exact[channel]).sum())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.out = out = Skid(self.o.payload.shape())
        wiring.connect(m, out.o, wiring.flipped(self.o))
        advance = Signal()  # the whole search: its last stage can go on
        event, valid, found = self.i.payload, self.i.valid, None
        m.d.comb += self.i.ready.eq(advance)
        for stage in range(self.stages):
            step = 1 << (self.stages - 1 - stage)
            rows = self.thresholds[:, step - 1 :: 2 * step]  # (C, 2 ** stage)
            content = [int(v) for v in rows.ravel()]
            shape = value_shape(min(content), max(content))
            m.submodules[f"thresholds{stage}"] = rom = memory.Memory(
                shape=shape, depth=len(content), init=content, attrs=rom_style(shape, len(content))
            )
            port = rom.read_port()
            at = event.c if found is None else Cat(found, event.c)
            m.d.comb += [port.addr.eq(at), port.en.eq(advance)]
            before, arriving, so_far = event, valid, found
            event = Signal(before.shape(), name=f"event{stage}", reset_less=True)
            valid = Signal(name=f"valid{stage}")
            with m.If(advance):
                m.d.sync += [event.eq(before), valid.eq(arriving)]
            found = event.value >= port.data
            if so_far is not None:
                kept = Signal(len(so_far), name=f"found{stage}", reset_less=True)
                with m.If(advance):
                    m.d.sync += kept.eq(so_far)
                found = Cat(found, kept)
        m.d.comb += [
            advance.eq(out.i.ready | ~valid),
            out.i.valid.eq(valid),
            out.i.payload.kind.eq(event.kind),
            out.i.payload.y.eq(event.y),
            out.i.payload.x.eq(event.x),
            out.i.payload.c.eq(event.c),
            out.i.payload.value.eq(found + self.lowest),
        ]
        return m
