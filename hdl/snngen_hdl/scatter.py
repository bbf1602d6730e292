"""From events to additions: one operation for every weight word that an event selects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, ShapeLike, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from snngen_hdl.routes import Routes, Step, steps_of
from snngen_hdl.streams import Kind, index, token


class Scatter(wiring.Component):
    """Walks the columns, rows and groups that each event reaches: one operation per cycle. Groups
    change fastest, and columns, which rows and groups have in common, last: so that an operation
    seldom follows closely on one of the same sums.

    `o`: the operation. Bank b adds, where `banks[b].valid`, `value` times tap `banks[b].tap` of the
    word at `weight` to the neurons at `line + banks[b].block`. A marker passes as an operation
    without banks. An event that reaches nothing takes one cycle.

    The accumulators of a layer of `groups` groups of lanes, (H, W): row y, column x, group g lie in
    bank x % `banks` at (y * blocks + x // `banks`) * groups + g. Where there are several
    `bank_rows` of such banks, in row y % `bank_rows` of them, at (y // `bank_rows` * blocks + ...):
    then a word holds the whole kernel, and bank b of row r adds, where also `rows[r].valid`, tap
    (`rows[r].tap`, `banks[b].tap`) at `line + rows[r].block + banks[b].block`.
    """

    def __init__(
        self,
        routes: Routes,
        value: ShapeLike,
        *,
        width: int,
        groups: int,
        banks: int,
        depth: int,
        bank_rows: int = 1,
    ) -> None:
        self.routes, self.groups, self.bank_rows = routes, groups, bank_rows
        self.blocks = -(-width // banks)
        self.steps = steps_of(routes.columns, banks)
        self.row_steps = steps_of(routes.rows, bank_rows)
        kernel = (1, 1) if routes.weights is None else routes.weights.shape[:2]
        self.kernel_width = kernel[1]
        self.taps = self.kernel_width if banks > 1 else 1  # of one weight word
        self.tap_rows = kernel[0] if bank_rows > 1 else 1
        words = (kernel[0] // self.tap_rows) * (self.kernel_width // self.taps)
        self.weight_words = words * routes.words
        rows = data.StructLayout({"valid": 1, "block": index(depth), "tap": index(self.tap_rows)})
        self.operation = data.StructLayout(
            {
                "kind": Kind,
                "value": value,
                "line": index(depth if bank_rows == 1 else groups),
                "weight": index(self.weight_words),
                "banks": data.ArrayLayout(
                    data.StructLayout(
                        {
                            "valid": 1,
                            "block": index(max(1, (self.blocks - 1) * groups + 1)),
                            "tap": index(self.taps),
                        }
                    ),
                    banks,
                ),
            }
            | ({} if bank_rows == 1 else {"rows": data.ArrayLayout(rows, bank_rows)})
        )
        super().__init__(
            {
                "i": In(stream.Signature(token(routes.source, value))),
                "o": Out(stream.Signature(self.operation)),
            }
        )

    def compute(self, channel: int, y: int, x: int) -> list[dict[str, Any]]:
        """The operations of an event, in order: line, weight, banks and rows, as in `o`."""
        found = []
        for column_step in self.steps[x]:
            column = self._column_entry(column_step)
            for row_step in self.row_steps[y]:
                row = self._row_entry(row_step)
                for tap in self.routes.groups_of(channel, self.groups):
                    word = tap.weight if self.routes.weights is not None else 0
                    found.append(
                        row
                        | {
                            "line": row.get("line", 0) + tap.place,
                            "weight": row.get("weight", 0) + column["weight"] + word,
                            "banks": column["banks"],
                        }
                    )
        return found

    # --- Tables ----------------------------------------------------------------------------------

    def _row_entry(self, step: Step) -> dict[str, Any]:
        per_row = self.blocks * self.groups
        if self.bank_rows > 1:
            return {
                "rows": [
                    {
                        "valid": int(tap is not None),
                        "block": 0 if tap is None else tap.place * per_row,
                        "tap": 0 if tap is None else tap.weight,
                    }
                    for tap in step
                ]
            }
        (tap,) = step
        assert tap is not None
        stride = (self.kernel_width // self.taps) * self.routes.words
        return {"line": tap.place * per_row, "weight": tap.weight * stride}

    @property
    def _row_entries(self) -> tuple[Sequence[Sequence[dict[str, Any]]], data.StructLayout]:
        entries = [[self._row_entry(step) for step in steps] for steps in self.row_steps]
        if self.bank_rows == 1:
            return entries, _layout_of(entries)
        return entries, data.StructLayout({"rows": dict(self.operation)["rows"].shape})

    @property
    def _group_entries(self) -> tuple[Sequence[Sequence[dict[str, int]]], data.StructLayout]:
        """By channel; where all channels are alike, of one, whose words the channel is added to."""
        channels = range(self.routes.source[0]) if self.routes.channels is not None else range(1)
        entries = [
            [
                {"line": tap.place, "weight": tap.weight if self.routes.weights is not None else 0}
                for tap in self.routes.groups_of(c, self.groups)
            ]
            for c in channels
        ]
        return entries, _layout_of(entries)

    def _column_entry(self, step: Step) -> dict[str, Any]:
        split = self.taps == 1 and self.routes.weights is not None
        first = next(tap for tap in step if tap is not None)
        return {
            "weight": first.weight * self.routes.words if split else 0,
            "banks": [
                {
                    "valid": int(tap is not None),
                    "block": 0 if tap is None else tap.place * self.groups,
                    "tap": 0 if tap is None or split else tap.weight,
                }
                for tap in step
            ],
        }

    @property
    def _column_entries(self) -> tuple[Sequence[Sequence[dict[str, Any]]], data.StructLayout]:
        entries = [[self._column_entry(step) for step in steps] for steps in self.steps]
        most = max((e["weight"] for steps in entries for e in steps), default=0)
        banks = dict(self.operation)["banks"].shape
        return entries, data.StructLayout({"weight": index(most + 1), "banks": banks})

    # --- The pipeline ----------------------------------------------------------------------------

    def elaborate(self, platform: object) -> Module:
        m = Module()
        event = self.i.payload
        rows, row_layout = self._row_entries
        columns, column_layout = self._column_entries
        groups, group_layout = self._group_entries
        uniform = self.routes.channels is None
        advance = Signal()  # whatever waits moves one stage on
        m.d.comb += advance.eq(~self.o.valid | self.o.ready)

        # The event in work, with how many steps each of its loops takes.
        held = Signal(event.shape())
        busy, nothing = Signal(), Signal()
        loops = [
            _Loop(m, "column", columns, event.x, held.x),
            _Loop(m, "row", rows, event.y, held.y),
            _Loop(m, "group", groups, *((event.c, held.c) if not uniform else (None, None))),
        ]
        is_event = Signal()
        last, step = Signal(), Signal()
        m.d.comb += [
            is_event.eq((held.kind == Kind.EVENT) & ~nothing),
            last.eq(Cat(loop.is_last for loop in loops).all() | ~is_event),
            step.eq(busy & advance),
            self.i.ready.eq(~busy | (step & last)),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                held.eq(event),
                busy.eq(1),
                nothing.eq(Cat(x.is_empty for x in loops).any()),
            ]
        with m.Elif(step & last):
            m.d.sync += busy.eq(0)
        for loop in loops:
            with m.If(self.i.valid & self.i.ready):
                m.d.sync += [loop.count.eq(0), loop.end.eq(loop.next_end)]
        with m.If(step & is_event & ~last):  # the innermost loop runs over groups
            carry = Value.cast(1)
            for loop in reversed(loops):
                with m.If(carry):
                    m.d.sync += loop.count.eq(Mux(loop.is_last, 0, loop.count + 1))
                carry = carry & loop.is_last

        # Tables, one cycle; then their sums.
        column = loops[0].look_up(m, column_layout, advance)
        row = loops[1].look_up(m, row_layout, advance)
        group = loops[2].look_up(m, group_layout, advance)
        looked, kind, value = Signal(), Signal(Kind), Signal.like(held.value)
        channel = Signal.like(held.c)
        with m.If(advance):
            m.d.sync += [
                looked.eq(busy & (is_event | (held.kind != Kind.EVENT))),
                kind.eq(held.kind),
                value.eq(held.value),
                channel.eq(held.c),
            ]
            o = self.o.payload
            line, words = group.line, column.weight + group.weight
            if self.bank_rows == 1:
                line, words = row.line + line, row.weight + words
            else:
                m.d.sync += o.rows.eq(row.rows)
            if uniform and self.routes.weights is not None:
                words = words + channel
            m.d.sync += [
                self.o.valid.eq(looked),
                o.kind.eq(kind),
                o.value.eq(value),
                o.line.eq(line),
                o.weight.eq(words),
                o.banks.eq(column.banks),
            ]
        return m


class _Loop:
    """One of the three loops over the taps of an event, with its table."""

    def __init__(
        self,
        m: Module,
        name: str,
        entries: Sequence[Sequence[dict[str, Any]]],
        coming: Value | None,
        held: Value | None,
    ) -> None:
        self.name, self.entries, self.held = name, entries, held
        self.slots = max(1, max(len(e) for e in entries))
        self.count = Signal(index(self.slots), name=f"{name}_count")
        self.end = Signal(index(self.slots), name=f"{name}_end")
        self.is_last = Signal(name=f"{name}_is_last")
        self.next_end = Signal(index(self.slots), name=f"{name}_next_end")
        self.is_empty = Signal(name=f"{name}_is_empty")
        m.d.comb += self.is_last.eq(self.count == self.end)
        ends = [max(0, len(e) - 1) for e in entries]
        empty = [int(not e) for e in entries]
        if coming is None:
            m.d.comb += [self.next_end.eq(ends[0]), self.is_empty.eq(empty[0])]
            return
        for signal, values in ((self.next_end, ends), (self.is_empty, empty)):
            usual = max(set(values), key=values.count)
            m.d.comb += signal.eq(usual)
            with m.Switch(coming):
                for at, v in enumerate(values):
                    if v != usual:
                        with m.Case(at):
                            m.d.comb += signal.eq(v)

    def look_up(self, m: Module, layout: data.StructLayout, advance: Value) -> Any:
        """The entry of the loop's place, one cycle later."""
        slots = 1 << ceil_log2(self.slots)
        blank = layout.const(None)
        content = [
            layout.const(e[k]) if k < len(e) else blank for e in self.entries for k in range(slots)
        ]
        if len(content) == 1:
            return content[0]
        m.submodules[f"{self.name}_table"] = rom = memory.Memory(
            shape=layout, depth=len(content), init=content, attrs=rom_style(layout, len(content))
        )
        port = rom.read_port()
        at = [] if self.held is None else [self.held]
        low = [] if slots == 1 else [self.count[: ceil_log2(slots)]]
        m.d.comb += [port.addr.eq(Cat(*low, *at)), port.en.eq(advance)]
        return port.data


def rom_style(shape: ShapeLike, depth: int) -> dict[str, str]:
    """Small tables are logic: block RAM is scarce."""
    bits = depth * Value.cast(Signal(shape)).shape().width
    return {"rom_style": "logic", "ram_style": "logic"} if bits <= 2048 else {}


def _layout_of(entries: Sequence[Sequence[dict[str, int]]]) -> data.StructLayout:
    flat = [entry for of_one in entries for entry in of_one]
    most = {name: max((e[name] for e in flat), default=0) for name in ("line", "weight")}
    return data.StructLayout({name: index(m + 1) for name, m in most.items()})
