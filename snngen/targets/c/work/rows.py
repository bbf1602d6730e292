"""Mirrors snn_row.c: rows of values and parameters, whatever their type."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.targets.c.storage import BITS, I8, PARAMETERS, U8, Element, Storage, narrowest
from snngen.targets.c.work.pieces import Counts, Tally

Values = NDArray[np.int64]  # (runs, planes, C, H, W)
Turns = Counts | float
ALIGNED = 4  # bytes


def kind(element: Element) -> str:
    """The name of a type as pieces have it."""
    return element.name.removeprefix("SNN_").lower()


def parameter_kind(values: NDArray[np.int64]) -> Element:
    """How an array of parameters is stored."""
    return narrowest(int(values.min()), int(values.max()), PARAMETERS)


def total(values: NDArray[Any]) -> Counts:
    """By run, of (runs, ...)."""
    sums: Counts = values.reshape(len(values), -1).sum(1, dtype=np.float64)
    return sums


def places(spikes: NDArray[np.bool_], axis: int = 2) -> Counts:
    """By run, how many bits of their bytes lie below those that are set: `spikes` (runs, planes,
    C, ...), or with channels at `axis`.
    """
    below = np.arange(spikes.shape[axis]) % 8
    each = spikes.sum(tuple(k for k in range(1, spikes.ndim) if k != axis), dtype=np.float64)
    found: Counts = each @ below
    return found


def aligned_lines(line_bytes: int, lines: int) -> int:
    """How many of consecutive lines begin at a whole word."""
    step = ALIGNED // int(np.gcd(line_bytes, ALIGNED))
    return -(-lines // step)


def clear(tally: Tally, size: int, times: Turns, *, by_words: bool = True) -> None:
    """`size` bytes."""
    blocks, rest = divmod(size, 32) if by_words else (0, size)
    tally.add_all("clear", call=times, block=blocks * times, byte=rest * times)


def copy(tally: Tally, words: int, times: Turns) -> None:
    """`words` numbers of 32 bits."""
    fours, rest = divmod(words, 4)
    tally.add_all("copy", call=times, four=fours * times, word=rest * times)


def fill(
    tally: Tally, values: NDArray[np.int64] | None, channels: int, width: int, times: Turns
) -> None:
    """A line of `width` rows, all like `values`."""
    if values is None:
        clear(tally, 4 * channels * width, times)
        return
    tally.add("array.call", times)
    tally.add(f"array.{kind(parameter_kind(values))}", channels * times)
    copy(tally, channels * (width - 1), times)


def widen(tally: Tally, element: Element, count: int, times: Turns) -> None:
    """A row of `count`."""
    tally.add("widen.call", times)
    tally.add(f"widen.{kind(element)}", count * times)


def narrow(tally: Tally, element: Element, count: int, times: Turns) -> None:
    """A row of `count`."""
    tally.add("put.call", times)
    if element == BITS:
        tally.add("put.eight", count // 8 * times)
        count %= 8
    tally.add(f"put.{kind(element)}", count * times)


def rows_apart(values: Storage) -> tuple[int, int]:
    """How a line is taken: so many rows of so many elements."""
    channels, _, width = values.shape
    dense = values.element != BITS or channels % 8 == 0
    return (1, channels * width) if dense else (width, channels)


def get_line(tally: Tally, values: Storage, times: Turns) -> None:
    """A line of `values`, widened."""
    rows, count = rows_apart(values)
    widen(tally, values.element, count, rows * times)


def put_line(tally: Tally, values: Storage, times: Turns) -> None:
    """A line of `values`, narrowed."""
    rows, count = rows_apart(values)
    narrow(tally, values.element, count, rows * times)


def add_row(
    tally: Tally, element: Element, channels: int, times: Turns, spikes: Turns, below: Turns
) -> None:
    """`times` rows, of bits with so many `spikes` in all, and so many bits `below` them."""
    tally.add("add_row.call", times)
    if element == BITS:
        tally.add_all("add_row", byte=-(-channels // 8) * times, bit=spikes, place=below)
    elif element in (U8, I8):
        tally.add(f"add_row.{kind(element)}", channels * times)
    else:
        tally.add("add_row.any", channels * times)
        tally.add(f"get.{kind(element)}", channels * times)


def add_products(
    tally: Tally,
    element: Element,
    weights: Element,
    channels: int,
    times: Turns,
    spikes: Turns,
    below: Turns,
) -> None:
    """`times` rows by a weight for each channel."""
    tally.add("products.call", times)
    if element == I8 and weights == I8:
        tally.add("products.bytes", channels * times)
    elif element == BITS:
        tally.add_all("products", byte=-(-channels // 8) * times, bit=spikes, place=below)
        tally.add(f"at.{kind(weights)}", spikes)
    else:
        tally.add("products.any", channels * times)
        tally.add(f"get.{kind(element)}", channels * times)
        tally.add(f"at.{kind(weights)}", channels * times)


def add_events(
    tally: Tally,
    element: Element,
    weights: Element,
    inputs: int,
    outputs: int,
    times: Turns,
    events: Turns,
    looked_at: Turns,
) -> None:
    """`times` rows of `inputs`, of which `events` are not 0, each with `outputs` weights; of bits
    so many are `looked_at` before the rest of a byte is seen to be 0.
    """
    tally.add("add_events.call", times)
    if element == BITS:
        tally.add("add_events.bit", looked_at)
    else:
        tally.add("add_events.element", inputs * times)
        tally.add(f"get.{kind(element)}", inputs * times)
    tally.add("add_events.event", events)
    if weights == I8:
        tally.add("add_events.eight", outputs // 8 * events)
        tally.add("add_events.rest", outputs % 8 * events)
    else:
        tally.add("add_events.any", outputs * events)
        tally.add(f"at.{kind(weights)}", outputs * events)


def bits_looked_at(spikes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many turns it takes to go through channels packed as bits: `spikes` (runs, planes, C, H,
    W) as (runs, planes, H, W).
    """
    runs, planes, channels, height, width = spikes.shape
    groups = -(-channels // 8)
    padded = np.zeros((runs, planes, 8 * groups, height, width), bool)
    padded[:, :, :channels] = spikes
    bytes_ = padded.reshape(runs, planes, groups, 8, height, width)
    last = np.where(bytes_.any(3), 8 - bytes_[:, :, :, ::-1].argmax(3), 0)  # bits up to the last
    turns: NDArray[np.int64] = np.minimum(last + 1, 8).sum(2)
    return turns
