"""Method quantized: networks whose activations are quantised already, without loss.

A quantised activation, step * (lowest + number of thresholds reached), is what a level neuron
sends, with `step` as its amplitude. No threshold is estimated, so no image is needed. What
quantisation to integers adds: nothing where the weights are multiples of one unit per channel,
their rounding to `bits` where they are not (docs/decisions/0011-quantised-networks.md).

A quantiser through which alone the input is read becomes the network's input table.

With IF neurons (QCFS: Bu et al. 2022, "Optimal ANN-SNN Conversion for High-accuracy and
Ultra-low-latency Spiking Neural Networks"): theta = N * step, and the membrane starts where T = N
timesteps of a constant current give the activation itself. What is left is the unevenness of
spikes.

Of streams the sum over T timesteps is the activation. A spike is a step, as in Sorbaro et al. 2020,
"Optimizing the Energy Consumption of Spiking Neural Networks for Neuromorphic Applications"; more
where the activation has more steps than there are timesteps to send them in.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snngen.convert.balance import LIMIT
from snngen.convert.options import Converted, Options
from snngen.convert.propagate import wiring_amplitude
from snngen.convert.structure import Population
from snngen.errors import ConversionError, Problem
from snngen.graph import Staircase
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import WEIGHTED, Scale
from snngen.spiking import INPUT, Floats, SpikingLayer, Synapse

LARGEST_LEVEL = 2**14  # the table's int16 can hold, with all levels above it
UNEVEN = 1e-4  # of a step, by which thresholds may miss their places to be called equally spaced


def quantized(
    populations: tuple[Population, ...], images: NDArray[np.floating], options: Options
) -> Converted:
    """Every quantised activation as level neurons, or as the IF neurons that approach it."""
    quantiser, parts = without_input_quantiser(populations)
    channels = images.shape[-3]
    amplitude: dict[str, Floats] = {INPUT: np.ones(channels)}
    if quantiser is not None:
        if options.coding == "events":
            raise _no_stream(populations[0])
        amplitude[INPUT] = np.broadcast_to(quantiser.step, channels)
    layers, problems = [], []
    for p in parts[:-1]:
        neuron: IF | Level | None = None
        worth = np.ones(p.shape[0])
        if isinstance(p.activation, Staircase):
            stairs = _per_channel(p.activation, p.shape[0])
            neuron, worth = _spikes(stairs, options) if options.neuron == "if" else _levels(stairs)
            uneven = _unlike_spikes(stairs) if options.neuron == "if" else ""
            problems += [_no_spikes(p, uneven, options)] if uneven else []
        elif not isinstance(p.synapses[0].op, WEIGHTED):
            worth = wiring_amplitude(p.synapses, amplitude)
        amplitude[p.name] = worth
        layers.append(SpikingLayer(p.name, p.shape, p.synapses, p.bias, neuron, worth))
    if problems:
        raise ConversionError(*problems)
    last = parts[-1]
    one = np.ones(last.shape[0])
    output = Accumulate() if options.coding == "direct" else Accumulate(LIMIT)
    layers.append(SpikingLayer(last.name, last.shape, last.synapses, last.bias, output, one))
    return Converted(tuple(layers), quantiser=quantiser)


def without_input_quantiser(
    populations: tuple[Population, ...],
) -> tuple[Staircase | None, tuple[Population, ...]]:
    """The quantiser through which alone the input is read, if there is one, and all other
    populations, reading the input in its place.
    """
    readers = [p for p in populations if INPUT in (s.source for s in p.synapses)]
    first = readers[0]
    if len(readers) > 1 or not isinstance(first.activation, Staircase):
        return None, populations
    if abs(first.activation.lowest) > LARGEST_LEVEL:
        return None, populations
    plain = [s for s in first.synapses if isinstance(s.op, Scale) and np.all(s.op.weight == 1)]
    if len(first.synapses) != 1 or not plain or first.bias is None or np.any(first.bias):
        return None, populations
    renamed = tuple(
        replace(p, synapses=tuple(_read_instead(s, first.name) for s in p.synapses))
        for p in populations
        if p is not first
    )
    return first.activation, renamed


def _read_instead(synapse: Synapse, name: str) -> Synapse:
    return replace(synapse, source=INPUT) if synapse.source == name else synapse


def _per_channel(stairs: Staircase, channels: int) -> Staircase:
    thresholds = np.broadcast_to(stairs.thresholds, (channels, stairs.thresholds.shape[1]))
    return replace(stairs, thresholds=thresholds, step=np.broadcast_to(stairs.step, channels))


def _levels(stairs: Staircase) -> tuple[Level, Floats]:
    return Level(stairs.thresholds, stairs.lowest), stairs.step


def _spikes(stairs: Staircase, options: Options) -> tuple[IF, Floats]:
    """After T = N timesteps of current z, floor((N z + v_init) / theta) = n where z reaches the
    n-th threshold. Of a stream, whose mean current is z, after T timesteps of at least N.
    """
    is_stream = options.coding == "events"
    count = max(stairs.thresholds.shape[1], options.timesteps if is_stream else 1)
    theta, start = count * stairs.step, count * (stairs.step - stairs.thresholds[:, 0])
    if is_stream:
        most = options.timesteps * theta
        return IF(theta, start, -most, most), theta
    return IF(theta, start), theta


def _unlike_spikes(stairs: Staircase) -> str:
    """Why a number of spikes cannot be this activation; empty where it can."""
    first, step = stairs.thresholds[:, :1], stairs.step[:, None]
    even = first + step * np.arange(stairs.thresholds.shape[1])
    if stairs.lowest != 0:
        return f"its lowest level is {stairs.lowest}"
    if np.any(np.abs(stairs.thresholds - even) > UNEVEN * step):
        return "its thresholds are not one step apart"
    if np.any(first <= 0) or np.any(first > step * (1 + UNEVEN)):
        return "its first threshold does not lie within one step above 0"
    return ""


def _no_stream(first: Population) -> ConversionError:
    return ConversionError(
        Problem(
            f"layer '{first.name}'",
            "quantises the input, which no bin of a stream can be alone",
            hint="train the model without a quantiser in front",
        )
    )


def _no_spikes(p: Population, found: str, options: Options) -> Problem:
    other = {"direct": "leave out --neuron if: level neurons take any quantised activation",
             "events": "train the model with steps that count from 0"}  # fmt: skip
    return Problem(
        f"layer '{p.name}'",
        "its quantised activation is not the rate of an IF neuron",
        found,
        other[options.coding],
    )
