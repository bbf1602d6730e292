"""Rules that move a node past its neighbours, to where it costs less or disappears."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snngen.fold.rewrite import (
    Shapes,
    absorbs,
    insert,
    is_per_channel,
    only_reader,
    producer,
    swap,
    unique,
)
from snngen.graph import Add, Affine, Concat, Graph, GraphOp, Node, Relu, Staircase
from snngen.ops import Conv, Linear, MaxPool, Select, Shape, SumPool


def affine_above_pool(graph: Graph, known: Shapes, node: Node) -> Graph | None:
    """Conv, pool, batch norm: the batch norm goes to the Conv; likewise the scale of levels."""
    if not isinstance(node.op, Affine):
        return None
    pool = producer(graph, node)
    if pool is None or not _commutes(pool, node.op, known):
        return None
    source = producer(graph, pool)
    if source is None or not isinstance(source.op, Conv | Linear | Staircase):
        return None
    if only_reader(graph, pool.name) is None or only_reader(graph, source.name) is None:
        return None
    return swap(graph, pool, node)


def affine_below_pool(graph: Graph, known: Shapes, node: Node) -> Graph | None:
    """ReLU, batch norm, pools, Conv: the batch norm goes to the Conv."""
    if not isinstance(node.op, Affine):
        return None
    first = reader = only_reader(graph, node.name)
    while reader is not None and _commutes(reader, node.op, known):
        reader = only_reader(graph, reader.name)
    if first is None or reader is None or reader is first:
        return None
    if not isinstance(reader.op, Conv | Linear):
        return None
    return swap(graph, node, first)


def _commutes(pool: Node, affine: Affine, known: Shapes) -> bool:
    """Whether `pool` is a pool that gives the same before and after `affine`."""
    if not is_per_channel(affine):
        return False
    match pool.op:
        case MaxPool():
            return bool(np.all(affine.scale > 0))
        case SumPool():
            return _averages_constants(pool.op, known[pool.inputs[0]]) or not np.any(affine.shift)
        case _:
            return False


def _averages_constants(pool: SumPool, source: Shape) -> bool:
    """Whether the average of a constant is that constant: no window counts padding."""
    taps = pool.window.taps_inside(*source[1:])
    counts = taps if pool.multiplier is None else taps * pool.multiplier
    return bool(np.all(counts == pool.divisor))


def activation_above_max_pool(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """The largest of rectified or quantised values is the largest value, rectified or quantised."""
    pool = producer(graph, node)
    if not isinstance(node.op, Relu | Staircase) or pool is None:
        return None
    if not isinstance(pool.op, MaxPool) or only_reader(graph, pool.name) is None:
        return None
    return swap(graph, pool, node)


def affine_above_add(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """Conv, add, batch norm: the batch norm goes to the Conv, its scale to all other branches."""
    add = _joined_convs(graph, node, Add)
    if add is None or not isinstance(node.op, Affine):
        return None
    parts = []
    for k, source in enumerate(add.inputs):
        shift = node.op.shift if k == 0 else np.zeros_like(node.op.shift)
        name = unique(graph, f"{node.name}_{k}")
        parts.append(Node(name, Affine(node.op.scale, shift), (source,)))
    return insert(graph, node, [*parts, Node(node.name, Add(), tuple(p.name for p in parts))])


def pointwise_above_concat(graph: Graph, known: Shapes, node: Node) -> Graph | None:
    """Convs side by side, then batch norm or activation: each goes to the Convs."""
    concat = _joined_convs(graph, node, Concat)
    if concat is None:
        return None
    parts, start = [], 0
    for k, source in enumerate(concat.inputs):
        end = start + known[source][0]
        op = _of_channels(node.op, start, end)
        parts.append(Node(unique(graph, f"{node.name}_{k}"), op, (source,)))
        start = end
    return insert(graph, node, [*parts, Node(node.name, Concat(), tuple(p.name for p in parts))])


def _of_channels(op: GraphOp, start: int, end: int) -> GraphOp:
    """An operation of every channel by itself, for some of them."""
    match op:
        case Affine(scale, shift):
            return Affine(scale[start:end], shift[start:end])
        case Staircase(thresholds, step):
            rows, steps = (a if len(a) == 1 else a[start:end] for a in (thresholds, step))
            return replace(op, thresholds=rows, step=steps)
        case _:
            return op


def _joined_convs(graph: Graph, node: Node, kind: type[Add | Concat]) -> Node | None:
    """The Add or Concat that `node`, an activation or an Affine, alone reads, if one of the
    branches is a Conv that nobody else reads.
    """
    if not isinstance(node.op, Affine | Relu | Staircase):
        return None
    join = producer(graph, node)
    if join is None or not isinstance(join.op, kind) or only_reader(graph, join.name) is None:
        return None
    if isinstance(node.op, Affine) and not is_per_channel(node.op):
        return None
    branches = [graph[name] for name in join.inputs if name != graph.input.name]
    apart = (b for b in branches if only_reader(graph, b.name) is not None)
    return join if any(isinstance(b.op, Conv | Linear) for b in apart) else None


def pool_above_pointwise(graph: Graph, known: Shapes, node: Node) -> Graph | None:
    """A 1x1 Conv gives the same before and after an average, where it has fewer positions."""
    conv = producer(graph, node)
    if not isinstance(node.op, SumPool) or conv is None or not isinstance(conv.op, Conv):
        return None
    if not conv.op.window.is_pointwise or only_reader(graph, conv.name) is None:
        return None
    if conv.bias is not None and not _averages_constants(node.op, known[conv.name]):
        return None
    fewer = np.prod(known[node.name][1:]) < np.prod(known[conv.name][1:])
    return swap(graph, conv, node) if fewer else None


def shift_into_padded_conv(graph: Graph, known: Shapes, node: Node) -> Graph | None:
    """ReLU, batch norm, padded Conv: the scale goes to the Conv's weights, and the shift, which
    padding lacks, to a second Conv: over a channel of ones, padded as the first.

    The ones are neurons that always fire, of the kind that the graph's others are. Without them
    every value that the Conv reads would be a number instead of a spike.
    """
    before = producer(graph, node) if isinstance(node.op, Conv) else None
    if before is None or not isinstance(before.op, Affine) or not isinstance(node.op, Conv):
        return None
    if not is_per_channel(before.op) or absorbs(node, before.op):
        return None
    conv, scale, shift = node.op, before.op.scale[:, 0, 0], before.op.shift[:, 0, 0]
    border = conv.scale_inputs(shift).weight.sum(1, keepdims=True)
    made, ones = _ones(graph, known, before)
    scaled, shifted = (unique(graph, f"{node.name}_{part}") for part in ("scaled", "shift"))
    return insert(
        graph,
        node,
        [
            *made,
            Node(scaled, conv.scale_inputs(scale), before.inputs, node.bias),
            Node(shifted, replace(conv, weight=border, groups=1), (ones,)),
            Node(node.name, Add(), (scaled, shifted)),
        ],
    )


def _ones(graph: Graph, known: Shapes, affine: Node) -> tuple[list[Node], str]:
    """Nodes, unless the graph has them, that give one channel of ones as large as what `affine`
    reads; the name of the last.
    """
    name = f"{affine.name}_ones"
    if any(node.name == name for node in graph.nodes):
        return [], name
    _, height, width = known[affine.inputs[0]]
    rows, columns = np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32)
    first, one = unique(graph, f"{affine.name}_first"), unique(graph, f"{affine.name}_one")
    constant = Affine(np.zeros((1, 1, 1)), np.ones((1, 1, 1)))
    quantised = any(isinstance(node.op, Staircase) for node in graph.nodes)
    activation = Staircase(np.full((1, 1), 0.5), np.ones(1)) if quantised else Relu()
    return [
        Node(first, Select(np.zeros(1, np.int32), rows, columns), affine.inputs),
        Node(one, constant, (first,)),
        Node(name, activation, (one,)),
    ], name
