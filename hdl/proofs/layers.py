"""Whole cores, from events to events, beside twins that add up in the cycle in which an event comes
and have no pipeline, no memory, no lanes and no banks.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed, unsigned
from snngen_hdl.layer import Layer, LayerPlan
from snngen_hdl.neurons import IntegrateAndFire
from snngen_hdl.routes import Ints, Routes, Tap
from snngen_hdl.streams import Kind, Shape3

from hdl.proofs.events import is_token
from hdl.proofs.streams import StreamClaims

BITS = 5  # of v
THRESHOLD = 2
AHEAD = 4  # so many timesteps may be ahead in one source, or come before the first has left


def convolution(source: Shape3, channels: int, lanes: int, seed: int) -> Routes:
    """A kernel of 1 x 3 that keeps the size. Random weights, but that of a neuron's own place, with
    which one event is enough.
    """
    _, height, width = source
    rows = tuple((Tap(0, y),) for y in range(height))
    columns = tuple(
        tuple(Tap(k, x + 1 - k) for k in range(3) if 0 <= x + 1 - k < width) for x in range(width)
    )
    words = -(-channels // lanes) * source[0]
    weights = np.random.default_rng(seed).integers(-2, 2, (1, 3, words, lanes))
    weights[0, 1] = THRESHOLD
    return Routes(source, rows, columns, None, weights, 3)


def plan(
    shape: Shape3, sources: Sequence[int], *, lanes: int, banks: int, bank_rows: int = 1
) -> LayerPlan:
    """A layer of `shape` that reads sources of so many channels, whose events are 0 or 1."""
    channels, height, width = shape
    zeros = np.zeros(channels, np.int64)
    return LayerPlan(
        name="proof",
        shape=shape,
        routes=tuple(
            convolution((c, height, width), channels, lanes, seed) for seed, c in enumerate(sources)
        ),
        received=tuple(unsigned(1) for _ in sources),
        neurons=IntegrateAndFire(channels, BITS, zeros, zeros, threshold=zeros + THRESHOLD),
        sent=(0, 1),
        lanes=lanes,
        banks=banks,
        bank_rows=bank_rows,
        ahead=2,
    )


class Computes(StreamClaims):
    """For every sequence of events, every pause of theirs and of the reader, exactly the neurons
    that reach their threshold send, each once, before the marker of the timestep.
    """

    def __init__(self, plan: LayerPlan, steps: int) -> None:
        """`steps`: timesteps that must be seen to end."""
        super().__init__()
        self.plan, self.steps = plan, steps
        self.size = int(np.prod(plan.shape))

    def state(self, m: Module) -> None:
        m.submodules.core = core = Layer(self.plan)
        complete = Signal()  # a timestep, in all sources
        sums = [self._summed(core, k, complete) for k in range(len(self.plan.routes))]
        m.d.comb += complete.eq(Cat(there for there, _, _ in sums).all())
        marker = sums[0][1]
        for _, kind, _ in sums[1:]:
            self.assume(~complete | (kind == marker))  # sources agree on when an image ends
        fires = Signal(self.size)
        for n in range(self.size):
            v = Signal(signed(BITS), name=f"v{n}")
            total = sum((currents[n] for _, _, currents in sums), v)
            self.assume(~complete | ((total >= -16) & (total < 16)))
            m.d.comb += fires[n].eq(total >= THRESHOLD)
            left = total - Mux(fires[n], THRESHOLD, 0)
            with m.If(complete):
                m.d.sync += v.eq(Mux(marker == Kind.END.value, 0, left))
        self._compared(core, complete, Cat(fires, marker))

    def _list(self, name: str, comes: Value, item: Value, goes: Value) -> tuple[Value, Value]:
        """How many items wait, fewer than AHEAD, and the first of them."""
        m = self.m
        held = [Signal(len(item), name=f"{name}{k}") for k in range(AHEAD)]
        count = Signal(range(AHEAD + 1), name=f"{name}_count")
        with m.If(goes):
            m.d.sync += [a.eq(b) for a, b in pairwise(held)]
        with m.If(comes):
            m.d.sync += Array(held)[(count - goes)[: len(count)]].eq(item)
        m.d.sync += count.eq(count + comes - goes)
        self.assume(count < AHEAD)
        return count, held[0]

    def _summed(self, core: Layer, synapse: int, used: Value) -> tuple[Value, Value, list[Value]]:
        """Whether the next timestep of a synapse is there; its marker; its currents."""
        m, port = self.m, getattr(core, f"i{synapse}")
        comes, _ = self.give(port, f"i{synapse}")
        event, routes = port.payload, self.plan.routes[synapse]
        is_token(self, event, routes.source)
        is_event = event.kind == Kind.EVENT
        sums = []
        for n in range(self.size):
            total = Signal(signed(BITS), name=f"sum{synapse}_{n}")
            weight = Signal(signed(BITS), name=f"weight{synapse}_{n}")
            with m.Switch(Cat(event.x, event.y, event.c)):
                for (c, y, x), targets in self._matrix(routes).items():
                    with m.Case(x | y << len(event.x) | c << len(event.x) + len(event.y)):
                        m.d.comb += weight.eq(int(targets.flat[n]))
            with m.If(comes):
                m.d.sync += total.eq(Mux(is_event, total + Mux(event.value, weight, 0), 0))
            sums.append(total)
        ends = comes & ~is_event
        count, first = self._list(f"step{synapse}_", ends, Cat(*sums, event.kind), used)
        currents = [first[BITS * n : BITS * (n + 1)].as_signed() for n in range(self.size)]
        return count != 0, first[BITS * self.size :], currents

    def _compared(self, core: Layer, complete: Value, step: Value) -> None:
        """What leaves, with the timesteps that were completed: who fires, and the marker."""
        m = self.m
        _, height, width = self.plan.shape
        goes, _ = self.take(core.o)
        event = core.o.payload
        is_event = event.kind == Kind.EVENT
        ends = goes & ~is_event
        count, due = self._list("due", complete, step, ends)
        sent, sends = Signal(self.size), Signal(self.size)
        m.d.comb += sends.eq(1 << ((event.c * height + event.y) * width + event.x))
        m.d.sync += sent.eq(Mux(ends, 0, Mux(goes, sent | sends, sent)))
        self.claim(
            "who sends has reached its threshold, and sends once",
            ~(goes & is_event) | ((count != 0) & ((sends & due & ~sent) != 0)),
        )
        self.claim(
            "a marker ends the timestep when all have sent",
            ~ends | ((count != 0) & (due == Cat(sent, event.kind))),
        )
        ended = Signal(range(self.steps + 1))
        m.d.sync += ended.eq(Mux(ended == self.steps, ended, ended + ends))
        self.reaches(
            f"timestep {self.steps} ends, in which all neurons have sent",
            ends & (ended == self.steps - 1) & sent.all(),
        )

    def _matrix(self, routes: Routes) -> dict[tuple[int, int, int], Ints]:
        """The weights (C, H, W) of the targets of each event."""
        lanes = self.plan.lanes
        found = {}
        for c, y, x in np.ndindex(*routes.source):
            weights = np.zeros((self.plan.groups * lanes, *self.plan.shape[1:]), np.int64)
            for row in routes.rows[y]:
                for column in routes.columns[x]:
                    for word in routes.groups_of(c, self.plan.groups):
                        group = slice(word.place * lanes, (word.place + 1) * lanes)
                        kernel = routes.weights[row.weight, column.weight, word.weight]
                        weights[group, row.place, column.place] += kernel
            found[c, y, x] = weights[: self.plan.shape[0]]
        return found
