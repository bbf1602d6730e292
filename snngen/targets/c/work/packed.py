"""Mirrors snn_packed.c."""

from __future__ import annotations

import numpy as np

from snngen.ops import Shape
from snngen.targets.c.packed import CHUNK
from snngen.targets.c.storage import BITS, I8, U8, Element
from snngen.targets.c.way import Way
from snngen.targets.c.work.pieces import Tally
from snngen.targets.c.work.rows import Values, kind


def count_packed(tally: Tally, way: Way, element: Element, values: Values, shape: Shape) -> None:
    """One synapse of all lines of a layer of `shape`: what it reads of `values` (runs, planes, C,
    H, W), stored as `element`.
    """
    given = dict(way.parameters)
    runs, planes, inputs, height, width = values.shape
    (rows, columns), (down, right), (apart_y, apart_x) = (
        way.window.kernel,
        way.window.stride,
        way.window.dilation,
    )
    top, left, _, _ = way.window.pads
    lines, count, rest = shape[1], given["outputs"], given["outputs"] % CHUNK
    chunks = [CHUNK] * (count // CHUNK) + [rest] * (rest > 0)
    tally.add("packed.column", planes * lines * columns * shape[2])
    seen_y = np.arange(lines)[:, None] * down + np.arange(rows) * apart_y - top
    by_row = np.bincount(seen_y[(seen_y >= 0) & (seen_y < height)], minlength=height)
    narrow = element in (BITS, U8, I8) and not given["is_depthwise"]
    unpacked = np.zeros(runs)
    for kx in range(columns):
        seen_x = np.arange(shape[2]) * right + kx * apart_x - left
        seen_x = seen_x[(seen_x >= 0) & (seen_x < width)]
        if not len(seen_x):
            continue
        taps = planes * int(by_row.sum())
        read_rows = taps * (1 if given["is_depthwise"] else inputs)
        tally.add("packed.tap", taps)
        if narrow:
            spikes = (values[..., seen_x] != 0) * by_row[:, None]
            events = spikes.sum((1, 2, 3, 4), dtype=np.float64)
            active = (spikes.max(-1)).sum((1, 2, 3), dtype=np.float64)
            tally.add_all("packed", row=len(chunks) * read_rows, event=len(chunks) * events)
            tally.add("packed.place", len(chunks) * read_rows * len(seen_x))
            tally.add("packed.four", sum(n // 4 for n in chunks) * events)
            tally.add("packed.rest", sum(n % 4 for n in chunks) * events)
            unpacked += active * count
        else:
            positions = read_rows * len(seen_x)
            tally.add_all(
                "packed_any", row=len(chunks) * read_rows, position=len(chunks) * positions
            )
            tally.add("packed_any.output", positions * count)
            tally.add(f"get.{kind(element)}", positions * count)
            unpacked += read_rows * count
    tally.add(f"unpack_{'bits' if given['bits'] else 'ternary'}.weight", unpacked)
