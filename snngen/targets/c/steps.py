"""Levels without a search: as the upper bits of a product.

The thresholds t_1..t_N of an activation lie about evenly. With base = t_1 - 1 and
u = clip(z, base, t_N) - base for a sum z,

    level = ((u * m + a) mod 2**32) >> s

is how many thresholds z has reached, for suitable m, a and s. Both only rise with z, so that it is
enough to compare them on either side of every threshold. Where there are no such numbers, the level
is at least a lower bound, from which comparisons go on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
WORD = 2**32
CANDIDATES = 32  # multipliers for each shift


@dataclass(frozen=True, eq=False)
class Steps:
    """How a layer finds its levels; arrays are per channel, (C,). `exact`: without comparisons."""

    base: Ints
    last: Ints
    multiplier: Ints
    offset: Ints
    shift: int
    exact: bool


def steps(thresholds: Ints) -> Steps:
    """For sorted `thresholds` (C, N) that 32 bits hold."""
    base = np.maximum(thresholds[:, 0] - 1, -(2**31))
    reached = thresholds - base[:, None]  # the first u of every level
    return _exact(base, reached) or _lower_bound(base, reached)


def _exact(base: Ints, reached: Ints) -> Steps | None:
    """With the smallest shift for which every channel has a multiplier and an offset."""
    top, levels = reached[:, -1], reached.shape[1]
    k = np.arange(1, levels + 1)
    step = (top - 1) / max(levels - 1, 1)
    for shift in range(32):
        # the line may be steeper or flatter than the chord by what rounding moved its ends
        flattest = np.floor(2**shift / (step + 1 / levels)).astype(np.int64)
        multiplier, offset = np.zeros_like(flattest), np.zeros_like(flattest)
        found = np.zeros(len(flattest), bool)
        for m in (flattest + d for d in range(CANDIDATES)):
            least = np.maximum(((k << shift) - reached * m[:, None]).max(1), 0)
            most = ((k << shift) - 1 - (reached - 1) * m[:, None]).min(1)
            good = (least <= most) & (top * m + least < WORD) & ~found
            multiplier, offset = np.where(good, m, multiplier), np.where(good, least, offset)
            found |= good
        if found.all():
            return Steps(base, base + top, multiplier, offset, shift, exact=True)
    return None


def _lower_bound(base: Ints, reached: Ints) -> Steps:
    """With the steepest line that is not ahead of any threshold."""
    levels = reached.shape[1]
    shift = 31 - levels.bit_length()
    k = np.arange(1, levels + 1)
    ahead = np.maximum(reached - 1, 1)  # u = 0 gives level 0 under any multiplier
    top = np.maximum(reached[:, -1], 1)
    multiplier = np.minimum((((k << shift) - 1) // ahead).min(1), (WORD - 1) // top)
    last = base + reached[:, -1]
    return Steps(base, last, multiplier, np.zeros_like(last), shift, exact=False)
