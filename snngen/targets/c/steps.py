"""Levels without a search: as the upper bits of a product.

The thresholds t_1..t_N of an activation lie about evenly. With a base one step below t_1 and
u = clip(z, base, t_N) - base for a sum z,

    level = (u * m + a) >> s

is how many thresholds z has reached, for suitable m, a and s. With r_k = t_k - base, the first u of
level k, that asks for

    k * 2^s <= r_k * m + a   and   (r_k - 1) * m + a < k * 2^s    for every k,

as both sides only rise with u. What the first asks of a less what the second allows is a convex
function of m, so that m is found by bisection. The smallest s is taken that serves all channels.
Products fit 32 bits below s = 32. From there on they take 64, which hold that of any sum: levels
are clipped instead, and the largest sum must not reach a level whose threshold it does not. Where
there are no such numbers, the level is at least a lower bound, and some comparisons away.
Thresholds that no sum reaches may lie anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
WORD = 2**32
NEVER = 2**62
WIDE, WIDEST = 32, 44  # shifts of products of 64 bits


@dataclass(frozen=True, eq=False)
class Steps:
    """How a layer finds its levels; arrays are per channel, (C,). `comparisons`: by how many levels
    the product may be too low. From WIDE on, `shift` is that of products of unclipped sums.
    """

    base: Ints
    last: Ints
    multiplier: Ints
    offset: Ints
    shift: int
    comparisons: int


def steps(thresholds: Ints, highest: Ints) -> Steps:
    """For sorted `thresholds` (C, N) that 32 bits hold, and the `highest` sums (C,)."""
    counts = thresholds <= highest[:, None]
    counts[:, 0] = True
    first, number = thresholds[:, 0], counts.sum(1)
    last = np.take_along_axis(thresholds, number[:, None] - 1, 1)[:, 0]
    step = np.maximum((last - first) // np.maximum(number - 1, 1), 1)
    base = np.maximum(first - step, -(2**31))
    reached = thresholds - base[:, None]  # r
    largest = np.maximum(highest, last) - base
    return _exact(base, reached, largest, counts) or _lower_bound(base, reached, counts)


def _exact(base: Ints, reached: Ints, largest: Ints, counts: NDArray[np.bool_]) -> Steps | None:
    channels, levels = reached.shape
    number = counts.sum(1)  # levels that are reached
    top = np.take_along_axis(reached, number[:, None] - 1, 1)
    k = np.arange(levels + 2)
    # level k at least from `low` on, for k from 0; less up to `high`, for k to one beyond the last
    low = np.concatenate([np.zeros((channels, 1), np.int64), reached], axis=1)
    high = np.concatenate([reached - 1, top], axis=1)
    is_below = k[1:] <= number[:, None]
    clipped = np.where(is_below, high, top)
    unclipped = np.where(is_below, high, np.where(number < levels, largest, top[:, 0])[:, None])
    is_low, is_high = k[:-1] <= number[:, None], k[1:] <= number[:, None] + 1
    for shift in range(WIDEST + 1):
        least = np.where(is_low, k[:-1] << shift, 0)
        most = np.where(is_high, (k[1:] << shift) - 1, NEVER)
        high = np.where(is_high, clipped if shift < WIDE else unclipped, 0)
        found = _solve(np.where(is_low, low, 0), least, high, most)
        if found is not None:
            multiplier, offset = found
            product = top[:, 0] * multiplier + offset
            if (product < WORD if shift < WIDE else multiplier < WORD // 2).all():
                return Steps(base, base + top[:, 0], multiplier, offset, shift, comparisons=0)
    return None


def _solve(low: Ints, least: Ints, high: Ints, most: Ints) -> tuple[Ints, Ints] | None:
    """m < WORD and the smallest a, (C,), with least <= low * m + a and high * m + a <= most in all
    places of (C, K); None where some channel has none.
    """
    top = high.max(1, keepdims=True)
    beyond = most.min(1, where=high == top, initial=NEVER) // np.maximum(top[:, 0], 1)
    begin, end = np.zeros_like(beyond), np.minimum(beyond, WORD - 1)
    while (begin <= end).all():
        m = ((begin + end) // 2)[:, None]
        asked, allowed = least - low * m, most - high * m
        i, j = asked.argmax(1)[:, None], allowed.argmin(1)[:, None]
        offset = np.take_along_axis(asked, i, 1)[:, 0]
        lacks = offset > np.take_along_axis(allowed, j, 1)[:, 0]
        if not lacks.any():
            return m[:, 0], offset
        # a larger m relieves where `low` is the longer lever, a smaller one where `high` is
        relief = (np.take_along_axis(low, i, 1) - np.take_along_axis(high, j, 1))[:, 0]
        begin = np.where(lacks & (relief > 0), m[:, 0] + 1, np.where(lacks, begin, m[:, 0]))
        end = np.where(lacks & (relief < 0), m[:, 0] - 1, np.where(lacks, end, m[:, 0]))
        if (lacks & (relief == 0)).any():
            return None
    return None


def _lower_bound(base: Ints, reached: Ints, counts: NDArray[np.bool_]) -> Steps:
    """With the steepest line that is not ahead of any threshold."""
    levels = reached.shape[1]
    shift = 31 - levels.bit_length()
    k = np.arange(1, levels + 1)
    ahead = np.maximum(reached - 1, 1)
    top = np.where(counts, reached, 1).max(1)
    highest_at = np.where(counts, ((k << shift) - 1) // ahead, WORD)
    multiplier = np.minimum(highest_at.min(1), (WORD - 1) // top)
    level = (reached * multiplier[:, None]) >> shift
    comparisons = int(np.where(counts, k - level, 0).max())
    return Steps(base, base + top, multiplier, np.zeros_like(top), shift, comparisons)
