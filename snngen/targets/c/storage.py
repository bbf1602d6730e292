"""How numbers are stored in C: the narrowest element that holds a proven range, channels innermost.

Mirrors the types of runtime_c/include/snn_model.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.ops import Conv, Interval, Linear, Scale, Shape

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Element:
    """One of the runtime's storage types: its name there, its C type, its range and its width."""

    name: str
    ctype: str
    lo: int
    hi: int
    bits: int

    @property
    def bytes(self) -> int:
        """Of one element of a parameter array; at least 1."""
        return max(1, self.bits // 8)


BITS = Element("SNN_BITS", "uint8_t", 0, 1, 1)
U8 = Element("SNN_U8", "uint8_t", 0, 255, 8)
I8 = Element("SNN_I8", "int8_t", -128, 127, 8)
I16 = Element("SNN_I16", "int16_t", -(2**15), 2**15 - 1, 16)
STEPS = Element("", "snn_steps", -(2**31), 2**32 - 1, 128)  # {first, last, multiplier, offset}
WIDE_STEPS = Element("", "snn_wide_steps", -(2**63), 2**63 - 1, 128)  # {offset, multiplier, first}
PAIRS = Element("", "snn_pair", -(2**7), 2**7 - 1, 32)  # two weights of a byte; 16 bits on AVR
I32 = Element("SNN_I32", "int32_t", -(2**31), 2**31 - 1, 32)

VALUES = (BITS, U8, I8, I16, I32)
INPUTS = (U8, I8, I16)
PARAMETERS = (I8, I16, I32)


def narrowest(lo: int, hi: int, elements: tuple[Element, ...]) -> Element:
    """The first of `elements` that holds lo..hi."""
    return next(e for e in elements if e.lo <= lo and hi <= e.hi)


def element_of(interval: Interval, elements: tuple[Element, ...] = VALUES) -> Element:
    """The first of `elements` that holds all of `interval`."""
    return narrowest(interval.min, interval.max, elements)


@dataclass(frozen=True)
class Storage:
    """`planes` planes of `shape`, each a row of channels for every position."""

    shape: Shape
    planes: int
    element: Element

    @property
    def row_bytes(self) -> int:
        return -(-self.shape[0] * self.element.bits // 8)

    @property
    def plane_bytes(self) -> int:
        return self.row_bytes * self.shape[1] * self.shape[2]

    @property
    def bytes(self) -> int:
        return self.plane_bytes * self.planes


def weights_in_order(op: Conv | Linear | Scale) -> Integers:
    """The weights of `op` in the order in which the runtime reads them, 1-D."""
    match op:
        case Scale(weight):
            return weight
        case Linear(weight):  # [y][x][input channel][output]
            return weight.transpose(2, 3, 1, 0).ravel()
        case Conv(weight, _, groups):  # [ky][kx][group][input channel][output channel]
            grouped = weight.reshape(groups, -1, *weight.shape[1:])
            return grouped.transpose(3, 4, 0, 2, 1).ravel()


def channels_last(values: NDArray[Any]) -> NDArray[Any]:
    """(..., C, H, W) to (..., H * W * C): neurons in the runtime's order."""
    return np.moveaxis(values, -3, -1).reshape(*values.shape[:-3], -1)


def channels_first(values: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """(..., H * W * C) to (..., C, H, W), the inverse of `channels_last`."""
    c, h, w = shape
    return np.moveaxis(values.reshape(*values.shape[:-1], h, w, c), -1, -3)
