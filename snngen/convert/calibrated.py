"""Method calibrated: what the spiking layers really send, brought close to the CNN's activations.

No retraining and no labels. In the order of layers, with everything before already decided and its
real spikes propagated through weights as they will be rounded, for the CNN's activations
a = min(max(z, 0), maximum) of the same images:

    b[c]      += argmin over d of mean((a[c] - A(d + mean_t I[c](t)))^2)   what was lost earlier
    theta[c]   = argmin over GRID of mean((a[c] - sent[c])^2)   sent = theta / T * spikes, or
                                                                theta / N * level
    b[c]      += mean(a[c] - sent[c])                           what this layer loses on average

The means are over images and positions, A is the activation. The first and third line are the bias
correction of Li et al. 2021 (A Free Lunch From ANN), taken on actual spikes; but where they match
the means of z, the first line counts only what the activation lets pass: most z of a sparse neuron
lie far below 0, where an error costs nothing. A layer without activation gets mean(z[c] - I[c]).

IF neurons are signed, except where their current is the same at every timestep: a neuron that has
fired too early takes the spike back, so that its count follows what it has integrated in all and
not the order in which it came. That is nearly all of what a deep network otherwise loses at low T
(docs/decisions/0017-calibration.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snngen.convert.options import Converted, Options
from snngen.convert.propagate import Propagation, Values, fire, wiring_amplitude
from snngen.convert.rounding import rounded
from snngen.convert.structure import Population
from snngen.graph import Relu, Staircase
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import WEIGHTED
from snngen.spiking import Floats, SpikingLayer

Activations = NDArray[np.float32]  # (batch, C, H, W)

GRID = np.linspace(0.2, 1.1, 13)  # candidate thresholds, as fractions of the largest activation
NEWTON = 3  # steps


def calibrated(
    populations: tuple[Population, ...], images: NDArray[np.floating], options: Options
) -> Converted:
    """Thresholds searched and biases corrected, one per channel."""
    uses = [synapse.source for p in populations for synapse in p.synapses]
    cnn, motion = Propagation(images, 1, uses), Propagation(images, options.steps, uses)
    layers = []
    for p in populations[:-1]:
        wanted = cnn.current(p.synapses, p.bias)
        synapses = rounded(p, motion.amplitude, options.bits, is_output=False).synapses
        current = motion.current(synapses, p.bias)
        bias, neuron, amplitude = p.bias, None, np.ones(p.shape[0])
        if not isinstance(p.synapses[0].op, WEIGHTED):
            cnn.send(p.name, wanted, wiring_amplitude(p.synapses, cnn.amplitude))
            amplitude = wiring_amplitude(p.synapses, motion.amplitude)
        else:
            if p.activation is None:
                current, bias = _shifted(current, _lacking(current, wanted[0]), bias)
            else:
                wanted = p.activation.forward(wanted[0])[None]
                missing = _missing(current, wanted[0], p.activation)
                current, bias = _shifted(current, missing, bias)
                thresholds = _candidates(p.activation, wanted[0])
                neuron, amplitude, shift = _fitted(current, wanted[0], thresholds, options)
                current, bias = _shifted(current, shift, bias)
                current = fire(neuron, current, options.steps)
            cnn.send(p.name, wanted, np.ones(p.shape[0]))
        motion.send(p.name, current, amplitude)
        layers.append(SpikingLayer(p.name, p.shape, p.synapses, bias, neuron, amplitude))
    last = populations[-1]
    wanted = cnn.current(last.synapses, last.bias)
    synapses = rounded(last, motion.amplitude, options.bits, is_output=True).synapses
    current = motion.current(synapses, last.bias)
    _, bias = _shifted(current, _lacking(current, wanted[0]), last.bias)
    one = np.ones(last.shape[0])
    layers.append(SpikingLayer(last.name, last.shape, last.synapses, bias, Accumulate(), one))
    return Converted(tuple(layers))


def _shifted(current: Values, shift: Floats, bias: Floats | None) -> tuple[Values, Floats]:
    return current + _spread(shift), shift if bias is None else bias + shift


def _lacking(current: Values, wanted: Activations) -> Floats:
    """What `current` is short of `wanted`, on average: (C,)."""
    return _channel_mean(wanted - current.mean(0))


def _missing(current: Values, wanted: Activations, activation: Relu | Staircase) -> Floats:
    """What must be added to `current` (C,) for its `activation` to be as `wanted`: Newton's steps
    towards the least square error, whose second derivative is the share of positions at which the
    activation follows its input.
    """
    mean, shift = current.mean(0), np.zeros(current.shape[2])
    if isinstance(activation, Relu):
        largest = np.broadcast_to(activation.maximum, len(shift))
    else:
        largest = activation.step * activation.thresholds.shape[1]
    for _ in range(NEWTON):
        z = mean + _spread(shift)
        follows = _channel_mean((z > 0) & (z < _spread(largest)))
        error = _channel_mean(wanted - activation.forward(z))
        shift += np.divide(error, follows, out=np.zeros_like(shift), where=follows > 0)
    return shift


def _candidates(activation: Relu | Staircase, wanted: Activations) -> list[Floats]:
    """Thresholds (C,) to choose from: the only one where the activation has steps already."""
    if isinstance(activation, Staircase):
        return [activation.step * activation.thresholds.shape[1]]
    peak = wanted.max((0, 2, 3)).astype(np.float64)
    peak = np.where(peak > 0, peak, peak.max() or 1.0)
    return [fraction * peak for fraction in GRID]


def _fitted(
    current: Values, wanted: Activations, candidates: list[Floats], options: Options
) -> tuple[IF | Level, Floats, Floats]:
    """The neuron whose decoded output is closest to `wanted`, what one unit of it is worth, and
    the mean that it still lacks; each per channel.
    """
    threshold = candidates[0]
    least, lacking = np.full(len(threshold), np.inf), np.zeros(len(threshold))
    for candidate in candidates:
        error = wanted - _decoded(current, candidate, options)
        loss = _channel_mean(np.square(error))
        better = loss < least
        least, threshold = np.where(better, loss, least), np.where(better, candidate, threshold)
        lacking = np.where(better, _channel_mean(error), lacking)
    return *_neuron(current, threshold, options), lacking


def _decoded(current: Values, threshold: Floats, options: Options) -> Activations:
    """What the neurons send, in the CNN's units."""
    if options.neuron == "level":  # as `fire`, but without a comparison for each level
        step = _spread(threshold / options.levels)
        level: Activations = np.floor(current[0] / step + np.float32(0.5))
        return np.clip(level, 0, options.levels) * step
    neuron, amplitude = _neuron(current, threshold, options)
    sent: Activations = fire(neuron, current, options.steps).mean(0) * _spread(amplitude)
    return sent


def _neuron(current: Values, threshold: Floats, options: Options) -> tuple[IF | Level, Floats]:
    if options.neuron == "level":
        step = threshold / options.levels
        return Level(step[:, None] * (np.arange(1, options.levels + 1) - 0.5)), step
    return IF(threshold, threshold / 2, signed=len(current) > 1), threshold


def _channel_mean(values: Activations) -> Floats:
    mean: Floats = values.mean((0, 2, 3), dtype=np.float64)
    return mean


def _spread(values: Floats) -> Activations:
    return values[:, None, None].astype(np.float32)
