"""Method quantized: no level differs from the quantised CNN's, whatever its quantisers are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snngen import golden
from snngen.convert import Options, convert, resolve
from snngen.dequantise import dequantised
from snngen.errors import ConversionError
from snngen.evaluate import Ann
from snngen.graph import Add, Concat, Graph, GraphOp, Relu, Staircase, forward
from snngen.neurons import IF, Level
from snngen.ops import Conv, Linear, MaxPool, SumPool, Window
from snngen.pipeline import build, build_in_steps
from snngen.simulate import simulate
from snngen.spiking import Preprocess
from snngen.targets.c.engine import Engine
from tests import graphs


def relu_levels(count: int, step: float, *, first: float = 0.5) -> Staircase:
    """clip(round(x / step), 0, count) * step, halves up."""
    return Staircase(step * (np.arange(count) + first)[None], np.array([step]))


def signed_levels(bits: int, step: float) -> Staircase:
    """clip(round(x / step), -2**(bits-1), 2**(bits-1) - 1) * step."""
    lowest = -(2 ** (bits - 1))
    thresholds = step * (np.arange(lowest, -lowest - 1) + 0.5)[None]
    return Staircase(thresholds, np.array([step]), lowest)


def integer_conv(out: int, inputs: int, size: int, seed: int, most: int, **window: int) -> Conv:
    """Weights g[c] * k with |k| <= most, and a different unit g in every channel."""
    conv = graphs.conv(out, inputs, size, seed, **window)
    rng = np.random.default_rng(seed + 100)
    unit = np.float32(rng.uniform(0.5, 2, out) / most / (inputs * size * size) ** 0.5)
    k = rng.integers(-most, most + 1, conv.weight.shape)
    return replace(conv, weight=k * unit.astype(np.float64)[:, None, None, None])


def integer_linear(out: int, shape: tuple[int, int, int], seed: int, most: int) -> Linear:
    k = np.random.default_rng(seed).integers(-most, most + 1, (out, *shape))
    return Linear(k * (1.3 / most / np.prod(shape) ** 0.5))


def straight(bits: int = 8) -> Graph:
    """Integer weights of `bits`, every kind of quantiser and wiring, quantised input and output."""
    most = 2 ** (bits - 1) - 1
    return graphs.graph(
        (1, 12, 12),
        ("quant0", signed_levels(7, 0.02), ["input"]),
        ("conv1", integer_conv(4, 1, 3, 0, most, pad=1), ["quant0"]),
        ("quant1", relu_levels(15, 0.05), ["conv1"]),
        ("pool1", SumPool(Window((2, 2), (2, 2)), 4), ["quant1"]),
        ("requant1", relu_levels(255, 0.00313), ["pool1"]),
        ("conv2", integer_conv(6, 4, 3, 1, most), ["requant1"]),
        ("quant2", signed_levels(4, 0.07), ["conv2"]),
        ("pool2", MaxPool(Window((2, 2), (2, 2))), ["quant2"]),
        ("fc1", integer_linear(16, (6, 2, 2), 2, most), ["pool2"]),
        ("quant3", relu_levels(1, 0.3), ["fc1"]),
        ("fc2", integer_linear(5, (16, 1, 1), 3, most), ["quant3"]),
        ("quant4", signed_levels(8, 0.011), ["fc2"]),
    )


def residual() -> Graph:
    """Adds of branches whose steps have no common unit, a concatenation, a shortcut."""
    return graphs.graph(
        (2, 8, 8),
        ("quant0", relu_levels(255, 1 / 255), ["input"]),
        ("conv1", integer_conv(4, 2, 3, 0, 127, pad=1), ["quant0"]),
        ("quant1", relu_levels(255, 0.0131), ["conv1"]),
        ("conv2", integer_conv(4, 4, 3, 1, 127, pad=1), ["quant1"]),
        ("quant2", signed_levels(8, 0.0171), ["conv2"]),
        ("add", Add(), ["quant2", "quant1"]),
        ("quant3", relu_levels(255, 0.0193), ["add"]),
        ("both", Concat(), ["quant3", "quant1"]),
        ("requant", relu_levels(127, 0.0371), ["both"]),
        ("gap", SumPool(Window((8, 8)), 64), ["requant"]),
        ("quant4", relu_levels(255, 0.0089), ["gap"]),
        ("fc", integer_linear(5, (8, 1, 1), 5, 127), ["quant4"]),
    )


def mismatches(g: Graph, net, images: np.ndarray, ann: Ann | None = None) -> tuple[int, int]:
    """Levels that differ from those of the CNN in float64, and how many were compared."""
    ann = ann or graphs.ann(g)
    stairs = {n.name: n.op for n in g.nodes if isinstance(n.op, Staircase)}
    x = ann.preprocess.apply(images).astype(np.float64)
    real = forward(g, x, stairs)
    trace = simulate(net, images, trace=True).trace
    assert trace is not None
    owner = {n.name: _owner(g, n.name, net) for n in g.nodes if n.name in stairs}
    wrong = compared = 0
    for name, op in stairs.items():
        want = np.rint(real[name] / op.step[:, None, None]).astype(int)
        if owner[name] is None:  # the input's
            got = net.input.table[np.arange(want.shape[1])[:, None, None], images]
        else:
            got = trace[owner[name]].output[:, -1]
        wrong += int((got != want).sum())
        compared += want.size
    return wrong, compared


def _owner(g: Graph, name: str, net) -> str | None:
    """The layer that sends the levels of the quantiser `name`."""
    before = g[name].inputs[0]
    found = [layer.name for layer in net.layers if layer.name in (name, before)]
    return next((n for n in found if isinstance(net[n].neuron, Level)), None)


@pytest.mark.parametrize("make", [lambda: straight(8), lambda: straight(3), residual])
def test_no_level_differs_from_the_quantised_cnn(make) -> None:
    g = make()
    images = graphs.images(g, 40)
    net = build(graphs.ann(g), images[:2], Options())
    wrong, compared = mismatches(g, net, images)
    assert wrong == 0 and compared > 20_000
    assert net.timesteps == 1 and net.method == "quantized"
    trace = simulate(net, images[:3], trace=True).trace
    want = golden.trace(net, images[:3])
    assert trace is not None
    for layer in net.layers:
        np.testing.assert_array_equal(trace[layer.name].output, want[layer.name].output)
        assert len(np.unique(trace[layer.name].output)) > 1
    with Engine(net) as engine:
        ran = engine.run(images, trace=True).simulation
    assert ran.trace is not None
    for layer in net.layers:
        np.testing.assert_array_equal(ran.trace[layer.name].output[:3], want[layer.name].output)


def test_the_comparison_can_fail() -> None:
    g = straight()
    images = graphs.images(g, 40)
    net = build(graphs.ann(g), images[:2], Options())
    changed = []
    for layer in net.layers:
        if isinstance(layer.neuron, Level) and layer.name == "fc1":
            moved = replace(layer.neuron, thresholds=layer.neuron.thresholds + 1)
            layer = replace(layer, neuron=moved)
        changed.append(layer)
    assert mismatches(g, replace(net, layers=tuple(changed)), images)[0] > 0


def test_integer_weights_become_themselves() -> None:
    g = straight(3)
    net = build(graphs.ann(g), graphs.images(g, 2), Options())
    for layer in net.layers:
        op = layer.synapses[0].op
        if isinstance(op, Conv | Linear):
            assert np.abs(op.weight).max() == 3, layer.name


def test_a_quantised_input_is_the_table() -> None:
    g = straight()
    net = build(graphs.ann(g), graphs.images(g, 2), Options())
    assert "quant0" not in [layer.name for layer in net.layers]
    byte = np.arange(256, dtype=np.float32) / np.float32(255)
    want = np.clip(np.floor(byte.astype(float) / 0.02 + 0.5), -64, 63)
    np.testing.assert_array_equal(net.input.table[0], want)


def test_an_input_that_is_read_twice_keeps_its_quantiser_as_a_layer() -> None:
    g = graphs.graph(
        (1, 6, 6),
        ("fine", relu_levels(255, 1 / 255), ["input"]),
        ("coarse", relu_levels(3, 1 / 3), ["input"]),
        ("both", Concat(), ["fine", "coarse"]),
        ("conv", integer_conv(3, 2, 3, 0, 7), ["both"]),
        ("quant", relu_levels(7, 0.1), ["conv"]),
        ("fc", integer_linear(4, (3, 4, 4), 1, 7), ["quant"]),
    )
    net = build(graphs.ann(g), graphs.images(g, 2), Options())
    images = graphs.images(g, 30)
    trace = simulate(net, images, trace=True).trace
    assert trace is not None
    real = forward(g, graphs.ann(g).preprocess.apply(images).astype(float), ["fine", "coarse"])
    for name, step in (("fine", 1 / 255), ("coarse", 1 / 3)):
        np.testing.assert_array_equal(trace[name].output[:, 0], np.rint(real[name] / step))


def test_ties_go_the_way_of_the_threshold() -> None:
    """Powers of two: sums meet thresholds exactly, and `>` and `>=` differ in a last bit."""
    half = np.arange(7) + 0.5
    to_even = np.where(np.arange(7) % 2, half, np.nextafter(half, np.inf))
    for thresholds in (half, np.nextafter(half, np.inf), to_even):
        stairs = Staircase(thresholds[None], np.ones(1))
        weight = np.array([[1, 2, -1], [3, -2, 1]])[..., None, None] / 4.0
        g = graphs.graph(
            (3, 1, 1),
            ("quant0", Staircase(np.arange(1.0, 8)[None] * 0.5, np.array([0.5])), ["input"]),
            ("fc", Linear(weight), ["quant0"]),
            ("quant", stairs, ["fc"]),
            ("out", Linear(np.eye(2)[..., None, None]), ["quant"]),
            bias=False,
        )
        ann = Ann(g, Preprocess(np.full(3, 1 / 16), np.zeros(3)))
        images = np.random.default_rng(0).integers(0, 80, (500, 3, 1, 1), dtype=np.uint8)
        net = build(ann, images, Options())
        assert mismatches(g, net, images, ann)[0] == 0


def qcfs(levels: int) -> Graph:
    return graphs.graph(
        (1, 12, 12),
        ("conv1", graphs.conv(4, 1, 3, 0, pad=1), ["input"]),
        ("quant1", relu_levels(levels, 1.2 / levels), ["conv1"]),
        ("conv2", graphs.conv(6, 4, 3, 1), ["quant1"]),
        ("quant2", relu_levels(levels, 0.9 / levels), ["conv2"]),
        ("fc", graphs.linear(5, (6, 10, 10), 3), ["quant2"]),
    )


@pytest.mark.parametrize("levels", [4, 8])
def test_if_neurons_start_at_half_the_threshold_and_give_the_first_layer_exactly(levels) -> None:
    """QCFS: theta = lambda, v(0) = theta / 2, T = L."""
    g = qcfs(levels)
    ann, images = graphs.ann(g), graphs.images(g, 20)
    options = Options(neuron="if", timesteps=levels)
    spiking = convert(g, ann.preprocess, images, options)
    first = spiking.layers[0].neuron
    assert isinstance(first, IF)
    np.testing.assert_allclose(first.threshold, 1.2)
    np.testing.assert_allclose(first.v_init, 0.6)
    spikes = simulate(build(ann, images, options), images).counts["conv1"]
    counts = simulate(build(ann, images, Options()), images).counts["conv1"]
    assert (spikes != counts).mean() < 0.002  # only where an IF threshold was rounded


def test_what_spikes_cannot_be_is_refused_layer_by_layer() -> None:
    g = straight()
    with pytest.raises(ConversionError) as caught:
        build(graphs.ann(g), graphs.images(g, 2), Options(neuron="if"))
    text = str(caught.value)
    assert "layer 'conv2'" in text and "its lowest level is -8" in text
    assert "leave out --neuron if" in text


def changed(g: Graph, name: str, op: GraphOp) -> Graph:
    return replace(g, nodes=tuple(replace(n, op=op) if n.name == name else n for n in g.nodes))


def test_every_relu_is_named() -> None:
    g = changed(changed(qcfs(4), "quant1", Relu()), "quant2", Relu())
    with pytest.raises(ConversionError) as caught:
        build(graphs.ann(g), graphs.images(g, 2), Options(method="quantized"))
    places = [problem.where for problem in caught.value.problems]
    assert places == ["node 'quant1' (ReLU)", "node 'quant2' (ReLU)"]


def test_quantised_activations_choose_the_method_and_refuse_others() -> None:
    g = qcfs(4)
    assert resolve(g, Options()) == Options(method="quantized", neuron="level")
    assert resolve(graphs.lenet(), Options()) == Options(method="channel-max", neuron="if")
    with pytest.raises(ConversionError, match="use method quantized"):
        resolve(g, Options(method="channel-max"))
    with pytest.raises(ConversionError, match="1 ReLUs are not quantised"):
        resolve(changed(g, "quant1", Relu()), Options(method="ecc"))
    with pytest.raises(ConversionError, match="--levels: is not read by method quantized"):
        resolve(g, Options(levels=7))
    with pytest.raises(ConversionError, match="--timesteps: is not read by method quantized"):
        resolve(g, Options(timesteps=7))
    assert resolve(g, Options(neuron="if", timesteps=7)).timesteps == 7


def float_residual() -> Graph:
    """Float weights, a convolution beside a shortcut, an Add of two convolutions, a wide input."""
    return graphs.graph(
        (2, 8, 8),
        ("conv1", graphs.conv(4, 2, 3, 0, pad=1), ["input"]),
        ("quant1", relu_levels(7, 0.2), ["conv1"]),
        ("conv2", graphs.conv(4, 4, 3, 1, pad=1), ["quant1"]),
        ("add2", Add(), ["conv2", "quant1"]),
        ("quant2", relu_levels(15, 0.131), ["add2"]),
        ("conv3", graphs.conv(6, 4, 3, 2, pad=1, stride=2), ["quant2"]),
        ("conv4", graphs.conv(6, 4, 1, 3, stride=2), ["quant1"]),
        ("add3", Add(), ["conv3", "conv4"]),
        ("quant3", signed_levels(4, 0.17), ["add3"]),
        ("both", Concat(), ["quant3", "quant3"]),
        ("gap", SumPool(Window((4, 4)), 16), ["both"]),
        ("fc", graphs.linear(5, (12, 1, 1), 5), ["gap"]),
    )


@pytest.mark.parametrize("make", [float_residual, lambda: qcfs(4), residual, straight])
@pytest.mark.parametrize("offset", [0.0, -0.301])
def test_with_rounded_weights_the_network_is_another_quantised_cnn_exactly(make, offset) -> None:
    """Every level and every score, against real numbers in float64."""
    g = make()
    channels = g.input.shape[0]
    ann = Ann(g, Preprocess(np.full(channels, 1 / 255), np.full(channels, offset)))
    images = graphs.images(g, 30)
    made = build_in_steps(ann, images[:2], Options(bits=5))
    reference = dequantised(made.spiking, made.net, made.units)
    x = ann.preprocess.apply(images, np.float64)
    real = forward(reference, x, [layer.name for layer in made.net.layers])
    trace = simulate(made.net, images, trace=True).trace
    assert trace is not None
    levels = 0
    for layer in made.net.layers:
        worth = made.units[layer.name].amplitude[:, None, None]
        sent = trace[layer.name].output[:, -1] * worth
        size = np.abs(real[layer.name]).max()
        np.testing.assert_allclose(sent, real[layer.name], rtol=0, atol=1e-9 * size)
        levels += sent.size if isinstance(layer.neuron, Level) else 0
    assert levels > 10_000
    if make is float_residual:  # the original weights make other levels
        assert mismatches(g, made.net, images, ann)[0] > 0


def test_spikes_over_time_are_no_activation() -> None:
    g = qcfs(4)
    made = build_in_steps(graphs.ann(g), graphs.images(g, 2), Options(neuron="if"))
    with pytest.raises(ValueError, match="layer 'conv1' spikes over time"):
        dequantised(made.spiking, made.net, made.units)
