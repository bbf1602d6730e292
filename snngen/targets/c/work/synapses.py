"""Mirrors the functions that add to a line what a layer receives, and those that pool.

Every function counts one synapse of all lines, for the planes that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.ops import Conv, Linear, MaxPool, Op, Scale, Select, Shape, SumPool, Window
from snngen.targets.c.storage import BITS, I8, U8, Element, Storage
from snngen.targets.c.way import Way
from snngen.targets.c.work.lanes import count_lanes
from snngen.targets.c.work.packed import count_packed
from snngen.targets.c.work.pieces import Counts, Tally
from snngen.targets.c.work.rows import (
    Values,
    add_events,
    add_products,
    add_row,
    bits_looked_at,
    clear,
    get_line,
    kind,
    narrow,
    parameter_kind,
    places,
    put_line,
    total,
    widen,
)

LISTED = 32  # events that snn_linear lists at a time
EIGHT = 8


@dataclass(frozen=True, eq=False)
class Read:
    """A synapse: `values` (runs, planes, C, H, W) of its source, stored as `element`; `way` where
    it is not the operator's own. `shape`: of the layer that receives. `is_8_bit`: the processor.
    """

    op: Op
    way: Way | None
    values: Values
    element: Element
    shape: Shape
    is_8_bit: bool

    @property
    def planes(self) -> int:
        planes: int = self.values.shape[1]
        return planes

    @property
    def positions(self) -> int:
        """Of all planes."""
        return self.planes * self.shape[1] * self.shape[2]

    @property
    def source(self) -> Shape:
        channels, height, width = self.values.shape[2:]
        return channels, height, width


@dataclass(frozen=True, eq=False)
class Taps:
    """How windows fall on a source, of one plane: `rows`, those of all positions; `inside`, taps on
    the source; `covers` (H, W), how many windows see a place.
    """

    rows: int
    inside: int
    covers: NDArray[np.int64]


def _taps(window: Window, source: Shape) -> Taps:
    _, height, width = source
    covers = window.coverage(height, width)
    lines, columns = window.positions(height, width)
    first = np.arange(lines)[:, None] * window.stride[0] - window.pads[0]
    rows = first + np.arange(window.kernel[0]) * window.dilation[0]
    valid = int(((rows >= 0) & (rows < height)).sum())
    return Taps(valid * columns, int(covers.sum()), covers)


def _seen(values: Values, covers: NDArray[np.int64]) -> tuple[NDArray[np.float64], ...]:
    """What is not 0, and bits below it, as often as windows see it."""
    spikes = values != 0
    by_channel = (spikes * covers).sum((1, 3, 4), dtype=np.float64)
    return by_channel.sum(1), by_channel @ (np.arange(values.shape[2]) % 8)


def _lanes(tally: Tally, read: Read) -> None:
    assert read.way is not None
    channels = read.shape[0]
    count_lanes(
        tally, read.way, read.element, read.values, channels, is_8_bit=read.is_8_bit
    )  # fmt: skip


def _packed(tally: Tally, read: Read) -> None:
    assert read.way is not None
    count_packed(tally, read.way, read.element, read.values, read.shape)


def _conv(tally: Tally, read: Read) -> None:
    op = read.op
    assert isinstance(op, Conv)
    taps = _taps(op.window, read.source)
    kernel = op.window.kernel
    tally.add_all("conv", position=read.positions, row=read.positions * kernel[0])
    tally.add("conv.tap", read.planes * taps.rows * kernel[1])
    spikes, groups = read.values != 0, op.groups
    looked: NDArray[np.float64] | float = 0.0
    if read.element == BITS:
        inputs = read.source[0] // groups
        parts = (spikes[:, :, k : k + inputs] for k in range(0, read.source[0], inputs))
        looked = sum(
            ((bits_looked_at(part) * taps.covers).sum((1, 2, 3)) for part in parts),
            np.zeros(len(spikes)),
        )
    events, _ = _seen(read.values, taps.covers)
    add_events(
        tally,
        read.element,
        parameter_kind(op.weight),
        op.weight.shape[1],
        op.weight.shape[0] // groups,
        read.planes * taps.inside * groups,
        events,
        looked,
    )


def _linear(tally: Tally, read: Read) -> None:
    op = read.op
    assert isinstance(op, Linear)
    weights, outputs = parameter_kind(op.weight), read.shape[0]
    channels, height, width = read.source
    spikes = read.values != 0
    events = total(spikes)
    tally.add("linear.call", read.planes)
    if read.element == U8 and weights == I8 and outputs % 4 == 0:
        flushes = total(-(-spikes.sum((2, 3, 4)) // LISTED))
        tally.add_all("linear", byte=spikes[0].size, event=events, flush=flushes)
        eights = 0 if read.is_8_bit else outputs // EIGHT
        for kernel, times in (("add_8", eights), ("add_4", (outputs - 8 * eights) // 4)):
            tally.add_all(kernel, call=times * flushes, slice=times * flushes, event=times * events)
        return
    rows = read.planes * height * width
    tally.add("linear.row", rows)
    looked = total(bits_looked_at(spikes)) if read.element == BITS else 0.0
    add_events(tally, read.element, weights, channels, outputs, rows, events, looked)


def _depthwise(tally: Tally, read: Read) -> None:
    op = read.op
    assert isinstance(op, Conv)
    window, channels, weights = op.window, read.source[0], parameter_kind(op.weight)
    taps = _taps(window, read.source)
    in_bytes = read.element in (U8, I8) and weights == I8
    if in_bytes and channels % EIGHT == 0 and window.dilation == (1, 1):
        inside = window.taps_inside(*read.source[1:])
        positions = read.planes * int((inside > 0).sum())
        tally.add_all("depthwise", line=read.planes * read.shape[1], position=positions)
        eights = channels // EIGHT
        tally.add_all("depthwise", eight=eights * positions, row=eights * read.planes * taps.rows)
        tally.add(f"depthwise.{kind(read.element)}", eights * read.planes * taps.inside)
        return
    rows, columns = window.kernel
    tally.add_all("depthwise_any", position=read.positions, row=read.positions * rows)
    tally.add("depthwise_any.tap", read.planes * taps.rows * columns)
    spikes, below = _seen(read.values, taps.covers)
    add_products(tally, read.element, weights, channels, read.planes * taps.inside, spikes, below)


def _scale(tally: Tally, read: Read) -> None:
    assert isinstance(read.op, Scale)
    spikes, weights = read.values != 0, parameter_kind(read.op.weight)
    tally.add("scale.position", read.positions)
    add_products(
        tally, read.element, weights, read.source[0], read.positions, total(spikes), places(spikes)
    )


def _sum_pool(tally: Tally, read: Read) -> None:
    op = read.op
    assert isinstance(op, SumPool)
    taps = _taps(op.window, read.source)
    rows, columns = op.window.kernel
    tally.add_all("sum_pool", position=read.positions, row=read.positions * rows)
    tally.add("sum_pool.tap", read.planes * taps.rows * columns)
    spikes, below = _seen(read.values, taps.covers)
    add_row(tally, read.element, read.source[0], read.planes * taps.inside, spikes, below)
    if op.multiplier is not None:
        tally.add("sum_pool.product", read.positions * read.shape[0])
        tally.add(f"at.{kind(parameter_kind(op.multiplier))}", read.positions)


def _max_pool(tally: Tally, read: Read) -> None:
    op = read.op
    assert isinstance(op, MaxPool)
    taps = _taps(op.window, read.source)
    rows, columns = op.window.kernel
    tally.add_all("max_pool", position=read.positions, row=read.positions * rows)
    tally.add("max_pool.tap", read.planes * taps.rows * columns)
    elements = read.planes * taps.inside * read.source[0]
    tally.add("max_pool.element", elements)
    tally.add(f"get.{kind(read.element)}", elements)
    least = -(2.0**40)
    windows = op.window.taps(read.values.astype(np.float64), least)
    ordered = windows.reshape(*windows.shape[:3], -1, *windows.shape[5:])
    best = np.maximum.accumulate(ordered, axis=3)
    higher = (best[:, :, :, :1] > least).sum((1, 2, 3, 4, 5)) + total(np.diff(best, axis=3) > 0)
    tally.add("max_pool.higher", higher)


def _select(tally: Tally, read: Read) -> None:
    op = read.op
    assert isinstance(op, Select)
    positions = read.planes * int((op.rows >= 0).sum() * (op.columns >= 0).sum())
    taken = positions * int((op.channels >= 0).sum())
    tally.add_all("select", position=read.positions, channel=positions * read.shape[0])
    tally.add("select.taken", taken)
    tally.add(f"get.{kind(read.element)}", taken)


SYNAPSES: Mapping[str, Callable[[Tally, Read], None]] = {
    "snn_lanes": _lanes,
    "snn_wide": _lanes,
    "snn_conv": _conv,
    "snn_depthwise": _depthwise,
    "snn_linear": _linear,
    "snn_packed": _packed,
    "snn_ternary": _packed,
    "snn_scale": _scale,
    "snn_sum_pool": _sum_pool,
    "snn_max_pool": _max_pool,
    "snn_select": _select,
}


def count_maxima(
    tally: Tally,
    read: Read,
    output: Storage,
    state: Storage | None,
    fresh: Counts,
    *,
    behind: bool,
) -> None:
    """snn_max_pool_counts, which is called once for all planes, or where it keeps a `state` once
    for each, of which `fresh` (runs,) are first timesteps. `behind`: of a stream.
    """
    op = read.op
    assert isinstance(op, MaxPool)
    channels, height, width = output.shape
    positions, kernel = height * width, op.fan_in
    taps = _taps(op.window, read.source)
    calls = read.planes if state is not None else 1
    loaded = (calls - fresh) if state is not None else np.zeros(len(fresh))
    steps = positions * read.planes
    tally.add_all("max_pool_counts", call=positions * calls, step=steps)
    tally.add("max_pool_counts.channel", steps * channels)
    # received, then the largest; and once more where what was passed on is worked out anew
    turns = 2 * read.planes + loaded
    tally.add("max_pool_counts.tap", turns * positions * kernel)
    tally.add("max_pool_counts.element", (read.planes + loaded) * taps.inside * channels)
    spikes, below = _seen(read.values, taps.covers)
    add_row(tally, read.element, channels, read.planes * taps.inside, spikes, below)
    clear(tally, 4 * channels * (kernel + 1), positions * (calls - loaded))
    narrow(tally, output.element, channels, steps)
    if state is not None:
        widen(tally, state.element, channels * kernel, positions * loaded)
        narrow(tally, state.element, channels * kernel, positions * calls)
    tally.add("max_pool_counts.behind", steps * kernel * channels if behind else 0)


def count_pooled(tally: Tally, read: Read, output: Storage, source: Storage) -> None:
    """snn_pool_line, for the planes of `read`; `source`: the lines that it takes."""
    op = read.op
    assert isinstance(op, SumPool | MaxPool)
    channels, height, width = output.shape
    kernel_height, kernel_width = op.window.kernel
    used = read.values[..., : height * kernel_height, : width * kernel_width]
    lines, firsts = read.planes * height * kernel_height, read.planes * height
    positions = lines * width
    takes_maximum = isinstance(op, MaxPool)
    in_bytes = source.element == U8 and output.element == U8
    if source.element == BITS and output.element == U8:
        clear(tally, width * channels, firsts)
        tally.add_all("pool_bits", line=lines, position=positions)
        tally.add("pool_bits.byte", positions * kernel_width * -(-channels // 8))
        tally.add_all("pool_bits", bit=total(used != 0), place=places(used != 0))
    elif in_bytes and not takes_maximum and channels % 4 == 0:
        words = positions * channels // 4
        clear(tally, width * channels, firsts)
        tally.add_all("pool_words", line=lines, position=positions * -(-kernel_width // 2))
        tally.add_all("pool_words", pair=words * (kernel_width // 2))
        tally.add("pool_words.single", words * (kernel_width % 2))
    elif in_bytes:
        elements = positions * channels
        tally.add_all("pool_bytes", line=lines, position=elements)
        part = "maximum" if takes_maximum else "sum"
        tally.add(f"pool_bytes.{part}", elements * kernel_width)
    else:
        get_line(tally, output, lines - firsts)
        put_line(tally, output, lines)
        tally.add_all("pool_values", line=lines, position=positions)
        tally.add("pool_values.tap", positions * kernel_width)
        first = firsts * width
        widen(tally, source.element, channels, first)
        others = positions * kernel_width - first
        if takes_maximum:
            tally.add("pool_values.raised", others * channels)
            tally.add(f"get.{kind(source.element)}", others * channels)
        else:
            share = others / (positions * kernel_width)
            spikes, below = total(used != 0), places(used != 0)
            add_row(tally, source.element, channels, others, share * spikes, share * below)
