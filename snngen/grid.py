"""Weights that are multiples of one unit already, as those of quantised networks are.

Such weights become integers without any rounding, and with them a layer's whole sum.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A weight that was stored, and perhaps scaled, in float32 is off by a few 2**-24 of itself. What
# passes by accident is changed by no more than that: less than by any other way to round it.
NOISE = 2.0**-20
SAMPLE = 32  # columns that are looked at first
NEAR = 1e-9  # relative distance from an integer within which a double may be on its wrong side


def peaks(rows: Floats, bits: int) -> Ints:
    """Per row of `rows` (R, n), the smallest k such that row * k / (its largest magnitude) holds
    only integers of `bits` bits, two's complement; 0 where there is none: (R,).
    """
    largest = np.abs(rows).max(1)
    ratio = rows / np.where(largest > 0, largest, 1.0)[:, None]
    found = np.zeros(len(rows), np.int64)
    open_rows = np.arange(len(rows))
    for k in range(1, 2 ** (bits - 1) + 1):
        fitting = open_rows[_integer(ratio[open_rows, :SAMPLE], k)]
        fitting = fitting[_integer(ratio[fitting], k)]
        if k == 2 ** (bits - 1):  # only below 0 is there such an integer
            fitting = fitting[np.rint(ratio[fitting] * k).max(1) < k]
        found[fitting] = k
        open_rows = np.setdiff1d(open_rows, fitting, assume_unique=True)
    return found


def _integer(ratio: Floats, k: int) -> NDArray[np.bool_]:
    """Rows whose values, 1 at most, are multiples of 1/k."""
    scaled = ratio * k
    off: Floats = np.abs(scaled - np.rint(scaled)).max(1, initial=0.0)
    return off <= k * NOISE


def best_multiples(rows: Floats, most: Ints) -> Ints:
    """Per row of `rows` (R, n), the m in 1..most[r] for which row * m / m, rounded to integers in
    between, comes closest to the row; the smallest of equally good ones: (R,).
    """
    kinds, which = np.unique(np.column_stack([rows, most]), axis=0, return_inverse=True)
    best = []
    for kind in kinds:
        m = np.arange(1, int(kind[-1]) + 1)
        scaled = kind[:-1] * m[:, None]
        error = np.abs(scaled - np.rint(scaled)).max(1, initial=0.0) / m
        best.append(int(error.argmin()) + 1)
    return np.array(best, np.int64)[which.reshape(-1)]


def ceilings(values: Floats, bias: Floats, unit: Floats, lo: Ints, hi: Ints) -> Ints:
    """The smallest integer n with n * unit + bias >= value, per row, within lo..hi: int64 (C, N).

    `values` (C, N), the others (C,). Where a double cannot tell which of two integers it is, the
    comparison is made in rational numbers.
    """
    real = (values - bias[:, None]) / unit[:, None]
    size = (np.abs(values) + np.abs(bias)[:, None]) / unit[:, None]
    lowest, highest = lo[:, None].astype(np.float64), hi[:, None].astype(np.float64)
    result: Ints = np.clip(np.ceil(real), lowest, highest).astype(np.int64)
    close = np.abs(real - np.rint(real)) <= NEAR * np.maximum(size, 1.0)
    for c, k in np.argwhere(close & (real >= lowest - 1) & (real <= highest + 1)):
        exact = (Fraction(values[c, k]) - Fraction(bias[c])) / Fraction(unit[c])
        result[c, k] = min(max(-(-exact.numerator // exact.denominator), int(lo[c])), int(hi[c]))
    return result
