"""Operators that join activations: Add and Concat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snngen.graph import Add, Concat
from snngen.onnx_import.network import Network
from snngen.onnx_import.onnx_node import OnnxNode
from snngen.onnx_import.values import Index, Refused, Value, View, guard_size


def add_views(net: Network, node: OnnxNode, views: Sequence[View]) -> View:
    """The sum of views, broadcast to a common shape, in the order of the first that holds all of
    its source.
    """
    try:
        shape = np.broadcast_shapes(*(v.shape for v in views))
    except ValueError:
        raise Refused(
            "the operands cannot be broadcast together", [list(v.shape) for v in views]
        ) from None
    guard_size(shape, "its output")
    views = [View(v.source, np.broadcast_to(v.index, shape)) for v in views]
    leader = next((v for v in views if net.is_bijective(v)), None)
    if leader is None:
        leader = net.materialise(node.name, views[0])
        views = [leader, *views[1:]]
    chw = net.shapes[leader.source]
    order = net.per_sample(leader).ravel()
    sources = []
    for view in views:
        want: Index = np.empty(order.size, np.int32)
        want[order] = net.per_sample(view).ravel()
        sources.append(net.read(node.name, view.source, want.reshape(chw)))
    return View(net.add(node.name, Add(), tuple(sources)), leader.index)


def import_concat(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Concat, along whichever axis: the sources lie side by side along their channels, and the
    view of that says what the model asked for. Constant zeros need no source.
    """
    operands = [node.input(k) for k in range(len(node.inputs))]
    views = [v for v in operands if isinstance(v, View)]
    rank = views[0].index.ndim
    axis = node.integer("axis", 1)
    if not -rank <= axis < rank:
        raise Refused(f"axis must be within the {rank} axes of its input", axis)
    pieces: list[View | Index] = [
        v if isinstance(v, View) else _zeros(v) for v in operands if v is not None
    ]
    if len({v.source for v in views}) > 1:
        pieces = [net.materialise(node.name, p) if isinstance(p, View) else p for p in pieces]
    views = [p for p in pieces if isinstance(p, View)]
    sources = tuple(dict.fromkeys(v.source for v in views))
    source = sources[0] if len(sources) == 1 else net.add(node.name, Concat(), sources)
    total, first = net.size(source), {}
    offset = 0
    for s in sources:
        first[s] = offset
        offset += net.size(s)
    indices = []
    for piece in pieces:
        if not isinstance(piece, View):
            indices.append(piece)
            continue
        sample, position = np.divmod(piece.index, net.size(piece.source))
        moved = sample * total + position + first[piece.source]
        indices.append(np.where(piece.index < 0, -1, moved).astype(np.int32))
    try:
        return [View(source, np.concatenate(indices, axis=axis))]
    except ValueError as error:
        raise Refused("the shapes do not fit", error) from None


def _zeros(constant: Value) -> Index:
    assert isinstance(constant, np.ndarray)
    if constant.any():
        raise Refused("a constant other than 0 cannot be concatenated with activations")
    return np.full(constant.shape, -1, np.int32)
