"""What docs/quantised-models.md says of QDQ models: from ONNX to integers, pattern by pattern."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import helper

from bench.lossless import Counts, compare
from bench.networks import BYTES, Network
from snngen.convert import Options
from snngen.data import synthetic
from snngen.evaluate import Ann
from snngen.fold import fold
from snngen.onnx_import import import_model
from snngen.pipeline import build_in_steps
from tests.onnx_import.build import model, weights
from tests.onnx_import.test_qdq import activation, weight

node = helper.make_node
Part = tuple[list[onnx.NodeProto], dict[str, np.ndarray]]
IMAGES = 40


def conv(source: str, result: str, **more: object) -> Part:
    """A 3x3 convolution of 3 channels with int8 weights per channel and a real bias."""
    nodes, constants = weight(f"{result}_w", 3, 3, 3, 3)
    inputs = [source, f"{result}_w", f"{result}_b"]
    nodes = [*nodes, node("Conv", inputs, [result], result, pads=[1, 1, 1, 1], **more)]
    return nodes, {**constants, f"{result}_b": weights(3)}


def op(kind: str, *names: str, **attributes: object) -> Part:
    """Inputs and, last, the result."""
    return [node(kind, names[:-1], names[-1:], names[-1], **attributes)], {}


def head(source: str = "a") -> list[Part]:
    """A dense layer with one int8 scale, and a quantised output."""
    return [
        op("GlobalMaxPool", source, "best"),
        op("Flatten", "best", "flat"),
        weight("fc_w", 3, 4, axis=None),
        op("MatMul", "flat", "fc_w", "fc"),
        activation("fc", "y", 0.4, 3, "int8"),
    ]


def one() -> list[Part]:
    return [activation("x", "xq", 1.7, 5), conv("xq", "c"), activation("c", "p", 1.1, 30)]


def two() -> list[Part]:
    return [*one(), conv("p", "d"), activation("d", "q", 1.1, 60)]


LOSSLESS: dict[str, Callable[[], list[Part]]] = {
    "a chain": lambda: [*two(), *head("q")],
    "signed": lambda: [*one(), conv("p", "d"), activation("d", "q", 2.3, -3, "int8"), *head("q")],
    "max pool and the same scale": lambda: [
        *one(), op("MaxPool", "p", "m", kernel_shape=[2, 2], strides=[2, 2]),
        activation("m", "mq", 1.1, 30), conv("mq", "d"), activation("d", "q", 9.0, 0), *head("q"),
    ],
    "average pool": lambda: [
        *one(), op("AveragePool", "p", "m", kernel_shape=[2, 2], strides=[2, 2]),
        activation("m", "mq", 0.9, 30), conv("mq", "d"), activation("d", "q", 9.0, 0), *head("q"),
    ],
    "average pool without padding": lambda: [
        *one(), op("AveragePool", "p", "m", kernel_shape=[2, 2], pads=[1, 0, 0, 1]),
        conv("m", "d"), activation("d", "q", 9.0, 0), *head("q"),
    ],
    "concatenation of one scale": lambda: [
        *two(), op("Concat", "p", "q", "s", axis=1), weight("v", 3, 6, 1, 1),
        op("Conv", "s", "v", "e"), activation("e", "t", 5.0, 10), *head("t"),
    ],
    "requantised concatenation": lambda: [
        *one(), conv("p", "d"), activation("d", "q", 2.9, 7),
        op("Concat", "p", "q", "s", axis=1), activation("s", "u", 3.1, 9), weight("v", 3, 6, 1, 1),
        op("Conv", "u", "v", "e"), activation("e", "t", 5.0, 10), *head("t"),
    ],
    "addition of one scale": lambda: [
        *two(), op("Add", "p", "q", "s"), activation("s", "t", 1.9, 40), *head("t"),
    ],
}  # fmt: skip


def counts(parts: list[Part]) -> Counts:
    nodes = [n for part in parts for n in part[0]]
    constants = {k: v for part in parts for k, v in part[1].items()}
    proto = model(nodes, ["N", 3, 8, 8], constants)
    graph = fold(import_model(proto, name="test"))
    network = Network("", "synthetic", BYTES, None)
    ann = Ann(graph, BYTES.preprocess(3))
    made = build_in_steps(ann, synthetic((3, 8, 8), 1, seed=0), Options())
    found, _ = compare(proto, graph, network, made, synthetic((3, 8, 8), IMAGES, seed=1))
    assert found.levels >= IMAGES * 192
    assert found.outputs == IMAGES * 4
    return found


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless(name: str) -> None:
    found = counts(LOSSLESS[name]())
    assert (found.levels_differ, found.outputs_differ, found.classes_differ) == (0, 0, 0)


def test_an_addition_of_two_scales_is_next_to_lossless() -> None:
    parts = [
        *one(), conv("p", "d"), activation("d", "q", 2.9, 7),
        op("Add", "p", "q", "s"), activation("s", "t", 3.7, 40), *head("t"),
    ]  # fmt: skip
    found = counts(parts)
    assert found.levels_differ <= 0.001 * found.levels


def rounded() -> dict[str, list[Part]]:
    nodes, constants = weight("d_w", 3, 3, 3, 3, kind="uint8")
    constants["d_w_zero"] = np.full(3, 100, np.uint8)
    wide: Part = ([*nodes, node("Conv", ["p", "d_w"], ["d"], "d", pads=[1, 1, 1, 1])], constants)
    scales = {"p_scale": np.array([1.1, 0.7, 1.3], np.float32), "p_zero": np.full(3, 30, np.uint8)}
    quantiser = [
        node("QuantizeLinear", ["c", *scales], ["p_q"], "p_Q", axis=1),
        node("DequantizeLinear", ["p_q", *scales], ["p"], "p_DQ", axis=1),
    ]
    last = [activation("d", "q", 9.0, 30), *head("q")]
    shortcut = [op("Add", "p", "d", "s"), activation("s", "t", 9.0, 40), *head("t")]
    return {
        "weights with a zero point, of 9 bits": [*one(), wide, *last],
        "a scale per channel": [*one()[:2], (quantiser, scales), conv("p", "d"), *last],
        "a convolution and a shortcut on one neuron": [*one(), conv("p", "d"), *shortcut],
    }


@pytest.mark.parametrize("name", rounded())
def test_what_no_common_unit_holds_is_rounded(name: str) -> None:
    found = counts(rounded()[name])
    assert 0 < found.levels_differ < 0.1 * found.levels
