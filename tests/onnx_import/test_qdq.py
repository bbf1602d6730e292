"""QuantizeLinear and DequantizeLinear: what quantisers of weights and activations write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from snngen.fold import fold
from snngen.graph import Graph, Staircase
from snngen.onnx_import import import_model
from snngen.ops import Conv, Linear, MaxPool, SumPool
from tests.conftest import Require
from tests.onnx_import.build import model, refused, rng, weights
from tests.onnx_import.reference import mismatches

node = helper.make_node


def activation(
    source: str, result: str, scale: float, zero: int, kind: str = "uint8"
) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """A QDQ pair from `source` to `result`."""
    names = [f"{result}_scale", f"{result}_zero"]
    nodes = [
        node("QuantizeLinear", [source, *names], [f"{result}_q"], f"{result}_Q"),
        node("DequantizeLinear", [f"{result}_q", *names], [result], f"{result}_DQ"),
    ]
    values = (np.array(scale, np.float32), np.array(zero, kind))
    return nodes, dict(zip(names, values, strict=True))


def weight(
    result: str, *shape: int, axis: int | None = 0, kind: str = "int8"
) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """A quantised weight behind a DequantizeLinear, with one scale per channel along `axis`."""
    count = () if axis is None else (shape[axis],)
    info = np.iinfo(kind)
    constants = {
        f"{result}_q": rng.integers(info.min, info.max + 1, shape).astype(kind),
        f"{result}_scale": rng.uniform(0.001, 0.02, count).astype(np.float32),
        f"{result}_zero": np.zeros(count, kind),
    }
    attributes = {} if axis is None else {"axis": axis}
    return [node("DequantizeLinear", list(constants), [result], f"{result}_DQ", **attributes)], (
        constants
    )


def network(kind: str = "uint8", zero: int = 3, *, relu: bool = False, opset: int = 13):  # type: ignore[no-untyped-def]
    """Input QDQ, Conv with bias, QDQ, MaxPool, QDQ of the same scale, Conv, mean, QDQ, MatMul."""
    parts = [
        activation("x", "xq", 0.02, 120),
        weight("w", 3, 2, 3, 3),
        ([], {"b_q": rng.integers(-900, 900, 3).astype(np.int32)}),
        ([], {"b_scale": np.array([1e-3, 2e-3, 3e-3], np.float32)}),
        ([node("DequantizeLinear", ["b_q", "b_scale"], ["b"], "b_DQ", axis=0)], {}),
        ([node("Conv", ["xq", "w", "b"], ["c"], "conv1", pads=[1, 1, 1, 1])], {}),
        ([node("Relu", ["c"], ["r"], "relu")], {}) if relu else ([], {}),
        activation("r" if relu else "c", "a", 0.041, zero, kind),
        ([node("MaxPool", ["a"], ["m"], "pool", kernel_shape=[2, 2], strides=[2, 2])], {}),
        activation("m", "mq", 0.041, zero, kind),
        weight("v", 5, 3, 3, 3, axis=None),
        ([node("Conv", ["mq", "v"], ["d"], "conv2", pads=[1, 1, 1, 1])], {}),
        ([node("Relu", ["d"], ["e"], "relu2")], {}),
        activation("e", "eq", 0.03, 0),
        ([node("GlobalAveragePool", ["eq"], ["g"], "gap")], {}),
        activation("g", "gq", 0.021, 0),
        ([node("Flatten", ["gq"], ["f"], "flat")], {}),
        activation("f", "fq", 0.021, 0),
        weight("u", 5, 4, axis=1),
        ([node("MatMul", ["fq", "u"], ["s"], "fc")], {}),
        activation("s", "y", 0.05, 77),
    ]
    nodes = [n for part in parts for n in part[0]]
    constants = {k: v for part in parts for k, v in part[1].items()}
    return model(nodes, ["N", 2, 6, 6], constants, opset=opset)


@pytest.mark.parametrize("opset", [10, 13, 19, 21])
@pytest.mark.parametrize(
    ("kind", "zero", "relu"),
    [("uint8", 3, False), ("uint8", 0, True), ("int8", -128, True), ("int8", 7, False)],
)
def test_a_whole_network(kind: str, zero: int, relu: bool, opset: int) -> None:
    proto = network(kind, zero, relu=relu, opset=opset)
    if opset == 10:  # there was no axis yet
        for name in ("w_scale", "w_zero", "b_scale", "u_scale", "u_zero"):
            (old,) = (t for t in proto.graph.initializer if t.name == name)
            first = numpy_helper.to_array(old).ravel()[0]
            old.CopyFrom(numpy_helper.from_array(np.array(first), name))
        for n in proto.graph.node:
            if n.op_type == "DequantizeLinear":
                del n.attribute[:]
    wrong, total = mismatches(proto, rng.normal(size=(20, 2, 6, 6)))
    assert (wrong, total > 5000) == (0, True)
    graph = fold(import_model(proto, name="test"))
    # Requantising with the same scale is gone, and the max pool is behind the activation.
    assert [type(n.op) for n in graph.nodes] == [
        Staircase, Conv, Staircase, MaxPool, Conv, Staircase, SumPool, Staircase, Linear, Staircase,
    ]  # fmt: skip


def stairs(graph: Graph) -> list[Staircase]:
    return [n.op for n in graph.nodes if isinstance(n.op, Staircase)]


def test_levels_say_what_the_integers_do() -> None:
    first, second, *_ = stairs(fold(import_model(network("uint8", 3), name="t")))
    assert (first.lowest, first.thresholds.shape) == (-120, (1, 255))
    assert (second.lowest, second.thresholds.shape) == (-3, (1, 255))
    scale = float(np.float32(0.041))
    assert second.step.tolist() == [scale]
    # Half to even: -2 is reached at -2.5 steps, -1 only above -1.5, and 2 at 1.5.
    first_three = second.thresholds[0, [0, 1, 4]]
    above = np.nextafter(-1.5 * scale, 0)
    np.testing.assert_array_equal(first_three, [-2.5 * scale, above, 1.5 * scale])
    clipped = stairs(fold(import_model(network("int8", -128, relu=True), name="t")))[1]
    assert clipped.lowest == 0


def test_weights_stay_on_their_grid() -> None:
    proto = network()
    (conv,) = (n.op for n in fold(import_model(proto, name="t")).nodes if n.name == "conv1")
    given = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    units = given["w_scale"].astype(np.float64)[:, None, None, None]
    np.testing.assert_array_equal(conv.weight, given["w_q"] * units)


@pytest.mark.parametrize(
    ("kind", "count"), [(TensorProto.INT4, 15), (TensorProto.UINT4, 15), (TensorProto.INT8, 255)]
)
def test_types_given_by_output_dtype(kind: int, count: int) -> None:
    nodes = [
        node("QuantizeLinear", ["x", "s"], ["q"], "Q", output_dtype=kind),
        node("DequantizeLinear", ["q", "s"], ["d"], "DQ"),
        node("MatMul", ["d", "w"], ["y"]),
    ]
    constants = {"s": np.array(0.5, np.float32), "w": weights(4, 3)}
    (op,) = stairs(import_model(model(nodes, ["N", 4], constants, opset=21), name="t"))
    assert op.thresholds.shape[1] == count
    assert op.lowest == (0 if kind == TensorProto.UINT4 else -(count + 1) // 2)


def test_four_bit_weights() -> None:
    packed = helper.make_tensor(
        "q", TensorProto.INT4, [4, 3], [-8, 7, 1, 0, 2, 3, -1, 5, 4, -4, 6, 0]
    )
    scales = np.array([0.1, 0.2, 0.3], np.float32)
    nodes = [node("DequantizeLinear", ["q", "s"], ["w"], axis=1), node("MatMul", ["x", "w"], ["y"])]
    proto = model(nodes, ["N", 4], {"s": scales}, opset=21)
    proto.graph.initializer.append(packed)
    (layer,) = import_model(proto, name="t").nodes
    assert layer.op.weight[0, :, 0, 0].tolist() == [k * float(scales[0]) for k in (-8, 0, -1, -4)]


def test_activations_per_channel() -> None:
    scales = np.array([0.1, 0.2, 0.3], np.float32)
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("QuantizeLinear", ["c", "s", "z"], ["q"], "Q", axis=1),
        node("DequantizeLinear", ["q", "s", "z"], ["d"], "DQ", axis=-3),
        node("Conv", ["d", "v"], ["y"]),
    ]
    constants = {"w": weights(3, 2, 3, 3), "v": weights(4, 3, 3, 3), "s": scales,
                 "z": np.zeros(3, np.int8)}  # fmt: skip
    proto = model(nodes, ["N", 2, 6, 6], constants)
    assert mismatches(proto, rng.normal(size=(20, 2, 6, 6)) * 9)[0] == 0
    (op,) = stairs(fold(import_model(proto, name="t")))
    assert (op.thresholds.shape, op.step.tolist()) == ((3, 255), scales.astype(float).tolist())


def test_one_quantiser_read_by_several_layers() -> None:
    q, constants = activation("c", "a", 0.1, 0)
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        *q,
        node("DequantizeLinear", ["a_q", "a_scale", "a_zero"], ["a2"], "again"),
        node("QuantizeLinear", ["c", "a_scale", "a_zero"], ["o_q"], "twin_Q"),
        node("DequantizeLinear", ["o_q", "a_scale", "a_zero"], ["o"], "twin"),
        node("Conv", ["a", "v"], ["l"]),
        node("Conv", ["a2", "v"], ["m"]),
        node("Conv", ["o", "v"], ["n"]),
        node("Sum", ["l", "m", "n"], ["y"]),
    ]
    constants |= {"w": weights(3, 2, 3, 3), "v": weights(4, 3, 3, 3)}
    proto = model(nodes, ["N", 2, 6, 6], constants)
    assert mismatches(proto, rng.normal(size=(20, 2, 6, 6)))[0] == 0
    assert len(stairs(fold(import_model(proto, name="t")))) == 2  # integers, and real numbers


def test_a_residual_block_of_two_scales() -> None:
    first, a = activation("c", "p", 0.11, 10)
    second, b = activation("d", "q", 0.07, 20)
    last, c = activation("s", "t", 0.13, 5)
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        *first,
        node("Conv", ["p", "v"], ["d"], pads=[1, 1, 1, 1]),
        *second,
        node("Add", ["p", "q"], ["s"]),
        *last,
        node("Conv", ["t", "v"], ["y"]),
    ]
    constants = {**a, **b, **c, "w": weights(3, 2, 3, 3), "v": weights(3, 3, 3, 3)}
    proto = model(nodes, ["N", 2, 6, 6], constants)
    assert mismatches(proto, rng.normal(size=(20, 2, 6, 6)))[0] == 0
    assert len(stairs(fold(import_model(proto, name="t")))) == 3


@pytest.mark.parametrize(
    ("attributes", "constants", "rule", "found"),
    [
        ({"block_size": 2}, {}, "block_size must be 0", "2"),
        ({}, {"z": np.array(0, np.uint16)}, "at most 256 levels", "65536"),
        ({}, {"s": np.ones(3, np.float32)}, "one number per channel", "3 along axis 1"),
        ({"axis": 5}, {"s": np.ones(4, np.float32)}, "one number per channel", "axis 5"),
        ({}, {"s": np.zeros((), np.float32)}, "may not contain 0|must not contain 0", ""),
        ({}, {"s": np.ones((4, 4), np.float32)}, "a number or a vector", "[4, 4]"),
        ({}, {"z": np.zeros(4, np.uint8)}, "zero point must have the scale's shape", "[4]"),
        ({}, {"s": np.array(np.nan, np.float32)}, "must be finite", "NaN"),
        ({"output_dtype": TensorProto.FLOAT8E4M3FN}, {"z": None}, "must be an integer", "float8"),
        ({"output_dtype": 99}, {"z": None}, "must be an integer", "99"),
    ],
)
def test_refused(
    attributes: dict[str, int], constants: dict[str, np.ndarray], rule: str, found: str
) -> None:
    given = {"s": np.array(0.5, np.float32), "z": np.array(0, np.uint8), **constants}
    given = {k: v for k, v in given.items() if v is not None}
    proto = model(
        [node("QuantizeLinear", ["x", *given], ["y"], "Q", **attributes)], ["N", 4], given, opset=21
    )
    (problem,) = refused(proto)
    assert problem.where == "node 'Q' (QuantizeLinear)"
    assert any(r in problem.rule for r in rule.split("|"))
    assert found in problem.found


@pytest.mark.parametrize(
    "name",
    ["QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"],
)
def test_integer_operators_name_the_way_out(name: str) -> None:
    (problem,) = refused(model([node(name, ["x"], ["y"], "q")], ["N", 4]))
    assert problem.where == f"node 'q' ({name})"
    assert "quantize_static(..., quant_format=QuantFormat.QDQ)" in problem.hint


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("kind", "symmetric"), [("QUInt8", False), ("QInt8", True)])
def test_what_onnxruntime_quantises(
    tmp_path: Path, require: Require, per_channel: bool, kind: str, symmetric: bool
) -> None:
    require("python:onnxruntime")
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], "conv1", pads=[1, 1, 1, 1]),
        node("Relu", ["c"], ["r"], "relu1"),
        node("MaxPool", ["r"], ["m"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["m", "v", "d"], ["e"], "conv2", pads=[1, 1, 1, 1]),
        node("Add", ["e", "m"], ["a"], "add"),
        node("Relu", ["a"], ["s"], "relu2"),
        node("GlobalAveragePool", ["s"], ["g"], "gap"),
        node("Flatten", ["g"], ["f"], "flat"),
        node("Gemm", ["f", "u", "t"], ["y"], "fc", transB=1),
    ]
    constants = {"w": weights(4, 2, 3, 3), "b": weights(4), "v": weights(4, 4, 3, 3),
                 "d": weights(4), "u": weights(5, 4), "t": weights(5)}  # fmt: skip
    onnx.save(model(nodes, ["N", 2, 8, 8], constants), tmp_path / "float.onnx")
    images = rng.normal(size=(16, 2, 8, 8)).astype(np.float32)

    left = list(images)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, np.ndarray] | None:
            return {"x": left.pop()[None]} if left else None

    quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "qdq.onnx",
        Reader(),
        quant_format=QuantFormat.QDQ,
        per_channel=per_channel,
        activation_type=getattr(QuantType, kind),
        weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": symmetric},
    )
    proto = onnx.load(tmp_path / "qdq.onnx")
    assert mismatches(proto, images)[0] == 0
    assert {type(n.op).__name__ for n in fold(import_model(proto, name="t")).nodes} <= {
        "Add", "Conv", "Linear", "MaxPool", "Staircase", "SumPool",
    }  # fmt: skip
