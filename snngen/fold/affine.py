"""Rules for Affine nodes: batch norms and other constants go into weights and the input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snngen.fold.rewrite import Shapes, absorbs, is_per_channel, only_reader, producer, rewire
from snngen.graph import Affine, Floats, Graph, Node
from snngen.ops import Conv, Linear


def merge_affines(graph: Graph, _: Shapes, node: Node) -> Graph | None:
    """Two Affines in a row."""
    before = producer(graph, node)
    if not isinstance(node.op, Affine) or before is None or not isinstance(before.op, Affine):
        return None
    first, second = before.op, node.op
    both = Affine(first.scale * second.scale, first.shift * second.scale + second.shift)
    return rewire(graph, {node.name: replace(node, op=both, inputs=before.inputs)})


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
