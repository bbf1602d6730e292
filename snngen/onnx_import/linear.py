"""Dense layers: Gemm and MatMul."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snngen.graph import Floats
from snngen.onnx_import.network import Network
from snngen.onnx_import.onnx_node import OnnxNode
from snngen.onnx_import.values import Refused, Value, View, as_chw, guard_size
from snngen.ops import Conv, Linear, Window


def dense(
    net: Network, node: OnnxNode, view: View, weight: Floats, bias: Floats | None = None
) -> View:
    """`weight` (O, K) applied to a view of shape (batch, K), as (batch, O).

    Whatever the view's order, it disappears into the order of the weight's columns.
    """
    index = net.per_sample(view)
    if index.shape != weight.shape[1:]:
        raise Refused(
            "the weight does not fit its input",
            f"{weight.shape[1:]} columns for a tensor of shape {list(view.shape)}",
        )
    outputs, shape = len(weight), net.shapes[view.source]
    size = net.size(view.source)
    guard_size((outputs, size), "its weight")
    columns = np.zeros((outputs, size))
    if len(np.unique(index)) == index.size and index.min() >= 0:
        columns[:, index] = weight
    else:  # an element read several times has the sum of its weights; a constant zero has none
        np.add.at(columns.T, index[index >= 0], weight.T[index >= 0])
    name = net.add(node.name, Linear(columns.reshape(outputs, *shape)), (view.source,), bias)
    return net.view(name, (outputs,))


def import_gemm(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Gemm: alpha * A' B' + beta * C with constant B and C."""
    view, weight = node.view(0), node.weights(1, "B")
    if weight.ndim != 2 or view.index.ndim != 2 or weight.size == 0:
        raise Refused("A and B must be matrices", f"{list(view.shape)} and {list(weight.shape)}")
    if node.integer("transA", 0):
        view = View(view.source, view.index.T)
    if not node.integer("transB", 0):
        weight = weight.T
    weight = weight * node.number("alpha", 1.0)
    bias = None
    if node.input(2) is not None:
        bias = _row(net, len(weight), node.weights(2, "C")) * node.number("beta", 1.0)
    return [dense(net, node, view, weight, bias)]


def _row(net: Network, outputs: int, c: Floats) -> Floats:
    """Gemm's C as one number per output, which it must be for every sample alike."""
    try:
        rows = np.broadcast_to(c, (net.batch, outputs))
    except ValueError:
        raise Refused(
            "C cannot be broadcast to the output", f"{list(c.shape)} for {outputs} outputs"
        ) from None
    if not np.array_equal(rows, np.broadcast_to(rows[0], rows.shape)):
        raise Refused("C may not differ between the samples of a batch")
    row: Floats = rows[0].copy()
    return row


def import_matmul(net: Network, node: OnnxNode) -> Sequence[Value]:
    """MatMul with one constant operand: a dense layer, or with more axes a 1x1 convolution."""
    left, right = node.input(0), node.input(1)
    if isinstance(left, View):
        view, axis = left, left.index.ndim - 1
        weight = node.weights(1, "the right operand")
    elif isinstance(right, View):
        view, axis = right, right.index.ndim - 2
        weight = node.weights(0, "the left operand")
    else:
        raise Refused("one operand must be an activation")
    while weight.ndim > 2 and weight.shape[0] == 1 and view.index.ndim >= weight.ndim:
        weight = weight[0]
    if weight.ndim != 2 or weight.size == 0:
        raise Refused("the constant operand must be a matrix", f"shape {list(weight.shape)}")
    if isinstance(left, View):
        weight = weight.T
    if axis < 1:
        raise Refused("the batch cannot be contracted", f"an input of shape {list(view.shape)}")
    if view.shape[axis] != weight.shape[1]:
        raise Refused("the shapes do not fit", f"{list(view.shape)} and {weight.T.shape}")
    return [_contract(net, node, view, axis, weight)]


def _contract(net: Network, node: OnnxNode, view: View, axis: int, weight: Floats) -> View:
    """`weight` (O, K) applied along `axis` (of length K, not the batch) of a view."""
    index = net.per_sample(view)
    rest = tuple(s for a, s in enumerate(index.shape) if a != axis - 1)
    if all(s == 1 for s in rest):
        flat = View(view.source, view.index.reshape(net.batch, -1))
        result = dense(net, node, flat, weight)
    else:
        want = np.moveaxis(index, axis - 1, 0)
        source = net.read(node.name, view.source, want.reshape(as_chw(want.shape)))
        op = Conv(weight[:, :, None, None], Window((1, 1)))
        result = net.view(net.add(node.name, op, (source,)), (len(weight), *rest))
    channels_first = result.index.reshape(net.batch, len(weight), *rest)
    return View(result.source, np.moveaxis(channels_first, 1, axis))
