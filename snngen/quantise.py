"""SpikingNet -> FixedNet: integer weights, biases, thresholds and input table, every bound proven.

Per output channel c, one integer scale s[c] turns real currents into integer ones:

    weight = round(W * amplitude of the source * s),  bias = round(b * s),  threshold = round(theta
    * s)

with s[c] such that the largest weight of the channel is 2**(bits-1) - 1. The output layer has one
scale for all channels, so that its membranes compare. What rounding does to a threshold is passed
on: the amplitude of a spike becomes that of the threshold that was really used.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snngen.bounds import prove
from snngen.convert.propagate import wiring_amplitude
from snngen.errors import BoundError, ConversionError, Problem
from snngen.fixed import FixedInput, FixedLayer, FixedNet
from snngen.neurons import IF, Accumulate, Level, Neuron
from snngen.ops import WEIGHTED, Conv, Interval, Linear, MaxPool, Scale, Select, SumPool
from snngen.spiking import INPUT, Floats, SpikingLayer, SpikingNet, Synapse

Ints = NDArray[np.int64]

SCALE_BITS = (16, 12, 8)  # of per-channel weights, the first that the 32-bit proof accepts
LARGEST_FACTOR = (
    2.0**22
)  # of thresholds and biases after scaling: far from 32 bits, far finer than any weight


@dataclass(frozen=True, eq=False)
class Units:
    """What a layer's integers stand for in the CNN's units, per channel, all (C,): a current I for
    I / `scale` + `offset`, one unit that it sends for `amplitude`.

    `offset` holds what the integers leave out: a bias that thresholds have absorbed, or in wiring
    the input's residual.
    """

    scale: Floats
    offset: Floats
    amplitude: Floats


def quantise(net: SpikingNet, bits: int = 8) -> FixedNet:
    """The integer network; `bits` (2..8) of every weight of convolutions and dense layers.

    Raises ConversionError where zero lies far from the input's bytes, BoundError naming every layer
    that 32 bits cannot hold.
    """
    return quantise_with_units(net, bits)[0]


def quantise_with_units(net: SpikingNet, bits: int = 8) -> tuple[FixedNet, dict[str, Units]]:
    """What `quantise` returns, and by layer what its integers stand for."""
    fixed_input, step, residual = _input(net)
    sent = {INPUT: _Sent(fixed_input.interval, step, residual)}
    layers: list[FixedLayer] = []
    units: dict[str, Units] = {}
    problems: list[Problem] = []
    output_scale = 1.0
    for layer in net.layers:
        try:
            done, meant = _layer(layer, sent, bits, net.timesteps)
        except BoundError as error:
            problems += error.problems
            break  # later bounds rest on this one
        layers.append(done)
        units[layer.name] = meant
        sent[layer.name] = _Sent(done.output, meant.amplitude, _residual(layer, sent))
        if isinstance(layer.neuron, Accumulate):
            output_scale = float(meant.amplitude[0])
    if problems:
        raise BoundError(*problems)
    fixed = FixedNet(
        net.name,
        fixed_input,
        tuple(layers),
        net.timesteps,
        net.output_layout,
        output_scale / net.timesteps,
        net.method,
    )
    return fixed, units


@dataclass(frozen=True, eq=False)
class _Sent:
    """What a layer sends: proven interval, what one unit is worth (C,), and a constant (C,) that
    the units leave out.
    """

    interval: Interval
    amplitude: Floats
    residual: Floats


def _input(net: SpikingNet) -> tuple[FixedInput, Floats, Floats]:
    """The input table, the worth of one unit, and the residual, both (C,).

    Where zero lies within reach of a byte, byte b becomes b - zero, or zero - b where the gain is
    negative (a maximum must stay one): lossless. Only what padding reads, zero itself, is off by
    the residual, less than half a unit. A gain of 0 leaves nothing but the residual.
    """
    gain, offset = net.preprocess.gain, net.preprocess.offset
    step = np.where(gain == 0, 1.0, np.abs(gain))
    zero = np.rint(-offset / np.where(gain == 0, 1.0, gain)) * (gain != 0)
    table = (np.arange(256) - zero[:, None]) * np.sign(gain)[:, None]
    if np.abs(table).max() > np.iinfo(np.int16).max:
        raise ConversionError(
            Problem(
                "input",
                "the value 0 must lie within 32,000 steps of the bytes' range",
                f"byte b stands for {gain[0]:g} * b + {offset[0]:g}",
                "check --scale, --mean and --std",
            )
        )
    fixed = FixedInput(net.input.shape, net.input.layout, table.astype(np.int16), gain, offset)
    return fixed, step, offset + zero * gain


def _residual(layer: SpikingLayer, sent: dict[str, _Sent]) -> Floats:
    """What the layer's units leave out (C,): wiring passes it on, all else has absorbed it."""
    total = np.zeros(layer.shape[0])
    for synapse in layer.synapses:
        match synapse.op:
            case SumPool() | MaxPool():
                total += sent[synapse.source].residual
            case Select(channels):
                total += np.where(channels >= 0, sent[synapse.source].residual[channels], 0.0)
    return total


def _layer(
    layer: SpikingLayer, sent: dict[str, _Sent], bits: int, timesteps: int
) -> tuple[FixedLayer, Units]:
    """The integer form of a layer and what its integers stand for."""
    sources = [sent[s.source].interval for s in layer.synapses]
    if not isinstance(layer.synapses[0].op, WEIGHTED):
        amplitude = wiring_amplitude(layer.synapses, {k: v.amplitude for k, v in sent.items()})
        b = prove(layer.name, layer.synapses, sources, None, None, timesteps)
        done = FixedLayer(
            layer.name, layer.shape, layer.synapses, None, None, b.current, b.membrane, b.output
        )
        return done, Units(1 / amplitude, _residual(layer, sent), amplitude)
    only_scales = all(isinstance(s.op, Scale) for s in layer.synapses)
    widths = (
        SCALE_BITS if layer.neuron else SCALE_BITS[-1:]
    )  # a current sent on had better be small
    for scale_bits in widths if only_scales else (bits,):
        synapses, bias, neuron, units = _rounded(layer, sent, scale_bits)
        try:
            b = prove(layer.name, synapses, sources, bias, neuron, timesteps)
        except BoundError:
            if only_scales and scale_bits != SCALE_BITS[-1]:
                continue
            raise
        done = FixedLayer(
            layer.name, layer.shape, synapses, bias, neuron, b.current, b.membrane, b.output
        )
        return done, units
    raise AssertionError("the last width either returned or raised")


def _rounded(
    layer: SpikingLayer, sent: dict[str, _Sent], bits: int
) -> tuple[tuple[Synapse, ...], Ints | None, Neuron | None, Units]:
    """Integer synapses, bias and neuron, and what these integers stand for."""
    effective = []
    bias = np.zeros(layer.shape[0]) if layer.bias is None else layer.bias.copy()
    for synapse in layer.synapses:
        assert isinstance(synapse.op, WEIGHTED)
        source = sent[synapse.source]
        effective.append(synapse.op.scale_inputs(source.amplitude))
        bias += _per_channel(synapse.op.scale_inputs(source.residual).weight).sum(1)
    scale = _scale(layer, effective, bias, bits)
    synapses = tuple(
        Synapse(s.source, replace(op, weight=_times(op.weight, scale)))
        for s, op in zip(layer.synapses, effective, strict=True)
    )
    integer_bias = np.rint(bias * scale).astype(np.int64)
    match layer.neuron:
        case Level(thresholds):
            # V - b in one rounding, and exactly: an integer sum reaches a real threshold where it
            # reaches its ceiling
            integer = np.ceil((thresholds - bias[:, None]) * scale[:, None]).astype(np.int64)
            return synapses, None, Level(integer), Units(scale, bias, layer.amplitude)
        case IF() as neuron:
            threshold = np.maximum(np.rint(neuron.threshold * scale), 1).astype(np.int64)
            start = np.rint(neuron.v_init / neuron.threshold * threshold).astype(np.int64)
            floor = None if neuron.v_min is None else np.rint(neuron.v_min * scale).astype(np.int64)
            fixed = replace(neuron, threshold=threshold, v_init=start, v_min=floor)
            used = threshold / (neuron.threshold * scale)
            units = Units(scale, np.zeros_like(scale), layer.amplitude * used)
            return synapses, _or_none(integer_bias), fixed, units
        case _:
            units = Units(scale, np.zeros_like(scale), layer.amplitude / scale)
            return synapses, _or_none(integer_bias), layer.neuron, units


def _scale(
    layer: SpikingLayer, effective: list[Conv | Linear | Scale], bias: Floats, bits: int
) -> Floats:
    """s (C,): the channel's largest weight becomes 2**(bits-1) - 1, within what 32 bits leave to
    its other numbers.
    """
    wide = [op for op in effective if not isinstance(op, Scale)] or effective
    peak = np.max([np.abs(_per_channel(op.weight)).max(1) for op in wide], axis=0)
    others = np.abs(bias)
    if isinstance(layer.neuron, IF):
        others = np.maximum(others, layer.neuron.threshold)
    if isinstance(layer.neuron, Level):
        others = np.maximum(others, np.abs(layer.neuron.thresholds).max(1))
    for op in effective:
        if isinstance(op, Scale) and op not in wide:  # a shortcut beside a convolution: 16 bits
            others = np.maximum(others, np.abs(op.weight) * (LARGEST_FACTOR / (2**15 - 1)))
    with np.errstate(divide="ignore"):
        scale = np.minimum((2 ** (bits - 1) - 1) / peak, LARGEST_FACTOR / others)
    if isinstance(layer.neuron, Accumulate):
        scale = np.full_like(scale, scale.min())
    return np.where(np.isfinite(scale), scale, 1.0)  # infinite where all numbers are 0


def _per_channel(weight: NDArray[np.floating]) -> NDArray[np.floating]:
    return weight.reshape(len(weight), -1)


def _times(weight: NDArray[np.floating], scale: Floats) -> Ints:
    """`weight` (O, ...) times `scale` (O,), rounded half to even: int64."""
    scaled: Ints = np.rint((_per_channel(weight).T * scale).T).astype(np.int64)
    return scaled.reshape(weight.shape)


def _or_none(bias: Ints) -> Ints | None:
    return bias if bias.any() else None
