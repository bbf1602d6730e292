"""Recordings in .npz files, as NumPy writes them: whole numbers `x`, `y`, `p` (polarity) and `t`
(microseconds), or `dt`, the time since the event before (of the first: since 0). `sensor`, (height,
width), may say how large it is.

Of several recordings all arrays are one after the other, and `offset` says where each begins, and
the last ends. Then there are `label`, and if there are two splits `is_test`, of each recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.data.arrays import names_in, read_npz
from snngen.data.events.frames import frames
from snngen.data.events.recording import SIDE, Recording, recording
from snngen.data.fitting import Fitting, Wanted
from snngen.data.raw import Indices, RawSamples
from snngen.errors import DataError, Problem

EVENTS = ("x", "y", "p")


def has_events(path: Path) -> bool:
    """Whether the arrays of an .npz file are recordings."""
    return set(EVENTS) <= set(names_in(path))


def has_splits(path: Path) -> bool:
    """Whether the recordings are of a training and a test part."""
    return "is_test" in names_in(path)


@dataclass(frozen=True, eq=False)
class Recordings:
    """Those of an .npz file that belong to a split, in memory. `time` is `t` or `dt`; `begin`,
    `end` and `labels` are one for each.
    """

    where: str
    x: NDArray[Any]
    y: NDArray[Any]
    polarity: NDArray[Any]
    time: NDArray[Any]
    has_differences: bool
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    labels: NDArray[Any] | None
    sensor: tuple[int, int] | None
    wanted: Wanted

    @property
    def count(self) -> int:
        return len(self.begin)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self.wanted.binning.steps, *self.wanted.shape

    def recording(self, k: int) -> Recording:
        """The `k`-th one; DataError where its events are none."""
        part = slice(self.begin[k], self.end[k])
        where = self.where if self.count == 1 else f"{self.where}: recording {k}"
        time = self.time[part]
        t = np.cumsum(time, dtype=np.int64) if self.has_differences else time
        return recording(self.x[part], self.y[part], self.polarity[part], t, self.sensor, where)

    def read(self, indices: Indices) -> RawSamples:
        """The bins of the recordings at ascending `indices`."""
        found = [frames(self.recording(k), self.wanted, self.where) for k in indices.tolist()]
        labels = None if self.labels is None else self.labels[indices]
        return RawSamples(np.stack(found), labels)


def open_npz(
    path: Path, split: str, wanted: Wanted, sensor: tuple[int, int] | None = None
) -> Recordings:
    """The recordings of a file, those of `split` where it tells two apart; DataError where its
    arrays do not belong together. `sensor`: where the file does not say.
    """
    names = names_in(path)
    time = "dt" if "dt" in names else "t"
    x, y, p, t = _numbers(path, *EVENTS, time)
    if not len(x) == len(y) == len(p) == len(t):
        raise _apart(path)
    begin, end, labels = np.zeros(1, np.int64), np.array([len(x)]), None
    if "offset" in names:
        offset, labels = _numbers(path, "offset", "label")
        limits = np.concatenate([[0], offset.astype(np.int64), [len(x)]])
        if len(offset) != len(labels) + 1 or (np.diff(limits) < 0).any() or offset[0]:
            raise _apart(path)
        begin, end = limits[1:-2], limits[2:-1]
        if "is_test" in names:
            is_test = read_npz(path, "is_test")[0]
            if is_test.shape != labels.shape:
                raise _apart(path)
            chosen = np.flatnonzero((is_test != 0) == (split == "test"))
            begin, end, labels = begin[chosen], end[chosen], labels[chosen]
    if "sensor" in names:
        sensor = _sensor(path)
    return Recordings(str(path), x, y, p, t, time == "dt", begin, end, labels, sensor, wanted)


def read_recording(path: Path) -> Recording:
    """The only recording of a file."""
    if "offset" in names_in(path):
        rule = "holds a data set, where one recording is expected"
        raise DataError(Problem(str(path), rule, hint="name this file itself as the data"))
    return open_npz(path, "test", Wanted((1, 1, 1), Fitting())).recording(0)


def _numbers(path: Path, *names: str) -> list[NDArray[Any]]:
    """Arrays of whole numbers (N,)."""
    found = read_npz(path, *names)
    for name, array in zip(names, found, strict=True):
        if array.ndim != 1 or array.dtype.kind not in "iub":
            shown = f"{array.dtype} of shape {array.shape}"
            rule = "must be one whole number per event or recording"
            raise DataError(Problem(f"{path}: '{name}'", rule, shown))
    return found


def _sensor(path: Path) -> tuple[int, int]:
    sides = _numbers(path, "sensor")[0].tolist()
    if len(sides) != 2 or not all(0 < side <= SIDE for side in sides):
        rule = "must be height and width of the sensor"
        raise DataError(Problem(f"{path}: 'sensor'", rule, str(sides)))
    return int(sides[0]), int(sides[1])


def _apart(path: Path) -> DataError:
    return DataError(Problem(str(path), "the arrays of events do not belong together"))
