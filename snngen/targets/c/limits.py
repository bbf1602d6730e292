"""What the runtime's indices can count to."""

from __future__ import annotations

import numpy as np

from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedNet
from snngen.neurons import Level
from snngen.ops import Conv, MaxPool, SumPool

LARGEST = 2**15 - 1  # indices of channels, rows and columns are int16_t


def check_sizes(net: FixedNet) -> None:
    """ConversionError, naming every layer concerned, unless all sizes fit 15 bits."""
    problems = []
    shapes = [("the input", net.input.shape)]
    shapes += [(f"layer '{layer.name}'", layer.shape) for layer in net.layers]
    for where, shape in shapes:
        if max(shape) > LARGEST:
            problems.append(_too_large(where, "every dimension", shape))
    outputs = net.layers[-1].shape
    if int(np.prod(outputs)) > LARGEST:
        problems.append(_too_large("the output", "the number of outputs", outputs))
    for layer in net.layers:
        if isinstance(layer.neuron, Level) and layer.neuron.thresholds.shape[1] > LARGEST:
            found = layer.neuron.thresholds.shape[1]
            problems.append(_too_large(f"layer '{layer.name}'", "the number of levels", found))
        for synapse in layer.synapses:
            if isinstance(synapse.op, Conv | SumPool | MaxPool):
                window = synapse.op.window
                sizes = (*window.kernel, *window.stride, *window.dilation, *window.pads)
                taps = synapse.op.fan_in * layer.shape[0]
                if max(sizes) > LARGEST or (isinstance(synapse.op, MaxPool) and taps > LARGEST):
                    problems.append(_too_large(f"layer '{layer.name}'", "the window", sizes))
    if net.timesteps > LARGEST:
        problems.append(_too_large("the network", "timesteps", net.timesteps))
    if problems:
        raise ConversionError(*problems)


def _too_large(where: str, what: str, found: object) -> Problem:
    return Problem(where, f"{what} must be at most {LARGEST} for the C target", str(found))
