"""Single ONNX nodes evaluated with ONNX's own reference implementation.

Twice useful: on constants, to fold what exporters compute from shapes; and on index arrays, since
moving elements about is the same operation whatever the elements are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, prod

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from snngen.onnx_import.network import Network
from snngen.onnx_import.onnx_node import OnnxNode
from snngen.onnx_import.values import Refused, Value, View, guard_size
from snngen.ops.window import Array

Arrays = Sequence[Array | None]


def evaluate(node: OnnxNode, inputs: Arrays) -> list[Array]:
    """The node's outputs for `inputs`; raises Refused for wrong operands or a result too large."""
    guard_size((max(1, _output_elements(node, inputs)),), "its output")
    names = [f"x{k}" if value is not None else "" for k, value in enumerate(inputs)]
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    del proto.input[:]
    proto.input.extend(names)
    graph = onnx.GraphProto(
        name="one_node",
        node=[proto],
        input=[onnx.ValueInfoProto(name=n) for n in names if n],
        output=[onnx.ValueInfoProto(name=n) for n in proto.output if n],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", node.opset)])
    feed = {n: value for n, value in zip(names, inputs, strict=True) if n}
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, feed)
    except Exception as error:  # it validates nothing itself, so anything may be raised
        raise Refused("its operands are not valid", f"{type(error).__name__}: {error}") from None
    named = dict(zip((n for n in proto.output if n), results, strict=True))
    return [np.asarray(named[n]) if n else np.zeros(0) for n in proto.output]


def _output_elements(node: OnnxNode, inputs: Arrays) -> int:
    """An upper bound on the elements of all outputs, from the operands alone."""
    given = [value for value in inputs if value is not None]
    total = sum(value.size for value in given)
    try:
        if node.op in GROWING:
            return GROWING[node.op](node, *inputs)
        return max(total, prod(np.broadcast_shapes(*(value.shape for value in given))))
    except (ValueError, TypeError, AttributeError, ArithmeticError, IndexError):
        return (
            total  # no elementwise operation, or operands that the evaluation will complain about
        )


def _filled(_: OnnxNode, shape: Array) -> int:
    return prod(int(d) for d in shape.ravel())


def _expanded(_: OnnxNode, data: Array, shape: Array) -> int:
    wanted = [int(d) for d in shape.ravel()]
    own = [1] * (len(wanted) - data.ndim) + list(data.shape)
    wanted = [1] * (data.ndim - len(wanted)) + wanted
    return prod(max(a, b) for a, b in zip(own, wanted, strict=True))


def _tiled(_: OnnxNode, data: Array, repeats: Array) -> int:
    return data.size * prod(int(r) for r in repeats.ravel())


def _counted(_: OnnxNode, start: Array, limit: Array, delta: Array) -> int:
    return max(0, ceil((float(limit.item()) - float(start.item())) / float(delta.item())))


def _gathered(node: OnnxNode, data: Array, indices: Array) -> int:
    length: int = data.shape[node.integer("axis", 0)]
    return data.size // length * indices.size


# Operators whose output can outgrow all of their inputs together, other than by broadcasting.
GROWING: dict[str, Callable[..., int]] = {
    "ConstantOfShape": _filled,
    "Expand": _expanded,
    "Tile": _tiled,
    "Range": _counted,
    "Gather": _gathered,
}

_FOLDABLE = """
    Abs Add And Cast Ceil Clip Concat ConstantOfShape Div Equal Exp Expand Flatten Floor Gather
    Greater GreaterOrEqual Identity Less LessOrEqual Log Max Min Mod Mul Neg Not Or Pow Range
    Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Round ScatterND
    Sign Slice Split Sqrt Squeeze Sub Sum Tile Transpose Trilu Unsqueeze Where Xor
"""
FOLDABLE = frozenset(_FOLDABLE.split())
"""Operators that are evaluated where all inputs are constant."""


def import_movement(_: Network, node: OnnxNode) -> Sequence[Value]:
    """Any operator that only moves elements of its first input: run it on the index array."""
    view = node.view()
    operands = [view.index, *(node.constant(k) for k in range(1, len(node.inputs)))]
    results = evaluate(node, operands)
    if node.op == "Split" and sum(r.size for r in results) != view.index.size:
        raise Refused(
            "the parts of a split must cover its input",
            f"parts {[list(r.shape) for r in results]} of {list(view.shape)}",
        )
    for result in results:
        guard_size(result.shape, "its output")
    return [View(view.source, result.astype(np.int32)) for result in results]


def import_pad(_: Network, node: OnnxNode) -> Sequence[Value]:
    """Pad: zeros become -1, the other modes repeat indices; negative pads crop."""
    view = node.view()
    rank = view.index.ndim
    pads = node.integers_of("pads", 1)
    axes = node.integers(3)
    axes = list(range(rank)) if axes is None else axes
    if pads is None or len(pads) != 2 * len(axes) or not all(-rank <= a < rank for a in axes):
        raise Refused("pads must hold a begin and an end for each axis", f"pads {pads} axes {axes}")
    mode = node.text("mode", "constant")
    if mode not in ("constant", "reflect", "edge", "wrap"):
        raise Refused("the mode must be constant, reflect, edge or wrap", mode)
    widths = [(0, 0)] * rank
    for a, before, after in zip(axes, pads, pads[len(axes) :], strict=False):
        widths[a] = (before, after)
    padded_shape = tuple(s + b + e for s, (b, e) in zip(view.shape, widths, strict=True))
    guard_size(padded_shape, "its output")
    constant = node.constant(2)
    if constant is not None and constant.size > 1:
        raise Refused("the padding value must be a scalar", f"shape {list(constant.shape)}")
    value = (
        float(constant.item())
        if constant is not None and constant.size
        else node.number("value", 0.0)
    )
    grows = any(w > 0 for pair in widths for w in pair)
    if mode == "constant" and value != 0 and grows:
        raise Refused(
            "padding must be with zeros",
            f"value {value}",
            "only 0 stands for silence in a spiking network",
        )
    crop = tuple(
        slice(max(0, -b), s - max(0, -e)) for s, (b, e) in zip(view.shape, widths, strict=True)
    )
    grow = [(max(0, b), max(0, e)) for b, e in widths]
    cropped = view.index[crop]
    if mode == "constant":
        index = np.pad(cropped, grow, constant_values=-1)
    else:
        try:
            index = np.pad(cropped, grow, mode=mode)  # type: ignore[call-overload]
        except ValueError as error:
            raise Refused("its operands are not valid", error) from None
    return [View(view.source, index)]
