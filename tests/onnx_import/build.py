"""Small ONNX models, and onnxruntime as the judge of what the importer makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from snngen.errors import ModelError, Problem
from snngen.fold import fold
from snngen.graph import Graph, forward
from snngen.onnx_import import import_model

rng = np.random.default_rng(20)
_FIRST = rng.bit_generator.state


def draw_anew() -> None:
    """Set `rng` back to its first draw, as tests/conftest.py does before each test: what a test
    draws depends neither on the tests before it nor on how they are spread over processes.
    """
    rng.bit_generator.state = _FIRST


def weights(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def model(
    nodes: Sequence[onnx.NodeProto],
    shape: Sequence[int | str | None],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    opset: int = 13,
    output: str = "y",
    elem_type: int = onnx.TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model from input `x` of `shape` to `output`."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", elem_type, shape)],
        [helper.make_tensor_value_info(output, elem_type, None)],
        [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def canonical(graph: Graph, x: np.ndarray) -> np.ndarray:
    """The model's input (N, *model_shape) as (N, C, H, W)."""
    c, h, w = graph.input.shape
    if graph.input.layout == "CHW":
        return x.reshape(len(x), c, h, w)
    return x.reshape(len(x), h, w, c).transpose(0, 3, 1, 2)


def run(graph: Graph, x: np.ndarray) -> np.ndarray:
    """(N, elements), in the order of the model's own output."""
    y = forward(graph, canonical(graph, x.astype(np.float64)))[graph.output]
    return (y if graph.output_layout == "CHW" else y.transpose(0, 2, 3, 1)).reshape(len(x), -1)


def expected(proto: onnx.ModelProto, x: np.ndarray, tensor: str | None = None) -> np.ndarray:
    """onnxruntime's value of `tensor` (default: the first output), as (N, elements)."""
    ort = pytest.importorskip("onnxruntime")
    proto = onnx.ModelProto.FromString(proto.SerializeToString())
    tensor = tensor or proto.graph.output[0].name
    if tensor not in [o.name for o in proto.graph.output]:
        proto.graph.output.append(onnx.ValueInfoProto(name=tensor))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    y = session.run([tensor], {session.get_inputs()[0].name: x})[0]
    return y.reshape(len(x), -1)


def agrees(proto: onnx.ModelProto, tensor: str | None = None, samples: int | None = None) -> Graph:
    """The folded graph, after both it and the plain one gave onnxruntime's numbers."""
    graph = import_model(proto, name="test")
    declared = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    n = samples or declared or 2
    x = rng.normal(size=(n, *graph.input.model_shape))
    x = x.astype(helper.tensor_dtype_to_np_dtype(proto.graph.input[0].type.tensor_type.elem_type))
    want = expected(proto, x, tensor)
    folded = fold(graph)
    tolerance = (2e-2 if x.dtype == np.float16 else 1e-4) * max(1e-3, np.ptp(want))
    for variant in (graph, folded):
        np.testing.assert_allclose(run(variant, x), want, rtol=0, atol=tolerance)
    return folded


def refused(proto: onnx.ModelProto, **options: object) -> tuple[Problem, ...]:
    """The problems of a model that must not be imported."""
    with pytest.raises(ModelError) as caught:
        import_model(proto, name="test", **options)  # type: ignore[arg-type]
    return caught.value.problems
