"""The overflow proof: interval arithmetic over a layer, from what its sources can send to what it
can hold and send, in a number of timesteps or in any number of them.

Every bound holds for any order of additions, because each partial sum lies in the hull taken with
zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.errors import BoundError, Problem
from snngen.neurons import IF, Accumulate, Level, Neuron
from snngen.ops import Interval, MaxPool
from snngen.ops.max_pool import most_behind
from snngen.spiking import Synapse

INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, eq=False)
class Bounds:
    """Proven intervals of one layer: current (every partial sum), membrane (None if it has none),
    and what it sends.
    """

    current: Interval
    membrane: Interval | None
    output: Interval


def prove(
    name: str,
    synapses: Sequence[Synapse],
    sources: Sequence[Interval],
    bias: NDArray[np.int64] | None,
    neuron: Neuron | None,
    timesteps: int | None,
) -> Bounds:
    """Bound a layer whose synapse k reads values in `sources[k]`, for so many `timesteps`, or None
    for any number; BoundError where 32 bits do not suffice.
    """
    parts = [synapse.op.bounds(source) for synapse, source in zip(synapses, sources, strict=True)]
    current = parts[0]
    for part in parts[1:]:
        current = current.with_zero() + part.with_zero()
    if bias is not None:
        current = _hull_sum(current, Interval.constant(bias.astype(np.int64)))
    _fits(name, "the current", current)
    if isinstance(synapses[0].op, MaxPool):
        return _pooled(name, current, sources[0], timesteps)
    match neuron:
        case None:
            return Bounds(current, None, current)
        case Level(thresholds, lowest):
            highest = lowest + thresholds.shape[1]
            sent = Interval(np.full_like(current.lo, lowest), np.full_like(current.hi, highest))
            return Bounds(current, None, sent)
        case Accumulate(limit):
            membrane, kept = _accumulated(name, current, limit, timesteps)
            _fits(name, "the output membrane", membrane)
            return Bounds(current, membrane, kept)
        case IF():
            if timesteps is None:
                membrane = _membrane_without_end(name, neuron, current)
            else:
                membrane = _membrane(neuron, current, timesteps)
            _fits(name, "the membrane", membrane)
            if neuron.signed:
                assert timesteps is not None
                most = Interval.constant(np.array([neuron.max_spikes * timesteps]))
                _fits(name, "the number of spikes sent", most)
            lowest = -1 if neuron.signed else 0
            return Bounds(
                current,
                membrane,
                Interval(
                    np.full_like(current.lo, lowest), np.full_like(current.hi, neuron.max_spikes)
                ),
            )


def _hull_sum(current: Interval, bias: Interval) -> Interval:
    """current + bias where the sum may start from the bias or end with it."""
    return (current + bias).hull(current).hull(bias)


def _pooled(name: str, current: Interval, source: Interval, timesteps: int | None) -> Bounds:
    """A max pool, which works on running counts: what it can have received in all. Their maximum
    rises by no more than the largest step, and falls by no more than the smallest.
    """
    if timesteps is None:
        if source.min < 0:
            rule = "the maximum of running counts that fall has no bound in a stream"
            found = f"it reads values down to {source.min}"
            hint = "let it read spikes, or use average pooling"
            raise BoundError(Problem(f"layer '{name}'", rule, found, hint))
        behind = np.full_like(source.hi, -most_behind(source))
        _fits(name, "how far an input is behind", Interval(behind, source.hi))
        return Bounds(current, None, current)
    total = Interval(np.minimum(current.lo, 0) * timesteps, np.maximum(current.hi, 0) * timesteps)
    _fits(name, "the running count", total)
    return Bounds(
        current, None, current if timesteps == 1 or current.min >= 0 else current.with_zero()
    )


def _accumulated(
    name: str, current: Interval, limit: int | None, timesteps: int | None
) -> tuple[Interval, Interval]:
    """Of the output membrane: what it takes, and what is kept of that."""
    if limit is not None:
        kept = Interval(np.full_like(current.lo, -limit), np.full_like(current.hi, limit))
        return kept + current.with_zero(), kept
    if timesteps is None:
        raise _without_end(name, "the output membrane", "it has no limit")
    total = Interval(np.minimum(current.lo, 0) * timesteps, np.maximum(current.hi, 0) * timesteps)
    return total, total


def _without_end(name: str, what: str, found: str) -> BoundError:
    rule = f"{what} of a stream must be bounded for any number of timesteps"
    return BoundError(Problem(f"layer '{name}'", rule, found))


def _membrane_without_end(name: str, neuron: IF, current: Interval) -> Interval:
    """The interval of v for any number of timesteps, held by clamps, by the signs of the current,
    or by a reset that takes as much as one timestep can bring.
    """
    theta, first = neuron.threshold.astype(np.int64), neuron.v_init.astype(np.int64)
    if neuron.signed:
        raise _without_end(name, "the number of spikes that may be taken back", "signed spikes")
    if neuron.v_min is None and current.min < 0:
        raise _without_end(name, "the membrane", f"a current down to {current.min}, and no v_min")
    resets = neuron.reset == "zero" or bool((current.hi <= neuron.max_spikes * theta).all())
    if neuron.v_max is None and not resets:
        raise _without_end(name, "the membrane", f"a current up to {current.max}, and no v_max")
    lowest = np.minimum(first, 0 if neuron.v_min is None else neuron.v_min)
    highest = np.maximum(first, theta - 1 if neuron.v_max is None else neuron.v_max)
    return Interval(lowest, highest) + current.with_zero()


def _membrane(neuron: IF, current: Interval, timesteps: int) -> Interval:
    """Iterate the interval of v over T timesteps; covers v before the threshold test as well as
    after the reset.
    """
    theta, most = neuron.threshold.astype(np.int64), neuron.max_spikes
    lo = hi = neuron.v_init.astype(np.int64)
    seen = Interval(lo, hi)
    for _ in range(timesteps):
        lo_before, hi_before = lo, hi
        lo, hi = lo + current.lo, hi + current.hi
        seen = seen.hull(Interval(lo, np.maximum(hi, lo)))
        if neuron.v_min is not None:
            lo, hi = np.maximum(lo, neuron.v_min), np.maximum(hi, neuron.v_min)
        if neuron.v_max is not None:
            lo, hi = np.minimum(lo, neuron.v_max), np.minimum(hi, neuron.v_max)
        fires = hi >= theta
        if neuron.reset == "zero":
            low_after, high_after = np.zeros_like(lo), np.zeros_like(hi)
        else:
            # v - s*theta lies in 0..theta-1 for theta <= v < (m+1)*theta, and above that it is v -
            # m*theta
            low_after = np.where(lo >= (most + 1) * theta, lo - most * theta, 0)
            high_after = np.maximum(theta - 1, hi - most * theta)
        quiet_hi = np.minimum(hi, theta - 1)
        new_lo = np.where(lo < theta, np.where(fires, np.minimum(lo, low_after), lo), low_after)
        new_hi = np.where(
            lo < theta, np.where(fires, np.maximum(quiet_hi, high_after), quiet_hi), high_after
        )
        if neuron.signed:  # v < 0 may be raised by theta, at most to theta - 1
            new_hi = np.maximum(new_hi, np.where(lo < 0, theta - 1, new_hi))
        if np.array_equal(lo_before, new_lo) and np.array_equal(hi_before, new_hi):
            break  # and so it stays
        lo, hi = new_lo, new_hi
        seen = seen.hull(Interval(lo, hi))
        if lo.min() < -(2**40) or hi.max() > 2**40:
            break  # hopeless already; stop before int64 itself overflows
    return seen


def _fits(name: str, what: str, interval: Interval) -> None:
    if interval.min < INT32.min or interval.max > INT32.max:
        channel = int(np.argmax(np.maximum(interval.hi, -interval.lo)))
        lo, hi = int(interval.lo[channel]), int(interval.hi[channel])
        raise BoundError(
            Problem(
                f"layer '{name}'",
                f"{what} cannot be proven to fit 32 bits",
                f"channel {channel} can reach {lo}..{hi}",
                "use fewer weight bits or fewer timesteps",
            )
        )
