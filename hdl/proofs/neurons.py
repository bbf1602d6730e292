"""What the neurons of a word do, against docs/arithmetic.md, whatever they hold, and whatever their
parameters are.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from amaranth.hdl import Array, Const, Module, Mux, Value, signed, unsigned
from snngen_hdl.neurons import IntegrateAndFire, Levels, Maxima, Outputs, Wires

from hdl.proofs.engine import Claims

BITS = 5  # of v


class UnitClaims(Claims):
    """A unit of one lane whose parameters may be anything in any cycle."""

    def neurons(self, zero: Any, one: Any) -> Any:
        """Of one channel; these parameters are replaced."""
        raise NotImplementedError

    def parameters(self) -> dict[str, Any]:
        """Their shapes, by name."""
        return {"bias": signed(BITS)}

    def meaning(
        self, v: Value, beside: Any, p: Mapping[str, Value], is_end: Value
    ) -> dict[str, Value]:
        """What must come out for the neuron that holds `v`."""
        raise NotImplementedError

    def state(self, m: Module) -> None:
        zero, one = np.zeros(1, np.int64), np.ones(1, np.int64)
        m.submodules.core = unit = self.neurons(zero, one).unit(1)
        p = {name: self.free(shape, name) for name, shape in self.parameters().items()}
        p["is_real"] = self.free(1, "is_real")  # no padding of the last group
        unit.parameters = lambda m, values: {name: [p[name]] for name in ("is_real", *values)}
        lane, is_end = self.free(unit.lane, "lane"), self.free(1, "is_end")
        m.d.comb += [unit.state[0].eq(lane), unit.is_end.eq(is_end)]
        due = self.meaning(lane.v, lane, p, is_end)
        ports = {
            "v": unit.keeps[0].v,
            "membrane": unit.membrane[0],
            "value": unit.value[0],
            "sends": unit.sends[0],
        } | {name: unit.keeps[0][name] for name, _ in unit.lane if name != "v"}
        filled = self.before(Const(1, 1), unit.latency)
        matters = self.before(p["is_real"], unit.latency) & filled
        for name, want in due.items():
            same = ports[name] == self.before(want, unit.latency)
            self.claim(name, ~(filled if name == "sends" else matters) | same)
        self.reaches("a neuron sends", matters & unit.sends[0])
        self.reaches("an image ends", filled & self.before(is_end, unit.latency))

    def fits(self, value: Value, bits: int = BITS) -> None:
        """What quantisation proves of every network: v is wide enough."""
        self.assume((value >= -(1 << (bits - 1))) & (value < 1 << (bits - 1)))


class Fires(UnitClaims):
    """Section 3 of docs/arithmetic.md."""

    def __init__(
        self, *, hard: bool = False, clamps: bool = False, most: int = 1, signed: bool = False
    ) -> None:
        super().__init__()
        self.hard, self.clamps, self.most, self.signed = hard, clamps, most, signed

    def neurons(self, zero: Any, one: Any) -> Any:
        return IntegrateAndFire(
            1,
            BITS,
            zero,
            zero,
            threshold=one,
            v_min=zero if self.clamps else None,
            v_max=zero if self.clamps else None,
            hard_reset=self.hard,
            max_spikes=self.most,
            balance_bits=3 if self.signed else 0,
        )

    def parameters(self) -> dict[str, Any]:
        shapes = {"bias": signed(BITS), "initial": signed(BITS), "threshold": unsigned(BITS)}
        return shapes | ({"v_min": signed(BITS), "v_max": signed(BITS)} if self.clamps else {})

    def meaning(
        self, v: Value, beside: Any, p: Mapping[str, Value], is_end: Value
    ) -> dict[str, Value]:
        theta = p["threshold"]
        self.assume((theta >= 1) | ~p["is_real"])
        v = v + p["bias"]
        self.fits(v)
        if self.clamps:
            v = Mux(v < p["v_min"], p["v_min"], v)
            v = Mux(v > p["v_max"], p["v_max"], v)
        floor = v // theta
        s = Mux(v >= theta, Mux(floor < self.most, floor, self.most), 0)
        if self.signed:
            s = Mux((v < 0) & (beside.balance > 0), -1, s)
        after = Mux(s > 0, 0, v - s * theta) if self.hard else v - s * theta
        self.fits(after)
        due = {
            "v": Mux(is_end, p["initial"], after),
            "membrane": after,
            "value": s,
            "sends": (s != 0) & p["is_real"],
        }
        if self.signed:
            balance = beside.balance + s
            self.assume(balance < 8)
            due["balance"] = Mux(is_end, 0, balance)
        return due


class Classifies(UnitClaims):
    """A level other than 0 is sent as the sum, which `snngen_hdl.emit.Search` looks up."""

    def __init__(self, thresholds: int, lowest: int) -> None:
        super().__init__()
        self.count, self.lowest = thresholds, lowest

    def neurons(self, zero: Any, one: Any) -> Any:
        return Levels(1, BITS, zero, zero, first=one, least=zero if self.lowest < 0 else None)

    def parameters(self) -> dict[str, Any]:
        return super().parameters() | {
            name: signed(BITS + 1) for name in ("first", *(["least"] if self.lowest < 0 else []))
        }

    def meaning(
        self, v: Value, beside: Any, p: Mapping[str, Value], is_end: Value
    ) -> dict[str, Value]:
        steps = [self.free(signed(BITS + 1), f"threshold{k}") for k in range(self.count)]
        for a, b in pairwise(steps):
            self.assume(a <= b)
        self.assume(p["first"] == steps[-self.lowest])
        if self.lowest < 0:
            self.assume(p["least"] == steps[-self.lowest - 1])
        z = v + p["bias"]
        self.fits(z)
        level = self.lowest + sum((z >= step for step in steps), Const(0))
        return {"membrane": z, "value": z, "sends": (level != 0) & p["is_real"]}


class Accumulates(UnitClaims):
    """The output layer, within -limit..limit."""

    LIMIT = 9

    def neurons(self, zero: Any, one: Any) -> Any:
        return Outputs(1, BITS, zero, zero, limit=self.LIMIT)

    def meaning(
        self, v: Value, beside: Any, p: Mapping[str, Value], is_end: Value
    ) -> dict[str, Value]:
        v = v + p["bias"]
        self.fits(v)
        v = Mux(v > self.LIMIT, self.LIMIT, v)
        v = Mux(v < -self.LIMIT, -self.LIMIT, v)
        return {"v": Mux(is_end, 0, v), "membrane": v, "value": v, "sends": p["is_real"]}


class Grows(UnitClaims):
    """Max pooling over time sends by how much the largest count has grown."""

    def neurons(self, zero: Any, one: Any) -> Any:
        return Maxima(1, BITS, zero, zero)

    def parameters(self) -> dict[str, Any]:
        return {}

    def meaning(
        self, v: Value, beside: Any, p: Mapping[str, Value], is_end: Value
    ) -> dict[str, Value]:
        self.assume(v >= beside.passed)  # counts do not fall
        grown = v - beside.passed
        kept = Mux(is_end, 0, v)
        return {"v": kept, "passed": kept, "value": grown, "sends": (grown != 0) & p["is_real"]}


class Conducts(UnitClaims):
    """What is no neuron sends its current."""

    def neurons(self, zero: Any, one: Any) -> Any:
        return Wires(1, BITS, zero, zero)

    def meaning(
        self, v: Value, beside: Any, p: Mapping[str, Value], is_end: Value
    ) -> dict[str, Value]:
        current = v + p["bias"]
        self.fits(current)
        return {"membrane": current, "value": current, "sends": (current != 0) & p["is_real"]}


class Looks(Claims):
    """Every neuron has the parameters of its channel: `lanes` neurons of any group, one after the
    other, with soft reset.
    """

    def __init__(self, channels: int, lanes: int) -> None:
        super().__init__()
        rng = np.random.default_rng(3)
        self.bias, self.initial = rng.integers(-3, 4, (2, channels))
        self.theta = rng.integers(1, 7, channels)
        self.channels, self.lanes = channels, lanes

    def state(self, m: Module) -> None:
        neurons = IntegrateAndFire(
            self.channels, BITS, self.bias, self.initial, threshold=self.theta
        )
        m.submodules.core = unit = neurons.unit(self.lanes)
        group, is_end = self.free(unit.group.shape(), "group"), self.free(1, "is_end")
        self.assume(group < unit.groups)
        held = self.free(unit.state.shape(), "held")
        m.d.comb += [unit.group.eq(group), unit.is_end.eq(is_end), unit.state.eq(held)]
        filled = self.before(Const(1, 1), unit.latency + 1)
        for k in range(self.lanes):
            channel = self.before(group) * self.lanes + k
            bias, initial, theta = (
                self._of(values, channel) for values in (self.bias, self.initial, self.theta)
            )
            v = held[k].v + bias
            self.assume((v >= -16) & (v < 16))
            fires = v >= theta
            after = Mux(is_end, initial, Mux(fires, v - theta, v))
            is_real = channel < self.channels
            due = [self.before(value, unit.latency) for value in (after, fires & is_real, is_real)]
            self.claim(f"v of lane {k}", ~(filled & due[2]) | (unit.keeps[k].v == due[0]))
            self.claim(f"spike of lane {k}", ~filled | (unit.sends[k] == due[1]))
        self.reaches("all lanes fire", filled & unit.sends.all())

    def _of(self, values: Any, channel: Value) -> Value:
        padded = [int(v) for v in values] + [0] * self.lanes
        return Array(Const(v, signed(BITS)) for v in padded)[channel]
