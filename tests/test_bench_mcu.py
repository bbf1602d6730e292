"""The dense int8 C that emitted C is compared with: both forms compute what they are said to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.mcu.contenders import Dense, Ours
from bench.mcu.page import page
from snngen import golden
from snngen.convert import Options
from snngen.fixed import FixedNet
from snngen.graph import Add, Graph
from snngen.neurons import Level
from snngen.ops import Conv, SumPool, Window
from snngen.pipeline import build
from snngen.spiking import INPUT
from snngen.targets.c.schedule import Optimise
from tests import graphs

Ints = np.ndarray


def network(*, pools: bool) -> FixedNet:
    """Odd sizes, strides, a pool at once, both kinds of shortcuts, a depthwise layer, a mean."""
    made = _graph(pools)
    return build(
        graphs.ann(made), graphs.images(made, 8), Options("channel-max", "level", levels=255)
    )


def _graph(pools: bool) -> Graph:
    rng = np.random.default_rng(5)
    depthwise = Conv(rng.normal(0, 0.5, (8, 1, 3, 3)), Window((3, 3), pads=(1, 1, 1, 1)), 8)
    size = (8, 3, 4) if pools else (8, 6, 7)
    pool = [("pool1", SumPool(Window((2, 2), (2, 2)), 4), ["relu1"])] if pools else []
    last = [("gap", SumPool(Window(size[1:], size[1:]), size[1] * size[2]), ["relu4"])]
    source = "pool1" if pools else "relu1"
    shape = (8, 1, 1) if pools else size
    return graphs.graph(
        (3, 12, 14),
        ("conv1", graphs.conv(8, 3, 3, 0, pad=1), ["input"]),
        ("relu1", graphs.Relu(), ["conv1"]),
        *pool,
        ("conv2", graphs.conv(8, 8, 3, 1, pad=1, stride=2), [source]),
        ("conv3", graphs.conv(8, 8, 1, 2, stride=2), [source]),
        ("add2", Add(), ["conv2", "conv3"]),
        ("relu2", graphs.Relu(), ["add2"]),
        ("conv4", depthwise, ["relu2"]),
        ("relu3", graphs.Relu(), ["conv4"]),
        ("conv5", graphs.conv(8, 8, 3, 3, pad=1), ["relu3"]),
        ("add4", Add(), ["conv5", "relu2"]),
        ("relu4", graphs.Relu(), ["add4"]),
        *(last if pools else []),
        ("fc", graphs.linear(5, shape, 6), ["gap" if pools else "relu4"]),
    )


def reference(net: FixedNet, image: Ints) -> Ints:
    """The outputs by the definition: levels are products, rounded."""
    channel = np.arange(net.input.shape[0])[:, None, None]
    now = {INPUT: net.input.table[channel, image].astype(np.int64)}
    for layer in net.layers:
        sums = np.zeros(layer.shape, np.int64)
        for synapse in layer.synapses:
            sums += golden.synaptic_current(synapse.op, now[synapse.source], layer.shape)
        if isinstance(layer.neuron, Level):
            t = layer.neuron.thresholds - 0.5
            fires = t[:, 0] <= layer.current.hi
            step = np.where(fires, (t[:, -1] - t[:, 0]) / (t.shape[1] - 1), np.inf)
            first = t.mean(1) - (t[:, -1] - t[:, 0]) / 2
            bias = np.rint(np.where(fires, step / 2 - first, 0)).astype(np.int64)[:, None, None]
            multiplier = np.rint(2**32 / step).astype(np.int64)[:, None, None]
            sums = np.clip(((sums + bias) * multiplier + 2**31) >> 32, 0, 255)
        elif layer.bias is not None:
            sums += layer.bias[:, None, None]
        now[layer.name] = sums
    return sums.ravel()


@pytest.mark.parametrize(("form", "pools"), [("fast", False), ("fast", True), ("naive", False)])
def test_dense_forms(form: str, pools: bool) -> None:
    net = network(pools=pools)
    images = graphs.images(_graph(pools), 40, seed=2)
    expected = np.array([reference(net, image) for image in images])
    assert len(np.unique(expected, axis=0)) == len(images)
    dense = Dense("dense", net, form)
    np.testing.assert_array_equal(dense.sums(images), expected)
    np.testing.assert_array_equal(dense.classes(images), expected.argmax(1))


def test_a_fault_is_seen() -> None:
    net = network(pools=False)
    images = graphs.images(_graph(False), 40, seed=2)
    layers = list(net.layers)
    op = layers[0].synapses[0].op
    turned = replace(op, weight=op.weight[:, :, ::-1])
    layers[0] = replace(layers[0], synapses=(replace(layers[0].synapses[0], op=turned),))
    other = Dense("dense", replace(net, layers=tuple(layers)), "fast").sums(images)
    assert (other != [reference(net, image) for image in images]).any()


@pytest.mark.parametrize("optimise", ["speed", "size"])
def test_ours_is_the_network(optimise: Optimise) -> None:
    net = network(pools=True)
    images = graphs.images(_graph(True), 10, seed=2)
    expected = [golden.trace(net, image[None])[net.layers[-1].name].output for image in images]
    classes = Ours("snngen", net, optimise=optimise).classes(images)
    np.testing.assert_array_equal(classes, [v[0, -1].argmax() for v in expected])


def test_page() -> None:
    def record(k: int) -> dict:
        return {"counts": [k * 900, k * 1100], "first": [1000 * k // 4], "flash": 5, "ram": 6}

    records = {}
    for label, k in {"ours": 40, "int8, fast": 80, "emx": 800}.items():
        records[f"kws | {label}"] = {"correct": 9, "images": 10}
        for optimisation in ("-O2", "-Os"):
            records[f"kws | {label} | cortex-m4 | {optimisation}"] = record(k)
    records["kws | emx | cortex-m4 | -O2"] = {"refused": "too large"}
    text = page(records)
    assert "| ours | 40 (0.50) | 90.00 |" in text
    assert "| ours | 30 (0.50) | 90.00 |" in text  # without the first layer
    assert "| emx | - | 90.00 |" in text
    assert "| ours | 1.00 | 5 | 6 | 5 | 6 | 36 .. 44 |" in text
