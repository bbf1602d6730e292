"""Networks that are no image classifiers, from ONNX to C: what they give follows the CNN, and the
golden model and emitted C agree on every spike and membrane.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import helper

from snngen import golden
from snngen.convert import Options
from snngen.data import synthetic
from snngen.evaluate import Ann
from snngen.fold import fold
from snngen.onnx_import import import_model
from snngen.pipeline import Normalisation, build
from snngen.simulate import simulate
from snngen.verify import verify
from tests.conftest import Require
from tests.onnx_import.build import expected, model

node = helper.make_node


def weights(*shape: int) -> np.ndarray:
    """As training leaves them: sums of about the size of what is summed; the same in any order of
    tests.
    """
    rng = np.random.default_rng([17, *shape])
    return (rng.normal(size=shape) * (2 / np.prod(shape[1:])) ** 0.5).astype(np.float32)


def fully_convolutional() -> onnx.ModelProto:
    """Scores for each position."""
    nodes = [
        node("Conv", ["x", "a"], ["b"], pads=[1, 1, 1, 1]),
        node("Relu", ["b"], ["c"]),
        node("MaxPool", ["c"], ["d"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["d", "e"], ["f"], pads=[1, 1, 1, 1]),
        node("Relu", ["f"], ["g"]),
        node("Conv", ["g", "h"], ["y"]),
    ]
    constants = {"a": weights(8, 1, 3, 3), "e": weights(8, 8, 3, 3), "h": weights(4, 8, 1, 1)}
    return model(nodes, ["N", 1, 8, 8], constants)


def one_dimensional() -> onnx.ModelProto:
    """A signal of two channels."""
    nodes = [
        node("Conv", ["x", "a"], ["b"], pads=[2, 2]),
        node("Relu", ["b"], ["c"]),
        node("MaxPool", ["c"], ["d"], kernel_shape=[2], strides=[2]),
        node("Conv", ["d", "e"], ["f"], strides=[2], dilations=[2]),
        node("Relu", ["f"], ["g"]),
        node("AveragePool", ["g"], ["h"], kernel_shape=[2], strides=[2]),
        node("Flatten", ["h"], ["i"]),
        node("MatMul", ["i", "j"], ["y"]),
    ]
    constants = {"a": weights(8, 2, 5), "e": weights(8, 8, 3), "j": weights(24, 4)}
    return model(nodes, ["N", 2, 32], constants)


def autoencoder() -> onnx.ModelProto:
    """As many outputs as inputs."""
    sizes, nodes, constants, source = (64, 32, 8, 32, 64), [], {}, "x"
    for k, (inputs, outputs) in enumerate(pairwise(sizes)):
        constants[f"w{k}"] = weights(outputs, inputs)
        constants[f"b{k}"] = weights(outputs, 100)[:, 0]
        result = f"z{k}" if k < 3 else "y"
        nodes.append(node("Gemm", [source, f"w{k}", f"b{k}"], [result], transB=1))
        if k < 3:
            source = f"a{k}"
            nodes.append(node("Relu", [result], [source]))
    return model(nodes, ["N", 64], constants)


def upsampling() -> onnx.ModelProto:
    """An encoder, a decoder, images as outputs."""
    nodes = [
        node("Conv", ["x", "a"], ["b"], pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", ["b"], ["c"]),
        node("Resize", ["c", "", "factors"], ["d"], mode="nearest"),
        node("Conv", ["d", "e"], ["y"], pads=[1, 1, 1, 1]),
    ]
    factors = np.array([1, 1, 2, 2], np.float32)
    constants = {"a": weights(8, 1, 3, 3), "e": weights(1, 8, 3, 3), "factors": factors}
    return model(nodes, ["N", 1, 8, 8], constants)


FORMS = {
    "fully convolutional": fully_convolutional,
    "1-D": one_dimensional,
    "autoencoder": autoencoder,
    "upsampling": upsampling,
}


@pytest.mark.parametrize(
    "options", [Options(neuron="if", timesteps=64), Options(neuron="level", levels=63)]
)
@pytest.mark.parametrize("form", FORMS)
def test_outputs_follow_the_cnn(form: str, options: Options, require: Require) -> None:
    require("cc")
    require("python:onnxruntime")
    proto = FORMS[form]()
    graph = fold(import_model(proto, name="test"))
    images = synthetic(graph.input.shape, 40, seed=3)
    net = build(Ann(graph, Normalisation().preprocess(graph.input.shape[0])), images, options)
    # A regression's outputs are real numbers: the membrane times the output scale.
    ours = simulate(net, images).outputs[:, -1] * net.output_scale
    values = (images / np.float32(255)).reshape(-1, *graph.input.model_shape).astype(np.float32)
    want = expected(proto, values)
    assert np.square(ours - want).mean() < 0.05**2 * np.square(want).mean()
    assert np.corrcoef(ours.ravel(), want.ravel())[0, 1] > 0.999
    assert verify(net, images[:4], full_trace_images=2).is_equal
    exact, fast = golden.trace(net, images[:1]), simulate(net, images[:1], trace=True).trace
    assert fast is not None
    for name, layer in exact.items():
        np.testing.assert_array_equal(layer.output, fast[name].output)
