"""Networks that others trained: imported, folded, and compared with onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from snngen.fold import fold
from snngen.graph import Graph
from snngen.onnx_import import load
from snngen.ops import Conv, Linear
from tests.conftest import missing
from tests.onnx_import.build import expected, run

SUPPORTED = [
    "cifar10/akamaster_resnet20.onnx",
    "cifar10/akamaster_resnet20_bn.onnx",
    "cifar10/akamaster_resnet20_opset20.onnx",
    "cifar10/akuras_cifar10_cnn.onnx",
    "cifar10/vnn21_cifar10_small.onnx",
    "cifar10/vnn21_cifar_base_kw.onnx",
    "cifar10/vnn21_resnet_2b.onnx",
    "cifar10/vnn22_cifar_base.onnx",
    "fashion/edwin19_fashion_mnist.onnx",
    "mlperf_tiny/ad01.onnx",
    "mlperf_tiny/ic_pretrainedResnet.onnx",
    "mlperf_tiny/kws_ref_model.onnx",
    "mlperf_tiny/vww_96.onnx",
    "mnist/fyh620_lenet.onnx",
    "mnist/lenet_ref.onnx",
    "mnist/mnist-8.onnx",
    "mnist/pcelis_mnist_cnn_pool.onnx",
    "mnist/sinabs_mnist.onnx",
    "mnist/vnn21_Convnet_avgpool.onnx",
    "mnist/vnn21_mnist-net_256x2.onnx",
    "nmnist/nir_nmnist_ann.onnx",
]
CHANNELS_LAST = {
    "cifar10/akuras_cifar10_cnn.onnx",
    "cifar10/vnn21_cifar10_small.onnx",
    "mlperf_tiny/ic_pretrainedResnet.onnx",
    "mlperf_tiny/vww_96.onnx",
}


def model_file(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        missing(f"{path} is not there")
    return path


@pytest.mark.parametrize("name", SUPPORTED)
def test_agrees_with_onnxruntime(models_dir: Path, name: str) -> None:
    path = model_file(models_dir, name)
    proto = onnx.load(path)
    # A final Softmax is dropped on import, so what it reads is compared.
    last = next((n for n in proto.graph.node if n.op_type in ("Softmax", "LogSoftmax")), None)
    tensor = last.input[0] if last else proto.graph.output[0].name
    graph = load(path)
    x = np.random.default_rng(5).uniform(-1, 2, (1, *graph.input.model_shape))
    x = x.astype(np.float32)
    want = expected(proto, x, tensor)
    for variant in (graph, fold(graph)):
        assert np.abs(run(variant, x) - want).max() <= 1e-4 * np.ptp(want)
    assert graph.input.layout == ("HWC" if name in CHANNELS_LAST else "CHW")


def test_three_exports_of_one_network_are_the_same_graph(models_dir: Path) -> None:
    first, *others = (
        fold(load(model_file(models_dir, f"cifar10/akamaster_resnet20{suffix}.onnx")))
        for suffix in ("", "_bn", "_opset20")
    )
    for other in others:
        assert_same_network(first, other)


def assert_same_network(a: Graph, b: Graph) -> None:
    """Equal up to names and the rounding of folded batch norms."""
    position_a = {n.name: k for k, n in enumerate(a.nodes)}
    position_b = {n.name: k for k, n in enumerate(b.nodes)}
    assert len(a.nodes) == len(b.nodes)
    for one, two in zip(a.nodes, b.nodes, strict=True):
        assert type(one.op) is type(two.op)
        assert sorted(position_a.get(i, -1) for i in one.inputs) == sorted(
            position_b.get(i, -1) for i in two.inputs
        )
        if isinstance(one.op, Conv | Linear):
            assert isinstance(two.op, Conv | Linear)
            np.testing.assert_allclose(one.op.weight, two.op.weight, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(one.bias, two.bias, rtol=1e-4, atol=1e-6)
