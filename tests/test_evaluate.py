"""SynOps by brute force, accuracy at every timestep, agreement with the CNN."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snngen.convert import Options
from snngen.data import Samples
from snngen.evaluate import evaluate, evaluate_samples, spikes_passed_on
from snngen.fixed import FixedInput
from snngen.graph import Relu
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import WEIGHTED, Linear, SumPool, Window
from snngen.pipeline import build
from snngen.simulate import simulate
from snngen.spiking import INPUT
from tests import graphs
from tests.networks import Builder, random_images


def test_synops_are_the_spikes_that_arrive() -> None:
    """Every synapse of every spike, one by one: a spike arrives where a network of ones receives a
    one.
    """
    g = graphs.residual()
    net = build(graphs.ann(g), graphs.images(g, 8), Options(timesteps=4))
    images = graphs.images(g, 3, seed=5)
    trace = simulate(net, images, trace=True).trace
    assert trace is not None
    result = evaluate(net, images)
    spiking = spikes_passed_on(
        net, {layer.name: np.zeros(layer.shape, int) for layer in net.layers}
    )
    for layer, activity in zip(net.layers, result.layers, strict=True):
        synops = 0
        for synapse in layer.synapses:
            if isinstance(synapse.op, WEIGHTED) and synapse.source in spiking:
                ones = type(synapse.op)(
                    **{**vars(synapse.op), "weight": np.ones_like(synapse.op.weight)}
                )
                sent = trace[synapse.source].output
                synops += int(ones.forward(sent.reshape(-1, *sent.shape[2:])).sum())
        assert activity.synops == synops / 3
    assert "shortcut" in spiking and not spiking.keys() & {INPUT, "conv4", "both"}


def test_spikes_below_zero_are_spikes() -> None:
    """Neurons that take spikes back, and levels that keep their sign: each spike costs its
    synapses, whatever its sign.
    """
    table = np.arange(-128, 128, dtype=np.int16)[None]
    given = FixedInput((1, 4, 4), "CHW", table, np.ones(1), np.zeros(1))
    weight = np.random.default_rng(0).integers(-9, 10, (3, 1, 4, 4))
    signed_if = IF(np.full(3, 400), np.full(3, 200), signed=True)
    signed_level = Level(np.tile(np.arange(-400, 401, 200), (3, 1)), -2)
    for timesteps, neuron in ((9, signed_if), (1, signed_level)):
        builder = Builder(given, timesteps)
        builder.add("hidden", [(INPUT, Linear(weight))], None, neuron)
        # rises at first, falls when `hidden` begins to fire
        falling = Linear(np.full((3, 3, 1, 1), -300))
        builder.add("again", [("hidden", falling)], np.array([150, 140, 130]), neuron)
        builder.add("out", [("again", Linear(np.ones((7, 3, 1, 1), int)))], None, Accumulate())
        net = builder.finish()
        images = random_images(net, 30)
        trace = simulate(net, images, trace=True).trace
        assert trace is not None
        spikes = {name: np.abs(trace[name].output).sum() for name in ("hidden", "again")}
        assert any((trace[name].output < 0).any() for name in spikes)
        result = evaluate(net, images)
        assert [row.synops * 30 for row in result.layers] == [
            0, 3 * spikes["hidden"], 7 * spikes["again"],
        ]  # fmt: skip
        assert [row.spikes * 30 for row in result.layers[:2]] == list(spikes.values())


def test_accuracy_agreement_and_rates() -> None:
    g = graphs.lenet()
    ann = graphs.ann(g)
    net = build(ann, graphs.images(g, 16), Options(timesteps=32))
    images = graphs.images(g, 100, seed=2)
    classes = ann.classes(images)
    labels = classes.copy()
    labels[:10] = (labels[:10] + 1) % 5
    seen: list[int] = []
    result = evaluate_samples(net, Samples(images, labels, "drawn"), ann=ann, progress=seen.append)
    assert result.images == 100 and seen[-1] == 100 and result.ann_correct == 90
    ours = net.classes(simulate(net, images).outputs)
    np.testing.assert_array_equal(result.correct, (ours == labels[:, None]).sum(0))
    np.testing.assert_array_equal(result.agreement, (ours == classes[:, None]).sum(0))
    assert result.agreement[-1] >= 90
    first = result.layers[0]
    counts = simulate(net, images).counts["conv1"]
    assert first.spikes == counts.sum() / 100 and first.rate == counts.sum() / 100 / 576 / 32
    # 12x12 outputs, 3x3 taps, 4 channels, less the taps on padding
    assert first.macs == 4 * (12 * 3 - 2) ** 2 and first.synops == 0
    assert evaluate(net, images).correct is None


def test_factors_of_unequal_pool_windows_are_no_spikes() -> None:
    """One spike under a window of two and one of one: it arrives once at each, whatever the
    divisor.
    """
    window = Window((1, 2), (1, 2), (0, 0, 0, 1))
    pool = SumPool.average(window, np.array([[2, 1]]))
    assert pool.multiplier is not None
    g = graphs.graph(
        (1, 1, 3),
        ("conv", graphs.conv(1, 1, 1, 1), ["input"]),
        ("relu", Relu(), ["conv"]),
        ("pool", pool, ["relu"]),
        ("fc", graphs.linear(4, (1, 1, 2), 0), ["pool"]),
    )
    net = build(graphs.ann(g), graphs.images(g, 4), Options(timesteps=4))
    images = graphs.images(g, 5, seed=1)
    spikes = simulate(net, images).counts["conv"].sum()
    assert spikes > 0
    assert evaluate(net, images).layers[-1].synops == 4 * spikes / 5


def test_the_class_is_an_index_into_the_models_own_order() -> None:
    g = graphs.graph((1, 4, 4), ("conv", graphs.conv(3, 1, 3, 0, pad=1), ["input"]))
    ours, theirs = graphs.ann(g), graphs.ann(replace(g, output_layout="HWC"))
    images = graphs.images(g, 20)
    values = ours.outputs(images).reshape(20, 3, 4, 4)
    in_their_order = values.transpose(0, 2, 3, 1).reshape(20, -1).argmax(1)
    np.testing.assert_array_equal(theirs.classes(images), in_their_order)
    assert (theirs.classes(images) != ours.classes(images)).any()
    net = build(theirs, images, Options(neuron="level"))
    assert evaluate(net, images, in_their_order, ann=theirs).ann_correct == 20
    assert (net.classes(simulate(net, images).outputs)[:, -1] == in_their_order).mean() > 0.8
