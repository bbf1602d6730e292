"""Mirrors snn_events.c, snn_lanes.c and snn_bytes.c: what is not 0 is listed, then added."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.targets.c.events import MOST_ROWS
from snngen.targets.c.storage import BITS, I8, U8, Element
from snngen.targets.c.way import Way
from snngen.targets.c.work.pieces import Tally
from snngen.targets.c.work.rows import Values, kind, places, total

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Seen:
    """What the windows of all lines see: `rows`, (H_out, kh), the source's row or -1 on padding;
    `counts`, events of a window's row, int64 (runs, planes, H_out, kh, W_out).
    """

    rows: Integers
    counts: Integers


def count_lanes(
    tally: Tally, way: Way, element: Element, values: Values, channels: int, *, is_8_bit: bool
) -> None:
    """Both functions for a synapse that reads `values` (runs, planes, C, H, W) and has `channels`
    outputs.
    """
    parameters = dict(way.parameters)
    seen = _seen(way, values)
    if parameters["merges_rows"]:
        _list_columns(tally, element, values, seen)
    else:
        _list_rows(tally, element, values, seen)
    summed = way.add == "snn_lanes"
    at_once = parameters["rows_at_once"] if summed else MOST_ROWS
    kernel = seen.rows.shape[1]
    planes, lines, width = values.shape[1], seen.rows.shape[0], seen.counts.shape[-1]
    tally.add("slices.call", planes * lines)
    if parameters["merges_rows"]:
        windows = seen.counts.sum(3, keepdims=True)
        tally.add("slices.merged", planes * lines * width)
        blocks = [windows]
    else:
        blocks = [seen.counts[:, :, :, k : k + at_once] for k in range(0, kernel, at_once)]
        tally.add("slices.row", planes * lines * kernel)
        tally.add("slices.position", planes * lines * width * len(blocks))
        tally.add("slices.tested", planes * int((seen.rows >= 0).sum()) * width)
    found = np.sum([total(block > 0) for block in blocks], axis=0)
    calls = np.sum([total((block > 0).any(3)) for block in blocks], axis=0)
    events = total(seen.counts)
    tally.add("slices.found", found)
    tally.add("slices.add", calls)
    each = {"call": calls, "slice": found, "event": events}
    if not is_8_bit:
        (_lanes if summed else _wide)(tally, parameters["words"], channels, each)
    elif parameters["has_pairs"] and element in (BITS, U8):
        _bytes(tally, channels, each, summed=summed)
    else:
        tally.add_all("lanes_any", slice=found, event=events, output=channels * events)


Each = dict[str, NDArray[np.float64]]


def _lanes(tally: Tally, words: int, channels: int, each: Each) -> None:
    word = 0
    while word < words:
        rest, left = channels - 2 * word, words - word
        step = next(size for size in (8, 4, 2) if left >= size)
        if rest >= 16:
            tally.add("lanes_16.call", each["call"])
        else:
            tally.add(f"lanes_{step}.call", each["call"])
            tally.add("unpack.output", min(rest, 2 * step) * each["call"])
        tally.add(f"lanes_{step}.slice", each["slice"])
        tally.add(f"lanes_{step}.event", each["event"])
        word += step


def _wide(tally: Tally, words: int, channels: int, each: Each) -> None:
    eights, left = divmod(channels, 8)
    for kernel, times in (("wide_8", eights), ("wide_4", -(-left // 4))):
        tally.add_all(kernel, **{part: times * turns for part, turns in each.items()})
    tally.add("wide_4.output", left * each["call"])


def _bytes(tally: Tally, channels: int, each: Each, *, summed: bool) -> None:
    eights, left = divmod(channels, 8) if summed else (0, channels)
    for kernel, times in (("add_8", eights), ("add_4", -(-left // 4))):
        tally.add_all(kernel, **{part: times * turns for part, turns in each.items()})
    tally.add("lanes_last.output", left % 4 * each["call"])


def _seen(way: Way, values: Values) -> Seen:
    window = way.window
    runs, planes, _, height, width = values.shape
    top, left, _, right = window.pads
    lines, windows = window.positions(height, width)
    present = (values != 0).sum(2)  # events of a position
    before = np.zeros((runs, planes, height, left + width + right + 1), np.int64)
    np.cumsum(np.pad(present, ((0, 0),) * 3 + ((left, right),)), -1, out=before[..., 1:])
    first = np.arange(windows) * window.stride[1]
    counts = before[..., first + window.kernel[1]] - before[..., first]
    rows = np.arange(lines)[:, None] * window.stride[0] - top + np.arange(window.kernel[0])
    rows = np.where((rows >= 0) & (rows < height), rows, -1)
    counts = np.concatenate([counts, np.zeros_like(counts[:, :, :1])], 2)  # -1: padding
    return Seen(rows, counts[:, :, rows])


def _list_rows(tally: Tally, element: Element, values: Values, seen: Seen) -> None:
    _, planes, channels, _, width = values.shape
    listed = np.unique(seen.rows[seen.rows >= 0])
    lines = len(seen.rows)
    tally.add_all("list", call=planes, line=planes * lines, row=planes * len(listed))
    tally.add("list.column", planes * len(listed) * (seen.counts.shape[-1] + 1))
    tally.add("list.position", planes * len(listed) * width)
    _list_elements(tally, element, values[:, :, :, listed], channels)


def _list_elements(tally: Tally, element: Element, listed: Values, channels: int) -> None:
    """All of `listed` (runs, planes, C, rows, W)."""
    elements = listed[0].size
    spikes = listed != 0
    if element == U8:
        tally.add_all("list", u8=elements, event=total(spikes))
    elif element == BITS:
        tally.add("list.byte", elements // channels * -(-channels // 8))
        tally.add_all("list", bit=total(spikes), place=places(spikes))
    elif element == I8:
        tally.add("list.i8", elements)
    else:
        tally.add("list.any", elements)
        tally.add(f"get.{kind(element)}", elements)


def _list_columns(tally: Tally, element: Element, values: Values, seen: Seen) -> None:
    """Line by line, all rows that its windows see."""
    _, planes, channels, _, width = values.shape
    lines = len(seen.rows)
    tally.add_all("list", call=planes, line=planes * lines)
    again = values[:, :, :, np.concatenate([rows[rows >= 0] for rows in seen.rows])]
    if element != U8 or channels != 1:
        tally.add("merged.column", planes * lines * width)
        tally.add("list.position", again[0].size // channels)
        _list_elements(tally, element, again, channels)
        return
    tally.add("merged.line", planes * lines)
    for rows in seen.rows:
        strip = values[:, :, 0, rows[rows >= 0]] != 0  # (runs, planes, height, W)
        height = strip.shape[2]
        if width % 4:
            zero = np.zeros((*strip.shape[:2], width), bool)
        else:
            quads = ~strip.any(2).reshape(*strip.shape[:2], -1, 4).any(-1)
            tally.add("merged.quad", planes * width // 4)
            tally.add("merged.quad_row", planes * width // 4 * height)
            tally.add("merged.zero", total(quads))
            zero = np.repeat(quads, 4, -1)
        tally.add("merged.column", total(~zero))
        tally.add("merged.element", height * total(~zero))
        tally.add("merged.event", total(strip))
