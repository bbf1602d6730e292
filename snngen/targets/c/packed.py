"""Convolutions and dense layers for flash: weights packed into bytes.

Mirrors snn_packed.c. Weights lie in rows, which begin with a byte: of the outputs of a group, for
each tap and input, or, of a depthwise convolution, of all channels, for each tap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer, FixedNet
from snngen.ops import Conv, Linear, Window
from snngen.spiking import Synapse
from snngen.targets.c.storage import U8
from snngen.targets.c.way import Way

CHUNK = 40  # weights that are unpacked at once
MOST_BITS = 7  # of more, bytes hold no more than they need, and are read faster
PER_BYTE = 5  # ternary weights
Integers = NDArray[np.int64]


def packed(net: FixedNet, layer: FixedLayer, synapse: Synapse) -> Way | str:
    """How `layer` reads `synapse` with packed weights, or why not: "" where there are none."""
    match synapse.op:
        case Conv(weight, window, groups):
            pass
        case Linear(weight):
            window, groups = Window(weight.shape[2:]), 1
        case _:
            return ""
    bits = bits_of(weight)
    if bits > MOST_BITS:
        return f"weights need more than {MOST_BITS} bits"
    outputs, inputs, height, width = weight.shape
    is_depthwise = groups == outputs > 1 == inputs
    groups = 1 if is_depthwise else groups
    # (ky, kx, group, input, output), or with all outputs in a row
    ordered = weight.reshape(groups, -1, inputs, height, width).transpose(3, 4, 0, 2, 1)
    rows = ordered.reshape(-1, outputs // groups).astype(np.int64)
    packs = packed_bits(rows, bits) if bits else packed_ternary(rows)
    return Way(
        "snn_packed" if bits else "snn_ternary",
        f"for size: weights of {bits} bits" if bits else "for size: five ternary weights in a byte",
        "snn_packed_op",
        f"weights, rows of {packs.shape[1]} bytes, "
        + ("[ky][kx]" if is_depthwise else "[ky][kx][group][input]"),
        packs.ravel(),
        window,
        (
            ("groups", groups),
            ("inputs", inputs),
            ("outputs", outputs // groups),
            ("row_bytes", packs.shape[1]),
            ("chunk_bytes", CHUNK * bits // 8 if bits else CHUNK // PER_BYTE),
            ("bits", bits),
            ("is_depthwise", int(is_depthwise)),
        ),
        element=U8,
    )


def bits_of(weight: NDArray[np.integer]) -> int:
    """How many bits hold any of them in two's complement; 0 where they are -1, 0 and 1."""
    least, most = int(weight.min()), int(weight.max())
    if least >= -1 and most <= 1:
        return 0
    return 1 + max(most.bit_length(), (-1 - least).bit_length())


def packed_bits(rows: Integers, bits: int) -> Integers:
    """Bytes (n, ceil(m * bits / 8)) of weights (n, m), the first in the lowest bits."""
    each = rows[:, :, None] >> np.arange(bits) & 1
    return np.packbits(
        each.reshape(len(rows), -1).astype(np.uint8), axis=1, bitorder="little"
    ).astype(np.int64)


def packed_ternary(rows: Integers) -> Integers:
    """Bytes (n, ceil(m / 5)) of weights (n, m) of -1, 0 and 1: their digits 0, 1 and 2, the first
    one the highest, as a fraction of 3^5, rounded up to one of 256. Times 3, again and again, what
    exceeds a byte are these digits.
    """
    padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % PER_BYTE)))
    digits = padded.reshape(len(rows), -1, PER_BYTE) + 1
    numbers = digits @ 3 ** np.arange(PER_BYTE)[::-1]
    return np.asarray(-(-numbers * 2**8 // 3**PER_BYTE), np.int64)
