"""A LeNet of IF neurons that fire as often as they are told to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.accuracy import Subject
from bench.networks import NETWORKS
from snngen.convert import Options
from snngen.fixed import FixedNet
from snngen.neurons import IF
from snngen.simulate import simulate
from tests.networks import Builder

TIMESTEPS, BITS = 8, 7
FIT_IMAGES = 32  # training images that thresholds are set on
HALVINGS = 24
Images = NDArray[np.uint8]


def lenet() -> tuple[FixedNet, Images, Images]:
    """lenet_ref over time, training images, and test images."""
    subject = Subject("lenet_ref", NETWORKS["lenet_ref"])
    net = subject.convert(Options("channel-max", "if", timesteps=TIMESTEPS, bits=BITS))
    training = subject.network.training(net.input.shape, FIT_IMAGES)
    return net, training, subject.test.images


def firing_at(net: FixedNet, images: Images, rate: float) -> FixedNet:
    """`net` with the thresholds and initial membranes of each IF layer, one after the other, times
    one number, so that of its neurons a share of `rate` fires at a timestep, on average of
    `images`. Weights and biases stay.
    """
    for name in [layer.name for layer in net.layers if isinstance(layer.neuron, IF)]:
        low, high = 2.0**-10, 2.0**10  # fires too often, too rarely
        for _ in range(HALVINGS):
            middle = (low * high) ** 0.5
            if firing(_scaled(net, name, middle), images)[name] > rate:
                low = middle
            else:
                high = middle
        net = _scaled(net, name, high)
    return net


def firing(net: FixedNet, images: Images) -> dict[str, float]:
    """Of each IF layer, the share of its neurons that fires at a timestep."""
    counts = simulate(net, images).counts
    return {
        layer.name: float(counts[layer.name].mean() / net.timesteps)
        for layer in net.layers
        if isinstance(layer.neuron, IF)
    }


def _scaled(net: FixedNet, name: str, factor: float) -> FixedNet:
    """`net` with thresholds of layer `name` times `factor`, 1 at least; all bounds proven anew."""
    builder = Builder(net.input, net.timesteps)
    for layer in net.layers:
        neuron = layer.neuron
        if layer.name == name:
            assert isinstance(neuron, IF) and neuron.v_min is None and neuron.v_max is None
            threshold = np.maximum(1, np.rint(neuron.threshold * factor)).astype(np.int64)
            initial = np.rint(neuron.v_init * factor).astype(np.int64)
            neuron = IF(threshold, initial)
        sources = [(synapse.source, synapse.op) for synapse in layer.synapses]
        builder.add(layer.name, sources, layer.bias, neuron)
    return builder.finish(net.name, net.output_layout)
