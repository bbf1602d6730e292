"""Everything that neurons did, as one number: the hash of a trace (docs/link.md).

Whoever asks for it waits: neurons go by one after the other, and each takes some 170 cycles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Array, Cat, Const, Module, Mux, Shape, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from snngen_hdl.neurons import value_shape
from snngen_hdl.scatter import rom_style
from snngen_hdl.streams import Kind, Shape3, choose, index, lowest

Ints = np.ndarray[Any, np.dtype[np.int64]]
SEED, FACTOR = 0x736E6E67, 0x9E3779B1  # those of snngen.targets.trace_hash
BITS = 32
# What asks for the hash: of what passes while it is `on`, since `restart`; whether `sum` is that.
WITNESS = wiring.Signature({"on": Out(1), "restart": Out(1), "sum": In(BITS), "idle": In(1)})


class Witness(wiring.Component):
    """Hands on words of neurons; while `on`, it first tells what each of them sends and holds.

    `told`: the neuron's number, channels innermost; its timestep, output and membrane. The output
    is the value in the word, or the level of that among `thresholds` (C, N). The membrane is that
    in the word, or where it has none the value if `holds`, else 0.
    """

    def __init__(
        self,
        shape: Shape3,
        lanes: int,
        word: data.StructLayout,
        timesteps: int,
        *,
        holds: bool,
        thresholds: Ints | None = None,
        lowest_level: int = 0,
    ) -> None:
        self.shape, self.lanes, self.timesteps = shape, lanes, timesteps
        self.holds, self.thresholds, self.lowest_level = holds, thresholds, lowest_level
        self.has_membrane = "membrane" in dict(word)
        value = Shape.cast(word["value"].shape.elem_shape)
        sent, held = value, value if holds else signed(1)
        if thresholds is not None:
            sent = value_shape(min(lowest_level, 0), max(0, lowest_level + thresholds.shape[1]))
        if self.has_membrane:
            held = Shape.cast(word["membrane"].shape.elem_shape)
        self.told_layout = data.StructLayout(
            {
                "neuron": index(shape[0] * shape[1] * shape[2]),
                "step": index(timesteps),
                "output": sent,
                "membrane": held,
            }
        )
        super().__init__(
            {
                "on": In(1),
                "i": In(stream.Signature(word)),
                "o": Out(stream.Signature(word)),
                "told": Out(stream.Signature(self.told_layout)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word, told = self.i.payload, self.told.payload
        channels = self.shape[0]
        lane, channel = Signal(index(self.lanes)), Signal(index(channels))
        neuron, step = Signal.like(told.neuron), Signal.like(told.step)
        done, passes = Signal(), Signal()
        value = Array(word.value[k] for k in range(self.lanes))[lane]
        last = (lane == self.lanes - 1) | (channel == channels - 1)
        m.d.comb += [
            passes.eq(~self.on | done),
            self.o.payload.eq(word),
            self.o.valid.eq(self.i.valid & passes),
            self.i.ready.eq(self.o.ready & passes),
            told.neuron.eq(neuron),
            told.step.eq(step),
        ]
        if self.has_membrane:
            m.d.comb += told.membrane.eq(Array(word.membrane[k] for k in range(self.lanes))[lane])
        elif self.holds:
            m.d.comb += told.membrane.eq(value)
        waits = self.i.valid & ~passes
        found = self._find(m, waits, value, channel)
        m.d.comb += self.told.valid.eq(waits & found)
        with m.If(self.told.valid & self.told.ready):
            m.d.sync += [
                lane.eq(Mux(last, 0, lane + 1)),
                channel.eq(Mux(channel == channels - 1, 0, channel + 1)),
                neuron.eq(neuron + 1),
                done.eq(last),
            ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += done.eq(0)
            with m.If(word.kind == Kind.STEP):
                m.d.sync += [neuron.eq(0), step.eq(step + 1)]
            with m.If(word.kind == Kind.END):
                m.d.sync += [neuron.eq(0), step.eq(0)]
        return m

    def _find(self, m: Module, waits: Value, value: Value, channel: Value) -> Value:
        """What the neuron sends; whether that is known. Levels are counted, one in two cycles."""
        output = self.told.payload.output
        if self.thresholds is None:
            m.d.comb += output.eq(value)
            return Const(1)
        levels = self.thresholds.shape[1]
        most = (1 << (len(value) - 1)) - 1
        bounded = np.clip(self.thresholds, -most - 1, most + 1)  # beyond the sums, as good as those
        content = [int(v) for v in bounded.ravel()]
        shape = value_shape(min(content), max(content))
        m.submodules.thresholds = rom = memory.Memory(
            shape=shape, depth=len(content), init=content, attrs=rom_style(shape, len(content))
        )
        port = rom.read_port()
        reached, looked = Signal(range(levels + 1)), Signal()
        first = Signal(range(len(content)))  # threshold of the channel
        is_over = (reached == levels) | (value < port.data)
        found = looked & is_over
        m.d.comb += [port.addr.eq(first + reached), output.eq(reached + self.lowest_level)]
        with m.If(waits & ~looked):
            m.d.sync += looked.eq(1)
        with m.If(waits & looked & ~is_over):
            m.d.sync += [looked.eq(0), reached.eq(reached + 1)]
        with m.If(self.told.valid & self.told.ready):
            ends = channel == self.shape[0] - 1
            m.d.sync += [looked.eq(0), reached.eq(0), first.eq(Mux(ends, 0, first + levels))]
        return found


class Hash(wiring.Component):
    """`sum`: of the hashes of all that witnesses `told{k}`, since `restart`; `idle` where nothing
    is left to be added. Five rounds of a multiplication by shifts and additions for each.
    """

    def __init__(self, told: Sequence[data.StructLayout]) -> None:
        self.count = len(told)
        inputs = {f"told{k}": In(stream.Signature(layout)) for k, layout in enumerate(told)}
        super().__init__({**inputs, "restart": In(1), "sum": Out(BITS), "idle": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        told = [getattr(self, f"told{k}") for k in range(self.count)]
        offered = Cat(t.valid for t in told)
        chosen = Signal(self.count)
        rounds = [
            choose(chosen, [_whole(word) for word in words])
            for words in zip(
                *(
                    (Const(k), p.neuron, p.step, p.output, p.membrane)
                    for k, p in enumerate(t.payload for t in told)
                ),
                strict=True,
            )
        ]
        at, bit = Signal(range(len(rounds))), Signal(range(BITS))
        factor, product = Signal(BITS), Signal(BITS)
        mixed = product ^ (product >> 15)
        with m.FSM():
            with m.State("wait"):
                m.d.comb += self.idle.eq(~offered.any())
                m.d.sync += [chosen.eq(lowest(offered)), at.eq(0)]
                with m.If(offered.any()):
                    m.next = "begin"
            with m.State("begin"):
                word = Array(rounds)[at]
                m.d.sync += [factor.eq(Mux(at == 0, SEED, mixed) ^ word), product.eq(0)]
                m.next = "multiply"
            with m.State("multiply"):
                m.d.sync += [
                    product.eq((product << 1) + Mux(factor[-1], FACTOR, 0)),
                    factor.eq(factor << 1),
                    bit.eq(bit + 1),
                ]
                with m.If(bit == BITS - 1):
                    m.d.sync += at.eq(at + 1)
                    m.next = "begin"
                    with m.If(at == len(rounds) - 1):
                        m.next = "add"
            with m.State("add"):
                m.d.sync += self.sum.eq(self.sum + mixed)
                m.d.comb += [t.ready.eq(chosen[k]) for k, t in enumerate(told)]
                m.next = "wait"
        with m.If(self.restart):
            m.d.sync += self.sum.eq(0)
        return m


def _whole(value: Value) -> Value:
    """Of 32 bits, with the sign of `value` in those above it."""
    plain = Value.cast(value)
    above = plain[-1] if plain.shape().signed else Const(0, 1)
    return Cat(plain, above.replicate(BITS - len(plain)))
