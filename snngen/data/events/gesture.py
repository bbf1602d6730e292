"""DVS128 Gesture, gestures of hand and arm before an event camera (Amir et al. 2017), in its
published files: recordings in AEDAT 3.1, beside each a table of the gestures in it, and two lists
of recordings.

https://research.ibm.com/interactive/dvsgesture/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snngen.data.events.aedat import SENSORS, read_aedat
from snngen.data.events.frames import frames
from snngen.data.events.recording import Recording
from snngen.data.fitting import Wanted
from snngen.data.raw import Bytes, Indices, RawSamples
from snngen.errors import DataError, Problem
from snngen.files import read_file

LISTS = {"train": "trials_to_train.txt", "test": "trials_to_test.txt"}
SENSOR = SENSORS["DVS128"]
MOST_BYTES = 2**20  # of a list or a table
HEAD = "class,startTime_usec,endTime_usec"
ROW = re.compile(r"(\d{1,3}),(\d{1,15}),(\d{1,15})")


@dataclass(frozen=True)
class Gesture:
    """A part of a recording, from `start` to before `end` in microseconds; labels begin at 0."""

    path: Path
    label: int
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Gestures:
    """The bins of gestures."""

    gestures: tuple[Gesture, ...]
    wanted: Wanted

    @property
    def count(self) -> int:
        return len(self.gestures)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self.wanted.binning.steps, *self.wanted.shape

    def read(self, indices: Indices) -> RawSamples:
        """Those at ascending `indices`; every recording is read once."""
        found: list[Bytes] = []
        labels, path = [], None
        for gesture in (self.gestures[k] for k in indices.tolist()):
            if gesture.path != path:
                path, whole = gesture.path, read_aedat(gesture.path)
            where = f"{path}: {gesture.start} to {gesture.end} us"
            found.append(frames(_part(whole, gesture, where), self.wanted, where))
            labels.append(gesture.label)
        return RawSamples(np.stack(found), np.array(labels))


def open_gestures(folder: Path, split: str, wanted: Wanted) -> Gestures:
    """The gestures of the recordings in the split's list; DataError where a table is none."""
    names = [line.strip() for line in _lines(folder / LISTS[split])]
    gestures = [g for name in names if name for g in _table(folder / Path(name).name)]
    return Gestures(tuple(gestures), wanted)


def _table(path: Path) -> list[Gesture]:
    """The gestures of a recording."""
    table = path.with_name(f"{path.stem}_labels.csv")
    head, *rows = _lines(table) or [""]
    gestures = []
    for number, row in enumerate([head, *rows], 1):
        cells = ROW.fullmatch(row.strip())
        if (number == 1 and row.strip() != HEAD) or (number > 1 and not cells):
            rule = f"must be a line {HEAD}, and whole numbers in lines below it"
            raise DataError(Problem(f"{table}: line {number}", rule, row[:40]))
        if cells:
            label, start, end = map(int, cells.groups())
            gestures.append(Gesture(path, label - 1, start, end))
    return gestures


def _lines(path: Path) -> list[str]:
    return read_file(path, MOST_BYTES).decode(errors="replace").splitlines()


def _part(whole: Recording, gesture: Gesture, where: str) -> Recording:
    """The events of a gesture; DataError where there are none."""
    begin, end = np.searchsorted(whole.events["t"], [gesture.start, gesture.end])
    if begin >= end:
        raise DataError(Problem(where, "the gesture has no events"))
    return Recording(whole.events[begin:end], whole.sensor)
