"""Convolutions and dense layers by events: in which form, and how its weights are stored.

Mirrors snn_events.h, snn_lanes.c and snn_scatter.c. Weights of two outputs share a word. Where sums
provably fit 16 bits the word is the one weight plus 2**16 times the other, modulo 2**32, so that a
sum of words is two sums; else its halves are the weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer, FixedNet
from snngen.ops import Conv, Interval, Linear, Shape, Window
from snngen.spiking import Synapse
from snngen.targets.c.storage import I8, I32, PAIRS
from snngen.targets.c.way import Way

MOST_ROWS = 8  # of a window that snn_lanes and snn_wide see at once
MOST_LINES = 8  # of outputs that snn_scatter reaches
MOST_WORDS = 2**16 - 1  # an event's place within a row of weights
MOST_EVENTS = 2**16 - 1  # of a list
LEAST_INPUTS = 32  # for sums of two to be worth taking apart again
EVENT_COST, SLICE_COST = 10, 27  # instructions: to list an input, to find a window's part of a list
EVENT_BYTES = WORD_BYTES = 4
LOWEST, HIGHEST = -(2**15), 2**15 - 1
Integers = NDArray[np.int64]


def by_events(net: FixedNet, layer: FixedLayer, synapse: Synapse) -> Way | str:
    """How `layer` gathers `synapse`, or why not by events: "" where it is no such operator."""
    weight, window = as_convolution(synapse)
    if weight is None or window is None:
        return "channels are not mixed, or in groups" if isinstance(synapse.op, Conv) else ""
    if window.dilation != (1, 1):
        return "taps lie apart"
    source = net.source_interval(synapse.source)
    shape = net.source_shape(synapse.source)
    return _listed(weight, window, source, shape, layer.shape)


def scattered(net: FixedNet, layer: FixedLayer, synapse: Synapse) -> Way | None:
    """How `synapse` sends its spikes to all that they reach, if it can."""
    weight, window = as_convolution(synapse)
    if weight is None or window is None or window.dilation != (1, 1):
        return None
    source = net.source_interval(synapse.source)
    lines = min((window.kernel[0] - 1) // window.stride[0] + 1, layer.shape[1])
    if lines > MOST_LINES or not _fit(weight, source, window.kernel[0]):
        return None
    return _scattered(weight, window, lines, layer.shape)


def as_convolution(synapse: Synapse) -> tuple[Integers | None, Window | None]:
    """Weight (O, C, kh, kw) and window."""
    match synapse.op:
        case Conv(weight, window, 1):
            return weight.astype(np.int64), window
        case Linear(weight):
            return weight.astype(np.int64), Window(weight.shape[2:])
    return None, None


def _listed(
    weight: Integers, window: Window, source: Interval, shape: Shape, target: Shape
) -> Way | str:
    outputs, channels, height, width = weight.shape
    words = _words(outputs)
    rows = next((k for k in range(min(height, MOST_ROWS), 0, -1) if _fit(weight, source, k)), 0)
    if rows < height and rows * width * channels < LEAST_INPUTS:
        rows = 0
    merged_words = channels * (height * width + shape[2]) * words
    merges = (
        rows in (0, height)
        and merged_words <= MOST_WORDS
        and channels * shape[2] * height <= MOST_EVENTS
        and _merging_pays(window, shape, target)
    )
    if not merges and channels * max(width, shape[2]) * words > MOST_WORDS:
        return "more weights in a row than 16 bits count"
    if min(source.min, 0) < LOWEST or max(source.max, 0) > HIGHEST:
        return "what it reads needs more than 16 bits"
    if not rows and (weight.min() < LOWEST or weight.max() > HIGHEST):
        return "weights need more than 16 bits"
    seen = (target[2] - 1) * window.stride[1] + width
    listed = max(window.pads[1] + shape[2], seen)
    first_bytes = -(-2 * (listed + 1) // EVENT_BYTES) * EVENT_BYTES
    pairs = _pairs(weight.transpose(2, 3, 1, 0))
    fit_bytes = I8.lo <= weight.min() and weight.max() <= I8.hi
    return Way(
        "snn_lanes" if rows else "snn_wide",
        _reason(rows, height, merges),
        "snn_lanes_op",
        "weights, [ky][kx][input][pair of outputs]",
        pairs if fit_bytes else _packed(pairs, summed=rows > 0),
        window,
        (
            ("words", words),
            ("rows_at_once", rows),
            ("merges_rows", int(merges)),
            ("has_pairs", int(fit_bytes)),
        ),
        "snn_list_counts",
        (first_bytes + (shape[2] * channels + 1) * EVENT_BYTES) * height,
        PAIRS if fit_bytes else I32,
        ("SNN_SUM" if rows else "SNN_HALVES") if fit_bytes else "",
    )


def _reason(rows: int, height: int, merges: bool) -> str:
    if rows == 0:
        reason = "sums need 32 bits"
    elif rows < height:
        reason = f"sums over {rows} of {height} rows fit 16 bits"
    else:
        reason = "sums fit 16 bits"
    return f"{reason}; few channels: one list of all rows" if merges else reason


def _merging_pays(window: Window, source: Shape, target: Shape) -> bool:
    """Whether one list for all rows that a window sees, made anew for every line of outputs, takes
    less than a list of each row, made once.
    """
    (channels, height, width), (_, lines, windows) = source, target
    again = max(lines * window.kernel[0] - height, 0)  # rows that are listed more than once
    listed = again * width * channels * EVENT_COST
    return listed < lines * windows * (window.kernel[0] - 1) * SLICE_COST


def _scattered(weight: Integers, window: Window, lines: int, target: Shape) -> Way:
    words, stride = _words(len(weight)), window.stride[1]
    ordered = weight.transpose(2, 3, 1, 0)  # [ky][kx][input][output]
    runs = [
        _packed(_pairs(taps[p::stride][::-1].swapaxes(0, 1)), summed=True)
        for taps in ordered
        for p in range(min(stride, window.kernel[1]))
    ]
    return Way(
        "snn_scattered",
        "spikes over time, for vectors",
        "snn_scatter_op",
        f"weights, [ky][kx % {stride}][input][kx / {stride}, falling][pair of outputs]",
        np.concatenate(runs),
        window,
        (("words", words), ("lines", lines), ("height", target[1])),
        "snn_scatter",
        lines * target[2] * words * WORD_BYTES,
    )


def _words(outputs: int) -> int:
    return -(-outputs // 4) * 2


def _pairs(weight: Integers) -> Integers:
    """Weights (..., O) two by two, (n, 2), with zeros beyond the last output."""
    padded = np.zeros((*weight.shape[:-1], 2 * _words(weight.shape[-1])), np.int64)
    padded[..., : weight.shape[-1]] = weight
    return padded.reshape(-1, 2)


def _packed(pairs: Integers, *, summed: bool) -> Integers:
    """Words (n,) of pairs (n, 2)."""
    low = pairs[:, 0] if summed else pairs[:, 0] & 0xFFFF
    return (low + (pairs[:, 1] << 16) + 2**31) % 2**32 - 2**31


def _fit(weight: Integers, source: Interval, rows: int) -> bool:
    """Whether all sums over so many rows of the window at a time fit 16 bits."""
    lo, hi = np.minimum(source.lo, 0), np.maximum(source.hi, 0)
    products = weight * lo[:, None, None], weight * hi[:, None, None]
    least = np.minimum(np.minimum(*products), 0).sum((1, 3))  # (O, kh)
    most = np.maximum(np.maximum(*products), 0).sum((1, 3))
    starts = np.arange(0, weight.shape[2], rows)
    return bool(
        np.add.reduceat(least, starts, axis=1).min() >= LOWEST
        and np.add.reduceat(most, starts, axis=1).max() <= HIGHEST
    )
