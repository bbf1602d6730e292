"""Scatter-and-gather as published: thresholds, counts and copies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snngen.check_fixed import check_fixed
from snngen.convert import Options
from snngen.errors import ConversionError
from snngen.expand import expand
from snngen.fold import fold
from snngen.graph import Affine, Graph, Node, Staircase
from snngen.neurons import Level
from snngen.ops import Conv, MaxPool, Window
from snngen.pipeline import build
from snngen.simulate import simulate
from tests import graphs
from tests.networks import level_showcase

K, B, EPSILON = 1, 2, 1e-5
N = 2**K * B
OPTIONS = Options(method="scatter-gather")


def quantiser() -> Staircase:
    """round(2^k clip(relu(x), 0, B) + 1e-5) / 2^k."""
    return Staircase(((2 * np.arange(N) + 1) / 2 ** (K + 1) - 1e-5)[None], np.array([2.0**-K]))


def batch_norms() -> dict[str, tuple[np.ndarray, ...]]:
    """gamma, beta, mu, var of each, a third of gammas below 0."""
    rng = np.random.default_rng(5)
    return {
        f"conv{i}": (
            rng.uniform(0.5, 1.5, c) * np.where(np.arange(c) % 3 == 1, -1, 1),
            rng.uniform(-0.5, 1, c),
            rng.normal(0, 1, c),
            rng.uniform(1, 30, c),
        )
        for i, c in ((1, 4), (2, 6), (3, 6), (4, 8))
    }


def network() -> tuple[Graph, dict[str, np.ndarray]]:
    """Conv, BN, quantiser, four times, the third a strided convolution as a pool; and the ternary
    weights.
    """
    rng = np.random.default_rng(3)
    windows = [
        (4, 1, Window((3, 3), pads=(1, 1, 1, 1))),
        (6, 4, Window((3, 3))),
        (6, 6, Window((2, 2), (2, 2))),
        (8, 6, Window((5, 5))),
    ]
    nodes, ternary = [], {}
    for i, (out, inputs, window) in enumerate(windows, 1):
        name = f"conv{i}"
        weight = rng.normal(0, 1, (out, inputs, *window.kernel))
        if i > 1:
            delta = 0.7 * np.abs(weight).mean()
            weight = ternary[name] = np.sign(weight) * (np.abs(weight) > delta)
        gamma, beta, mu, var = batch_norms()[name]
        scale = gamma / np.sqrt(var + EPSILON)
        norm = Affine(scale[:, None, None], (beta - mu * scale)[:, None, None])
        nodes += [
            (name, Conv(weight, window), [f"quant{i - 1}" if i > 1 else "input"]),
            (f"norm{i}", norm, [name]),
            (f"quant{i}", quantiser(), [f"norm{i}"]),
        ]
    nodes.append(("fc", graphs.linear(5, (8, 1, 1), 3), ["quant4"]))
    return graphs.graph((1, 12, 12), *nodes, bias=False), ternary


def test_weights_are_ternary_and_thresholds_the_published_ones() -> None:
    g, ternary = network()
    net = build(graphs.ann(fold(g)), graphs.images(g, 2), OPTIONS)
    for name, weight in ternary.items():
        gamma, beta, mu, var = batch_norms()[name]
        i = np.arange(N)
        quantile = (2 * i + 1) / 2 ** (K + 1) - 1e-5
        v = 2**K * ((quantile - beta[:, None]) * (np.sqrt(var + EPSILON) / gamma)[:, None]
                    + mu[:, None])  # fmt: skip
        layer = net[name]
        sign = np.sign(gamma)
        np.testing.assert_array_equal(
            layer.synapses[0].op.weight, weight * sign[:, None, None, None]
        )
        # where gamma is below 0 the published test is Z <= V: with -Z it is >= again
        want = np.ceil(v * sign[:, None])
        reach = layer.current.lo[:, None], layer.current.hi[:, None] + 1
        assert isinstance(layer.neuron, Level)
        np.testing.assert_array_equal(layer.neuron.thresholds, np.clip(want, *reach))


def literal(g: Graph, ternary: dict[str, np.ndarray], net, images: np.ndarray, *, flip: bool):
    """Counts by the paper's formula, layer by layer, from the first layer's counts on."""
    counts = simulate(net, images).counts
    found = {}
    n = counts["conv1"].astype(float)
    for name, weight in ternary.items():
        gamma, beta, mu, var = batch_norms()[name]
        z = replace(g[name].op, weight=weight).forward(n)
        n = np.zeros_like(z)
        for i in range(N):
            quantile = (2 * i + 1) / 2 ** (K + 1) - 1e-5
            v = (2**K * ((quantile - beta) * np.sqrt(var + EPSILON) / gamma + mu))[:, None, None]
            fires = z >= v
            if flip:
                fires = np.where((gamma < 0)[:, None, None], z <= v, fires)
            n += fires
        found[name] = n
    return found, counts


def test_every_count_is_the_published_one() -> None:
    g, ternary = network()
    images = graphs.images(g, 60)
    net = build(graphs.ann(fold(g)), images[:2], OPTIONS)
    wanted, counts = literal(g, ternary, net, images, flip=True)
    for name, want in wanted.items():
        np.testing.assert_array_equal(counts[name], want)
        assert len(np.unique(want)) == N + 1
    wanted, counts = literal(g, ternary, net, images, flip=False)  # as in the published code
    assert (wanted["conv2"] != counts["conv2"]).mean() > 0.1


def test_copies_in_space_are_the_counts() -> None:
    """N stateless binary neurons for each level neuron: together they send the count, and the
    output is the same.
    """
    g, _ = network()
    pool = Node("pool", MaxPool(Window((2, 2), (1, 1))), ("quant2",))
    nodes = [replace(n, inputs=("pool",)) if n.name == "conv3" else n for n in g.nodes]
    at = [n.name for n in nodes].index("conv3")
    # the pool takes a row and a column away, so that the last convolution is one smaller
    last = nodes[[n.name for n in nodes].index("conv4")]
    smaller = replace(last, op=Conv(last.op.weight[:, :, :4, :4], Window((4, 4))))
    nodes = [smaller if n.name == "conv4" else n for n in (*nodes[:at], pool, *nodes[at:])]
    pooled = replace(g, nodes=tuple(nodes))
    for made in (g, pooled):
        images = graphs.images(made, 20)
        net = build(graphs.ann(fold(made)), images[:2], OPTIONS)
        spatial = expand(net)
        check_fixed(spatial)
        ours, theirs = simulate(net, images), simulate(spatial, images)
        np.testing.assert_array_equal(theirs.outputs, ours.outputs)
        for layer in net.layers:
            if isinstance(layer.neuron, Level):
                copies = [theirs.counts[f"{layer.name} copy {i}"] for i in range(N)]
                assert all(set(np.unique(copy)) <= {0, 1} for copy in copies)
                np.testing.assert_array_equal(sum(copies), ours.counts[layer.name])


def test_no_copies_of_levels_below_zero() -> None:
    with pytest.raises(ConversionError, match="layer 'dense': binary neurons cannot send"):
        expand(level_showcase())


def test_what_is_not_ternary_is_named() -> None:
    g, _ = network()
    nodes = []
    for node in g.nodes:
        if node.name in ("conv2", "conv4"):
            node = replace(node, op=replace(node.op, weight=node.op.weight * 1.0))
            node.op.weight[1, 0, 0, :2] = 0.3, 0.4
        if node.name == "quant3":
            node = replace(node, op=replace(node.op, lowest=-1))
        nodes.append(node)
    g = fold(replace(g, nodes=tuple(nodes)))
    with pytest.raises(ConversionError) as caught:
        build(graphs.ann(g), graphs.images(g, 2), OPTIONS)
    assert [p.where for p in caught.value.problems] == [
        "layer 'conv2'", "layer 'conv3'", "layer 'conv4'",
    ]  # fmt: skip
    assert "needs weights of -1, 0 and 1" in str(caught.value)
    with pytest.raises(ConversionError, match="must be level"):
        build(graphs.ann(fold(network()[0])), graphs.images(g, 2), replace(OPTIONS, neuron="if"))
