"""Running counts of what each neuron of a source has sent, for max pooling over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from snngen_hdl.streams import Kind, Shape3, Skid, index, token


class Count(wiring.Component):
    """Every event leaves with the sum of what its neuron has sent since the image began, `most` at
    the most. After the last timestep the counts are cleared, one per cycle.
    """

    def __init__(self, shape: Shape3, value: Any, most: int) -> None:
        self.shape = shape
        self.count = unsigned(max(1, int(most).bit_length()))
        super().__init__(
            {
                "i": In(stream.Signature(token(shape, value))),
                "o": Out(stream.Signature(token(shape, self.count))),
            }
        )

    def compute(self, tokens: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The tokens that leave, for those that come."""
        totals = np.zeros(self.shape, np.int64)
        found = []
        for one in tokens:
            if one["kind"] == Kind.EVENT:
                at = one["c"], one["y"], one["x"]
                totals[at] += one["value"]
                found.append(one | {"value": int(totals[at])})
            else:
                totals *= one["kind"] != Kind.END
                found.append(one)
        return found

    def elaborate(self, platform: object) -> Module:
        m = Module()
        channels, _, width = self.shape
        size = int(np.prod(self.shape))
        m.submodules.counts = counts = memory.Memory(
            shape=self.count, depth=size, init=[], attrs={"no_rw_check": "1"}
        )
        read, write = counts.read_port(), counts.write_port()
        m.submodules.out = out = Skid(self.o.payload.shape())
        wiring.connect(m, out.o, wiring.flipped(self.o))

        # An event is looked up in one cycle and counted in the next; the same neuron does not come
        # again before a marker has passed.
        event = self.i.payload
        clearing, cleared = Signal(), Signal(index(size))
        held, waiting = Signal(event.shape()), Signal()
        at = Signal(index(size))
        advance = Signal()
        place = (event.y * width + event.x) * channels + event.c
        m.d.comb += [
            advance.eq(~waiting | out.i.ready),
            self.i.ready.eq(advance & ~clearing),
            read.addr.eq(place),
            read.en.eq(advance),
            out.i.valid.eq(waiting),
            *(out.i.payload[name].eq(held[name]) for name in ("kind", "y", "x", "c")),
            out.i.payload.value.eq(read.data + held.value),
            write.addr.eq(Mux(clearing, cleared, at)),
            write.data.eq(Mux(clearing, 0, out.i.payload.value)),
            write.en.eq(clearing | (waiting & out.i.ready & (held.kind == Kind.EVENT))),
        ]
        with m.If(advance):
            m.d.sync += [waiting.eq(self.i.valid & ~clearing), held.eq(event), at.eq(place)]
            with m.If(self.i.valid & ~clearing & (event.kind == Kind.END)):
                m.d.sync += clearing.eq(1)
        with m.If(clearing & ~(waiting & (held.kind == Kind.EVENT))):
            m.d.sync += cleared.eq(cleared + 1)
            with m.If(cleared == size - 1):
                m.d.sync += [clearing.eq(0), cleared.eq(0)]
        return m
