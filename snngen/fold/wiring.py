"""Rules for identities, activations and wiring."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snngen.fold.rewrite import Shapes, producer, rewire
from snngen.graph import Add, Affine, Concat, Graph, GraphOp, Node, Relu, Staircase
from snngen.ops import Conv, MaxPool, Select, SumPool


def drop_identity(graph: Graph, known: Shapes, node: Node) -> Graph | None:
    """A node that passes its only input on unchanged."""
    match node.op:
        case Affine(scale, shift):
            idle = bool(np.all(scale == 1) and np.all(shift == 0))
        case Select() as select:
            shape = known[node.inputs[0]]
            idle = select.shape(shape) == shape and all(
                np.array_equal(a, np.arange(len(a)))
                for a in (select.channels, select.rows, select.columns)
            )
        case MaxPool(window):
            idle = window.is_pointwise
        case SumPool(window, divisor, multiplier):
            idle = window.is_pointwise and divisor == 1 and multiplier is None
        case Add() | Concat():
            idle = len(node.inputs) == 1
        case Relu(maximum):
            before = producer(graph, node)
            idle = (
                before is not None and isinstance(before.op, Relu) and before.op.maximum <= maximum
            )
        case _:
            idle = False
    return rewire(graph, bypass={node.name: node.inputs[0]}) if idle else None


def merge_relus(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """Two ReLUs in a row: the lower ceiling counts."""
    before = producer(graph, node)
    if not isinstance(node.op, Relu) or before is None or not isinstance(before.op, Relu):
        return None
    lower = Relu(min(node.op.maximum, before.op.maximum))
    return rewire(graph, {node.name: replace(node, op=lower, inputs=before.inputs)})


def merge_selects(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """Two Selects in a row."""
    before = producer(graph, node)
    if not isinstance(node.op, Select) or before is None or not isinstance(before.op, Select):
        return None
    first, second = before.op, node.op
    maps = [
        np.where(b < 0, -1, a[b]).astype(np.int32)
        for a, b in (
            (first.channels, second.channels),
            (first.rows, second.rows),
            (first.columns, second.columns),
        )
    ]
    return rewire(graph, {node.name: replace(node, op=Select(*maps), inputs=before.inputs)})


def pad_into_window(graph: Graph, known: Shapes, node: Node) -> Graph | None:
    """A Select that only pads with zeros becomes the window's own padding."""
    if not isinstance(node.op, Conv | SumPool | MaxPool):
        return None
    before = producer(graph, node)
    if before is None or not isinstance(before.op, Select):
        return None
    channels, height, width = known[before.inputs[0]]
    select = before.op
    margins = [_margins(m, n) for m, n in ((select.rows, height), (select.columns, width))]
    if not np.array_equal(select.channels, np.arange(channels)) or None in margins:
        return None
    (top, bottom), (left, right) = (m for m in margins if m is not None)
    own = node.op.window.pads
    pads = (own[0] + top, own[1] + left, own[2] + bottom, own[3] + right)
    window = replace(node.op.window, pads=pads)
    if isinstance(node.op, MaxPool):
        # Zeros take part in a maximum, padding does not: the same where no value is negative, if
        # a tap is left.
        source = producer(graph, before)
        if (
            source is None
            or not _is_never_negative(source.op)
            or window.taps_inside(height, width).min() == 0
        ):
            return None
    return rewire(
        graph,
        {node.name: replace(node, op=replace(node.op, window=window), inputs=before.inputs)},
    )


def _is_never_negative(op: GraphOp) -> bool:
    return isinstance(op, Relu) or (isinstance(op, Staircase) and op.lowest >= 0)


def _margins(axis: np.ndarray[tuple[int], np.dtype[np.int32]], size: int) -> tuple[int, int] | None:
    """How many zeros surround 0, 1, .., size - 1 in `axis`; None where it is anything else."""
    inside = np.flatnonzero(axis >= 0)
    if len(inside) != size or not np.array_equal(axis[axis >= 0], np.arange(size)):
        return None
    begin, end = int(inside[0]), int(inside[-1])
    return (begin, len(axis) - 1 - end) if end - begin + 1 == size else None
