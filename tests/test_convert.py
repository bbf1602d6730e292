"""Threshold balancing, structure and quantisation: what is published, and what must hold on every
network.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snngen.check_fixed import check_fixed
from snngen.convert import METHODS, Options, convert, populations
from snngen.convert.balance import balanced_threshold
from snngen.errors import BoundError, ConversionError
from snngen.evaluate import Ann
from snngen.fixed import FixedNet
from snngen.graph import Relu
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Scale, Select
from snngen.pipeline import Normalisation, build
from snngen.quantise import quantise
from snngen.simulate import simulate
from snngen.spiking import Preprocess
from tests import graphs


def decoded(net: FixedNet, images: np.ndarray) -> np.ndarray:
    """The network's outputs in the CNN's units, (N, K)."""
    return simulate(net, images).outputs[:, -1] * net.output_scale


def error(net: FixedNet, ann: Ann, images: np.ndarray) -> float:
    """Mean absolute error of the outputs relative to their mean magnitude."""
    want = ann.outputs(images)
    return float(np.abs(decoded(net, images) - want).mean() / np.abs(want).mean())


@pytest.mark.parametrize("make", [graphs.lenet, graphs.residual])
@pytest.mark.parametrize("method", [name for name in METHODS if not METHODS[name].quantised])
def test_many_levels_and_many_timesteps_approach_the_cnn(make, method: str) -> None:
    ann, images = graphs.ann(make()), graphs.images(make(), 24)
    level = build(ann, images, Options(method, "level", levels=255))
    spikes = build(ann, images, Options(method, "if", timesteps=256))
    assert error(level, ann, images) < 0.06
    assert error(spikes, ann, images) < 0.06
    assert error(build(ann, images, Options(method, "level", levels=1)), ann, images) > 0.06


@pytest.mark.parametrize("make", [graphs.lenet, graphs.residual])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("neuron", ["if", "level"])
def test_weights_have_the_bits_asked_for_and_the_network_is_sound(make, bits, neuron) -> None:
    g = make()
    net = build(graphs.ann(g), graphs.images(g, 8), Options(neuron=neuron, bits=bits))
    check_fixed(net)
    most = 2 ** (bits - 1) - 1
    for layer in net.layers:
        for synapse in layer.synapses:
            if isinstance(synapse.op, Conv):
                assert np.abs(synapse.op.weight).reshape(len(synapse.op.weight), -1).max() == most


def test_first_layer_under_direct_coding_is_the_closed_form() -> None:
    g = graphs.lenet()
    net = build(graphs.ann(g), graphs.images(g, 8), Options(timesteps=13))
    images = graphs.images(g, 5, seed=7)
    layer = net.layers[0]
    assert isinstance(layer.neuron, IF) and layer.bias is not None
    pixels = net.input.table[0][images].astype(np.int64)
    z = layer.synapses[0].op.forward(pixels) + layer.bias[:, None, None]
    theta, start = layer.neuron.threshold[:, None, None], layer.neuron.v_init[:, None, None]
    expected = np.clip((13 * z + start) // theta, 0, 13)
    np.testing.assert_array_equal(simulate(net, images).counts[layer.name], expected)


def test_threshold_is_the_largest_current_of_real_spikes() -> None:
    """Paper 2 by hand for two layers: currents, not membranes, of spikes that the first layer
    really sends.
    """
    g = graphs.graph(
        (1, 6, 6),
        ("conv1", graphs.conv(3, 1, 3, 2), ["input"]),
        ("relu1", Relu(), ["conv1"]),
        ("conv2", graphs.conv(2, 3, 3, 1), ["relu1"]),
        ("relu2", Relu(), ["conv2"]),
        ("fc", graphs.linear(2, (2, 2, 2), 2), ["relu2"]),
        bias=False,
    )
    images = graphs.images(g, 4)
    ann, options = graphs.ann(g), Options(timesteps=5, v_init=0.0, percentile=100)
    net = convert(ann.graph, ann.preprocess, images, options)
    first = g["conv1"].op.forward(images / 255)
    theta1 = first.max((0, 2, 3))
    np.testing.assert_allclose(net.layers[0].neuron.threshold, theta1, rtol=1e-6)
    v, largest = np.zeros_like(first), np.full(2, -np.inf)
    for _ in range(5):
        v += first
        spikes = v >= theta1[:, None, None] * (1 - 1e-7)
        v -= spikes * theta1[:, None, None]
        current = g["conv2"].op.forward(spikes * theta1[:, None, None])
        largest = np.maximum(largest, current.max((0, 2, 3)))
    np.testing.assert_allclose(net.layers[1].neuron.threshold, largest, rtol=1e-5)
    literal = convert(ann.graph, ann.preprocess, images, replace(options, scaling="literal"))
    assert np.all(literal.layers[0].amplitude == 1)


def test_thresholds_per_channel_per_layer_and_as_published() -> None:
    g = graphs.lenet()
    ann, images = graphs.ann(g), graphs.images(g, 8)

    def unique_thresholds(**options: object) -> dict[str, int]:
        made = convert(g, ann.preprocess, images, Options(percentile=100, **options))
        return {
            p.name: len(np.unique(p.neuron.threshold))
            for p in made.layers
            if isinstance(p.neuron, IF)
        }

    by_channel = unique_thresholds(method="channel-max")
    assert by_channel["conv1"] > 1 and by_channel["fc1"] > 1
    published = unique_thresholds(method="channel-max", scaling="literal")
    assert published["conv1"] > 1 and published["fc1"] == 1
    assert set(unique_thresholds(method="layer-max").values()) == {1}


def test_a_silent_channel_does_not_always_fire() -> None:
    current = np.zeros((1, 2, 3, 4, 4), np.float32)
    current[:, :, 0] = 2.0
    current[:, :, 1] = -1.0
    np.testing.assert_array_equal(balanced_threshold(current, 100, True), [2, 2, 2])
    np.testing.assert_array_equal(balanced_threshold(np.zeros_like(current), 100, True), [1, 1, 1])


def test_percentile_lowers_thresholds_and_ceiling_caps_them() -> None:
    g = graphs.lenet()
    ann, images = graphs.ann(g), graphs.images(g, 8)
    full = convert(g, ann.preprocess, images, Options(percentile=100)).layers[0].neuron.threshold
    less = convert(g, ann.preprocess, images, Options(percentile=90)).layers[0].neuron.threshold
    assert np.all(less <= full) and np.any(less < full)
    capped = replace(
        g, nodes=tuple(replace(n, op=Relu(0.01)) if n.name == "relu1" else n for n in g.nodes)
    )
    np.testing.assert_array_equal(
        convert(capped, ann.preprocess, images, Options()).layers[0].neuron.threshold, 0.01
    )


def test_structure_of_residual_networks() -> None:
    parts = {p.name: p for p in populations(graphs.residual())}
    assert [type(s.op) for s in parts["add2"].synapses] == [Conv, Scale]
    assert [s.source for s in parts["add3"].synapses] == ["add2", "shortcut"]
    assert parts["conv4"].activation is None and parts["conv4"].bias is not None
    assert [type(s.op) for s in parts["both"].synapses] == [Select, Select]
    assert parts["fc"].activation is None
    names = list(parts)
    assert names[-1] == "fc" and len(names) == len(set(names))


def test_an_activation_at_the_end_keeps_its_neurons_and_gets_an_output() -> None:
    g = graphs.graph(
        (1, 4, 4),
        ("conv1", graphs.conv(3, 1, 3, 0), ["input"]),
        ("relu1", Relu(), ["conv1"]),
    )
    images = graphs.images(g, 6)
    net = build(graphs.ann(g), images, Options(neuron="level", levels=255, percentile=100))
    assert isinstance(net.layers[0].neuron, Level) and isinstance(net.layers[1].neuron, Accumulate)
    want = graphs.ann(g).outputs(images)
    np.testing.assert_allclose(decoded(net, images), want, atol=0.02 * want.max())


def test_normalised_input_is_lossless_and_padding_reads_zero() -> None:
    g = graphs.residual()
    pre = Normalisation(255, (0.485, 0.406), (0.229, 0.225)).preprocess(2)
    ann, images = Ann(g, pre), graphs.images(g, 8)
    net = build(ann, images, Options(neuron="level", levels=255))
    zero = np.rint(np.array([0.485, 0.406]) * 255)
    np.testing.assert_array_equal(net.input.table, np.arange(256) - zero[:, None])
    assert error(net, ann, images) < 0.06


@pytest.mark.parametrize(
    "change",
    [
        {"method": "magic"},
        {"neuron": "lif"},
        {"timesteps": 0},
        {"levels": 256},
        {"bits": 1},
        {"bits": 9},
        {"percentile": 0.0},
        {"percentile": float("nan")},
        {"scaling": "maybe"},
        {"v_init": 1.0},
    ],
)
def test_options_out_of_range_are_refused(change) -> None:
    g = graphs.lenet()
    with pytest.raises(ConversionError, match="must be"):
        build(graphs.ann(g), graphs.images(g, 2), replace(Options(), **change))


def test_all_bad_options_are_reported_at_once() -> None:
    g = graphs.lenet()
    with pytest.raises(ConversionError) as caught:
        build(graphs.ann(g), graphs.images(g, 2), Options(timesteps=0, levels=0))
    assert len(caught.value.problems) == 2


def test_what_32_bits_cannot_hold_is_refused_with_the_bound() -> None:
    """Nine linear layers in a row multiply their ranges: no proof, and an error that names the
    layer.
    """
    nodes = [
        (
            f"conv{k}",
            graphs.conv(4, 1 if k == 0 else 4, 3, k, pad=1),
            [f"conv{k - 1}" if k else "input"],
        )
        for k in range(9)
    ]
    g = graphs.graph((1, 4, 4), *nodes)
    ann = graphs.ann(g)
    net = convert(g, ann.preprocess, graphs.images(g, 2), Options(timesteps=2))
    with pytest.raises(BoundError, match=r"layer 'conv\d'.*cannot be proven to fit 32 bits"):
        quantise(net)


def test_normalisation_refuses_numbers_that_do_not_fit_the_channels() -> None:
    with pytest.raises(ConversionError) as caught:
        Normalisation(255, (0.1, 0.2), (1.0, 0.0, 1.0)).preprocess(3)
    assert len(caught.value.problems) == 2


def test_zero_far_from_the_bytes_is_refused() -> None:
    g = graphs.lenet()
    with pytest.raises(ConversionError, match="32,000 steps"):
        build(Ann(g, Preprocess(np.array([1e-6]), np.array([5.0]))), graphs.images(g, 2), Options())
