"""Errors that add up, damage that is named, causes that are known because they were made."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import as_file, files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snngen.convert import METHODS, Options
from snngen.data import load
from snngen.doctor import altered, diagnose, worst
from snngen.doctor.split import COMPONENTS, Split, layers_of, split
from snngen.doctor.substitute import outputs
from snngen.evaluate import Ann
from snngen.fixed import FixedNet
from snngen.graph import Graph, Relu, Staircase, forward
from snngen.neurons import IF, Level
from snngen.ops import WEIGHTED
from snngen.pipeline import Built, Normalisation, build_in_steps, read_model
from snngen.simulate import simulate
from snngen.spiking import INPUT
from tests import graphs

DEMO = files("snngen") / "demo_data"
SPLITS = ("train", "test")
GRAPHS = {"lenet": graphs.lenet, "residual": graphs.residual}


@st.composite
def conversions(draw: st.DrawFn) -> Options:
    """Any method for ReLUs with options that it reads."""
    method = draw(st.sampled_from(sorted(n for n, m in METHODS.items() if not m.quantised)))
    neuron = draw(st.sampled_from(["if", "level"]))
    own = {
        "percentile": st.sampled_from([100.0, 99.0, 80.0]),
        "scaling": st.sampled_from(["consistent", "literal"] if neuron == "if" else ["consistent"]),
        "v_init": st.sampled_from([0.0, 0.5, 0.9]),
    }
    read = {name: draw(values) for name, values in own.items() if name in METHODS[method].options}
    return Options(
        method, neuron, timesteps=draw(st.integers(1, 20)), levels=draw(st.integers(1, 20)),
        bits=draw(st.integers(2, 8)), **read,
    )  # fmt: skip


def built(g: Graph, options: Options) -> Built:
    return build_in_steps(graphs.ann(g), graphs.images(g, 16), options)


def parts_of(g: Graph, made: Built, images: np.ndarray) -> Split:
    layers = layers_of(g, made.spiking, made.net, made.units)
    return split(layers, made.spiking, made.net, images, simulate(made.net, images))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(GRAPHS)), conversions(), st.integers(0, 100))
def test_components_add_up_to_the_whole_error(name: str, options: Options, seed: int) -> None:
    """The whole error from the float graph and the spikes, not from what was added up; and the CNN
    with all errors added is the network.
    """
    g = GRAPHS[name]()
    made = built(g, options)
    images = graphs.images(g, 6, seed)
    parts = parts_of(g, made, images)
    seen = graphs.ann(g).preprocess.apply(images, np.float64)
    cnn = forward(g, seen, [node.name for node in g.nodes])
    simulated = simulate(made.net, images)
    for layer in made.net.layers:
        if layer.is_wiring:
            assert layer.name not in parts.components
            continue
        after = [n.name for n in g.consumers(layer.name) if isinstance(n.op, Relu | Staircase)]
        wanted = cnn[after[0] if after else layer.name]
        if layer.name in simulated.counts:
            worth = made.units[layer.name].amplitude[:, None, None] / made.net.timesteps
            got = simulated.counts[layer.name] * worth
        else:
            last = simulated.outputs[:, -1].reshape(wanted.shape)
            got = last * made.net.output_scale
        size = np.abs(parts.components[layer.name]).sum(0).max() + np.abs(wanted).max()
        whole = parts.components[layer.name].sum(0)
        np.testing.assert_allclose(whole, got - wanted, rtol=0, atol=1e-12 * size)
    layers = layers_of(g, made.spiking, made.net, made.units)
    own = {name: errors[1:].sum(0) for name, errors in parts.components.items()}
    given_in = {INPUT: parts.cnn[INPUT]}
    again = outputs(layers, given_in, given_in, own)
    np.testing.assert_allclose(again, parts.decoded[layers[-1].name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("options", [Options(), Options(neuron="level"), Options(timesteps=64)])
def test_what_cannot_be_uneven_is_not(options: Options) -> None:
    """Level neurons, and the first layer, whose current does not change over time."""
    g = graphs.residual()
    parts = parts_of(g, built(g, options), graphs.images(g, 20, 3))
    unevenness = {name: e[COMPONENTS.index("unevenness")] for name, e in parts.components.items()}
    assert not unevenness["conv1"].any() and not parts.components["conv1"][0].any()
    assert any(e.any() for e in unevenness.values()) == (options.neuron != "level")


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (Options(percentile=90.0, timesteps=256), "clipping"),
        (Options(percentile=90.0, neuron="level", levels=60), "clipping"),
        (Options(bits=2), "weights"),
        (Options(bits=2, neuron="level"), "weights"),
        (Options(neuron="level", levels=2), "levels"),
        (Options(neuron="level", levels=1), "levels"),
    ],
)
@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_a_cause_that_was_made_is_found(name: str, options: Options, cause: str) -> None:
    g = GRAPHS[name]()
    found = diagnose(graphs.ann(g), built(g, options), graphs.images(g, 48, 3))
    worst_cause = worst(found.causes)
    assert worst_cause is not None and worst_cause.what == cause
    added = {
        name: sum(layer.components[name].rms ** 2 for layer in found.errors)
        for name in COMPONENTS[1:]
    }
    assert max(added, key=lambda name: added[name]) == cause
    for layer in found.errors:
        assert abs(sum(c.share for c in layer.components.values()) - 1) < 1e-9
        assert abs(sum(c.mean for c in layer.components.values()) - layer.mean) < 1e-9


def damaged(net: FixedNet, name: str, channel: int, what: str) -> FixedNet:
    """`net` with the weights of one channel negated, or its thresholds doubled or a quarter."""
    layers = []
    for layer in net.layers:
        if layer.name == name and what == "weights":
            synapses = []
            for synapse in layer.synapses:
                assert isinstance(synapse.op, WEIGHTED)
                weight = synapse.op.weight.copy()
                weight[channel] *= -1
                synapses.append(replace(synapse, op=replace(synapse.op, weight=weight)))
            layer = replace(layer, synapses=tuple(synapses))
        elif layer.name == name:
            assert isinstance(layer.neuron, IF | Level)
            held = "threshold" if isinstance(layer.neuron, IF) else "thresholds"
            values = getattr(layer.neuron, held).copy()
            values[channel] = values[channel] * 2 if what == "doubled" else values[channel] // 4
            layer = replace(layer, neuron=replace(layer.neuron, **{held: values}))
        layers.append(layer)
    return replace(net, layers=tuple(layers))


@pytest.fixture(scope="module")
def digits() -> tuple[Ann, np.ndarray, np.ndarray]:
    """The trained CNN of the demo, images to calibrate on and others to examine."""
    with as_file(DEMO) as folder:
        g = read_model(folder / "digits.onnx")
        shown = [load(str(folder / "digits.npz"), g.input.shape, split=s).images for s in SPLITS]
    return Ann(g, Normalisation().preprocess(1)), shown[0][:64], shown[1][:128]


@pytest.mark.parametrize("options", [Options(), Options(neuron="level")])
@pytest.mark.parametrize("what", ["weights", "doubled", "a quarter"])
@pytest.mark.parametrize(("layer", "channel"), [("/0/Conv", 2), ("/3/Conv", 5), ("/7/Gemm", 7)])
def test_a_damaged_channel_is_named(
    digits: tuple[Ann, np.ndarray, np.ndarray],
    options: Options,
    what: str,
    layer: str,
    channel: int,
) -> None:
    ann, calibration, images = digits
    made = build_in_steps(ann, calibration, options)
    before = diagnose(ann, made, images)
    assert not [f for f in before.findings if f.kind == "outlier"]
    bad = damaged(made.net, layer, channel, what)
    after = diagnose(ann, replace(made, net=bad), images)
    assert {(f.layer, f.channel) for f in after.findings if f.kind == "outlier"} == {
        (layer, channel)
    }
    cost = [{e.what: e.alone.likeness for e in d.layers}[layer] for d in (before, after)]
    assert cost[1] < cost[0]
    assert [(a.layer, a.channels) for a in altered(bad, made.net)] == [(layer, (channel,))]
