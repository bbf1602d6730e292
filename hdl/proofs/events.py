"""What the parts that look into tokens must do: words to events, sums to levels, running counts,
events to additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data
from snngen_hdl.counts import Count
from snngen_hdl.emit import Search, Serialise
from snngen_hdl.routes import Routes
from snngen_hdl.scatter import Scatter
from snngen_hdl.streams import Kind, Shape3, index

from hdl.proofs.engine import Claims
from hdl.proofs.streams import Passes, StreamClaims


def is_token(claims: Claims, token: Any, shape: Shape3) -> None:
    """Assumes that `token` is one of a layer of that shape."""
    claims.assume(Value.cast(token.kind) <= Kind.END.value)
    for name, size in zip("cyx", shape, strict=True):
        claims.assume(token[name] < size)


def alike(layout: data.StructLayout, found: Value, due: Value) -> Value:
    """Whether two tokens say the same: in markers, nothing but the kind has a meaning."""
    a, b = data.View(layout, found), data.View(layout, due)
    kinds = Value.cast(a.kind), Value.cast(b.kind)
    return (kinds[0] == kinds[1]) & ((found == due) | (kinds[0] != Kind.EVENT.value))


class Searches(Passes):
    """A sum leaves as `lowest` + how many of its channel's thresholds it has reached."""

    def __init__(self, bits: int, thresholds: Any, lowest: int) -> None:
        shape = (len(thresholds), 1, 1)
        self.thresholds, self.lowest = thresholds, lowest
        stages = int(thresholds.shape[1]).bit_length()
        super().__init__(
            lambda: Search(shape, signed(bits), thresholds, lowest),
            most=2 * stages + 2,
            least=2,
            latency=2 * stages + 1,
        )

    def becomes(self, part: Any, comes: Value, token: Value) -> Value:
        is_token(self, part.i.payload, (len(self.thresholds), 1, 1))
        event = part.i.payload
        due = Signal(part.o.payload.shape(), name="due")
        bits = signed(len(event.value) + 1)
        of_channel = [
            Array(Const(int(t), bits) for t in column)[event.c] for column in self.thresholds.T
        ]
        reached = sum((event.value >= t for t in of_channel), Const(0))
        self.m.d.comb += [due[name].eq(event[name]) for name in ("kind", "c", "y", "x")]
        self.m.d.comb += due.value.eq(self.lowest + reached)
        return Value.cast(due)

    def alike(self, part: Any, found: Value, due: Value) -> Value:
        return alike(part.o.payload.shape(), found, due)


class Counts(Passes):
    """An event leaves with what its neuron has sent since the image began."""

    def __init__(self, shape: Shape3, most: int) -> None:
        self.shape, self.limit = shape, most
        super().__init__(lambda: Count(shape, unsigned(1), most), most=3, latency=1)

    def becomes(self, part: Any, comes: Value, token: Value) -> Value:
        m, event = self.m, part.i.payload
        is_token(self, event, self.shape)
        size = int(np.prod(self.shape))
        _, height, width = self.shape
        counts = Array(Signal(part.count, name=f"count{k}") for k in range(size))
        sent = Array(Signal(name=f"sent{k}") for k in range(size))  # in this timestep
        place = Signal(index(size), name="place")
        m.d.comb += place.eq((event.c * height + event.y) * width + event.x)
        is_event = event.kind == Kind.EVENT
        total = counts[place] + event.value
        self.assume(~(comes & is_event) | (~sent[place] & (total <= self.limit)))
        with m.If(comes & is_event):
            m.d.sync += [counts[place].eq(total), sent[place].eq(1)]
        with m.Elif(comes):
            m.d.sync += [s.eq(0) for s in sent]
            with m.If(event.kind == Kind.END):
                m.d.sync += [c.eq(0) for c in counts]
        due = Signal(part.o.payload.shape(), name="due")
        m.d.comb += [due[name].eq(event[name]) for name in ("kind", "c", "y", "x")]
        m.d.comb += due.value.eq(total)
        return Value.cast(due)

    def alike(self, part: Any, found: Value, due: Value) -> Value:
        return alike(part.o.payload.shape(), found, due)


class Serialises(StreamClaims):
    """Of every word, the lanes that send leave as events, in order; then the marker."""

    def __init__(self, shape: Shape3, lanes: int) -> None:
        super().__init__()
        self.shape, self.lanes = shape, lanes
        groups = -(-shape[0] // lanes)
        place = {"kind": Kind, "y": index(shape[1]), "x": index(shape[2]), "group": index(groups)}
        self.place = data.StructLayout(place)

    def state(self, m: Module) -> None:
        m.submodules.core = part = Serialise(
            self.shape, self.lanes, self.place, data.ArrayLayout(unsigned(2), self.lanes)
        )
        layout = part.i.payload.shape()
        comes, word = self.give(part.i)
        self.assume(Value.cast(part.i.payload.place.kind) <= Kind.END.value)
        goes, found = self.take(part.o)
        held = [Signal(layout, name=f"held{k}") for k in range(2)]
        left = [Signal(self.lanes + 1, name=f"left{k}") for k in range(2)]  # of each, to be sent
        first = Mux(left[0] != 0, Value.cast(held[0]), Value.cast(held[1]))
        open_ = Mux(left[0] != 0, left[0], left[1])
        after = [Signal(self.lanes + 1, name=f"after{k}") for k in range(2)]
        due = Signal(part.o.payload.shape(), name="due")
        sent = Signal(self.lanes + 1)
        event = data.View(layout, first)
        with m.If(open_[self.lanes]):
            m.d.comb += [due.kind.eq(event.place.kind), sent.eq(1 << self.lanes)]
        for k in reversed(range(self.lanes)):
            with m.If(open_[k]):
                m.d.comb += [
                    sent.eq(1 << k),
                    due.kind.eq(Kind.EVENT),
                    due.c.eq(event.place.group * self.lanes + k),
                    due.y.eq(event.place.y),
                    due.x.eq(event.place.x),
                    due.value.eq(event.value[k]),
                ]
        taken = Mux(goes, sent, 0)
        m.d.comb += [
            after[0].eq(left[0] & ~taken),
            after[1].eq(Mux(left[0] == 0, left[1] & ~taken, left[1])),
        ]
        marker = part.i.payload.place.kind != Kind.EVENT
        m.d.sync += [a.eq(b) for a, b in zip(left, after, strict=True)]
        with m.If(comes):
            news = Cat(part.i.payload.sends, marker)
            m.d.sync += [held[1].eq(word), left[1].eq(news)]
            with m.If(after[0] == 0):
                m.d.sync += [held[0].eq(held[1]), left[0].eq(after[1])]
        self.claim("it holds no more than two words", ~comes | (after[0] == 0) | (after[1] == 0))
        self.claim("nothing is invented", ~goes | (open_ != 0))
        event_layout = part.o.payload.shape()
        self.claim(
            "the right event, in order",
            ~(goes & (open_ != 0)) | alike(event_layout, found, Value.cast(due)),
        )
        self.soon("nothing is lost", open_ != 0, part.o.valid, 1)
        self.reaches("a word's last event", goes & (sent == 1 << self.lanes) & (left[1] != 0))


class Scatters(StreamClaims):
    """An event leaves as the operations that `Scatter.compute` lists, in order; a marker as one."""

    def __init__(self, routes: Routes, **sizes: int) -> None:
        """`sizes`: those that `Scatter` takes."""
        super().__init__()
        self.routes, self.most = routes, 3
        self.make = lambda: Scatter(routes, unsigned(2), **sizes)

    def state(self, m: Module) -> None:
        m.submodules.core = part = self.make()
        comes, token = self.give(part.i)
        is_token(self, part.i.payload, self.routes.source)
        goes, found = self.take(part.o)
        layout = part.operation
        lists = self._lists(part)
        longest = max(len(ops) for ops in lists.values())

        held = [Signal(part.i.payload.shape(), name=f"held{k}") for k in range(self.most + 1)]
        count, at = Signal(range(self.most + 2)), Signal(range(longest + 1))
        head = held[0]
        due = Signal(layout, name="due")
        length = Signal(range(longest + 1), name="length")
        is_event = head.kind == Kind.EVENT
        with m.Switch(Cat(head.x, head.y, head.c)):
            for key, ops in lists.items():
                with m.Case(key):
                    m.d.comb += length.eq(len(ops))
                    with m.Switch(at):
                        for k, op in enumerate(ops):
                            with m.Case(k):
                                m.d.comb += Value.cast(due).eq(Value.cast(layout.const(op)))
        m.d.comb += [due.kind.eq(head.kind)]
        with m.If(is_event):
            m.d.comb += due.value.eq(head.value)
        arriving = part.i.payload
        nothing = Signal()
        with m.Switch(Cat(arriving.x, arriving.y, arriving.c)):
            for key, ops in lists.items():
                if not ops:
                    with m.Case(key):
                        m.d.comb += nothing.eq(arriving.kind == Kind.EVENT)
        kept = comes & ~nothing
        last = ~is_event | (at + 1 == length)
        done = goes & last
        m.d.sync += count.eq(count + kept - done)
        with m.If(goes):
            m.d.sync += at.eq(Mux(last, 0, at + 1))
        with m.If(done):
            m.d.sync += [a.eq(b) for a, b in pairwise(held)]
        with m.If(kept):
            m.d.sync += Array(Value.cast(h) for h in held)[(count - done)[: len(count)]].eq(token)
        op = data.View(layout, found)
        same_kind = Value.cast(op.kind) == Value.cast(head.kind)
        same = Mux(is_event, found == Value.cast(due), same_kind)
        self.claim("nothing is invented", ~goes | (count != 0))
        self.claim("the right operation, in order", ~(goes & (count != 0)) | same)
        self.claim("it holds no more than it has room for", count <= self.most)
        self.soon("nothing is lost", count != 0, part.o.valid, 3)
        self.reaches("the last operation of a long list", goes & (at == longest - 1))

    def _lists(self, part: Scatter) -> dict[int, Sequence[dict[str, Any]]]:
        """The operations of each event, by its place as bits."""
        channels, height, width = self.routes.source
        x_bits, y_bits = len(part.i.payload.x), len(part.i.payload.y)
        return {
            x | y << x_bits | c << (x_bits + y_bits): part.compute(c, y, x)
            for c in range(channels)
            for y in range(height)
            for x in range(width)
        }
