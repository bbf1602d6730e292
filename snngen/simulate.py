"""The fast form of the golden model: layer by layer, all timesteps and a batch at once, on BLAS.

Float arithmetic is exact here: every product and every partial sum, in any order, is an integer
within the layer's proven bounds; float32 holds all integers up to 2**24, float64 up to 2**53.
`exact_dtype` picks by the bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer, FixedNet
from snngen.golden import LayerTrace, Trace
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import WEIGHTED, Interval, MaxPool, Op
from snngen.ops.max_pool import most_behind
from snngen.ops.window import Array
from snngen.parallel import ordered_map
from snngen.spiking import INPUT

Values = NDArray[np.floating[Any]]
LARGEST_EXACT_FLOAT32 = 2**24


@dataclass(frozen=True, eq=False)
class Simulation:
    """What a run of a batch keeps.

    `outputs`: the output membranes at every timestep, int64 (batch, T, K), K in canonical order.
    `counts`: per layer what it sent in all, summed over time, int64 (batch, C, H, W); the output
    layer has none. `spikes`: the same without regard to sign, how many spikes that took. `trace`:
    every output and membrane at every timestep, or None where it was not asked for.
    """

    outputs: NDArray[np.int64]
    counts: dict[str, NDArray[np.int64]]
    spikes: dict[str, NDArray[np.int64]]
    trace: Trace | None


def simulate(net: FixedNet, images: NDArray[np.uint8], *, trace: bool = False) -> Simulation:
    """Run `net` on raw bytes `images`: (batch, C, H, W), of a stream (batch, T, C, H, W), all
    cores, in memory proportional to the batch.
    """
    parts = list(stream(net, _chunks(images, _chunk_size(net, images)), trace=trace))
    return Simulation(
        np.concatenate([p.outputs for p in parts]),
        join_layers([p.counts for p in parts]),
        join_layers([p.spikes for p in parts]),
        None if not trace else _join([p.trace for p in parts if p.trace is not None]),
    )


def stream(
    net: FixedNet, batches: Iterator[NDArray[np.uint8]], *, trace: bool = False
) -> Iterator[Simulation]:
    """Run batch after batch, as many at once as there are cores, yielding results in order."""
    return ordered_map(lambda batch: _run(net, batch, trace), batches)


def join_layers(parts: Sequence[dict[str, NDArray[np.int64]]]) -> dict[str, NDArray[np.int64]]:
    """Several batches as one, layer by layer."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def exact_dtype(layer: FixedLayer, sources: list[Interval]) -> type[np.floating[Any]]:
    """float32 where all that the layer reads, sums up or holds stays within 2**24, else float64."""
    intervals = [layer.current, layer.output, *sources]
    intervals += [layer.membrane] if layer.membrane else []
    if isinstance(layer.neuron, IF):
        intervals.append(Interval(layer.neuron.threshold, layer.neuron.threshold))
    if isinstance(layer.neuron, Level):
        intervals += [Interval(column, column) for column in layer.neuron.thresholds.T]
    largest = max(max(abs(i.min), abs(i.max)) for i in intervals)
    for synapse in layer.synapses:
        if isinstance(synapse.op, WEIGHTED):
            largest = max(largest, int(np.abs(synapse.op.weight).max()))
    return np.float32 if largest <= LARGEST_EXACT_FLOAT32 else np.float64


def _chunks(images: NDArray[np.uint8], size: int) -> Iterator[NDArray[np.uint8]]:
    return (images[k : k + size] for k in range(0, len(images), size))


def _chunk_size(net: FixedNet, images: NDArray[np.uint8]) -> int:
    """Images at once: enough to keep BLAS busy, few enough that a layer's values stay in the
    cache.
    """
    largest = max(int(np.prod(layer.shape)) for layer in net.layers) * net.steps_of(images)
    return max(1, min(256, 2**21 // largest))


def _join(parts: list[Trace]) -> Trace:
    joined = {}
    for name, first in parts[0].items():
        membranes = [p[name].membrane for p in parts]
        joined[name] = LayerTrace(
            np.concatenate([p[name].output for p in parts]),
            None
            if first.membrane is None
            else np.concatenate([m for m in membranes if m is not None]),
        )
    return joined


def _run(net: FixedNet, images: NDArray[np.uint8], trace: bool) -> Simulation:
    """All layers, one after the other. Values are (T, batch, C, H, W), or T = 1 where they do not
    change.
    """
    channel = np.arange(net.input.shape[0])[:, None, None]
    given = net.input.table[channel, images].astype(np.float32)
    values: dict[str, Values] = {INPUT: given.swapaxes(0, 1) if net.is_stream else given[None]}
    steps = net.steps_of(images)
    last_use = {s.source: layer.name for layer in net.layers for s in layer.synapses}
    counts: dict[str, NDArray[np.int64]] = {}
    spikes: dict[str, NDArray[np.int64]] = {}
    traces: Trace = {}
    outputs = np.empty(0, np.int64)
    for layer in net.layers:
        sent, held = _layer(net, layer, values, steps, trace)
        if isinstance(layer.neuron, Accumulate):
            outputs = sent.reshape(*sent.shape[:2], -1).swapaxes(0, 1).astype(np.int64)
        else:
            total = partial(_sum_over_time, timesteps=steps, bounds=layer.output)
            counts[layer.name] = total(sent)
            signed = layer.output.min < 0
            spikes[layer.name] = total(np.abs(sent)) if signed else counts[layer.name]
        if trace:
            traces[layer.name] = LayerTrace(
                _as_trace(sent, steps),
                None if held is None else _as_trace(held, steps),
            )
        values[layer.name] = sent
        for synapse in layer.synapses:
            if last_use[synapse.source] == layer.name:
                values.pop(synapse.source, None)
    return Simulation(outputs, counts, spikes, traces if trace else None)


def _sum_over_time(values: Values, timesteps: int, bounds: Interval) -> NDArray[np.int64]:
    """What `values` (T or 1, batch, C, H, W), each within `bounds`, come to in all timesteps."""
    largest = timesteps * max(abs(bounds.min), abs(bounds.max))
    exact = values.dtype if largest <= LARGEST_EXACT_FLOAT32 else np.float64
    total: NDArray[np.int64] = values.sum(0, dtype=exact).astype(np.int64)
    return timesteps // len(values) * total


def _as_trace(values: Values, timesteps: int) -> NDArray[np.int64]:
    steps = np.broadcast_to(values, (timesteps, *values.shape[1:]))
    return np.ascontiguousarray(steps.swapaxes(0, 1)).astype(np.int64)


def _layer(
    net: FixedNet, layer: FixedLayer, values: dict[str, Values], steps: int, trace: bool
) -> tuple[Values, Values | None]:
    """What the layer sends and, where it has a neuron and `trace` asks for it, what it holds."""
    dtype = exact_dtype(layer, [net.source_interval(s.source) for s in layer.synapses])
    first = layer.synapses[0]
    if isinstance(first.op, MaxPool):
        if net.is_stream:
            source = values[first.source]
            behind = most_behind(net.source_interval(first.source))
            return _pass_leaders(first.op, source, behind).astype(dtype), None
        received = np.cumsum(_over_time(values[first.source], steps), 0, dtype=np.float64)
        largest = _apply(first.op, received)
        return np.diff(largest, axis=0, prepend=np.zeros_like(largest[:1])).astype(dtype), None
    current = _apply(_as_float(first.op, dtype), values[first.source].astype(dtype, copy=False))
    for synapse in layer.synapses[1:]:
        part = _apply(
            _as_float(synapse.op, dtype), values[synapse.source].astype(dtype, copy=False)
        )
        current = current + part
    if layer.bias is not None:
        current += layer.bias[:, None, None].astype(dtype)
    match layer.neuron:
        case None:
            return current, None
        case Level(thresholds, lowest):
            return _level(current, thresholds, lowest), current
        case Accumulate(limit):
            v = _accumulate(_over_time(current, steps), limit)
            return v, v
        case IF() as neuron:
            return _fire(neuron, current, steps, trace)


def _accumulate(current: Values, limit: int | None) -> Values:
    """The running sum of `current` (T, batch, C, H, W), within -limit..limit."""
    if limit is None:
        return np.cumsum(current, 0, dtype=current.dtype)
    v = np.empty_like(current)
    now = np.zeros_like(current[0])
    for t, part in enumerate(current):
        now = np.clip(now + part, -limit, limit, out=v[t])
    return v


def _pass_leaders(pool: MaxPool, source: Values, most: int) -> Values:
    """Of each window, what the input that has sent most sends in addition; others are at most
    `most` behind it.
    """
    sent = []
    ahead: Values | int = 0  # (batch, C, kh, kw, H_out, W_out); padding lies at -inf
    for values in source:
        received = ahead + pool.window.taps(values.astype(np.float64), -np.inf)
        largest = received.max((2, 3))
        ahead = np.maximum(received - largest[:, :, None, None], -most)
        sent.append(largest)
    return np.stack(sent)


def _level(current: Values, thresholds: Array, lowest: int) -> Values:
    """`lowest` + how many of its channel's `thresholds` (C, N) each of `current` has reached."""
    channels, count = thresholds.shape
    reached = np.zeros(current.shape, np.min_scalar_type(count))
    above = np.empty(current.shape, bool)
    for threshold in thresholds.T.astype(current.dtype):
        np.greater_equal(current, threshold.reshape(channels, 1, 1), out=above)
        reached += above.view(np.uint8)
    return np.add(reached, lowest, dtype=current.dtype)


def _fire(neuron: IF, current: Values, timesteps: int, trace: bool) -> tuple[Values, Values | None]:
    """Integrate and fire over `current` (T or 1, batch, C, H, W)."""
    dtype, shape = current.dtype, current.shape[1:]

    def per_neuron(values: Array) -> Values:
        """One value per channel (C,) as (C, H, W), which no loop over channels slows down."""
        spread: Values = np.empty(shape[1:], dtype)
        spread[:] = values[:, None, None]
        return spread

    theta = per_neuron(neuron.threshold)
    v_min = None if neuron.v_min is None else per_neuron(neuron.v_min)
    v_max = None if neuron.v_max is None else per_neuron(neuron.v_max)
    v = np.empty(shape, dtype)
    v[:] = per_neuron(neuron.v_init)
    sent = np.empty((timesteps, *shape), dtype)
    held = np.empty_like(sent) if trace else None
    balance, scratch = np.zeros_like(v), np.empty_like(v)
    fires, takes_back = np.empty(shape, bool), np.empty(shape, bool)
    for t in range(timesteps):
        v += current[t % len(current)]
        if v_min is not None:
            np.maximum(v, v_min, out=v)
        if v_max is not None:
            np.minimum(v, v_max, out=v)
        s = sent[t]
        np.greater_equal(v, theta, out=fires)
        np.copyto(s, fires)
        if neuron.max_spikes > 1:
            s *= np.minimum(np.floor_divide(v, theta), dtype.type(neuron.max_spikes))
        if neuron.signed:
            np.less(v, 0, out=takes_back)
            takes_back &= balance > 0
            s -= takes_back
            balance += s
        if neuron.reset == "subtract":
            v -= np.multiply(s, theta, out=scratch)
        else:
            np.copyto(v, 0, where=s > 0)
            v -= np.minimum(s, 0) * theta
        if held is not None:
            held[t] = v
    return sent, held


def _over_time(values: Values, timesteps: int) -> Values:
    return np.broadcast_to(values, (timesteps, *values.shape[1:]))


def _apply(op: Op, values: Values) -> Values:
    """`op` on every timestep and image of `values` (T, batch, C, H, W)."""
    steps, batch = values.shape[:2]
    result = op.forward(values.reshape(steps * batch, *values.shape[2:]))
    return result.reshape(steps, batch, *result.shape[1:])


def _as_float(op: Op, dtype: type[np.floating[Any]]) -> Op:
    return replace(op, weight=op.weight.astype(dtype)) if isinstance(op, WEIGHTED) else op
