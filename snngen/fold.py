"""Simplify a float graph without changing what it computes.

Batch norm and other constants disappear into weights, biases and the input's normalisation; padding
and identity rewiring into windows; a ReLU moves in front of the max pool that it followed, next to
the layer whose activation it is. Each rule looks at one node and its neighbours; they are applied
until none fits any more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snngen.errors import ModelError, Problem
from snngen.graph import Add, Affine, Concat, Floats, Graph, Node, Relu, check_graph, shapes
from snngen.ops import Conv, Linear, MaxPool, Select, SumPool
from snngen.reorder import (
    affine_above_add,
    affine_above_pool,
    affine_below_pool,
    pointwise_above_concat,
    pool_above_pointwise,
    relu_above_max_pool,
    shift_into_padded_conv,
)
from snngen.rewrite import (
    Rule,
    Shapes,
    absorbs,
    drop_dead,
    is_per_channel,
    only_reader,
    producer,
    rewire,
)


def fold(graph: Graph) -> Graph:
    """The simplified graph; raises ModelError where constants differ within a channel in a place
    that no dense layer can absorb.
    """
    graph = drop_dead(graph)
    while (simpler := _apply_rules(graph)) is not graph:
        graph = simpler
        check_graph(graph)
    problems = [
        Problem(
            f"node '{node.name}' (Affine)",
            "a constant added or multiplied must be the same all over a channel",
            f"constants of shape {np.broadcast_shapes(node.op.scale.shape, node.op.shift.shape)}",
            "constants per element are only possible directly before a dense layer",
        )
        for node in graph.nodes
        if isinstance(node.op, Affine) and not is_per_channel(node.op)
    ]
    if problems:
        raise ModelError(*problems)
    return graph


def _apply_rules(graph: Graph) -> Graph:
    """One pass of every rule over all nodes; the same graph where none applies."""
    for rule in RULES:
        known, position = shapes(graph), 0
        while position < len(graph.nodes):
            simpler = rule(graph, known, graph.nodes[position])
            if simpler is None:
                position += 1
            else:
                graph = drop_dead(simpler)
                known, position = (
                    shapes(graph),
                    max(0, position - 2),
                )  # what came before may fit now
    return graph


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


def merge_affines(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """Two Affines in a row."""
    before = producer(graph, node)
    if not isinstance(node.op, Affine) or before is None or not isinstance(before.op, Affine):
        return None
    first, second = before.op, node.op
    both = Affine(first.scale * second.scale, first.shift * second.scale + second.shift)
    return rewire(graph, {node.name: replace(node, op=both, inputs=before.inputs)})


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


def compress_affine(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """Constants that are the same all over each channel become (C, 1, 1)."""
    if not isinstance(node.op, Affine) or is_per_channel(node.op):
        return None
    parts = (node.op.scale, node.op.shift)
    if not all(np.array_equal(p, np.broadcast_to(p[:, :1, :1], p.shape)) for p in parts):
        return None
    return rewire(graph, {node.name: replace(node, op=Affine(*(p[:, :1, :1] for p in parts)))})


def affine_into_input(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """The network's own normalisation: an Affine that alone reads the input."""
    source = graph.input
    if not isinstance(node.op, Affine) or not is_per_channel(node.op):
        return None
    if node.inputs[0] != source.name or only_reader(graph, source.name) is None:
        return None
    scale, shift = node.op.scale[:, 0, 0], node.op.shift[:, 0, 0]
    normalised = replace(source, scale=source.scale * scale, shift=source.shift * scale + shift)
    return replace(rewire(graph, bypass={node.name: source.name}), input=normalised)


def affine_into_producer(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """Batch norm behind a Conv or Linear that nobody else reads."""
    before = producer(graph, node)
    if not isinstance(node.op, Affine) or before is None or not is_per_channel(node.op):
        return None
    if not isinstance(before.op, Conv | Linear) or only_reader(graph, before.name) is None:
        return None
    scale, shift = node.op.scale[:, 0, 0], node.op.shift[:, 0, 0]
    weight = before.op.weight * scale[:, None, None, None]
    bias = shift if before.bias is None else before.bias * scale + shift
    merged = replace(before, op=replace(before.op, weight=weight), bias=bias)
    return rewire(graph, {before.name: merged}, {node.name: before.name})


def affine_into_consumer(graph: Graph, known: Shapes, node: Node) -> Graph | None:
    """An Affine before a Linear, or before a Conv where padding does not tell it from a shift."""
    if not isinstance(node.op, Conv | Linear):
        return None
    before = producer(graph, node)
    if before is None or not isinstance(before.op, Affine):
        return None
    affine = before.op
    if not absorbs(node, affine):
        return None
    shape = known[before.name]
    scale, shift = (np.broadcast_to(p, shape) for p in (affine.scale, affine.shift))
    op: Conv | Linear
    if isinstance(node.op, Linear):
        op = replace(node.op, weight=node.op.weight * scale)
        moved = np.einsum("ochw,chw->o", node.op.weight, shift)
    else:
        op = node.op.scale_inputs(scale[:, 0, 0])
        taps = node.op.scale_inputs(shift[:, 0, 0]).weight
        moved = taps.sum((1, 2, 3))
    bias: Floats = moved if node.bias is None else node.bias + moved
    idle = node.bias is None and not moved.any()
    merged = replace(node, op=op, bias=None if idle else bias, inputs=before.inputs)
    return rewire(graph, {node.name: merged})


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
        # Zeros take part in a maximum, padding does not: the same after a ReLU, if a tap is left.
        source = producer(graph, before)
        after_relu = source is not None and isinstance(source.op, Relu)
        if not after_relu or window.taps_inside(height, width).min() == 0:
            return None
    return rewire(
        graph,
        {node.name: replace(node, op=replace(node.op, window=window), inputs=before.inputs)},
    )


def _margins(axis: np.ndarray[tuple[int], np.dtype[np.int32]], size: int) -> tuple[int, int] | None:
    """How many zeros surround 0, 1, .., size - 1 in `axis`; None where it is anything else."""
    inside = np.flatnonzero(axis >= 0)
    if len(inside) != size or not np.array_equal(axis[axis >= 0], np.arange(size)):
        return None
    begin, end = int(inside[0]), int(inside[-1])
    return (begin, len(axis) - 1 - end) if end - begin + 1 == size else None


RULES: tuple[Rule, ...] = (
    drop_identity,
    merge_relus,
    merge_affines,
    merge_selects,
    compress_affine,
    pad_into_window,
    affine_into_producer,
    affine_into_input,
    affine_into_consumer,
    relu_above_max_pool,
    affine_above_pool,
    affine_above_add,
    pointwise_above_concat,
    affine_below_pool,
    pool_above_pointwise,
    shift_into_padded_conv,
)
"""In order of precedence; the first rule that fits anywhere is applied first."""
