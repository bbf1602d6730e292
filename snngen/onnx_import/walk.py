"""The walk over the ONNX graph: every node becomes constants, views, network nodes or a Problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx

from snngen.graph import Layout
from snngen.onnx_import.evaluate import FOLDABLE, evaluate
from snngen.onnx_import.network import INPUT, Network
from snngen.onnx_import.onnx_node import OnnxNode
from snngen.onnx_import.plan import Plan, is_standard, label, place
from snngen.onnx_import.reader import to_array
from snngen.onnx_import.table import FOLD_THEMSELVES, HINTS, SHAPE_PRESERVING, find_importer
from snngen.onnx_import.values import (
    MAX_ELEMENTS,
    Index,
    Refused,
    Unknown,
    Value,
    View,
    guard_size,
)
from snngen.ops.window import Array

MAX_LIVE_ELEMENTS = 2 * MAX_ELEMENTS  # of all tensors that are still to be read


@dataclass(frozen=True, eq=False)
class Arrangement:
    """How the model's input tensor lies in the canonical (C, H, W): `order` (C, H, W) holds flat
    positions in a sample of the model's tensor, of shape `model_shape`.
    """

    order: Index
    layout: Layout
    model_shape: tuple[int, ...]

    def view(self, batch: int) -> View:
        """The model's input tensor."""
        position = np.empty(self.order.size, np.int32)
        position[self.order.ravel()] = np.arange(self.order.size, dtype=np.int32)
        samples = position + self.order.size * np.arange(batch, dtype=np.int32)[:, None]
        return View(INPUT, samples.reshape(batch, *self.model_shape))


@dataclass(eq=False)
class Walk:
    """One attempt at importing: with `batch` samples and an assumption about the input's layout."""

    plan: Plan
    batch: int
    arrangement: Arrangement

    def run(self) -> tuple[Network, Value]:
        """The network and the value of the model's output; broken rules are in its `problems`."""
        net = Network(self.batch)
        net.shapes[INPUT] = self.arrangement.order.shape
        values: dict[str, Value] = {self.plan.input.name: self.arrangement.view(self.batch)}
        last_use = {name: k for k, n in enumerate(self.plan.nodes) for name in n.input}
        readers = Counter(name for n in self.plan.nodes for name in n.input)
        readers[self.plan.output] += 1
        read = frozenset(readers)
        for k, proto in enumerate(self.plan.nodes):
            try:
                inputs = tuple(self._value(values, name) for name in proto.input)
                node = OnnxNode(
                    proto,
                    label(proto),
                    self.plan.opset,
                    inputs,
                    read,
                    proto.output[0] in self.plan.ending,
                )
                outputs = import_node(net, node)
                _guard_live(values, outputs)
            except Refused as refused:
                net.problems.append(refused.at(place(proto)))
                outputs = [_stand_in(net, name, proto, values) for name in proto.output]
            for name, value in zip(proto.output, outputs, strict=False):
                if name in read:
                    values[name] = value
                if isinstance(value, View) and readers[name] > 1:
                    net.end_chain(value.source)
            for name in proto.input:
                if last_use[name] == k and name != self.plan.output:
                    values.pop(name, None)
        return net, self._output(net, values)

    def _output(self, net: Network, values: dict[str, Value]) -> Value:
        try:
            value = self._value(values, self.plan.output)
            return Unknown() if value is None else value
        except Refused as refused:
            net.problems.append(refused.at("the output"))
            return Unknown()

    def _value(self, values: dict[str, Value], name: str) -> Value | None:
        """The value of a tensor; initializers are decoded when first read."""
        if not name:
            return None
        if name not in values:
            if name not in self.plan.initializers:
                return Unknown()  # an output that the refused or variadic producer did not give
            values[name] = to_array(self.plan.initializers[name], self.plan.base_dir)
        return values[name]


def _stand_in(net: Network, name: str, proto: onnx.NodeProto, values: dict[str, Value]) -> Value:
    """What the refused node's output is taken for, so that those behind it can be checked.

    ONNX's own shape inference would know more shapes, but it is native code that a damaged model
    can make abort.
    """
    source = values.get(proto.input[0]) if proto.input else None
    if proto.op_type not in SHAPE_PRESERVING or source is None:
        return Unknown()
    if not isinstance(source, View):
        return source
    try:
        return net.stand_in(name, source.shape)
    except Refused:
        return Unknown()


def import_node(net: Network, node: OnnxNode) -> Sequence[Value]:
    """The values of the node's outputs; raises Refused."""
    proto = node.proto
    importer = find_importer(proto.domain, node.op)
    if importer is None and not is_standard(proto):
        raise Refused(
            "operators outside the ONNX standard are not supported, but for some of QONNX",
            f"domain '{proto.domain}'",
            HINTS.get(node.op, "export the model with standard operators only"),
        )
    if node.op == "Constant":
        return [_constant(node)]
    given = [v for v in node.inputs if v is not None]
    constant = all(isinstance(v, np.ndarray) for v in given)
    if not (importer or node.op in ("Shape", "Size") or (constant and node.op in FOLDABLE)):
        raise Refused(
            f"the operator {node.op} is not supported",
            "",
            HINTS.get(node.op, "see docs/operator-support.md for what is"),
        )
    if any(isinstance(v, Unknown) for v in given):
        return [Unknown() for _ in proto.output]
    if node.op in ("Shape", "Size"):
        return [_shape(node)]
    if constant and node.op not in FOLD_THEMSELVES:
        if node.op not in FOLDABLE:
            raise Refused(f"{node.op} of constants is not folded", "", "simplify the model first")
        arrays = [v if isinstance(v, np.ndarray) else None for v in node.inputs]
        return list(evaluate(node, arrays))
    assert importer is not None
    outputs = importer(net, node)
    for output in outputs:
        if isinstance(output, View):
            guard_size(output.shape, "its output")
    return outputs


def _constant(node: OnnxNode) -> Array:
    kinds = onnx.AttributeProto
    tensor = node.attribute("value", kinds.TENSOR)
    if tensor is not None:
        return to_array(tensor, None)
    for name, kind, dtype in (
        ("value_float", kinds.FLOAT, np.float32),
        ("value_floats", kinds.FLOATS, np.float32),
        ("value_int", kinds.INT, np.int64),
        ("value_ints", kinds.INTS, np.int64),
    ):
        value = node.attribute(name, kind)
        if value is not None:
            return np.array(value, dtype)
    raise Refused("a constant must be a dense tensor of numbers")


def _shape(node: OnnxNode) -> Array:
    value = node.input(0)
    if not isinstance(value, View | np.ndarray):
        raise Refused("it has no input")
    shape = value.shape
    if node.op == "Size":
        return np.array(prod(shape), np.int64)
    start, end = node.integer("start", 0), node.integer("end", len(shape))
    return np.array(shape[start:end], np.int64)


def _guard_live(values: dict[str, Value], outputs: Sequence[Value]) -> None:
    tensors = [*values.values(), *outputs]
    live = sum(
        v.index.size if isinstance(v, View) else v.size
        for v in tensors
        if not isinstance(v, Unknown)
    )
    if live > MAX_LIVE_ELEMENTS:
        raise Refused(f"the tensors in use may have at most {MAX_LIVE_ELEMENTS} elements", live)
