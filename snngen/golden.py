"""The golden model: the specification of every backend, in the words and order of
docs/arithmetic.md.

Slow on purpose: int64 throughout, one image and one timestep at a time, every synapse by its
definition. It shares no arithmetic with `snngen.simulate`, the fast form that is checked against
it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer, FixedNet
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Linear, MaxPool, Op, Scale, Select, Shape, SumPool
from snngen.ops.max_pool import most_behind
from snngen.spiking import INPUT

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """What a layer sent and what it held at every timestep: (batch, T, C, H, W).

    `membrane` is v after the reset for IF, v for the output layer, the sum Z for level neurons,
    None without neuron.
    """

    output: Ints
    membrane: Ints | None


Trace = dict[str, LayerTrace]


def trace(net: FixedNet, images: NDArray[np.uint8]) -> Trace:
    """The whole trace of `net` on raw bytes `images`: (batch, C, H, W), of a stream
    (batch, T, C, H, W), a reset before each.
    """
    runs = [_run(net, image) for image in images]
    return {
        layer.name: LayerTrace(
            np.stack([run[layer.name][0] for run in runs]),
            np.stack([run[layer.name][1] for run in runs]) if layer.neuron else None,
        )
        for layer in net.layers
    }


def _run(net: FixedNet, image: NDArray[np.uint8]) -> dict[str, tuple[Ints, Ints]]:
    """One image, or the bins of one stream, timestep by timestep: what each layer sent and held,
    (T, C, H, W).
    """
    channel = np.arange(net.input.shape[0])[:, None, None]
    values = net.input.table[channel, image].astype(np.int64)
    inputs = values if net.is_stream else [values] * net.timesteps
    states = {layer.name: _LayerState(layer, net) for layer in net.layers}
    sent: dict[str, list[Ints]] = {layer.name: [] for layer in net.layers}
    held: dict[str, list[Ints]] = {layer.name: [] for layer in net.layers}
    for value in inputs:
        now = {INPUT: value}
        for layer in net.layers:
            now[layer.name] = states[layer.name].step(now)
            sent[layer.name].append(now[layer.name])
            held[layer.name].append(states[layer.name].v.copy())
    return {
        layer.name: (np.stack(sent[layer.name]), np.stack(held[layer.name])) for layer in net.layers
    }


class _LayerState:
    """A layer with what it remembers from one timestep to the next."""

    def __init__(self, layer: FixedLayer, net: FixedNet) -> None:
        self.layer = layer
        self.v = np.zeros(layer.shape, np.int64)
        if isinstance(layer.neuron, IF):
            self.v += layer.neuron.v_init[:, None, None]
        self.balance = np.zeros(layer.shape, np.int64)  # spikes sent less spikes taken back
        self.received = np.zeros(net.source_shape(layer.synapses[0].source), np.int64)
        self.passed = np.zeros(layer.shape, np.int64)
        self.ahead: dict[tuple[int, ...], Ints] = {}  # of a stream's max pool, by position and tap
        self.is_stream = net.is_stream
        self.most_behind = most_behind(net.source_interval(layer.synapses[0].source))

    def step(self, now: dict[str, Ints]) -> Ints:
        """What the layer sends at this timestep, given what its sources send."""
        first = self.layer.synapses[0]
        if isinstance(first.op, MaxPool):
            passes = self._pass_leader if self.is_stream else self._pass_maximum
            return passes(first.op, now[first.source])
        current = np.zeros(self.layer.shape, np.int64)
        for synapse in self.layer.synapses:
            current += synaptic_current(synapse.op, now[synapse.source], self.layer.shape)
        if self.layer.bias is not None:
            current += self.layer.bias[:, None, None]
        match self.layer.neuron:
            case None:
                return current
            case Level(thresholds, lowest):
                self.v = current
                reached: Ints = (current >= thresholds.T[:, :, None, None]).sum(0)
                return lowest + reached
            case Accumulate(limit):
                self.v += current
                if limit is not None:
                    self.v = np.clip(self.v, -limit, limit)
                return self.v.copy()
            case IF() as neuron:
                return self._fire(neuron, current)

    def _fire(self, neuron: IF, current: Ints) -> Ints:
        theta = neuron.threshold[:, None, None]
        self.v += current
        if neuron.v_min is not None:
            self.v = np.maximum(self.v, neuron.v_min[:, None, None])
        if neuron.v_max is not None:
            self.v = np.minimum(self.v, neuron.v_max[:, None, None])
        s = np.where(self.v >= theta, np.minimum(self.v // theta, neuron.max_spikes), 0)
        if neuron.signed:
            s = np.where((self.v < 0) & (self.balance > 0), -1, s)
        self.balance += s
        if neuron.reset == "subtract":
            self.v -= s * theta
        else:
            self.v = np.where(s > 0, 0, self.v - np.minimum(s, 0) * theta)
        return s

    def _pass_maximum(self, pool: MaxPool, incoming: Ints) -> Ints:
        """The increment of the window's largest running count: after any t, counts in = max, counts
        out = max.
        """
        self.received += incoming
        largest = np.empty_like(self.passed)
        for y, x in np.ndindex(*largest.shape[1:]):
            inside = [
                self.received[:, iy, ix] for _, _, iy, ix in _taps(pool, y, x, self.received.shape)
            ]
            largest[:, y, x] = np.max(inside, axis=0)
        passed, self.passed = self.passed, largest
        return largest - passed

    def _pass_leader(self, pool: MaxPool, incoming: Ints) -> Ints:
        """The same where counts would grow without end: of each window's inputs only how far they
        are behind the one that has sent most is remembered, up to a limit.
        """
        sent = np.empty_like(self.passed)
        for y, x in np.ndindex(*sent.shape[1:]):
            taps = [(y, x, *tap) for tap in _taps(pool, y, x, incoming.shape)]
            for tap in taps:
                self.ahead[tap] = self.ahead.get(tap, 0) + incoming[:, tap[-2], tap[-1]]
            sent[:, y, x] = np.max([self.ahead[tap] for tap in taps], axis=0)
            for tap in taps:
                self.ahead[tap] = np.maximum(self.ahead[tap] - sent[:, y, x], -self.most_behind)
        return sent


def synaptic_current(op: Op, source: Ints, shape: Shape) -> Ints:
    """What `op` makes of one timestep of its source (C, H, W), by definition: int64 of `shape`."""
    current = np.zeros(shape, np.int64)
    match op:
        case Linear(weight):
            for o in range(shape[0]):
                current[o] = (weight[o] * source).sum()
        case Scale(weight):
            for c in range(shape[0]):
                current[c] = weight[c] * source[c]
        case Select(channels, rows, columns):
            for c, y, x in np.ndindex(*shape):
                at = channels[c], rows[y], columns[x]
                current[c, y, x] = source[at] if min(at) >= 0 else 0
        case SumPool(_, _, multiplier):
            for y, x in np.ndindex(*shape[1:]):
                for _, _, iy, ix in _taps(op, y, x, source.shape):
                    current[:, y, x] += source[:, iy, ix]
                if multiplier is not None:
                    current[:, y, x] *= multiplier[y, x]
        case Conv(weight, _, groups):
            per_group = shape[0] // groups
            for o in range(shape[0]):
                first = o // per_group * weight.shape[1]
                seen = source[first : first + weight.shape[1]]
                for y, x in np.ndindex(*shape[1:]):
                    for ky, kx, iy, ix in _taps(op, y, x, source.shape):
                        current[o, y, x] += (weight[o, :, ky, kx] * seen[:, iy, ix]).sum()
        case MaxPool():
            raise AssertionError("max pooling acts on running counts, not on a timestep")
    return current


def _taps(
    op: Conv | SumPool | MaxPool, y: int, x: int, source: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """(ky, kx, iy, ix) of each tap of output position (y, x) that falls on the input, not on
    padding.
    """
    window = op.window
    taps: list[tuple[int, ...]] = []
    for ky, kx in np.ndindex(*window.kernel):
        iy = y * window.stride[0] + ky * window.dilation[0] - window.pads[0]
        ix = x * window.stride[1] + kx * window.dilation[1] - window.pads[1]
        if 0 <= iy < source[1] and 0 <= ix < source[2]:
            taps.append((ky, kx, iy, ix))
    return taps
