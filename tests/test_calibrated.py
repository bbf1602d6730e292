"""Method calibrated: closer to the CNN than balanced thresholds, and exact in every backend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snngen.convert import Options, convert, structure
from snngen.convert.rounding import rounded
from snngen.graph import forward
from snngen.neurons import IF
from snngen.ops import Conv, Linear
from snngen.pipeline import build
from snngen.quantise import quantise, quantise_with_units
from snngen.simulate import simulate
from snngen.spiking import INPUT, SpikingNet
from snngen.verify import verify
from tests import graphs


def squared_error(net: SpikingNet, images: np.ndarray, wanted: np.ndarray, bits: int = 8) -> float:
    """Of the integer network's outputs in the CNN's units."""
    fixed = quantise(net, bits)
    outputs = simulate(fixed, images).outputs[:, -1] * fixed.output_scale
    return float(np.square(outputs - wanted.reshape(outputs.shape)).mean())


@pytest.mark.parametrize("make", [graphs.lenet, graphs.residual])
@pytest.mark.parametrize("length", [{"neuron": "if", "timesteps": 8}, {"levels": 5}])
def test_outputs_are_closer_to_the_cnn_than_with_balanced_thresholds(make, length) -> None:
    g = make()
    ann, images = graphs.ann(g), graphs.images(g, 64)
    calibration, unseen = images[:32], images[32:]
    wanted = forward(g, ann.preprocess.apply(unseen))[g.output]
    options = Options("calibrated", **{"neuron": "level", **length})
    ours = convert(g, ann.preprocess, calibration, options)
    theirs = convert(g, ann.preprocess, calibration, replace(options, method="channel-max"))
    assert squared_error(ours, unseen, wanted) < squared_error(theirs, unseen, wanted)


@pytest.mark.parametrize("bits", [3, 8])
def test_mean_errors_nearly_vanish_on_the_calibration_images(bits) -> None:
    g = graphs.lenet()
    ann, images = graphs.ann(g), graphs.images(g, 32)
    wanted = forward(g, ann.preprocess.apply(images))[g.output].reshape(len(images), -1)

    def mean_error(method: str) -> float:
        net = build(ann, images, Options(method, timesteps=8, bits=bits))
        outputs = simulate(net, images).outputs[:, -1] * net.output_scale
        return float(np.abs((outputs - wanted).mean(0)).max())

    # what is left comes of rounding thresholds
    assert mean_error("calibrated") < 0.1 * mean_error("channel-max")


def test_calibration_sees_the_weights_that_the_network_will_have() -> None:
    g = graphs.residual()
    ann, images = graphs.ann(g), graphs.images(g, 16)
    populations = structure.populations(g)
    net = convert(g, ann.preprocess, images, Options("calibrated", "level", levels=4, bits=4))
    fixed, units = quantise_with_units(net, bits=4)
    amplitude = {INPUT: np.ones(g.input.shape[0])}
    amplitude |= {layer.name: layer.amplitude for layer in net.layers}
    for p, layer in zip(populations, fixed.layers, strict=True):
        seen = rounded(p, amplitude, 4, is_output=p is populations[-1])
        for real, whole in zip(seen.synapses, layer.synapses, strict=True):
            if isinstance(real.op, Conv | Linear):
                sent = units[real.source].amplitude
                scale = units[p.name].scale.reshape(-1, 1, 1, 1)
                np.testing.assert_allclose(
                    real.op.scale_inputs(sent).weight * scale, whole.op.weight, atol=1e-9
                )


def test_neurons_under_a_changing_current_are_signed() -> None:
    g = graphs.lenet()
    net = convert(g, graphs.ann(g).preprocess, graphs.images(g, 8), Options("calibrated"))
    signed = [layer.neuron.signed for layer in net.layers if isinstance(layer.neuron, IF)]
    assert not signed[0] and all(signed[1:])  # the first layer's current never changes


@pytest.mark.parametrize("neuron", ["if", "level"])
def test_the_c_is_the_golden_model(neuron) -> None:
    g = graphs.residual()
    images = graphs.images(g, 12)
    options = Options("calibrated", neuron, timesteps=6, levels=4)
    net = build(graphs.ann(g), images, options)
    assert verify(net, images).is_equal
