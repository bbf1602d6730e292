"""Networks trained by others through the whole pipeline, on a few images each; whole test sets:
bench/.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.networks import IMAGENET, MNIST
from snngen.convert import Options
from snngen.data import load
from snngen.evaluate import Ann, evaluate
from snngen.fixed import FixedNet
from snngen.graph import Graph
from snngen.pipeline import Normalisation, build, calibration_size, read_model
from snngen.verify import verify

EXPORTS = ("", "_bn", "_opset20")


def converted(graph: Graph, dataset: str, normalisation: Normalisation, neuron: str) -> FixedNet:
    options = Options(neuron=neuron, percentile=99.9)
    count = min(64, calibration_size(graph, options))
    images = load(dataset, graph.input.shape, split="train", limit=count).images
    return build(Ann(graph, normalisation.preprocess(graph.input.shape[0])), images, options)


@pytest.mark.parametrize("neuron", ["if", "level"])
@pytest.mark.parametrize("name", MNIST)
def test_converted_emitted_and_equal(
    name: str, neuron: str, data_dir: Path, models_dir: Path
) -> None:
    network = MNIST[name]
    graph = read_model(models_dir / network.file)
    net = converted(graph, network.data, network.normalisation, neuron)
    test = load(network.data, graph.input.shape, limit=200)
    result = verify(net, test.images, full_trace_images=2)
    assert result.is_equal, str(result)
    found = evaluate(net, test.images, test.labels)
    assert found.correct is not None
    assert found.correct[-1] / 200 > network.published / 100 - 0.05


@pytest.mark.parametrize("neuron", ["if", "level"])
@pytest.mark.parametrize("export", EXPORTS)
def test_every_export_of_a_resnet_runs_as_c(
    export: str, neuron: str, data_dir: Path, models_dir: Path
) -> None:
    """That the three are one network before conversion is tested with the importer."""
    graph = read_model(models_dir / f"cifar10/akamaster_resnet20{export}.onnx")
    net = converted(graph, "cifar10", IMAGENET, neuron)
    assert (
        len(net.layers) == 23
    )  # 19 convolutions, two sliced and padded shortcuts, a pool, a dense layer
    images = load("cifar10", net.input.shape, limit=8).images
    assert verify(net, images, full_trace_images=1).is_equal
