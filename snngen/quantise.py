"""SpikingNet -> FixedNet: integer weights, biases, thresholds and input table, every bound proven.

Per output channel c, one integer scale s[c] turns real currents into integer ones:

    weight = round(W * amplitude of the source * s),  bias = round(b * s),  threshold = round(theta
    * s)

with s[c] such that the largest weight of the channel is 2**(bits-1) - 1; or, where the weights are
multiples of one unit as those of quantised networks are, such that each of them is an integer
without any rounding. The output layer has one scale for all channels, so that its membranes
compare. What rounding does to a threshold is passed on: the amplitude of a spike becomes that of
the threshold that was really used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snngen import grid
from snngen.bounds import prove
from snngen.convert.propagate import wiring_amplitude
from snngen.errors import BoundError, ConversionError, Problem
from snngen.fixed import FixedInput, FixedLayer, FixedNet
from snngen.graph import Staircase
from snngen.neurons import IF, Accumulate, Level, Neuron
from snngen.ops import WEIGHTED, Conv, Interval, Linear, MaxPool, Scale, Select, SumPool
from snngen.spiking import INPUT, Floats, SpikingLayer, SpikingNet, Synapse

Ints = NDArray[np.int64]

SCALE_BITS = (16, 12, 8)  # of per-channel weights, the first that the 32-bit proof accepts
OUTPUT_BITS = (16, 14, 12, 10)  # likewise, of an output layer whose weights are integers already
MOST_SCALE = 2**15 - 1  # a shortcut's weight beside a convolution
LARGEST_MEMBRANE = 2**30  # where it is clamped
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
    """What `quantise` returns, and by layer, the input included, what its integers stand for."""
    fixed_input, step, residual = _input(net)
    sent = {INPUT: _Sent(fixed_input.interval, step, residual)}
    layers: list[FixedLayer] = []
    units = {INPUT: Units(1 / step, residual, step)}
    problems: list[Problem] = []
    output_scale = 1.0
    for layer in net.layers:
        try:
            longest = None if net.coding == "events" else net.timesteps
            done, meant = _layer(layer, sent, bits, longest)
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

    Through a quantiser, byte b becomes the level that it stands for: exactly.

    Where zero lies within reach of a byte, byte b becomes b - zero, or zero - b where the gain is
    negative (a maximum must stay one): lossless. Only what padding reads, zero itself, is off by
    the residual, less than half a unit. A gain of 0 leaves nothing but the residual.
    """
    gain, offset = net.preprocess.gain, net.preprocess.offset
    if net.preprocess.quantiser is not None:
        return _quantised_input(net, net.preprocess.quantiser)
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
    values = table.astype(np.int16)
    fixed = FixedInput(net.input.shape, net.input.layout, values, gain, offset, net.coding)
    return fixed, step, offset + zero * gain


def _quantised_input(net: SpikingNet, quantiser: Staircase) -> tuple[FixedInput, Floats, Floats]:
    channels = net.input.shape[0]
    step = np.broadcast_to(quantiser.step, channels)
    every_byte = np.broadcast_to(np.arange(256, dtype=np.uint8), (1, channels, 1, 256))
    table = np.rint(net.preprocess.apply(every_byte)[0, :, 0] / step[:, None])
    gain, offset = net.preprocess.gain, net.preprocess.offset
    fixed = FixedInput(net.input.shape, net.input.layout, table.astype(np.int16), gain, offset)
    return fixed, step, np.zeros(channels)


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
    layer: SpikingLayer, sent: dict[str, _Sent], bits: int, timesteps: int | None
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
    effective, bias = _effective(layer, sent)
    widths = _widths(layer, effective, bits)
    for width in widths:
        unit = _unit(layer, effective, bias, width, bits)
        synapses = tuple(
            Synapse(s.source, replace(op, weight=_in_units(op.weight, unit)))
            for s, op in zip(layer.synapses, effective, strict=True)
        )
        try:
            current = prove(layer.name, synapses, sources, None, None, timesteps).current
            integer_bias, neuron, units = _neuron(layer, bias, unit, current)
            b = prove(layer.name, synapses, sources, integer_bias, neuron, timesteps)
        except BoundError:
            if width != widths[-1]:
                continue
            raise
        done = FixedLayer(
            layer.name, layer.shape, synapses, integer_bias, neuron, b.current, b.membrane, b.output
        )
        return done, units
    raise AssertionError("the last width either returned or raised")


def _effective(
    layer: SpikingLayer, sent: dict[str, _Sent]
) -> tuple[list[Conv | Linear | Scale], Floats]:
    """The synapses' weights per unit that their sources send, and the bias with all residuals."""
    effective = []
    bias = np.zeros(layer.shape[0]) if layer.bias is None else layer.bias.copy()
    for synapse in layer.synapses:
        assert isinstance(synapse.op, WEIGHTED)
        source = sent[synapse.source]
        effective.append(synapse.op.scale_inputs(source.amplitude))
        bias += _per_channel(synapse.op.scale_inputs(source.residual).weight).sum(1)
    return effective, bias


def _widths(
    layer: SpikingLayer, effective: list[Conv | Linear | Scale], bits: int
) -> tuple[int, ...]:
    """Bits of a weight, in the order in which they are tried against the proof."""
    if all(isinstance(op, Scale) for op in effective):  # a current sent on had better be small
        return SCALE_BITS if layer.neuron else SCALE_BITS[-1:]
    if isinstance(layer.neuron, Accumulate) and bool(grid.peaks(_rows(effective), bits).all()):
        return (*OUTPUT_BITS, bits)  # exact weights deserve units that compare exactly
    return (bits,)


def _neuron(
    layer: SpikingLayer, bias: Floats, unit: Floats, current: Interval
) -> tuple[Ints | None, Neuron | None, Units]:
    """Integer bias and neuron, and what these integers stand for; `current` bounds the synapses'
    sum.
    """
    scale = 1 / unit
    integer_bias = np.rint(bias * scale).astype(np.int64)
    none = np.zeros_like(scale)
    match layer.neuron:
        case Level(thresholds, lowest):
            # V - b in one rounding, and exactly: an integer sum reaches a real threshold where it
            # reaches its ceiling. What no sum reaches, or every sum, may as well lie beside them.
            beyond = np.minimum(current.hi + 1, np.iinfo(np.int32).max)
            integer = grid.ceilings(thresholds, bias, unit, current.lo, beyond)
            return None, Level(integer, lowest), Units(scale, bias, layer.amplitude)
        case IF() as neuron:
            threshold = np.maximum(np.rint(neuron.threshold * scale), 1).astype(np.int64)
            start = np.rint(neuron.v_init / neuron.threshold * threshold).astype(np.int64)
            floor, ceiling = (
                None if clamp is None else _clamp(clamp * scale)
                for clamp in (neuron.v_min, neuron.v_max)
            )
            fixed = replace(neuron, threshold=threshold, v_init=start, v_min=floor, v_max=ceiling)
            used = threshold / (neuron.threshold * scale)
            return _or_none(integer_bias), fixed, Units(scale, none, layer.amplitude * used)
        case _:
            units = Units(scale, none, layer.amplitude / scale)
            return _or_none(integer_bias), layer.neuron, units


def _clamp(values: Floats) -> Ints:
    """To integers, and with room for a current in 32 bits."""
    clamps: Ints = np.clip(np.rint(values), -LARGEST_MEMBRANE, LARGEST_MEMBRANE).astype(np.int64)
    return clamps


def _unit(
    layer: SpikingLayer,
    effective: list[Conv | Linear | Scale],
    bias: Floats,
    width: int,
    bits: int,
) -> Floats:
    """What an integer current of 1 stands for (C,), within what 32 bits leave to the layer's other
    numbers.

    Where the channel's weights are multiples of one unit, with integers of `bits` bits, that unit
    or a fraction of it; else such that the largest weight becomes 2**(width-1) - 1.
    """
    wide = [op for op in effective if not isinstance(op, Scale)]
    narrow = [op for op in effective if isinstance(op, Scale)]
    rows, beside = _rows(wide or narrow), _rows(narrow if wide else [], layer.shape[0])
    others = np.zeros_like(bias) if isinstance(layer.neuron, Level) else np.abs(bias)
    if isinstance(layer.neuron, IF):
        others = np.maximum(others, layer.neuron.threshold)
    exact = np.column_stack([rows if not wide else beside, others])  # what had better be integer
    if isinstance(layer.neuron, Accumulate):  # one unit for all channels, so that membranes compare
        rows, beside, exact = (v.reshape(1, -1) for v in (rows, beside, exact))
        others = others.max(keepdims=True)
    peak, most = np.abs(rows).max(1), 2 ** (width - 1) - 1
    finest = np.maximum(others / LARGEST_FACTOR, np.abs(beside).max(1, initial=0.0) / MOST_SCALE)
    rounded = np.maximum(peak / most, finest)
    any_unit = not wide and not isinstance(layer.neuron, IF | Accumulate)
    k = np.ones_like(peak, np.int64) if any_unit else grid.peaks(rows, bits)
    on_grid = (k > 0) & (peak > 0) & (peak >= finest * k)
    unit = np.where(on_grid, peak / np.maximum(k, 1), 1.0)
    with np.errstate(divide="ignore"):
        parts = np.minimum(most / np.maximum(k, 1), unit / finest)
    parts = np.maximum(parts, 1).astype(np.int64)
    if not isinstance(layer.neuron, IF):  # a threshold wants to be as fine as possible
        parts = grid.best_multiples(exact / unit[:, None], parts)
    chosen = np.where(on_grid, unit / parts, np.where(rounded > 0, rounded, 1.0))
    return np.broadcast_to(chosen, layer.shape[0])


def _rows(ops: Sequence[Conv | Linear | Scale], channels: int = 0) -> Floats:
    """All weights that a channel reads, (C, n); of `channels` channels where there are none."""
    rows = [_per_channel(op.weight) for op in ops]
    return np.concatenate(rows, axis=1) if rows else np.zeros((channels, 0))


def _per_channel(weight: NDArray[np.floating]) -> NDArray[np.floating]:
    return weight.reshape(len(weight), -1)


def _in_units(weight: NDArray[np.floating], unit: Floats) -> Ints:
    """`weight` (O, ...) as multiples of `unit` (O,), rounded half to even: int64."""
    scaled: Ints = np.rint(_per_channel(weight) / unit[:, None]).astype(np.int64)
    return scaled.reshape(weight.shape)


def _or_none(bias: Ints) -> Ints | None:
    return bias if bias.any() else None
