"""Mirrors snn_if.c, snn_level.c, snn_climb.c, snn_trains.c and what fires otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer
from snngen.neurons import IF, Level
from snngen.targets.c.steps import WIDE, steps
from snngen.targets.c.storage import BITS, U8, Storage
from snngen.targets.c.work.pieces import Counts, Tally
from snngen.targets.c.work.rows import (
    Values,
    aligned_lines,
    clear,
    kind,
    parameter_kind,
    put_line,
    total,
)

IN_ORDER = 8  # thresholds that snn_search.c compares one by one
WORD = 2**32


@dataclass(frozen=True, eq=False)
class Fired:
    """What a layer did: `sent` and `held` (runs, planes, C, H, W) as in a trace, stored as
    `output`; `lines` (of all timesteps) are fired one by one. `is_8_bit`: the processor.
    """

    layer: FixedLayer
    output: Storage
    sent: Values
    held: Values | None
    lines: int
    is_8_bit: bool

    @property
    def line_neurons(self) -> int:
        channels, _, width = self.output.shape
        return channels * width

    @property
    def neurons(self) -> int:
        return self.lines * self.line_neurons


def _if(tally: Tally, fired: Fired) -> None:
    neuron = fired.layer.neuron
    assert isinstance(neuron, IF)
    channels, _, width = fired.output.shape
    positions = fired.lines * width
    tally.add_all("if", call=fired.lines, position=positions)
    spikes = total(fired.sent > 0)
    one = neuron.max_spikes == 1 and neuron.reset == "subtract"
    bounds = (neuron.v_min is not None) + (neuron.v_max is not None)
    if one and bounds == 0 and fired.output.element == BITS:
        tally.add_all("if_bits", eight=positions * (channels // 8))
        tally.add_all("if_bits", rest=positions * (channels % 8), spike=spikes)
        return
    if one and bounds == 2 and not neuron.signed:
        tally.add("if_clamped.neuron", fired.neurons)
    elif not one or bounds:
        tally.add_all("if_any", neuron=fired.neurons, bounded=bounds * fired.neurons)
        tally.add(f"if_any.{'spike' if neuron.max_spikes == 1 else 'divided'}", spikes)
        tally.add("if_any.signed", fired.neurons if neuron.signed else 0)
    else:
        tally.add(f"if_{'signed' if neuron.signed else 'one'}.neuron", fired.neurons)
    put_line(tally, fired.output, fired.lines)


def _level(tally: Tally, fired: Fired) -> None:
    neuron, channels = fired.layer.neuron, fired.output.shape[0]
    assert isinstance(neuron, Level) and fired.held is not None
    tally.add_all("level", call=fired.lines, channel=fired.lines * channels)
    in_bytes = fired.output.element == U8 and neuron.lowest == 0
    if fired.is_8_bit:
        _search(tally, fired, neuron, in_bytes)
        return
    found = steps(neuron.thresholds, fired.layer.current.hi)
    first = total(fired.held >= found.first[:, None, None])
    wide = found.shift >= WIDE
    if in_bytes and not found.comparisons:
        _clear_rows(tally, fired)
        _add_levels(tally, "level_bytes", fired, first, wide=wide)
        return
    if found.comparisons:
        sums = np.minimum(fired.held, found.last[:, None, None])
        multiplier, offset = found.multiplier[:, None, None], found.offset[:, None, None]
        product = (sums - found.first[:, None, None]) * multiplier + offset
        bound = np.where(
            fired.held >= found.first[:, None, None], 1 + (product % WORD >> found.shift), 0
        )
        further = total(fired.sent - neuron.lowest - bound)
        tally.add_all("compared", neuron=fired.neurons, fired=first, step=further)
    else:
        _add_levels(tally, "levels", fired, first, wide=wide)
    put_line(tally, fired.output, fired.lines)


def _climb(tally: Tally, fired: Fired) -> None:
    neuron, channels = fired.layer.neuron, fired.output.shape[0]
    assert isinstance(neuron, Level) and fired.held is not None
    levels = fired.sent - neuron.lowest
    first = total(levels > 0)
    further = total(np.minimum(levels, neuron.thresholds.shape[1] - 1))
    element = kind(parameter_kind(neuron.thresholds))
    tally.add_all("climb", channel=fired.lines * channels, neuron=fired.neurons, fired=first)
    tally.add("climb.step", further)
    tally.add(f"at.{element}", further + fired.lines * channels)
    put_line(tally, fired.output, fired.lines)


def _add_levels(tally: Tally, kernel: str, fired: Fired, first: Counts, *, wide: bool) -> None:
    """Products of 32 bits, or `wide` ones, of which `first` do reach a threshold."""
    if wide:
        tally.add_all(kernel, wide=fired.neurons, wide_fired=first)
    else:
        tally.add_all(kernel, neuron=fired.neurons, fired=first)


def _clear_rows(tally: Tally, fired: Fired) -> None:
    height = fired.output.shape[1]
    aligned = height if fired.is_8_bit else aligned_lines(fired.line_neurons, height)
    share = aligned / height
    clear(tally, fired.line_neurons, fired.lines * share)
    clear(tally, fired.line_neurons, fired.lines * (1 - share), by_words=False)


def _search(tally: Tally, fired: Fired, neuron: Level, in_bytes: bool) -> None:
    levels = fired.sent - neuron.lowest
    count = neuron.thresholds.shape[1]
    if in_bytes:
        above = levels > 0
        clear(tally, fired.line_neurons, fired.lines)
        tally.add_all("search_bytes", neuron=fired.neurons, fired=total(above))
        looked, halves, compared = above, *_search_turns(count - 1)[:, np.maximum(levels - 1, 0)]
    else:
        looked = np.ones(levels.shape, bool)
        halves, compared = _search_turns(count)[:, levels]
    tally.add_all("search", neuron=total(looked))
    tally.add_all("search", half=total(halves * looked), step=total(compared * looked))
    if not in_bytes:
        put_line(tally, fired.output, fired.lines)


def _search_turns(thresholds: int) -> NDArray[np.int64]:
    """Of snn_reached, by how many are reached: halvings and comparisons in order, (2, levels)."""
    turns = np.zeros((2, thresholds + 1), np.int64)
    for level in range(thresholds + 1):
        begin, count = 0, thresholds
        while count > IN_ORDER:
            half = count // 2
            turns[0, level] += 1
            if level > begin + half:
                begin, count = begin + half + 1, count - half - 1
            else:
                count = half
        turns[1, level] = min(level - begin + 1, count)
    return turns


def _accumulate(tally: Tally, fired: Fired) -> None:
    tally.add("accumulate.neuron", fired.neurons)
    put_line(tally, fired.output, fired.lines)


def _saturate(tally: Tally, fired: Fired) -> None:
    tally.add("saturate.neuron", fired.neurons)
    put_line(tally, fired.output, fired.lines)


def _nothing(tally: Tally, fired: Fired) -> None:
    put_line(tally, fired.output, fired.lines)


NEURONS: Mapping[str, Callable[[Tally, Fired], None]] = {
    "snn_if": _if,
    "snn_level": _level,
    "snn_climb": _climb,
    "snn_accumulate": _accumulate,
    "snn_saturate": _saturate,
    "NULL": _nothing,
}


def count_trains(tally: Tally, fired: Fired, timesteps: int, *, pooled: bool) -> None:
    """What snn_trains does beside gathering the current."""
    neuron, held = fired.layer.neuron, fired.held
    assert isinstance(neuron, IF) and held is not None
    channels, height, width = fired.output.shape
    initial, theta = neuron.v_init[:, None, None], neuron.threshold[:, None, None]
    current = held[:, 0] - initial + fired.sent[:, 0] * theta
    needed = np.where(initial >= theta, -(2**31), (theta - initial - 1) // timesteps + 1)
    active = total(current >= needed)
    lines = height
    tally.add_all("trains", line=lines, channel=lines * channels, neuron=fired.line_neurons * lines)
    tally.add_all("trains", active=active, step=active * timesteps, spike=total(fired.sent))
    size = fired.output.row_bytes * width
    aligned = height if fired.is_8_bit or pooled else aligned_lines(size, height)
    clear(tally, size, aligned * timesteps)
    clear(tally, size, (height - aligned) * timesteps, by_words=False)
