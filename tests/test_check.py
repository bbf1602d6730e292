"""The report on a model: what it lists, and that it never raises."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from snngen.check import CheckReport, check
from tests.onnx_import.build import model, weights

node = helper.make_node


def report(folder: Path, proto: onnx.ModelProto) -> CheckReport:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    found = check(path)
    json.dumps(found.to_dict())
    return found


def lenet(**changed: np.ndarray) -> onnx.ModelProto:
    constants = {"w": weights(4, 1, 3, 3), "b": weights(4), "v": weights(10, 100), **changed}
    return model(
        [
            node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
            node("Relu", ["c"], ["r"], "relu"),
            node("AveragePool", ["r"], ["p"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
            node("Flatten", ["p"], ["f"]),
            node("Gemm", ["f", "v"], ["y"], "fc", transB=1),
        ],
        ["N", 1, 10, 10],
        constants,
    )


def test_layers_and_totals(tmp_path: Path) -> None:
    found = report(tmp_path, lenet())
    assert found.ok
    assert found.warnings == found.problems == found.notes == ()
    assert found.input_shape == (1, 10, 10)
    rows = [(r.name, r.op, r.output_shape, r.parameters, r.macs, r.fan_in) for r in found.layers]
    assert rows == [
        ("conv", "Conv", (4, 10, 10), 40, 3600, 9),
        ("relu", "Relu", (4, 10, 10), 0, 0, 0),
        ("pool", "SumPool", (4, 5, 5), 0, 0, 4),
        ("fc", "Linear", (10, 1, 1), 1000, 1000, 100),
    ]
    assert (found.parameters, found.macs) == (1040, 4600)
    assert found.to_dict()["totals"] == {"parameters": 1040, "macs": 4600, "layers": 4}


def test_problems_are_collected(tmp_path: Path) -> None:
    proto = model([node("Tanh", ["x"], ["h"], "t"), node("Elu", ["h"], ["y"], "e")], ["N", 4])
    found = report(tmp_path, proto)
    assert not found.ok
    assert [p.where for p in found.problems] == ["node 't' (Tanh)", "node 'e' (Elu)"]
    assert found.layers == ()


def test_files_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    assert "cannot be read" in check(tmp_path / "none.onnx").problems[0].rule
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"\x00\xff")
    assert "damaged" in check(damaged).problems[0].rule


def test_suspicious_weights(tmp_path: Path) -> None:
    weight = weights(4, 1, 3, 3)
    weight[1] = 0
    weight[2] *= 1e-6
    silent, wide = report(tmp_path, lenet(w=weight)).warnings
    assert "all zero" in silent.rule
    assert silent.found == "1 of 4, the first is 1"
    assert silent.where == wide.where == "node 'conv' (Conv)"
    assert "differ in range" in wide.rule


def test_layers_without_an_activation(tmp_path: Path) -> None:
    proto = model(
        [
            node("Gemm", ["x", "w"], ["a"], "one"),
            node("Gemm", ["a", "v"], ["b"], "two"),
            node("Relu", ["b"], ["y"], "last"),
        ],
        ["N", 4],
        {"w": weights(4, 5), "v": weights(5, 3)},
    )
    between, last = report(tmp_path, proto).warnings
    assert (between.where, between.found) == ("node 'two' (Linear)", "'one'")
    assert (last.where, last.found) == ("the output", "'last'")


def test_no_weights_at_all(tmp_path: Path) -> None:
    warnings = report(tmp_path, model([node("Neg", ["x"], ["y"])], ["N", 4])).warnings
    assert [w.rule for w in warnings] == ["contains no weighted layer"]


def test_tiny_variance_is_noted(tmp_path: Path) -> None:
    variance = np.array([1, 1e-20, 1], np.float32)
    constants = {"g": weights(3), "b": weights(3), "m": weights(3), "v": variance}
    proto = model([node("BatchNormalization", ["x", *constants], ["y"], "bn")], ["N", 3], constants)
    (note,) = report(tmp_path, proto).notes
    assert "the variance of 1 of 3 channels" in note


def test_quantised_activations_are_activations(tmp_path: Path) -> None:
    nodes = [
        node("Gemm", ["x", "w"], ["a"], "one"),
        node("Clip", ["a", "low", "high"], ["b"]),
        node("Round", ["b"], ["c"], "quantiser"),
        node("Gemm", ["c", "v"], ["y"], "two"),
    ]
    bounds = {"low": np.array(-2, np.float32), "high": np.array(5, np.float32)}
    constants = {"w": weights(4, 5), "v": weights(5, 3), **bounds}
    found = report(tmp_path, model(nodes, ["N", 4], constants))
    assert found.warnings == ()
    assert [(r.name, r.op) for r in found.layers][1] == ("quantiser", "Staircase N=7")
