"""Step functions of real numbers as thresholds and equally spaced levels: the mathematics of
`Staircase`.

A threshold is the smallest double at which a step function has reached a level. It is found by
bisection over the doubles themselves, with the function computed as the model computes it, so that
the direction of ties, `>=` or `>`, and rounding half to even come out right by themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from snngen.graph import Floats, Staircase
from snngen.ops.window import Array

Function = Callable[[Floats], Floats]
"""Of values (C, N), row by row; C or N may be 1. Monotone in every row."""

MOST_LEVELS = 255  # above the lowest one
LARGEST = 1e30  # inputs beyond it are not looked at
TINY = 2.0**-500  # stands for "above 0", and survives being scaled
_SIGN = np.int64(-(2**63))
_SPACING = 1e-9  # deviation, in steps, within which levels count as equally spaced
_FINEST = 16  # the smallest gap between levels may be this many of their common steps


class NotLevels(Exception):  # noqa: N818 - a verdict that the caller turns into a Problem
    """Why a step function is no Staircase: the parts of a Problem that lack the place."""

    def __init__(self, rule: str, found: object = "", hint: str = "") -> None:
        self.rule, self.found, self.hint = rule, str(found), hint
        super().__init__(rule)


def first_where(holds: Callable[[Floats], Array], low: Floats, high: Floats) -> Floats:
    """The smallest double from `low` on at which `holds`, elementwise; `high` where it holds
    nowhere before. `holds` must not become false again.
    """
    begin, end = _rank(low), _rank(high)
    while np.any(begin < end):
        middle = (begin >> 1) + (end >> 1) + (begin & end & 1)  # their sum could overflow
        found = holds(_unrank(middle))
        begin, end = (
            np.where(found, begin, np.minimum(middle + 1, end)),
            np.where(found, middle, end),
        )
    value = _unrank(end)
    return np.where((value > 0) & (value < TINY), TINY, value)


def _rank(x: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """The doubles in order as consecutive integers; both zeros are 0."""
    bits = np.ascontiguousarray(x, np.float64).view(np.int64)
    return np.where(bits < 0, _SIGN - bits, bits)


def _unrank(rank: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Floats:
    bits = np.where(rank < 0, _SIGN - rank, rank)
    values: Floats = bits.view(np.float64)
    return values


def steps_of(rounded: Function, rest: Function, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """Thresholds (C, N) and values (C, N + 1) of the step function rest(rounded(x)) for x from
    `low` to `high` (C, 1).

    `rounded` gives integers, and neither function falls. Raises NotLevels.
    """

    def function(x: Floats) -> Floats:
        return rest(rounded(x))

    bottom, top = function(low), function(high)
    if np.any(bottom == top):
        row = int(np.flatnonzero(bottom == top)[0])
        raise NotLevels(
            "a quantised activation must have at least two levels",
            f"always {bottom[row, 0]:g}" + (f" in channel {row}" if len(bottom) > 1 else ""),
        )
    least = rounded(first_where(lambda x: function(x) > bottom, low, high))
    most = rounded(first_where(lambda x: function(x) >= top, low, high))
    counts = most - least + 1
    if counts.max() > MOST_LEVELS:
        endless = counts.max() > LARGEST / 2**40
        raise NotLevels(
            f"a quantised activation may have at most {MOST_LEVELS + 1} levels",
            "an unbounded number" if endless else f"{int(counts.max()) + 1}",
            "bound it: let Clip(0, n) follow the rounding, and fine-tune"
            if endless
            else "train with 8 bits or fewer",
        )
    if counts.min() != counts.max():
        raise NotLevels(
            "all channels must have the same number of levels",
            f"{int(counts.min()) + 1} to {int(counts.max()) + 1}",
        )
    wanted = least + np.arange(int(counts.max()))
    ends = (np.broadcast_to(end, wanted.shape) for end in (low, high))
    thresholds = first_where(lambda x: rounded(x) >= wanted, *ends)
    return thresholds, np.concatenate([bottom, rest(wanted)], axis=1)


def staircase(
    thresholds: Floats, values: Floats, *, shifted: bool = True
) -> tuple[Staircase, Floats | None]:
    """The Staircase with `thresholds` (C, N) and `values` (C, N + 1), rising; and what must be
    added to it (C,) where the lowest value is no multiple of the gaps between values. Unless it
    may be `shifted`, the step is then made finer instead.

    Where values differ by several steps the threshold is repeated. Raises NotLevels.
    """
    gaps = np.diff(values)
    keep = gaps.any(axis=0)
    values = values[:, np.append(True, keep)]
    gaps, thresholds = gaps[:, keep], thresholds[:, keep]
    step = _common_step(gaps if shifted else np.hstack([gaps, np.abs(values[:, :1])]))
    multiples = np.rint(gaps / step)
    if np.any(multiples != multiples[0]):
        other = gaps[(multiples != multiples[0]).any(axis=1)][0]
        raise NotLevels(
            "the levels must be spaced alike in all channels",
            f"{_listed(gaps[0])}; {_listed(other)}",
        )
    levels = np.concatenate([[0.0], np.cumsum(multiples[0])])
    if levels[-1] > MOST_LEVELS:
        raise NotLevels(
            f"the levels must be multiples, at most {MOST_LEVELS}, of one step",
            f"{levels[-1]:g} steps of {step[0, 0]:g}",
        )
    thresholds = _shared(np.repeat(thresholds, multiples[0].astype(np.int64), axis=1))
    lowest = values[:, :1] / step
    base = np.rint(lowest[0, 0])
    if np.any(np.abs(lowest - base) > _SPACING):
        if not shifted:
            raise NotLevels("the lowest level must be the same in all channels")
        return Staircase(thresholds, _shared(step)[:, 0]), values[:, 0]
    levels += base
    anchor = int(np.abs(levels).argmax())  # where the step's digits are best preserved
    step = values[:, anchor : anchor + 1] / levels[anchor]
    return Staircase(thresholds, _shared(step)[:, 0], int(base)), None


def _common_step(gaps: Floats) -> Floats:
    """The largest number (C, 1) of which all `gaps` (C, N) of a channel are multiples."""
    if not np.isfinite(gaps).all():
        raise NotLevels("the levels must be finite")
    positive = np.where(gaps > 0, gaps, np.inf)
    if not gaps.any(axis=1).all():
        raise NotLevels("a quantised activation must have at least two levels")
    smallest = positive.min(axis=1, keepdims=True)
    for parts in range(1, _FINEST + 1):
        multiples = gaps * parts / smallest
        if np.all(np.abs(multiples - np.rint(multiples)) <= _SPACING):
            whole = np.rint(multiples).sum(axis=1, keepdims=True)
            step: Floats = gaps.sum(axis=1, keepdims=True) / whole
            return step
    raise NotLevels(
        "the levels of a quantised activation must be equally spaced",
        f"gaps of {_listed(gaps[0])}",
        "use a uniform quantiser, and clip at one of its levels",
    )


def _listed(gaps: Floats) -> str:
    texts = list(dict.fromkeys(f"{gap:.6g}" for gap in gaps))
    return ", ".join(texts[:4]) + (", ..." if len(texts) > 4 else "")


def _shared(rows: Floats) -> Floats:
    """One row where all are equal."""
    return rows[:1] if np.all(rows == rows[0]) else rows


def values_of(op: Staircase) -> Floats:
    """What a Staircase gives, (C, N + 1); C is 1 where all channels share one step."""
    values: Floats = op.step[:, None] * (op.lowest + np.arange(op.thresholds.shape[1] + 1))
    return values
