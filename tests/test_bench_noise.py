"""Dropped spikes: none are other than those of the network itself."""

import numpy as np
import onnx

from bench.networks import SCATTER_GATHER
from bench.noise import OPTIONS, behind_first, thinned
from snngen.data import synthetic
from snngen.evaluate import Ann
from snngen.fold import fold
from snngen.onnx_import import import_model
from snngen.pipeline import Normalisation, build
from snngen.simulate import simulate


def test_what_is_behind_the_first_layer_is_the_rest_of_the_network() -> None:
    network = SCATTER_GATHER["one_spike"]
    graph = fold(import_model(onnx.load(network.path), name="one_spike"))
    images = synthetic(graph.input.shape, 6)
    net = build(Ann(graph, Normalisation().preprocess(1)), images[:1], OPTIONS)
    run = simulate(net, images, trace=True)
    assert run.trace is not None
    levels = run.trace[net.layers[0].name].output[:, 0]
    rest = behind_first(net)
    assert np.array_equal(simulate(rest, thinned(levels, 0.0, (1,))).outputs, run.outputs)
    assert not np.array_equal(simulate(rest, thinned(levels, 0.2, (1,))).outputs, run.outputs)


def test_so_many_spikes_are_dropped() -> None:
    levels = np.random.default_rng(3).integers(0, 5, (200, 200))
    kept = thinned(levels, 0.2, (1, 2))
    assert (kept <= levels).all()
    assert abs(kept.sum() / levels.sum() - 0.8) < 0.01
