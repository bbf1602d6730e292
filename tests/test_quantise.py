"""Details of quantisation that whole networks would hide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snngen.convert import Options, convert
from snngen.convert.propagate import wiring_amplitude
from snngen.evaluate import Ann
from snngen.graph import GraphOp
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Linear, MaxPool, Select, SumPool, Window
from snngen.pipeline import build
from snngen.quantise import quantise, quantise_with_units
from snngen.simulate import simulate
from snngen.spiking import Preprocess, SpikingLayer, SpikingNet, Synapse
from tests import graphs


def test_a_class_without_weights_does_not_coarsen_the_others() -> None:
    g = graphs.lenet()
    last = g.nodes[-1]
    weight, bias = last.op.weight.copy(), last.bias.copy()
    weight[2], bias[2] = 0, 0
    g = replace(
        g, nodes=(*g.nodes[:-1], replace(last, op=replace(last.op, weight=weight), bias=bias))
    )
    net = build(graphs.ann(g), graphs.images(g, 8), Options())
    assert np.abs(net.layers[-1].synapses[0].op.weight).max() == 127


@pytest.mark.parametrize(
    "wiring",
    [
        MaxPool(Window((2, 2), (2, 2))),
        SumPool(Window((2, 2), (2, 2)), 4),
        Select(np.arange(1, dtype=np.int32), *(np.arange(0, 8, 2, dtype=np.int32),) * 2),
    ],
)
def test_what_the_input_table_cannot_hold_survives_wiring(wiring: GraphOp) -> None:
    """Zero lies between two bytes; the half unit must reach the biases behind the wiring."""
    weight = np.sign(np.random.default_rng(0).normal(size=(4, 1, 3, 3)))  # exact in any bits
    g = graphs.graph(
        (1, 8, 8), ("wiring", wiring, ["input"]), ("conv", Conv(weight, Window((3, 3))), ["wiring"])
    )
    ann = Ann(g, Preprocess(np.array([1 / 8]), np.array([-15.56])))  # zero at byte 124.48
    images = graphs.images(g, 16)
    net = build(ann, images, Options(neuron="level"))
    got = simulate(net, images).outputs[:, -1] * net.output_scale
    np.testing.assert_allclose(got, ann.outputs(images), atol=0.001)


@pytest.mark.parametrize("gain", [-1 / 8, 0.0])
def test_inputs_that_the_model_inverts_or_ignores(gain: float) -> None:
    """A maximum over an inverted image is one of the darkest pixel; a gain of 0 leaves the
    offset.
    """
    weight = np.ones((2, 1, 2, 2))
    g = graphs.graph(
        (1, 8, 8),
        ("pool", MaxPool(Window((2, 2), (2, 2))), ["input"]),
        ("conv", Conv(weight, Window((2, 2))), ["pool"]),
    )
    ann = Ann(g, Preprocess(np.array([gain]), np.array([20.0])))
    images = graphs.images(g, 8)
    net = build(ann, images, Options(neuron="level"))
    got = simulate(net, images).outputs[:, -1] * net.output_scale
    np.testing.assert_allclose(got, ann.outputs(images), atol=0.01)


def test_level_neurons_are_the_quantised_activation_without_a_mismatch() -> None:
    """From the integer sums and the real thresholds: n = how many of (V - b) s the sum has
    reached.
    """
    g = graphs.lenet()
    ann, images = graphs.ann(g), graphs.images(g, 40)
    options = Options(neuron="level", levels=7, percentile=99.9)
    spiking = convert(g, ann.preprocess, images, options)
    net = quantise(spiking)
    counts = simulate(net, images).counts
    pixels = images.astype(float)
    compared = 0
    amplitude = {"input": np.array([1 / 255])}
    for real, fixed in zip(spiking.layers, net.layers, strict=True):
        amplitude[real.name] = (
            wiring_amplitude(real.synapses, amplitude) if fixed.is_wiring else real.amplitude
        )
        if not isinstance(real.neuron, Level):
            continue
        source = real.synapses[0].source
        effective = real.synapses[0].op.scale_inputs(amplitude[source]).weight
        s = 127 / np.abs(effective).reshape(len(effective), -1).max(1)
        z = fixed.synapses[0].op.forward(
            pixels if source == "input" else counts[source].astype(float)
        )
        reached = (real.neuron.thresholds - real.bias[:, None]) * s[:, None]
        want = (z[..., None] >= reached[:, None, None]).sum(-1)
        np.testing.assert_array_equal(counts[real.name], want)
        compared += want.size
    assert compared > 10_000


def test_a_coarse_threshold_passes_its_rounding_on() -> None:
    """A spike is worth the threshold that was really used, not the one that was asked for."""
    images = np.full((1, 1, 1, 1), 255, np.uint8)
    layers = (
        SpikingLayer(
            "if",
            (1, 1, 1),
            (Synapse("input", Linear(np.ones((1, 1, 1, 1)))),),
            None,
            IF(np.array([2.6 / 127 / 255]), np.array([0.0])),
            np.array([2.6 / 127 / 255]),
        ),
        SpikingLayer(
            "out",
            (1, 1, 1),
            (Synapse("if", Linear(np.ones((1, 1, 1, 1)))),),
            None,
            Accumulate(),
            np.ones(1),
        ),
    )
    ones, g = np.ones(1), graphs.lenet()
    spiking = SpikingNet(
        "x",
        replace(g.input, shape=(1, 1, 1)),
        Preprocess(ones / 255, 0 * ones),
        layers,
        4,
        "CHW",
        "x",
    )
    net = quantise(spiking)
    assert net.layers[0].neuron.threshold.tolist() == [3]
    outputs = simulate(net, images).outputs[0, :, 0] * net.output_scale * net.timesteps
    np.testing.assert_allclose(outputs, np.arange(1, 5) * 3 / 127 / 255, rtol=1e-6)


@pytest.mark.parametrize("neuron", ["if", "level"])
def test_units_take_integers_back_to_the_cnns_numbers(neuron: str) -> None:
    """Integer currents, decoded, are the real layer's on decoded inputs, but for the rounding to 8
    bits.
    """
    g = graphs.residual()
    ann, images = graphs.ann(g), graphs.images(g, 8)
    options = Options(neuron=neuron, timesteps=64, levels=255)
    spiking = convert(g, ann.preprocess, images, options)
    net, units = quantise_with_units(spiking)
    counts = {"input": images * 1.0 * net.timesteps, **simulate(net, images).counts}
    decoded = {"input": images / 255}
    for real, fixed in zip(spiking.layers, net.layers, strict=True):
        integer = sum(s.op.forward(counts[s.source]) for s in fixed.synapses) / net.timesteps
        if fixed.bias is not None:
            integer = integer + fixed.bias[:, None, None]
        scale, offset, amplitude = (
            v[:, None, None] for v in (units[real.name].scale, units[real.name].offset,
                                       units[real.name].amplitude)
        )  # fmt: skip
        current = sum(s.op.forward(decoded[s.source]) for s in real.synapses)
        if isinstance(real.synapses[0].op, SumPool):
            current = current / real.synapses[0].op.divisor
        if real.bias is not None:
            current = current + real.bias[:, None, None]
        got = integer / scale + offset
        assert np.abs(got - current).max() < 0.04 * np.abs(current).max(), real.name
        if fixed.neuron is None:
            decoded[real.name] = got
        elif real.name in counts:
            decoded[real.name] = counts[real.name] * amplitude / net.timesteps
