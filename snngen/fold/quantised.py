"""Rules for Staircases: constants go into thresholds and levels, and what quantises again what is
already quantised disappears.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snngen.fold.rewrite import Shapes, is_per_channel, only_reader, producer, rewire
from snngen.graph import Affine, Concat, Floats, Graph, GraphOp, Node, Relu, Staircase
from snngen.levels import LARGEST, NotLevels, first_where, staircase, values_of
from snngen.ops import MaxPool, Select


def affine_into_thresholds(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """An Affine that only a Staircase reads, in a place where no layer can take it: what is left of
    it is the sign of its scale.
    """
    before = producer(graph, node)
    if not isinstance(node.op, Staircase) or before is None or not isinstance(before.op, Affine):
        return None
    if only_reader(graph, before.name) is None or not is_per_channel(before.op):
        return None
    scale, shift = before.op.scale[:, 0], before.op.shift[:, 0]
    sign = np.sign(scale)
    if np.any(scale == 0) or (np.array_equal(scale, sign) and not shift.any()):
        return None
    size, wanted = np.abs(scale), np.broadcast_arrays(node.op.thresholds, scale)[0]
    ends = np.full(wanted.shape, LARGEST)
    thresholds = first_where(lambda x: x * size + shift >= wanted, -ends, ends)
    if np.abs(thresholds).max() == LARGEST:
        return None
    turn = replace(before, op=Affine(sign[:, None], np.zeros_like(sign)[:, None]))
    moved = replace(node, op=replace(node.op, thresholds=thresholds))
    return rewire(graph, {before.name: turn, node.name: moved})


def merge_into_levels(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """What a Staircase alone feeds and every level of it can be sent through."""
    before = producer(graph, node)
    if before is None or not isinstance(before.op, Staircase):
        return None
    if only_reader(graph, before.name) is None:
        return None
    values = values_of(before.op)
    match node.op:
        case Affine(scale, shift) if is_per_channel(node.op) and np.all(scale > 0):
            values = values * scale[:, 0] + shift[:, 0]
        case Relu(maximum):
            values = np.clip(values, 0, maximum)
        case Staircase() as second:
            values = _sent_through(values, second)
        case _:
            return None
    try:
        op = staircase(before.op.thresholds, values, shifted=False)[0]
    except NotLevels:
        return None
    return rewire(graph, {node.name: replace(node, op=op, inputs=before.inputs)})


def _sent_through(values: Floats, op: Staircase) -> Floats:
    """What `op` makes of each of the values (C, n)."""
    reached = values[:, :, None] >= op.thresholds[:, None, :]
    result: Floats = op.step[:, None] * (op.lowest + reached.sum(axis=2))
    return result


def drop_requantiser(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """A Staircase that changes none of the values that can reach it."""
    if (
        not isinstance(node.op, Staircase)
        or max(node.op.thresholds.shape[0], len(node.op.step)) > 1
    ):
        return None
    values = _reaching(graph, node.inputs[0])
    if values is None:
        return None
    same = np.abs(_sent_through(values, node.op) - values) <= 1e-9 * node.op.step
    return rewire(graph, bypass={node.name: node.inputs[0]}) if same.all() else None


def _reaching(graph: Graph, name: str) -> Floats | None:
    """Every value (1, n) that node `name` can have; None where it is not quantised, or channels
    differ.
    """
    if name == graph.input.name:
        return None
    node = graph[name]
    match node.op:
        case Staircase(step=step) if len(step) == 1:
            return values_of(node.op)
        case MaxPool() | Select() | Concat():
            sources = [_reaching(graph, i) for i in node.inputs]
            known = [s for s in sources if s is not None]
            zero = [np.zeros((1, 1))] * isinstance(node.op, Select)
            return np.hstack([*known, *zero]) if len(known) == len(sources) else None
        case _:
            return None


def merge_twins(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """Two equal Staircases on the same value."""
    for other in graph.consumers(node.inputs[0]):
        if other.name == node.name:
            return None
        if _equal(node.op, other.op):
            return rewire(graph, bypass={node.name: other.name})
    return None


def _equal(a: GraphOp, b: GraphOp) -> bool:
    return (
        isinstance(a, Staircase)
        and isinstance(b, Staircase)
        and a.lowest == b.lowest
        and np.array_equal(a.thresholds, b.thresholds)
        and np.array_equal(a.step, b.step)
    )
