"""From a network's layers to plans of cores: which weights an event selects, and which sums these
reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from snngen_hdl.chip import ChipPlan
from snngen_hdl.layer import LayerPlan
from snngen_hdl.network import INPUT as THE_INPUT
from snngen_hdl.network import NetworkPlan
from snngen_hdl.neurons import (
    IntegrateAndFire,
    Levels,
    Maxima,
    Neurons,
    Outputs,
    Wires,
    value_shape,
)
from snngen_hdl.routes import Routes, Tap, Taps
from snngen_hdl.source import ReadoutPlan, SourcePlan

from snngen.fixed import FixedLayer, FixedNet
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Interval, Linear, MaxPool, Op, Scale, Select, Shape, SumPool, Window
from snngen.ops.window import Array
from snngen.spiking import INPUT


class Fold(NamedTuple):
    """How much of a layer is worked on at once: so many channels, columns and rows. `queued`: all
    words of a pass may wait for those who read them, while the layer goes on.
    """

    lanes: int = 1
    banks: int = 1
    bank_rows: int = 1
    queued: bool = False


def plan_chip(
    net: FixedNet,
    folds: Mapping[str, Fold],
    *,
    ahead: int = 16,
    link: int = 16,
    witnessed: bool = False,
) -> ChipPlan:
    """`folds` by layer. `ahead` words, but of those that are queued, wait in a layer, and `link`
    events between two. `witnessed`: it can tell a trace's hash.
    """
    places = {layer.name: k for k, layer in enumerate(net.layers)} | {INPUT: THE_INPUT}
    layers = tuple(
        plan_layer(net, layer, folds[layer.name], ahead, witnessed) for layer in net.layers
    )
    last = net.layers[-1]
    source = SourcePlan(net.input.shape, net.input.layout == "HWC", net.input.table, net.timesteps)
    return ChipPlan(
        source,
        NetworkPlan(
            net.input.shape,
            source.value,
            layers,
            tuple(tuple(places[s.source] for s in layer.synapses) for layer in net.layers),
            link,
        ),
        ReadoutPlan(
            last.shape,
            net.output_layout == "HWC",
            layers[-1].neurons.bits,
            net.timesteps,
            min(len(layers) + 2, link),
        ),
    )


def plan_layer(
    net: FixedNet,
    layer: FixedLayer,
    fold: Fold,
    ahead: int,
    witnessed: bool = False,
) -> LayerPlan:
    """The core of `layer`."""
    first = layer.synapses[0].op
    sources = [net.source_interval(s.source) for s in layer.synapses]
    plan = LayerPlan(
        name=layer.name,
        shape=layer.shape,
        routes=tuple(
            routes(s.op, net.source_shape(s.source), layer.shape, fold.lanes)
            for s in layer.synapses
        ),
        received=tuple(value_shape(min(0, i.min), max(0, i.max)) for i in sources),
        neurons=neurons_of(layer, net),
        sent=(min(0, layer.output.min), max(0, layer.output.max)),
        lanes=fold.lanes,
        banks=fold.banks,
        bank_rows=fold.bank_rows,
        thresholds=layer.neuron.thresholds if isinstance(layer.neuron, Level) else None,
        lowest=layer.neuron.lowest if isinstance(layer.neuron, Level) else 0,
        takes_largest=isinstance(first, MaxPool),
        counts=layer.output.max * net.timesteps if _counts(layer, net) else 0,
        ahead=ahead,
        witnessed=net.timesteps if witnessed else 0,
    )
    return replace(plan, ahead=max(ahead, plan.words)) if fold.queued else plan


def neurons_of(layer: FixedLayer, net: FixedNet) -> Neurons:
    """The neurons of `layer`; v has the bits of what is held at the end of a timestep."""
    channels = layer.shape[0]
    zeros = np.zeros(channels, np.int64)
    bias = zeros if layer.bias is None else layer.bias
    bits = _bits(layer.current if layer.membrane is None else layer.membrane)
    match layer.neuron:
        case None if _counts(layer, net):
            return Maxima(
                channels, (layer.output.max * net.timesteps).bit_length() + 1, bias, zeros
            )
        case None:
            return Wires(channels, bits, bias, zeros)
        case Accumulate(limit):
            return Outputs(channels, bits, bias, zeros, limit=limit)
        case Level(thresholds, lowest):
            below = -lowest  # so many thresholds are those of levels below 0
            lo, hi = -(1 << (bits - 1)), 1 << (bits - 1)
            bounded = np.clip(thresholds, lo, hi)
            levels = bounded.shape[1]
            if 0 <= below < levels:
                first = bounded[:, below]
            else:  # no sum means a level above 0, or none means 0
                first = np.full(channels, hi if below == levels else lo)
            least = bounded[:, below - 1] if 0 < below <= levels else None
            return Levels(channels, bits, bias, zeros, first=first, least=least)
        case IF() as n:
            return IntegrateAndFire(
                channels,
                bits,
                bias,
                n.v_init,
                threshold=n.threshold,
                v_min=n.v_min,
                v_max=n.v_max,
                hard_reset=n.reset == "zero",
                max_spikes=n.max_spikes,
                balance_bits=max(1, (net.timesteps * n.max_spikes).bit_length()) if n.signed else 0,
            )


def _counts(layer: FixedLayer, net: FixedNet) -> bool:
    """Whether the layer pools the running counts of its source."""
    return isinstance(layer.synapses[0].op, MaxPool) and net.timesteps > 1


def _bits(interval: Interval) -> int:
    bits: int = value_shape(min(-1, interval.min), max(0, interval.max)).width
    return max(2, bits)


# --- Routes --------------------------------------------------------------------------------------


Reached = Sequence[tuple[int, ...]]  # the outputs of each input


def routes(op: Op, source: Shape, target: Shape, lanes: int) -> Routes:
    """How the events of a source of shape `source` reach a layer of shape `target`."""
    rows: Taps
    columns: Taps
    match op:
        case Linear(weight):  # a kernel as large as its source, that fits once
            rows, columns = (tuple((Tap(k, 0),) for k in range(n)) for n in source[1:])
            stored = weight.transpose(2, 3, 1, 0)  # (H, W, C, O)
            return _weighted(source, rows, columns, None, stored, lanes)
        case Conv(weight, window, groups):
            rows, columns = _window_taps(window, source, target)
            stored = weight.transpose(2, 3, 1, 0)  # (kh, kw, I / groups, O)
            reached = None if groups == 1 else _grouped(source[0], target[0], groups)
            return _weighted(source, rows, columns, reached, stored, lanes)
        case Scale(weight):
            rows, columns = (tuple((Tap(0, k),) for k in range(n)) for n in source[1:])
            own = [(c,) for c in range(source[0])]
            return _weighted(source, rows, columns, own, weight.reshape(1, 1, 1, -1), lanes)
        case SumPool(window, _, multiplier) if multiplier is not None:
            rows, columns, stored = _multiplied(*_window_taps(window, source, target), multiplier)
            own = [(c,) for c in range(source[0])]
            weights = np.broadcast_to(stored[:, :, None, None], (*stored.shape, 1, source[0]))
            return _weighted(source, rows, columns, own, weights, lanes)
        case SumPool(window) | MaxPool(window):
            rows, columns = _window_taps(window, source, target)
            return _wired(source, rows, columns, [(c,) for c in range(source[0])], lanes)
        case Select(channels, at_rows, at_columns):
            rows, columns = (
                tuple(tuple(Tap(0, int(k)) for k in np.flatnonzero(axis == i)) for i in range(n))
                for axis, n in zip((at_rows, at_columns), source[1:], strict=True)
            )
            picked = [
                tuple(int(k) for k in np.flatnonzero(channels == c)) for c in range(source[0])
            ]
            return _wired(source, rows, columns, picked, lanes)


def _window_taps(window: Window, source: Shape, target: Shape) -> tuple[Taps, Taps]:
    found = []
    for axis in (0, 1):
        size, out = source[1 + axis], target[1 + axis]
        stride, pad, dilation = window.stride[axis], window.pads[axis], window.dilation[axis]
        taps: list[tuple[Tap, ...]] = []
        for at in range(size):
            here = []
            for k in range(window.kernel[axis]):
                place, rest = divmod(at + pad - k * dilation, stride)
                if rest == 0 and 0 <= place < out:
                    here.append(Tap(k, place))
            taps.append(tuple(here))
        found.append(tuple(taps))
    return found[0], found[1]


def _multiplied(rows: Taps, columns: Taps, multiplier: Array) -> tuple[Taps, Taps, Array]:
    """Taps whose weights are the multipliers of the places that they reach, each kind of row and of
    column once.
    """
    kinds, row_kind = np.unique(multiplier, axis=0, return_inverse=True)
    stored, column_kind = np.unique(kinds, axis=1, return_inverse=True)
    chosen = [
        tuple(tuple(Tap(int(kind[tap.place]), tap.place) for tap in taps) for taps in axis)
        for axis, kind in ((rows, row_kind.ravel()), (columns, column_kind.ravel()))
    ]
    return chosen[0], chosen[1], stored


def _grouped(inputs: int, outputs: int, groups: int) -> Reached:
    """The outputs that each input reaches."""
    of = outputs // groups
    return [tuple(range(g * of, (g + 1) * of)) for g in np.arange(inputs) * groups // inputs]


def _weighted(
    source: Shape,
    rows: Taps,
    columns: Taps,
    reached: Reached | None,
    stored: Array,
    lanes: int,
) -> Routes:
    """`stored` (kh, kw, I / groups, O); `reached` tells the outputs of each input, None that it
    reaches all.
    """
    kh, kw, per_group, outputs = stored.shape
    groups = -(-outputs // lanes)
    bits = max(2, value_shape(min(-1, int(stored.min())), int(stored.max())).width)
    if reached is None:
        padded = np.zeros((kh, kw, per_group, groups * lanes), np.int64)
        padded[..., :outputs] = stored
        words = padded.reshape(kh, kw, per_group, groups, lanes).transpose(0, 1, 3, 2, 4)
        return Routes(
            source, rows, columns, None, words.reshape(kh, kw, groups * per_group, lanes), bits
        )
    taken: list[NDArray[np.int64]] = []
    channels = []
    for c, own in enumerate(reached):
        taps = []
        for group in sorted({o // lanes for o in own}):
            word = np.zeros((kh, kw, lanes), np.int64)
            for o in own:
                if o // lanes == group:
                    word[:, :, o % lanes] = stored[:, :, c % per_group, o]
            taps.append(Tap(len(taken), group))
            taken.append(word)
        channels.append(tuple(taps))
    return Routes(source, rows, columns, tuple(channels), np.stack(taken, 2), bits)


def _wired(source: Shape, rows: Taps, columns: Taps, reached: Reached, lanes: int) -> Routes:
    """Weights of 1: none at all where a group is one lane."""
    rows, columns = (
        tuple(tuple(Tap(0, tap.place) for tap in taps) for taps in axis) for axis in (rows, columns)
    )
    if lanes == 1:
        channels = tuple(tuple(Tap(0, o) for o in own) for own in reached)
        return Routes(source, rows, columns, channels, None, 1)
    outputs = 1 + max((o for own in reached for o in own), default=0)
    ones = np.ones((1, 1, 1, outputs), np.int64)
    return _weighted(source, rows, columns, reached, ones, lanes)
