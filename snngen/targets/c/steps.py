"""Levels without a search: as the upper bits of a product.

Most sums reach no threshold, which one comparison tells. The thresholds t_1..t_N of an activation
lie about evenly, so that with u = min(z, t_N) - t_1 for a sum z,

    level = 1 + ((u * m + a) >> s)    for z >= t_1, else 0

is how many thresholds z has reached, for suitable m, a and s. With r_k = t_(k+1) - t_1, the first u
of level k + 1, that asks for

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

    first: Ints
    last: Ints
    multiplier: Ints
    offset: Ints
    shift: int
    comparisons: int


def steps(thresholds: Ints, highest: Ints) -> Steps:
    """For sorted `thresholds` (C, N) that 32 bits hold, and the `highest` sums (C,)."""
    first = thresholds[:, 0]
    further = thresholds[:, 1:] - first[:, None]  # r
    counts = thresholds[:, 1:] <= highest[:, None]
    largest = np.maximum(highest - first, 0)
    return _exact(first, further, largest, counts) or _lower_bound(first, further, counts)


def _exact(first: Ints, reached: Ints, largest: Ints, counts: NDArray[np.bool_]) -> Steps | None:
    channels, levels = reached.shape
    number = counts.sum(1)  # levels that are reached
    k = np.arange(levels + 2)
    # at least k from `low` on, for k from 0; less up to `high`, for k to one beyond the last
    low = np.concatenate([np.zeros((channels, 1), np.int64), reached], axis=1)
    top = np.take_along_axis(low, number[:, None], 1)
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
                return Steps(first, first + top[:, 0], multiplier, offset, shift, comparisons=0)
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


def _lower_bound(first: Ints, reached: Ints, counts: NDArray[np.bool_]) -> Steps:
    """With the steepest line that is not ahead of any threshold."""
    levels = reached.shape[1]
    shift = 31 - levels.bit_length()
    k = np.arange(1, levels + 1)
    ahead = np.maximum(reached - 1, 1)
    top = np.where(counts, np.maximum(reached, 1), 1).max(1)
    highest_at = np.where(counts, ((k << shift) - 1) // ahead, WORD)
    beyond = ((counts.sum(1) + 1) << shift) - 1  # the product of the last threshold and all further
    multiplier = np.minimum(highest_at.min(1), np.minimum(beyond, WORD - 1) // top)
    level = (reached * multiplier[:, None]) >> shift
    comparisons = int(np.where(counts, k - level, 0).max())
    return Steps(first, first + top, multiplier, np.zeros_like(top), shift, comparisons)
