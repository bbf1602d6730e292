"""Levels as products, compared with counting thresholds on both sides of each of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snngen.targets.c.constants import c_int
from snngen.targets.c.steps import WIDE, WORD, Steps, steps

Ints = np.ndarray


def levels_of(found: Steps, thresholds: Ints, channel: int, sums: Ints) -> Ints:
    """As snn_level.c computes them, in Python's integers."""
    table = [*thresholds[channel].tolist(), None]
    first, last = int(found.first[channel]), int(found.last[channel])
    levels = []
    for z in sums.tolist():
        if z < first:
            levels.append(0)
            continue
        u = (min(z, last) if found.shift < WIDE else z) - first
        product = u * int(found.multiplier[channel]) + int(found.offset[channel])
        assert product < WORD if found.shift < WIDE else abs(product) < WORD**2 // 2
        level = 1 + (product >> found.shift)
        level = level if found.shift < WIDE else min(level, len(thresholds[channel]))
        for _ in range(found.comparisons):
            level += table[level] is not None and z >= table[level]
        levels.append(level)
    return np.array(levels)


def differences(found: Steps, thresholds: Ints, highest: Ints) -> int:
    """How many levels are wrong, around all thresholds and far from them."""
    wrong = 0
    for channel, row in enumerate(thresholds):
        sums = np.unique([row - 1, row, row + 1, np.full_like(row, -(2**31))])
        sums = sums[(sums <= highest[channel]) & (sums >= -(2**31))]
        wanted = (sums[:, None] >= row).sum(1)
        wrong += int((levels_of(found, thresholds, channel, sums) != wanted).sum())
    return wrong


def evenly(rng: np.random.Generator, channels: int, count: int) -> Ints:
    step = 10 ** rng.uniform(-0.5, 6, (channels, 1))
    return np.ceil(rng.uniform(-1e6, 1e6, (channels, 1)) + step * np.arange(count)).astype(np.int64)


def anyhow(rng: np.random.Generator, channels: int, count: int) -> Ints:
    return np.sort(rng.integers(-1000, 100_000, (channels, count)), axis=1)


@pytest.mark.parametrize("draw", [evenly, anyhow])
def test_every_level_is_right(draw) -> None:
    rng = np.random.default_rng(5)
    kinds = set()
    for _ in range(300):
        thresholds = draw(rng, int(rng.integers(1, 4)), int(rng.integers(1, 40)))
        span = int(np.ptp(thresholds)) // 2
        highest = thresholds[:, -1] + rng.integers(-span, 1000, len(thresholds))
        found = steps(thresholds, highest)
        assert differences(found, thresholds, highest) == 0, (thresholds, highest)
        kinds.add((found.shift >= WIDE, found.comparisons > 0))
    assert kinds >= ({(False, False), (True, False)} if draw is evenly else {(False, True)})


def test_thresholds_at_the_ends_of_32_bits() -> None:
    for row in ([-(2**31)], [-(2**31), 2**31 - 1], [2**31 - 1], [-(2**31), 0, 2**31 - 1], [7, 7]):
        thresholds = np.array([row])
        highest = np.array([2**31 - 1])
        assert differences(steps(thresholds, highest), thresholds, highest) == 0, row


def test_thresholds_that_coincide_with_the_first() -> None:
    thresholds = np.array([[5, 5, 5], [1, 4, 5]])  # the others have no exact product
    highest = np.array([20, 20])
    with np.errstate(all="raise"):
        found = steps(thresholds, highest)
    assert differences(found, thresholds, highest) == 0


def test_many_levels_of_many_channels() -> None:
    step = np.random.default_rng(1).uniform(10, 5000, (512, 1))
    thresholds = np.ceil(step * (np.arange(255) + 0.5)).astype(np.int64)
    found = steps(thresholds, thresholds[:, -1])
    assert found.comparisons <= 1
    for channel in (0, 100, 511):
        row, sums = (
            thresholds[channel],
            np.concatenate([thresholds[channel] - 1, thresholds[channel]]),
        )
        levels = levels_of(found, thresholds, channel, sums)
        np.testing.assert_array_equal(levels, (sums[:, None] >= row).sum(1))


def test_a_wrong_number_is_noticed() -> None:
    thresholds = np.array([[12548, 37634, 62719, 87804, 112889, 137974, 163059]])
    highest = np.array([200_000])
    found = steps(thresholds, highest)
    assert differences(found, thresholds, highest) == 0
    for wrong in (
        replace(found, first=found.first - 2),
        replace(found, multiplier=found.multiplier * 9 // 8),
        replace(found, offset=found.offset + 2 * found.multiplier),
        replace(found, shift=found.shift + 1),
    ):
        assert differences(wrong, thresholds, highest) > 0, wrong


def test_literals_of_c_hold_every_number() -> None:
    numbers = [0, -(2**31) + 1, -(2**31) - 1, 2**31, -(2**40)]
    assert [c_int(n) for n in numbers] == [str(n) for n in numbers]
    assert c_int(-(2**31)) == "(-2147483647 - 1)"  # its digits alone are not of type int
