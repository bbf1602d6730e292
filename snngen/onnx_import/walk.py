"""The walk over the ONNX graph: every node becomes constants, views, network nodes or a Problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import onnx

from snngen.graph import Layout
from snngen.onnx_import.evaluate import FOLDABLE, evaluate
from snngen.onnx_import.network import INPUT, Network
from snngen.onnx_import.onnx_node import OnnxNode
from snngen.onnx_import.plan import Plan, is_standard, label, place
from snngen.onnx_import.reader import to_array
from snngen.onnx_import.table import HINTS, IMPORTERS
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
        read = frozenset(last_use) | {self.plan.output}
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
                outputs = [self._stand_in(net, name) for name in proto.output]
            for name, value in zip(proto.output, outputs, strict=False):
                if name in read:
                    values[name] = value
            for name in proto.input:
                if last_use[name] == k and name != self.plan.output:
                    values.pop(name, None)
        return net, self._output(net, values)

    def _output(self, net: Network, values: dict[str, Value]) -> Value:
        try:
            return self._value(values, self.plan.output) or Unknown()
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

    def _stand_in(self, net: Network, name: str) -> Value:
        shape = self._inferred_shapes.get(name)
        try:
            return Unknown() if shape is None else net.stand_in(name, shape)
        except Refused:
            return Unknown()

    @cached_property
    def _inferred_shapes(self) -> Mapping[str, tuple[int, ...]]:
        """What ONNX's shape inference says, for tensors whose producer was refused."""
        model = onnx.ModelProto()
        model.CopyFrom(self.plan.proto)
        for tensor in model.graph.initializer:
            if prod(tensor.dims) > 1024:  # weights; shapes are computed from small tensors
                tensor.ClearField("raw_data")
                tensor.ClearField("float_data")
        for value in model.graph.input:
            if value.name == self.plan.input.name:
                dims = (self.batch, *self.arrangement.model_shape)
                value.CopyFrom(
                    onnx.helper.make_tensor_value_info(
                        value.name, value.type.tensor_type.elem_type, dims
                    )
                )
        del model.graph.value_info[:]
        standard = [node for node in model.graph.node if is_standard(node)]
        del model.graph.node[:]
        model.graph.node.extend(standard)  # one unknown domain would end the inference
        try:
            inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
        except Exception:  # best effort, and C++: a damaged graph may raise anything
            return {}
        shapes = {}
        for value in (*inferred.graph.value_info, *inferred.graph.output):
            dims = value.type.tensor_type.shape.dim
            if value.type.tensor_type.HasField("shape") and all(d.dim_value > 0 for d in dims):
                shapes[value.name] = tuple(int(d.dim_value) for d in dims)
        return shapes


def import_node(net: Network, node: OnnxNode) -> Sequence[Value]:
    """The values of the node's outputs; raises Refused."""
    proto = node.proto
    if not is_standard(proto):
        raise Refused(
            "operators outside the ONNX standard are not supported",
            f"domain '{proto.domain}'",
            HINTS.get(node.op, "export the model with standard operators only"),
        )
    if node.op == "Constant":
        return [_constant(node)]
    given = [v for v in node.inputs if v is not None]
    constant = all(isinstance(v, np.ndarray) for v in given)
    known_operator = (
        node.op in IMPORTERS or node.op in ("Shape", "Size") or (constant and node.op in FOLDABLE)
    )
    if not known_operator:
        raise Refused(
            f"the operator {node.op} is not supported",
            "",
            HINTS.get(node.op, "see docs/operator-support.md for what is"),
        )
    if any(isinstance(v, Unknown) for v in given):
        return [Unknown() for _ in proto.output]
    if node.op in ("Shape", "Size"):
        return [_shape(node)]
    if constant:
        if node.op not in FOLDABLE:
            raise Refused(f"{node.op} of constants is not folded", "", "simplify the model first")
        arrays = [v if isinstance(v, np.ndarray) else None for v in node.inputs]
        return list(evaluate(node, arrays))
    outputs = IMPORTERS[node.op](net, node)
    for output in outputs:
        if isinstance(output, View):
            guard_size(output.shape, "its output")
    return outputs


def _constant(node: OnnxNode) -> Array:
    tensor = node.attribute("value")
    if tensor is not None:
        return to_array(tensor, None)
    for name, dtype in (
        ("value_float", np.float32),
        ("value_floats", np.float32),
        ("value_int", np.int64),
        ("value_ints", np.int64),
    ):
        value = node.attribute(name)
        if value is not None:
            return np.array(value, dtype)
    raise Refused("a constant must be a dense tensor of numbers")


def _shape(node: OnnxNode) -> Array:
    value = node.input(0)
    assert isinstance(value, View | np.ndarray)
    shape = value.shape
    if node.op == "Size":
        return np.array(prod(shape), np.int64)
    return np.array(shape[node.attribute("start", 0) : node.attribute("end")], np.int64)


def _guard_live(values: dict[str, Value], outputs: Sequence[Value]) -> None:
    tensors = [*values.values(), *outputs]
    live = sum(
        v.index.size if isinstance(v, View) else v.size
        for v in tensors
        if not isinstance(v, Unknown)
    )
    if live > MAX_LIVE_ELEMENTS:
        raise Refused(f"the tensors in use may have at most {MAX_LIVE_ELEMENTS} elements", live)
