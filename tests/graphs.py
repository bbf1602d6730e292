"""Small float CNNs for tests of conversion, with random but fixed weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snngen.evaluate import Ann
from snngen.graph import (
    Add,
    Affine,
    Concat,
    Graph,
    GraphInput,
    GraphOp,
    Node,
    Relu,
    check_graph,
)
from snngen.ops import Conv, Linear, MaxPool, Select, Shape, SumPool, Window
from snngen.spiking import Preprocess


def graph(shape: Shape, *nodes: tuple[str, GraphOp, Sequence[str]], bias: bool = True) -> Graph:
    """Nodes as (name, op, inputs); Conv and Linear get a small bias of their own unless `bias` is
    off.
    """
    rng = np.random.default_rng(1)
    made = []
    for name, op, inputs in nodes:
        has_bias = bias and isinstance(op, Conv | Linear)
        b = rng.normal(0, 0.05, len(op.weight)) if has_bias else None
        made.append(Node(name, op, tuple(inputs), b))
    ones, zeros = np.ones(shape[0]), np.zeros(shape[0])
    g = Graph(
        "test", GraphInput("input", shape, "CHW", shape, ones, zeros), tuple(made), made[-1].name
    )
    check_graph(g)
    return g


def conv(out: int, inputs: int, size: int, seed: int, *, pad: int = 0, stride: int = 1) -> Conv:
    weight = np.random.default_rng(seed).normal(
        0, (2 / (inputs * size * size)) ** 0.5, (out, inputs, size, size)
    )
    return Conv(weight, Window((size, size), (stride, stride), (pad,) * 4))


def linear(out: int, shape: Shape, seed: int) -> Linear:
    n = int(np.prod(shape))
    return Linear(np.random.default_rng(seed).normal(0, (2 / n) ** 0.5, (out, *shape)))


def lenet() -> Graph:
    """conv-relu-avgpool-conv-relu-maxpool-linear-relu-linear on (1, 12, 12)."""
    return graph(
        (1, 12, 12),
        ("conv1", conv(4, 1, 3, 0, pad=1), ["input"]),
        ("relu1", Relu(), ["conv1"]),
        ("pool1", SumPool(Window((2, 2), (2, 2)), 4), ["relu1"]),
        ("conv2", conv(6, 4, 3, 1), ["pool1"]),
        ("relu2", Relu(), ["conv2"]),
        ("pool2", MaxPool(Window((2, 2), (2, 2))), ["relu2"]),
        ("fc1", linear(16, (6, 2, 2), 2), ["pool2"]),
        ("relu3", Relu(6.0), ["fc1"]),
        ("fc2", linear(5, (16, 1, 1), 3), ["relu3"]),
    )


def residual() -> Graph:
    """Residual blocks with identity, option-A (slice and pad) and convolved shortcuts, concat and
    an affine between.
    """
    half = Select(
        np.array([-1, 0, 1, 2, 3, -1], np.int32),
        np.arange(0, 8, 2, dtype=np.int32),
        np.arange(0, 8, 2, dtype=np.int32),
    )
    gain = np.array([1.5, -0.5, 1.0, 0.2, 1.0, 2.0, 0.7, 1.0, 1.1, 0.9]).reshape(10, 1, 1)
    return graph(
        (2, 8, 8),
        ("conv1", conv(4, 2, 3, 0, pad=1), ["input"]),
        ("relu1", Relu(), ["conv1"]),
        ("conv2", conv(4, 4, 3, 1, pad=1), ["relu1"]),
        ("add2", Add(), ["conv2", "relu1"]),
        ("relu2", Relu(), ["add2"]),
        ("conv3", conv(6, 4, 3, 2, pad=1, stride=2), ["relu2"]),
        ("shortcut", half, ["relu2"]),
        ("add3", Add(), ["conv3", "shortcut"]),
        ("relu3", Relu(), ["add3"]),
        ("conv4", conv(4, 4, 1, 3, stride=2), ["relu2"]),
        ("both", Concat(), ["relu3", "conv4"]),
        ("norm", Affine(gain, np.full((10, 1, 1), 0.1)), ["both"]),
        ("relu4", Relu(), ["norm"]),
        ("gap", SumPool(Window((4, 4)), 16), ["relu4"]),
        ("fc", linear(5, (10, 1, 1), 5), ["gap"]),
    )


def images(g: Graph, count: int, seed: int = 0) -> np.ndarray:
    """Smooth random bytes (count, C, H, W)."""
    rng = np.random.default_rng(seed)
    noise = rng.random((count, *g.input.shape))
    smooth = (noise + np.roll(noise, 1, 2) + np.roll(noise, 1, 3)) / 3
    return (smooth * 255).astype(np.uint8)


def ann(g: Graph) -> Ann:
    channels = g.input.shape[0]
    gain = np.full(channels, 1 / 255)
    return Ann(g, Preprocess(gain, np.zeros(channels)))
