"""The two networks of the scatter-and-gather paper (Zou et al. 2021), of four copies each, and a
ResNet over time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.networks import CIFAR10, QUANTISED, ROOT
from snngen.convert import Options
from snngen.data import load
from snngen.evaluate import Ann
from snngen.fixed import FixedInput, FixedNet
from snngen.neurons import Accumulate, Level
from snngen.ops import Conv, Linear, Window
from snngen.pipeline import build, read_model
from snngen.spiking import INPUT
from tests.networks import Builder

Images = NDArray[np.uint8]
RATES = (0.35, 0.25, 0.15, 0.08)  # of a neuron's copies, on average as published for CIFAR-10
VGG = ["64", "64", "64", "64 pool", "128", "128", "128 pool", "256", "256", "256 pool", "512",
       "512 valid"]  # fmt: skip
CROP = slice(4, 28)
CALIBRATION = 8


def lenet() -> tuple[FixedNet, Images]:
    """The trained LeNet of examples/quantised, and test images of MNIST."""
    network = QUANTISED["ternary"]
    graph = read_model(Path(network.path))
    ann = Ann(graph, network.normalisation.preprocess(1))
    images = network.test((1, 28, 28)).images
    return build(ann, images[:1], Options("scatter-gather", "level")), images


def vgg() -> tuple[FixedNet, Images]:
    """The VGG with random weights, ternary as the paper makes them of normally distributed ones,
    first and last layer of 8 bits; thresholds that let each channel's copies fire at RATES on test
    images of CIFAR-10, cropped to 24x24.
    """
    rng = np.random.default_rng(0)
    images = load("cifar10", (3, 32, 32), limit=64).images[:, :, CROP, CROP]
    table = np.broadcast_to(np.arange(256, dtype=np.int16) - 128, (3, 256))
    given = FixedInput((3, 24, 24), "CHW", table, np.ones(3), np.zeros(3))
    builder = Builder(given, 1)
    source, values = INPUT, images[:CALIBRATION].astype(np.float32) - 128
    for number, layer in enumerate(VGG):
        channels = int(layer.split()[0])
        if "pool" in layer:
            window = Window((2, 2), (2, 2))
        else:
            window = Window((3, 3), pads=(0, 0, 0, 0) if "valid" in layer else (1, 1, 1, 1))
        shape = (channels, values.shape[1], *window.kernel)
        weight = rng.normal(size=shape)
        weight = np.rint(40 * weight).clip(-127, 127) if number == 0 else ternary(weight)
        current = Conv(weight.astype(np.float32), window).forward(values)
        thresholds = np.quantile(current, [1 - rate for rate in RATES], axis=(0, 2, 3)).T
        thresholds = np.ceil(thresholds).astype(np.int64)
        name = f"conv{number + 1}"
        builder.add(
            name, [(source, Conv(weight.astype(np.int64), window))], None, Level(thresholds)
        )
        source = name
        values = sum(
            (current >= column[:, None, None]).astype(np.float32) for column in thresholds.T
        )
    weight = rng.integers(-127, 128, (10, *values.shape[1:]))
    builder.add("fc", [(source, Linear(weight))], None, Accumulate())
    return builder.finish("scatter-and-gather VGG, random weights"), images


def resnet8() -> tuple[FixedNet, Images]:
    """The ResNet-8 of MLPerf Tiny over four timesteps, converted by channel-max."""
    network = CIFAR10["ic_resnet8"]
    graph = read_model(Path(network.path))
    ann = Ann(graph, network.normalisation.preprocess(3))
    shape = graph.input.shape
    net = build(ann, network.training(shape, 32), Options("channel-max", "if", timesteps=4))
    return net, network.test(shape).images


def ternary(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """sign(W) where |W| > 0.7 mean |W|, else 0."""
    kept: NDArray[np.float64] = np.sign(weight) * (np.abs(weight) > 0.7 * np.abs(weight).mean())
    return kept


NETWORKS = {"LeNet": lenet, "VGG": vgg, "ResNet-8": resnet8}
__all__ = ["NETWORKS", "ROOT"]
