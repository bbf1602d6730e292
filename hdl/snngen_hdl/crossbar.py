"""The crossbar: weights in memory, banks of accumulators, and the pass over all neurons that ends a
timestep.

An addition that is granted in cycle t reads its weights in t + 1, its accumulators in t + 3, and
writes them at the end of t + 5. A word of the pass that is begun in cycle t reads its accumulators
in t + 1, is in the neuron unit from t + 3 on (where there are banks to choose from, t + 4), and is
written back when it leaves that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from snngen_hdl.neurons import Unit
from snngen_hdl.raster import Raster
from snngen_hdl.scatter import Scatter, rom_style
from snngen_hdl.streams import Kind, Shape3, choose, index

HAZARD = 2  # so many additions after one, its accumulators would still be read as they were
DRAIN = 4  # so many cycles after an addition, the pass may begin


class Crossbar(wiring.Component):
    """Takes the operations of one `Scatter` for each synapse, one per cycle, into `lanes` sums of
    each bank, of which there are `banks` in each of `bank_rows` rows. When all of them have come to
    the marker, `unit` passes over all neurons and hands out a word of `lanes` neurons per cycle,
    while fewer than `ahead` words are not yet `taken`.

    `takes_largest`: in place of the sum, for max pooling of counts. `shows_membranes`: in words
    too.
    """

    def __init__(
        self,
        shape: Shape3,
        scatters: Sequence[Scatter],
        unit: Unit,
        *,
        banks: int,
        ahead: int,
        bank_rows: int = 1,
        takes_largest: bool = False,
        shows_membranes: bool = False,
    ) -> None:
        self.shape, self.scatters, self.unit = shape, tuple(scatters), unit
        self.banks, self.bank_rows = banks, bank_rows
        self.ahead, self.takes_largest = ahead, takes_largest
        self.shows_membranes = shows_membranes
        self.blocks = -(-shape[2] // banks)
        self.depth = -(-shape[1] // bank_rows) * self.blocks * unit.groups
        self.memories = bank_rows * banks
        self.in_unit = 3 if self.memories == 1 else 4
        self.place_layout = data.StructLayout(
            {
                "kind": Kind,
                "y": index(shape[1]),
                "x": index(shape[2]),
                "group": index(unit.groups),
            }
        )
        sent = unit.signature.members
        shown = {"membrane": sent["membrane"].shape} if shows_membranes else {}
        self.word_layout = data.StructLayout(
            {"kind": Kind, "sends": unit.lanes, "value": sent["value"].shape, **shown}
        )
        operations = {
            f"i{k}": In(stream.Signature(scatter.operation))
            for k, scatter in enumerate(self.scatters)
        }
        super().__init__(
            {
                **operations,
                "valid": Out(1),  # of the word; nothing holds it back
                "word": Out(self.word_layout),
                "place": Out(self.place_layout),
                "membrane": Out(sent["membrane"].shape),
                "taken": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = self.unit
        inputs = [getattr(self, f"i{k}") for k in range(len(self.scatters))]
        finished = Signal()
        grants, idle = self._grants(m, inputs, finished)
        at_marker = Cat(i.valid & (i.payload.kind != Kind.EVENT) for i in inputs).all()
        marker = inputs[0].payload.kind  # stays until the pass is over
        m.submodules.begun = begun = self._raster()
        m.submodules.left = left = self._raster()
        self._begins(m, begun, at_marker & idle)
        added, products = self._products(m, inputs, grants)

        in_unit = self.in_unit
        valid, group, bank = (
            _after(m, name, value, cycles)
            for name, value, cycles in (
                ("word", begun.next, in_unit + unit.latency),
                ("group", begun.group, in_unit - 1),
                ("bank", begun.bank, in_unit - 1),
            )
        )
        leaving = valid[-1]
        address = Signal.like(begun.address)
        m.d.sync += address.eq(begun.address)
        state = data.ArrayLayout(unit.lane, unit.lanes)
        held = []
        for b in range(self.memories):
            m.submodules[f"bank{b}"] = ram = memory.Memory(
                shape=state, depth=self.depth, init=self._content, attrs={"no_rw_check": "1"}
            )
            read, write = ram.read_port(), ram.write_port()
            u = Signal(state, name=f"held{b}", reset_less=True)
            m.d.comb += read.addr.eq(Mux(valid[1], address, added[b][0].address))
            m.d.sync += u.eq(read.data)
            m.d.comb += [
                write.en.eq(Mux(leaving, left.bank[b], added[b][2].valid)),
                write.addr.eq(Mux(leaving, left.address, added[b][2].address)),
            ]
            for k in range(unit.lanes):
                total = Signal(unit.lane, name=f"total{b}_{k}")
                m.d.comb += [total.eq(u[k]), total.v.eq(self._joined(u[k].v, products[b][k]))]
                m.d.comb += write.data[k].eq(Mux(leaving, unit.keeps[k], total))
            held.append(Value.cast(u))
        word = Signal(state, reset_less=True)
        chosen = m.d.comb if self.memories == 1 else m.d.sync
        chosen += Value.cast(word).eq(choose(bank[-1], held))
        m.d.comb += [
            unit.group.eq(group[-1]),
            unit.state.eq(word),
            unit.is_end.eq(marker == Kind.END),
            left.next.eq(leaving),
            finished.eq(leaving & left.last),
            self.valid.eq(leaving),
            self.word.kind.eq(Mux(left.last, marker, Kind.EVENT)),
            self.word.sends.eq(unit.sends),
            self.word.value.eq(unit.value),
            self.place.kind.eq(self.word.kind),
            self.place.y.eq(left.y),
            self.place.x.eq(left.x),
            self.place.group.eq(left.group),
            self.membrane.eq(unit.membrane),
        ]
        if self.shows_membranes:
            m.d.comb += self.word.membrane.eq(unit.membrane)
        return m

    # --- Additions -------------------------------------------------------------------------------

    def _grants(self, m: Module, inputs: Sequence[Any], finished: Value) -> tuple[Signal, Value]:
        """Which input adds in this cycle, and whether none has for as long as the pass needs."""
        sums = self._sums(inputs[0].payload).shape()
        last = [Signal(sums, name=f"line_before{j}") for j in range(HAZARD)]
        before = Signal(DRAIN)
        wants, grants = Signal(len(inputs)), Signal(len(inputs))
        for k, i in enumerate(inputs):
            these = self._sums(i.payload)
            clash = Cat(before[j] & _meet(these, last[j]) for j in range(HAZARD)).any()
            m.d.comb += [
                wants[k].eq(i.valid & (i.payload.kind == Kind.EVENT) & ~clash),
                grants[k].eq(wants[k] & ~wants[:k].any() if k else wants[k]),
                i.ready.eq(grants[k] | finished),
            ]
        now = choose(grants, [Value.cast(self._sums(i.payload)) for i in inputs])
        m.d.sync += [before.eq(Cat(grants.any(), before)), Value.cast(last[0]).eq(now)]
        m.d.sync += [last[j].eq(last[j - 1]) for j in range(1, HAZARD)]
        return grants, ~before.any()

    def _sums(self, operation: Any) -> Any:
        """Which sums an operation adds to, without regard to columns."""
        if self.bank_rows == 1:
            return data.View(data.StructLayout({"line": index(self.depth)}), operation.line)
        row = data.StructLayout({"valid": 1, "block": index(self.depth)})
        layout = data.StructLayout(
            {"line": operation.line.shape(), "rows": data.ArrayLayout(row, self.bank_rows)}
        )
        rows = Cat(Cat(r.valid, r.block) for r in operation.rows)
        return data.View(layout, Cat(operation.line, rows))

    def _products(
        self, m: Module, inputs: Sequence[Any], grants: Value
    ) -> tuple[list[list[Any]], list[list[Value]]]:
        """Of each bank: where it adds, in cycles t + 3 .. t + 5; and what, by lane."""
        place = data.StructLayout({"valid": 1, "address": index(self.depth)})
        where = [
            [Signal(place, name=f"add{b}_{n}") for n in range(4)] for b in range(self.memories)
        ]
        taken = Signal(len(inputs))
        m.d.sync += taken.eq(grants)
        choices = []
        for k, (i, scatter) in enumerate(zip(inputs, self.scatters, strict=True)):
            op = Signal(scatter.operation, name=f"operation{k}", reset_less=True)
            m.d.sync += op.eq(i.payload)
            for b in range(self.memories):
                with m.If(taken[k]):
                    m.d.sync += where[b][0].address.eq(self._address(op, b))
            choices.append((scatter, op))
        for b in range(self.memories):
            valid = Cat(taken[k] & self._adds(op, b) for k, (_, op) in enumerate(choices)).any()
            m.d.sync += where[b][0].valid.eq(valid)
            m.d.sync += [where[b][n].eq(where[b][n - 1]) for n in (1, 2, 3)]
        # taps arrive in t + 4, when the products are made
        taps = [self._taps(m, f"synapse{k}", *choice) for k, choice in enumerate(choices)]
        values = [self._value(m, op.value) for _, op in choices]
        source = [Signal(len(inputs), name=f"source{n}") for n in range(3)]
        m.d.sync += [source[0].eq(taken), source[1].eq(source[0]), source[2].eq(source[1])]
        products = []
        for b in range(self.memories):
            lane = []
            for p in range(self.unit.lanes):
                product = Signal(signed(self.unit.neurons.bits), name=f"product{b}_{p}")
                m.d.sync += product.eq(self._product(m, source[2], taps, values, b, p))
                lane.append(product)
            products.append(lane)
        return [w[1:] for w in where], products

    def _address(self, op: Any, bank: int) -> Value:
        row, column = divmod(bank, self.banks)
        line = op.line if self.bank_rows == 1 else op.line + op.rows[row].block
        return line + op.banks[column].block  # type: ignore[no-any-return]

    def _adds(self, op: Any, bank: int) -> Value:
        row, column = divmod(bank, self.banks)
        valid: Value = op.banks[column].valid
        return valid if self.bank_rows == 1 else valid & op.rows[row].valid

    def _taps(self, m: Module, name: str, scatter: Scatter, op: Any) -> list[list[Value]] | None:
        """Three cycles after `op`, the weights of each bank's lanes; None where all are 1."""
        routes = scatter.routes
        if routes.weights is None:
            return None
        lanes, bits = self.unit.lanes, routes.weight_bits
        tap = data.ArrayLayout(signed(bits), lanes)
        of_row = data.ArrayLayout(tap, scatter.taps)
        layout = data.ArrayLayout(of_row, scatter.tap_rows)
        rows, columns, words, _ = routes.weights.shape
        at_once = (scatter.tap_rows, scatter.taps)
        stored = routes.weights.reshape(
            rows // at_once[0], at_once[0], columns // at_once[1], at_once[1], words, lanes
        )
        content = stored.transpose(0, 2, 4, 1, 3, 5).reshape(-1, *at_once, lanes).tolist()
        m.submodules[f"{name}_weights"] = rom = memory.Memory(
            shape=layout, depth=len(content), init=content, attrs=rom_style(layout, len(content))
        )
        port = rom.read_port()
        m.d.comb += port.addr.eq(op.weight)
        chosen = []
        for r in range(self.bank_rows):
            word = Signal(of_row, name=f"{name}_word{r}", reset_less=True)
            given = port.data[0]
            if self.bank_rows > 1:
                at_row = _after(m, f"{name}_row{r}", op.rows[r].tap, 1)[1]
                given = Array(port.data[n] for n in range(scatter.tap_rows))[at_row]
            m.d.sync += word.eq(given)
            for b in range(self.banks):
                at = [Signal.like(op.banks[b].tap) for _ in range(2)]
                m.d.sync += [at[0].eq(op.banks[b].tap), at[1].eq(at[0])]
                select = Signal(tap, name=f"{name}_tap{r * self.banks + b}", reset_less=True)
                m.d.sync += select.eq(Array(word[n] for n in range(scatter.taps))[at[1]])
                chosen.append([select[p] for p in range(lanes)])
        return chosen

    def _value(self, m: Module, value: Value) -> Value:
        """The event's value, as late as its weights."""
        for _ in range(3):
            later = Signal(value.shape(), reset_less=True)
            m.d.sync += later.eq(value)
            value = later
        return value

    def _product(
        self,
        m: Module,
        source: Value,
        taps: Sequence[list[list[Value]] | None],
        values: Sequence[Value],
        bank: int,
        lane: int,
    ) -> Value:
        chosen = Signal(signed(self.unit.neurons.bits), name=f"chosen{bank}_{lane}")
        products = [
            times(value, 1 if tap is None else tap[bank][lane])
            for value, tap in zip(values, taps, strict=True)
        ]
        if len(products) == 1:
            return products[0]
        with m.Switch(source):
            for k, product in enumerate(products):
                with m.Case("-" * (len(products) - 1 - k) + "1" + "-" * k):
                    m.d.comb += chosen.eq(product)
        return chosen

    def _joined(self, held: Value, product: Value) -> Value:
        if self.takes_largest:
            return Mux(held < product, product, held)
        return held + product

    # --- The pass --------------------------------------------------------------------------------

    @property
    def _content(self) -> list[Any]:
        """The accumulators before the first timestep."""
        initial = self.unit.by_lane(self.unit.neurons.initial)
        rows = [[{"v": int(v)} for v in lanes] for lanes in initial]
        return rows * (self.depth // len(rows))

    def _raster(self) -> Raster:
        groups = self.unit.groups
        return Raster(self.shape, groups=groups, banks=self.banks, bank_rows=self.bank_rows)

    def _begins(self, m: Module, begun: Raster, may_begin: Value) -> None:
        """Goes through all words of a pass, when it `may_begin` and there is room for them."""
        passing, done = Signal(), Signal()
        waiting = Signal(range(self.ahead + 1))
        m.d.comb += begun.next.eq(passing & (waiting < self.ahead))
        m.d.sync += waiting.eq(waiting + begun.next - self.taken)
        with m.If(may_begin & ~passing & ~done):
            m.d.sync += passing.eq(1)
        with m.If(begun.next & begun.last):
            m.d.sync += [passing.eq(0), done.eq(1)]
        with m.If(self.valid & (self.word.kind != Kind.EVENT)):
            m.d.sync += done.eq(0)  # and the markers are taken in this very cycle


def _after(m: Module, name: str, value: Value, cycles: int) -> list[Value]:
    """`value` after 0, 1, ... `cycles` cycles."""
    found = [value]
    for n in range(1, cycles + 1):
        found.append(Signal(value.shape(), name=f"{name}_after{n}"))
        m.d.sync += found[n].eq(found[n - 1])
    return found


def _meet(these: Any, those: Any) -> Value:
    """Whether two operations add to sums in the same line of a row of banks."""
    line: Value = these.line == those.line
    if len(dict(these.shape())) == 1:
        return line
    rows = zip(these.rows, those.rows, strict=True)
    return line & Cat(a.valid & b.valid & (a.block == b.block) for a, b in rows).any()


def times(value: Value, weight: Value | int) -> Value:
    """`value * weight`; of values of up to four bits in logic, so that they take no multiplier."""
    if isinstance(weight, int):
        return value
    if len(value) == 1 and not value.shape().signed:
        return Mux(value, weight, 0)
    if len(value) > 4:
        return value * weight
    parts = [Mux(value[k], weight << k, 0) for k in range(len(value))]
    if value.shape().signed:
        parts[-1] = -parts[-1]
    return sum(parts[1:], parts[0])
