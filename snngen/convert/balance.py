"""Methods channel-max and layer-max: threshold balancing.

Nguyen, Viet and Lee 2022, Applied Sciences 12(11):5749.

In the order of layers, with the thresholds of all earlier layers fixed and their real spikes
propagated:

    theta_l[c] = max over batch, t, h, w of I_l[c](t)         channel-max
    theta_l    = max over channels as well                    layer-max

I is the input current, neither the membrane nor the ReLU. With `percentile` below 100 the maximum
gives way to that percentile of max(I, 0). Soft reset. For level neurons the same thresholds are cut
into N equal steps, and what is propagated are the counts that those neurons really send.

Of streams, whose events come in bursts, I is the mean over the timesteps of a recording, and the
membrane may keep what lasts for as many, in either direction: docs/decisions/0022-streams.md.

"Consistent" scaling lets a spike of layer l stand for theta_l[c]. "Literal" scaling does as the
published code does: a spike is sent as 1, and a dense layer has one threshold for all its neurons
(docs/decisions/0007-thresholds.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snngen.convert.options import Converted, Options
from snngen.convert.propagate import Propagation, Values, fire, wiring_amplitude
from snngen.convert.structure import Population
from snngen.graph import Relu
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import WEIGHTED
from snngen.spiking import Floats, SpikingLayer

LIMIT = 2**30  # of a stream's output membranes


def channel_max(
    populations: tuple[Population, ...], images: NDArray[np.floating], options: Options
) -> Converted:
    """One threshold per channel of a convolution and per neuron of a dense layer."""
    return _balance(populations, images, options, channelwise=True)


def layer_max(
    populations: tuple[Population, ...], images: NDArray[np.floating], options: Options
) -> Converted:
    """One threshold per layer."""
    return _balance(populations, images, options, channelwise=False)


def _balance(
    populations: tuple[Population, ...],
    images: NDArray[np.floating],
    options: Options,
    *,
    channelwise: bool,
) -> Converted:
    uses = [synapse.source for p in populations for synapse in p.synapses]
    percentile = options.percentile
    assert not isinstance(percentile, str), "`convert` has decided on one"
    motion = Propagation(images, options.steps, uses)
    layers = []
    for p in populations[:-1]:
        current = motion.current(p.synapses, p.bias)
        neuron: IF | Level | None = None
        amplitude = np.ones(p.shape[0])
        if isinstance(p.activation, Relu):
            dense = p.shape[1:] == (1, 1)
            per_channel = channelwise and not (dense and options.scaling == "literal")
            seen = current if options.coding == "direct" else current.mean(0, keepdims=True)
            threshold = balanced_threshold(seen, percentile, per_channel)
            neuron, amplitude = make_neuron(np.minimum(threshold, p.activation.maximum), options)
            current = fire(neuron, current, options.steps)
        elif not isinstance(p.synapses[0].op, WEIGHTED):
            amplitude = wiring_amplitude(p.synapses, motion.amplitude)
        motion.send(p.name, current, amplitude)
        layers.append(SpikingLayer(p.name, p.shape, p.synapses, p.bias, neuron, amplitude))
    last = populations[-1]
    outputs = motion.current(last.synapses, last.bias).mean(0)
    one = np.ones(last.shape[0])
    output = Accumulate() if options.coding == "direct" else Accumulate(LIMIT)
    layers.append(SpikingLayer(last.name, last.shape, last.synapses, last.bias, output, one))
    return Converted(tuple(layers), outputs)


def balanced_threshold(current: Values, percentile: float, per_channel: bool) -> Floats:
    """The threshold (C,) for a `current` (T, batch, C, H, W).

    A channel that never saw a positive current takes the layer's largest threshold: with its own it
    would always fire.
    """
    channels = current.shape[2]
    rows = current.swapaxes(0, 2).reshape(channels if per_channel else 1, -1)
    peak = np.array([_percentile(row, percentile) for row in rows])
    largest = float(peak.max()) or 1.0
    return np.broadcast_to(np.where(peak > 0, peak, largest), channels).astype(np.float64)


def _percentile(values: NDArray[np.float32], percentile: float) -> float:
    """That percentile of max(values, 0), or their maximum where it is 0; selection among the
    positive only is fast.
    """
    positive = values[values > 0]
    from_top = int((1 - percentile / 100) * (len(values) - 1))
    if from_top == 0 or from_top >= len(positive):
        return float(positive.max(initial=0))
    rank = len(positive) - 1 - from_top
    return float(np.partition(positive, rank)[rank])


def make_neuron(threshold: Floats, options: Options) -> tuple[IF | Level, Floats]:
    """The neuron that sends `threshold` (C,) as its largest value, and the amplitude of one
    spike.
    """
    start = options.v_init
    if options.neuron == "level":
        step = threshold / options.levels
        k = np.arange(1, options.levels + 1)
        return Level(step[:, None] * (k - start)), step
    amplitude = np.ones_like(threshold) if options.scaling == "literal" else threshold
    if options.coding == "direct":
        return IF(threshold, start * threshold), amplitude
    most = options.timesteps * threshold
    return IF(threshold, start * threshold, -most, most), amplitude
