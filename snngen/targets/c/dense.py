"""Convolutions and dense layers for processors with vectors: every input, two at a time, or spikes
over time scattered.

Mirrors snn_dense.c. A word holds the weights of two neighbouring inputs for one output: one
instruction multiplies and adds both, for as many outputs as a vector has lanes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer, FixedNet
from snngen.ops import Interval, Shape, Window
from snngen.spiking import Synapse
from snngen.targets.c.events import as_convolution, by_events, scattered
from snngen.targets.c.way import Way

WIDE, NARROW = 16, 8  # outputs of a block, and of a last one
LARGEST = 2**15 - 1
Integers = NDArray[np.int64]


def with_vectors(net: FixedNet, layer: FixedLayer, synapse: Synapse) -> Way | str:
    """How `layer` reads `synapse`, or why one by one."""
    if net.longest != 1 and not net.is_constant(synapse.source):
        return scattered(net, layer, synapse) or by_events(net, layer, synapse)
    weight, window = as_convolution(synapse)
    source = net.source_interval(synapse.source)
    if weight is None or window is None or window.dilation != (1, 1):
        return by_events(net, layer, synapse)
    if max(-source.min, source.max, -weight.min(), weight.max()) > LARGEST:
        return by_events(net, layer, synapse)
    return _dense(weight, window, source, net.source_shape(synapse.source), layer.shape)


def _dense(weight: Integers, window: Window, source: Interval, shape: Shape, target: Shape) -> Way:
    _, channels, height, width = weight.shape
    seen = (target[2] - 1) * window.stride[1] + width
    numbers = channels * max(window.pads[1] + shape[2], seen)
    numbers += 2 - numbers % 2  # room for the half of a last pair, and whole words
    return Way(
        "snn_dense",
        "counts or constants, for vectors",
        "snn_dense_op",
        "weights, [block][ky][pair of [kx][input]][output]",
        in_blocks(weight),
        window,
        (),
        "snn_widen",
        2 * numbers * height,
    )


def in_blocks(weight: Integers) -> Integers:
    """Words of weights (O, C, kh, kw) in order, with zeros beyond the last input and output."""
    outputs, channels, height, width = weight.shape
    pairs = -(-channels * width // 2)
    padded = np.zeros((-(-outputs // NARROW) * NARROW, height, 2 * pairs), np.int64)
    padded[:outputs, :, : channels * width] = weight.transpose(0, 2, 3, 1).reshape(
        outputs, height, -1
    )
    low, high = padded[..., 0::2], padded[..., 1::2]
    words = ((low & 0xFFFF) + (high << 16) + 2**31) % 2**32 - 2**31  # (outputs, height, pairs)
    blocks = (words[first : first + WIDE] for first in range(0, len(words), WIDE))
    return np.concatenate([block.transpose(1, 2, 0).ravel() for block in blocks])
