"""What every FixedNet obeys, checked in full: the invariants that targets rely on, and the overflow
proof once more.
"""

from __future__ import annotations

import numpy as np

from snngen.bounds import prove
from snngen.errors import BoundError
from snngen.fixed import FixedInput, FixedLayer, FixedNet
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import WEIGHTED, WIRING, Conv, Interval, MaxPool, Op, Shape, SumPool, Window
from snngen.ops.window import Array
from snngen.spiking import INPUT

MAX_TIMESTEPS = 2**16
MAX_LAYERS = 2**12
MAX_VALUES = 2**24  # neurons of a layer, and positions of a padded plane
MAX_TAPS = 2**28  # taps of a pooling layer that are looked at one by one
MAX_WEIGHT = 2**15 - 1
INT32 = np.iinfo(np.int32)


def check_fixed(net: FixedNet) -> None:
    """Raise ValueError, naming the place and the rule, unless `net` is a network that snngen could
    have made.

    Trusts nothing but the types of the fields, so that it can judge a network read from a file.
    """
    _require(1 <= net.timesteps <= MAX_TIMESTEPS, "timesteps", f"must be 1..{MAX_TIMESTEPS}")
    _require(
        bool(np.isfinite(net.output_scale)) and net.output_scale > 0,
        "output_scale",
        "must be a positive number",
    )
    _require(1 <= len(net.layers) <= MAX_LAYERS, "the network", f"must have 1..{MAX_LAYERS} layers")
    _check_input(net.input)
    shapes: dict[str, Shape] = {INPUT: net.input.shape}
    intervals: dict[str, Interval] = {INPUT: net.input.interval}
    for layer in net.layers:
        where = f"layer '{layer.name}'"
        _require(
            layer.name not in shapes and layer.name != "", where, "must have a name of its own"
        )
        _require(
            isinstance(layer.neuron, Accumulate) == (layer is net.layers[-1]),
            where,
            "must accumulate if, and only if, it is the last",
        )
        _check_sources(layer, where, shapes)
        _check_kind(layer, where)
        _check_numbers(layer, where)
        _check_bounds(layer, where, intervals, net.longest)
        shapes[layer.name], intervals[layer.name] = layer.shape, layer.output


def _require(rule_holds: bool, where: str, rule: str) -> None:
    if not rule_holds:
        raise ValueError(f"{where} {rule}")


def _check_size(shape: Shape, where: str) -> None:
    c, h, w = shape
    _require(
        min(shape) >= 1 and c * h * w <= MAX_VALUES, where, f"must have 1..{MAX_VALUES} values"
    )


def _check_input(given: FixedInput) -> None:
    _check_size(given.shape, "the input")
    channels = given.shape[0]
    _require(
        given.table.shape == (channels, 256), "the input's table", f"must be ({channels}, 256)"
    )
    for name, values in (("gain", given.gain), ("offset", given.offset)):
        _require(
            values.shape == (channels,) and bool(np.isfinite(values).all()),
            f"the input's {name}",
            f"must be {channels} finite numbers",
        )


def _check_sources(layer: FixedLayer, where: str, shapes: dict[str, Shape]) -> None:
    """Sources are earlier layers, and every operator makes the layer's shape of its source's."""
    _check_size(layer.shape, where)
    _require(len(layer.synapses) >= 1, where, "must have a synapse")
    for synapse in layer.synapses:
        _require(
            synapse.source in shapes, where, f"reads '{synapse.source}', which no earlier layer is"
        )
        source = shapes[synapse.source]
        if isinstance(synapse.op, Conv | SumPool | MaxPool):
            _check_window(synapse.op.window, source, where)
        made = synapse.op.shape(source)
        _require(made == layer.shape, where, f"has shape {layer.shape}, its operator makes {made}")


def _check_window(window: Window, source: Shape, where: str) -> None:
    """Small enough to be looked at position by position."""
    top, left, bottom, right = window.pads
    padded = (source[1] + top + bottom) * (source[2] + left + right)
    _require(padded <= MAX_VALUES, where, f"pads its input to {padded} positions")
    out_h, out_w = window.positions(source[1], source[2])
    taps = out_h * out_w * window.kernel[0] * window.kernel[1]
    _require(taps <= MAX_TAPS, where, f"has {taps} taps in a channel")


def _check_kind(layer: FixedLayer, where: str) -> None:
    """A layer is weighted or wiring, and carries what its kind may carry."""
    ops = [synapse.op for synapse in layer.synapses]
    if layer.is_wiring:
        _require(all(isinstance(op, WIRING) for op in ops), where, "mixes weights and wiring")
        _require(
            layer.bias is None and layer.neuron is None, where, "is wiring, with a bias or a neuron"
        )
        _require(
            len(ops) == 1 or not any(isinstance(op, MaxPool) for op in ops),
            where,
            "takes the maximum of more than one source",
        )
    else:
        _require(all(isinstance(op, WEIGHTED) for op in ops), where, "mixes weights and wiring")


def _check_numbers(layer: FixedLayer, where: str) -> None:
    channels = layer.shape[0]
    for synapse in layer.synapses:
        _check_operator(synapse.op, where)
    if layer.bias is not None:
        _check_per_channel(layer.bias, channels, f"{where}: the bias")
    match layer.neuron:
        case IF() as neuron:
            _check_per_channel(neuron.v_init, channels, f"{where}: v_init")
            _check_per_channel(neuron.threshold, channels, f"{where}: the threshold")
            _require(bool((neuron.threshold >= 1).all()), where, "has a threshold below 1")
            _require(1 <= neuron.max_spikes <= INT32.max, where, "has a max_spikes below 1")
            if neuron.v_min is not None:
                _check_per_channel(neuron.v_min, channels, f"{where}: v_min")
                _require(bool((neuron.v_min <= 0).all()), where, "has a v_min above 0")
            if neuron.v_max is not None:
                _check_per_channel(neuron.v_max, channels, f"{where}: v_max")
                reached = bool((neuron.v_max >= neuron.threshold).all())
                _require(reached, where, "has a v_max below its threshold")
        case Accumulate(limit):
            _require(limit is None or 1 <= limit <= INT32.max, where, "has a limit below 1")
        case Level(thresholds, lowest):
            _require(
                thresholds.ndim == 2 and thresholds.shape[0] == channels and thresholds.size > 0,
                f"{where}: the level thresholds",
                f"must be ({channels}, N) numbers",
            )
            _require(_fits_int32(thresholds), where, "has a level threshold beyond 32 bits")
            ascending = bool((thresholds[:, 1:] >= thresholds[:, :-1]).all())
            _require(ascending, where, "has level thresholds that are not in ascending order")
            fits = INT32.min <= lowest <= INT32.max - thresholds.shape[1]
            _require(fits, where, "sends levels beyond 32 bits")
        case _:
            pass


def _check_operator(op: Op, where: str) -> None:
    if isinstance(op, WEIGHTED):
        _require(
            op.weight.size > 0 and -MAX_WEIGHT <= op.weight.min() <= op.weight.max() <= MAX_WEIGHT,
            where,
            f"must have weights in -{MAX_WEIGHT}..{MAX_WEIGHT}",
        )
    elif isinstance(op, SumPool):
        _require(1 <= op.divisor <= INT32.max, where, "has a divisor below 1")
        if op.multiplier is not None:
            small = _fits_int32(op.multiplier) and bool((op.multiplier >= 1).all())
            _require(small, where, "has a multiplier below 1 or beyond 32 bits")


def _check_per_channel(values: Array, channels: int, what: str) -> None:
    _require(
        values.shape == (channels,) and _fits_int32(values),
        what,
        f"must be {channels} 32-bit numbers",
    )


def _fits_int32(values: Array) -> bool:
    return bool(INT32.min <= values.min() and values.max() <= INT32.max)


def _check_bounds(
    layer: FixedLayer, where: str, intervals: dict[str, Interval], timesteps: int | None
) -> None:
    """Prove the layer's bounds again, and find what it claims."""
    sources = [intervals[synapse.source] for synapse in layer.synapses]
    reach = sum(
        _gain(synapse.op) * max(abs(source.min), abs(source.max))
        for synapse, source in zip(layer.synapses, sources, strict=True)
    )
    _require(reach < 2**53, where, "sums up more than any integer type can hold")
    try:
        proven = prove(layer.name, layer.synapses, sources, layer.bias, layer.neuron, timesteps)
    except BoundError as error:
        raise ValueError(f"{where}: {error.problems[0].rule}") from error
    for what, claimed, true in (
        ("current", layer.current, proven.current),
        ("membrane", layer.membrane, proven.membrane),
        ("output", layer.output, proven.output),
    ):
        _require(_equal(claimed, true), where, f"claims bounds of its {what} that are not proven")


def _gain(op: Op) -> int:
    """By how much `op` can enlarge what it reads."""
    if isinstance(op, WEIGHTED):
        return int(np.abs(op.weight).sum())
    if isinstance(op, SumPool):
        return op.fan_in * (1 if op.multiplier is None else int(op.multiplier.max()))
    return 1


def _equal(a: Interval | None, b: Interval | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a.lo, b.lo) and np.array_equal(a.hi, b.hi)
