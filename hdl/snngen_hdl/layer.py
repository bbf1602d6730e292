"""A layer: events of its sources in, its own events out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Module, Shape
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from snngen_hdl.counts import Count
from snngen_hdl.crossbar import Crossbar
from snngen_hdl.emit import Search, Serialise
from snngen_hdl.neurons import Neurons, value_shape
from snngen_hdl.raster import Raster
from snngen_hdl.routes import Routes
from snngen_hdl.scatter import Scatter
from snngen_hdl.streams import Queue, Shape3, token
from snngen_hdl.witness import Witness

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class LayerPlan:
    """What a layer is made of. Events of the source of synapse k hold a number of `received`[k].

    `lanes` neurons of one position, `banks` columns and `bank_rows` rows are worked on at once.
    `thresholds` (C, N) and `lowest` are those of level neurons, else None and 0. `sent`: the least
    and the largest number that an event holds.
    """

    name: str
    shape: Shape3
    routes: tuple[Routes, ...]
    received: tuple[Shape, ...]
    neurons: Neurons
    sent: tuple[int, int]
    lanes: int
    banks: int
    thresholds: Ints | None = None
    lowest: int = 0
    takes_largest: bool = False
    counts: int = 0  # where what is taken are running counts: the largest
    ahead: int = 16
    bank_rows: int = 1
    witnessed: int = 0  # where what neurons do can be told: so many timesteps

    @property
    def groups(self) -> int:
        return -(-self.shape[0] // self.lanes)

    @property
    def words(self) -> int:
        """Of a pass."""
        return self.shape[1] * self.shape[2] * self.groups

    @property
    def depth(self) -> int:
        """Words of each bank of accumulators."""
        blocks = -(-self.shape[2] // self.banks)
        return -(-self.shape[1] // self.bank_rows) * blocks * self.groups

    @property
    def value(self) -> Shape:
        """Of the number in an event."""
        return value_shape(*self.sent)


class Layer(wiring.Component):
    """`i0`, `i1`, ...: the events of each synapse's source; `o`: the layer's own.

    `seen_valid`, `seen_place`, `seen_membrane`: every word of the pass, for whom it may concern.
    `witness`, where there is one, tells of it while it is on.
    """

    def __init__(self, plan: LayerPlan) -> None:
        self.plan = plan
        self.counters = [
            Count(routes.source, value, plan.counts)
            for routes, value in zip(plan.routes, plan.received, strict=True)
            if plan.counts
        ]
        arriving = [counter.count for counter in self.counters] or plan.received
        self.scatters: Sequence[Scatter] = [
            Scatter(
                routes,
                value,
                width=plan.shape[2],
                groups=plan.groups,
                banks=plan.banks,
                depth=plan.depth,
                bank_rows=plan.bank_rows,
            )
            for routes, value in zip(plan.routes, arriving, strict=True)
        ]
        self.crossbar = Crossbar(
            plan.shape,
            self.scatters,
            plan.neurons.unit(plan.lanes),
            banks=plan.banks,
            ahead=plan.ahead,
            bank_rows=plan.bank_rows,
            takes_largest=plan.takes_largest,
            shows_membranes=bool(plan.witnessed) and not plan.neurons.sends_membrane,
        )
        self.witness = None
        if plan.witnessed:
            self.witness = Witness(
                plan.shape,
                plan.lanes,
                self.crossbar.word_layout,
                plan.witnessed,
                holds=plan.neurons.holds,
                thresholds=plan.thresholds,
                lowest_level=plan.lowest,
            )
        inputs = {
            f"i{k}": In(stream.Signature(token(scatter.routes.source, value)))
            for k, (scatter, value) in enumerate(zip(self.scatters, plan.received, strict=True))
        }
        super().__init__(
            {
                **inputs,
                "o": Out(stream.Signature(token(plan.shape, plan.value))),
                "seen_valid": Out(1),
                "seen_place": Out(self.crossbar.place_layout),
                "seen_membrane": Out(self.crossbar.signature.members["membrane"].shape),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        m.submodules.crossbar = crossbar = self.crossbar
        for k, scatter in enumerate(self.scatters):
            m.submodules[f"scatter{k}"] = scatter
            arriving = wiring.flipped(getattr(self, f"i{k}"))
            if self.counters:
                m.submodules[f"count{k}"] = count = self.counters[k]
                wiring.connect(m, arriving, count.i)
                arriving = count.o
            wiring.connect(m, arriving, scatter.i)
            wiring.connect(m, scatter.o, getattr(crossbar, f"i{k}"))
        m.submodules.words = queue = Queue(crossbar.word_layout, plan.ahead)
        words = queue.o
        if self.witness is not None:
            m.submodules.witness = self.witness
            wiring.connect(m, queue.o, self.witness.i)
            words = self.witness.o
        m.submodules.serialise = serialise = Serialise(
            plan.shape, plan.lanes, crossbar.place_layout, crossbar.word_layout["value"].shape
        )
        m.submodules.place = place = Raster(plan.shape, groups=plan.groups)
        taken = words.valid & words.ready
        m.d.comb += [
            queue.i.valid.eq(crossbar.valid),
            queue.i.payload.eq(crossbar.word),
            crossbar.taken.eq(taken),
            place.next.eq(taken),
            serialise.i.valid.eq(words.valid),
            words.ready.eq(serialise.i.ready),
            serialise.i.payload.sends.eq(words.payload.sends),
            serialise.i.payload.value.eq(words.payload.value),
            serialise.i.payload.place.kind.eq(words.payload.kind),
            serialise.i.payload.place.y.eq(place.y),
            serialise.i.payload.place.x.eq(place.x),
            serialise.i.payload.place.group.eq(place.group),
            self.seen_valid.eq(crossbar.valid),
            self.seen_place.eq(crossbar.place),
            self.seen_membrane.eq(crossbar.membrane),
        ]
        if plan.thresholds is None:
            found, sent = serialise.o, self.o
            m.d.comb += [sent.valid.eq(found.valid), found.ready.eq(sent.ready)]
            m.d.comb += [
                sent.payload[name].eq(found.payload[name])
                for name in ("kind", "value", "y", "x", "c")
            ]
        else:
            sums = serialise.token["value"].shape
            m.submodules.search = search = Search(plan.shape, sums, plan.thresholds, plan.lowest)
            wiring.connect(m, serialise.o, search.i)
            wiring.connect(m, search.o, wiring.flipped(self.o))
        return m
