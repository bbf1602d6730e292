"""What a layer's neurons do at the end of a timestep: a word of lanes in, one per cycle, without
back-pressure.

Each unit takes the accumulated state of `lanes` neurons of one group, and gives after `latency`
cycles what they keep, what they send, and which of them send anything. Parameters are arrays
(channels,); channel c is lane c % lanes of group c // lanes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Const, Module, Mux, Shape, ShapeLike, Signal, Value, signed, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from snngen_hdl.streams import index

Ints = np.ndarray[Any, np.dtype[np.int64]]


def value_shape(lo: int, hi: int) -> Shape:
    """The narrowest shape for numbers in lo..hi."""
    if lo >= 0:
        return unsigned(max(1, bits_for(hi)))
    return signed(max(bits_for(hi, require_sign_bit=True), bits_for(lo, require_sign_bit=True)))


@dataclass(frozen=True, eq=False)
class Neurons:
    """Parameters common to all kinds. `bias` is added at every timestep, `initial` is the state
    before the first; v has `bits` bits.
    """

    channels: int
    bits: int
    bias: Ints
    initial: Ints

    @property
    def holds(self) -> bool:
        """Whether they have a membrane."""
        return True

    @property
    def sends_membrane(self) -> bool:
        """Whether what they send is that."""
        return True

    def unit(self, lanes: int) -> Unit:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class IntegrateAndFire(Neurons):
    """v <- v + bias, clamped; s = min(floor(v / threshold), max_spikes); then the reset. `signed`
    takes back, where v < 0, a spike sent before: `balance_bits` count these.
    """

    threshold: Ints
    v_min: Ints | None = None
    v_max: Ints | None = None
    hard_reset: bool = False
    max_spikes: int = 1
    balance_bits: int = 0

    @property
    def sends_membrane(self) -> bool:
        return False

    def unit(self, lanes: int) -> Unit:
        return _FireUnit(self, lanes)


@dataclass(frozen=True, eq=False)
class Levels(Neurons):
    """Stateless. Sends its sum where that means another level than 0, which is below `least` or
    from `first` on; the search for the level follows (`snngen_hdl.emit.Search`).
    """

    first: Ints
    least: Ints | None

    def unit(self, lanes: int) -> Unit:
        return _LevelUnit(self, lanes)


@dataclass(frozen=True, eq=False)
class Outputs(Neurons):
    """Accumulates, within -limit..limit, and sends its membrane at every timestep."""

    limit: int | None = None

    def unit(self, lanes: int) -> Unit:
        return _OutputUnit(self, lanes)


@dataclass(frozen=True, eq=False)
class Maxima(Neurons):
    """Of running counts, over time: sends by how much the largest has grown."""

    @property
    def holds(self) -> bool:
        return False

    def unit(self, lanes: int) -> Unit:
        return _GrowthUnit(self, lanes)


@dataclass(frozen=True, eq=False)
class Wires(Neurons):
    """No neuron: sends its current where that is not 0."""

    @property
    def holds(self) -> bool:
        return False

    def unit(self, lanes: int) -> Unit:
        return _WireUnit(self, lanes)


class Unit(wiring.Component):
    """`state`: of each lane, as the accumulators hold it. One cycle after `group`, which says whose
    parameters to read, come `state`, `valid` and `is_end`, of an image's last timestep. `latency`
    cycles after those come `keeps`, the new state; `membrane`, for traces; `sends` and `value`.
    """

    latency: int

    def __init__(
        self,
        neurons: Neurons,
        lanes: int,
        sent: Shape,
        beside: Mapping[str, ShapeLike] | None = None,
    ) -> None:
        """`beside`: what a neuron remembers beside v."""
        self.neurons, self.lanes = neurons, lanes
        self.groups = -(-neurons.channels // lanes)
        self.lane = data.StructLayout({"v": signed(neurons.bits)} | dict(beside or {}))
        super().__init__(
            {
                "group": In(index(self.groups)),
                "state": In(data.ArrayLayout(self.lane, lanes)),
                "is_end": In(1),
                "keeps": Out(data.ArrayLayout(self.lane, lanes)),
                "membrane": Out(data.ArrayLayout(signed(neurons.bits), lanes)),
                "sends": Out(lanes),
                "value": Out(data.ArrayLayout(sent, lanes)),
            }
        )

    def by_lane(self, values: Ints) -> Ints:
        """(channels,) to (groups, lanes), padded with 0."""
        padded = np.zeros(self.groups * self.lanes, np.int64)
        padded[: self.neurons.channels] = values
        return padded.reshape(self.groups, self.lanes)

    def parameters(self, m: Module, values: Mapping[str, Ints]) -> dict[str, list[Value]]:
        """The parameters of the group's lanes, by name, together with the state."""
        real = self.by_lane(np.ones(self.neurons.channels, np.int64))
        tables = {"is_real": real} | {name: self.by_lane(v) for name, v in values.items()}
        shapes = {n: value_shape(int(t.min()), int(t.max())) for n, t in tables.items()}
        varying = {n: t for n, t in tables.items() if (t != t.flat[0]).any()}
        given: dict[str, list[Value]] = {
            n: [Const(int(t.flat[0]), shapes[n])] * self.lanes for n, t in tables.items()
        }
        if not varying:
            return given
        layout = data.StructLayout({n: data.ArrayLayout(shapes[n], self.lanes) for n in varying})
        rows = [{n: [int(v) for v in t[g]] for n, t in varying.items()} for g in range(self.groups)]
        if self.groups == 1:
            return given | {n: [Const(v, shapes[n]) for v in row] for n, row in rows[0].items()}
        m.submodules.parameters = rom = memory.Memory(shape=layout, depth=self.groups, init=rows)
        port = rom.read_port()
        m.d.comb += port.addr.eq(self.group)
        return given | {n: [port.data[n][k] for k in range(self.lanes)] for n in varying}


def _later(m: Module, value: Value, cycles: int = 1) -> Value:
    """`value` some cycles later."""
    for _ in range(cycles):
        register = Signal(value.shape(), reset_less=True)
        m.d.sync += register.eq(value)
        value = register
    return value


class _FireUnit(Unit):
    latency = 4

    def __init__(self, neurons: IntegrateAndFire, lanes: int) -> None:
        lowest = -1 if neurons.balance_bits else 0
        beside = {"balance": neurons.balance_bits} if neurons.balance_bits else {}
        super().__init__(neurons, lanes, value_shape(lowest, neurons.max_spikes), beside)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        n = self.neurons
        assert isinstance(n, IntegrateAndFire)
        asked = {"bias": n.bias, "threshold": n.threshold, "initial": n.initial}
        asked |= {"v_min": n.v_min} if n.v_min is not None else {}
        asked |= {"v_max": n.v_max} if n.v_max is not None else {}
        given = self.parameters(m, asked)
        is_end = _later(m, self.is_end, 3)
        for k in range(self.lanes):
            p = {name: values[k] for name, values in given.items()}
            v = Signal(signed(n.bits), reset_less=True)
            m.d.sync += v.eq(self.state[k].v + p["bias"])
            late = {name: _later(m, value) for name, value in p.items()}
            clamped: Value = v
            if n.v_min is not None:
                clamped = Mux(clamped < late["v_min"], late["v_min"], clamped)
            if n.v_max is not None:
                clamped = Mux(clamped > late["v_max"], late["v_max"], clamped)
            w = Signal(signed(n.bits), reset_less=True)
            m.d.sync += w.eq(clamped)
            late = {name: _later(m, value) for name, value in late.items()}
            balance = _later(m, self.state[k].balance, 2) if n.balance_bits else None

            reached = [w >= late["threshold"] * (j + 1) for j in range(n.max_spikes)]
            takes_back = (w < 0) & (balance != 0) if balance is not None else Value.cast(0)
            s = Signal(self.value.shape().elem_shape, reset_less=True)
            held = _later(m, w)
            m.d.sync += s.eq(Mux(takes_back, -1, sum(reached[1:], reached[0])))
            late = {name: _later(m, value) for name, value in late.items()}

            reset = Signal(signed(n.bits))
            theta = late["threshold"]
            if n.hard_reset:
                m.d.comb += reset.eq(Mux(s > 0, 0, Mux(s < 0, held + theta, held)))
            else:
                steps = range(-1 if n.balance_bits else 0, n.max_spikes + 1)
                taken = Signal(signed(n.bits))
                with m.Switch(s):
                    for j in steps:
                        with m.Case(j):
                            m.d.comb += taken.eq(theta * j)
                m.d.comb += reset.eq(held - taken)
            m.d.sync += [
                self.membrane[k].eq(reset),
                self.keeps[k].v.eq(Mux(is_end, late["initial"], reset)),
                self.value[k].eq(s),
                self.sends[k].eq((s != 0) & late["is_real"]),
            ]
            if balance is not None:
                m.d.sync += self.keeps[k].balance.eq(Mux(is_end, 0, _later(m, balance) + s))
        return m


class _LevelUnit(Unit):
    latency = 2

    def __init__(self, neurons: Levels, lanes: int) -> None:
        super().__init__(neurons, lanes, signed(neurons.bits))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        n = self.neurons
        assert isinstance(n, Levels)
        least = {} if n.least is None else {"least": n.least}
        given = self.parameters(m, {"bias": n.bias, "first": n.first, **least})
        for k in range(self.lanes):
            p = {name: values[k] for name, values in given.items()}
            z = Signal(signed(n.bits), reset_less=True)
            m.d.sync += z.eq(self.state[k].v + p["bias"])
            late = {name: _later(m, value) for name, value in p.items()}
            sends = z >= late["first"]
            if n.least is not None:
                sends = sends | (z < late["least"])
            m.d.sync += [
                self.sends[k].eq(sends & late["is_real"]),
                self.value[k].eq(z),
                self.membrane[k].eq(z),
            ]
        return m


class _OutputUnit(Unit):
    latency = 2

    def __init__(self, neurons: Outputs, lanes: int) -> None:
        super().__init__(neurons, lanes, signed(neurons.bits))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        n = self.neurons
        assert isinstance(n, Outputs)
        given = self.parameters(m, {"bias": n.bias})
        is_end = _later(m, self.is_end)
        for k in range(self.lanes):
            v = Signal(signed(n.bits), reset_less=True)
            m.d.sync += v.eq(self.state[k].v + given["bias"][k])
            clamped: Value = v
            if n.limit is not None:
                clamped = Mux(v > n.limit, n.limit, Mux(v < -n.limit, -n.limit, v))
            m.d.sync += [
                self.keeps[k].v.eq(Mux(is_end, 0, clamped)),
                self.value[k].eq(clamped),
                self.membrane[k].eq(clamped),
                self.sends[k].eq(_later(m, given["is_real"][k])),
            ]
        return m


class _GrowthUnit(Unit):
    latency = 1

    def __init__(self, neurons: Maxima, lanes: int) -> None:
        bits = neurons.bits
        super().__init__(neurons, lanes, signed(bits), {"passed": unsigned(bits - 1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        real = self.parameters(m, {})["is_real"]
        for k in range(self.lanes):
            v, passed = self.state[k].v, self.state[k].passed
            m.d.sync += [
                self.value[k].eq(v - passed),
                self.sends[k].eq((v != passed) & real[k]),
                self.keeps[k].v.eq(Mux(self.is_end, 0, v)),
                self.keeps[k].passed.eq(Mux(self.is_end, 0, v)),
            ]
        return m


class _WireUnit(Unit):
    latency = 2

    def __init__(self, neurons: Wires, lanes: int) -> None:
        super().__init__(neurons, lanes, signed(neurons.bits))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        given = self.parameters(m, {"bias": self.neurons.bias})
        for k in range(self.lanes):
            v = Signal(signed(self.neurons.bits), reset_less=True)
            m.d.sync += [
                v.eq(self.state[k].v + given["bias"][k]),
                self.value[k].eq(v),
                self.membrane[k].eq(v),
                self.sends[k].eq((v != 0) & _later(m, given["is_real"][k])),
            ]
        return m
