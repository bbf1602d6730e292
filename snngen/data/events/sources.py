"""Where recordings lie: in a file, a folder, an .npz file of many, or a published data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snngen.data import decoded
from snngen.data.events import gesture, nmnist
from snngen.data.events.aedat import read_aedat
from snngen.data.events.arrays import open_npz, read_recording
from snngen.data.events.frames import POLARITIES, frame_size, frames
from snngen.data.events.nmnist import read_bin
from snngen.data.events.recording import Recording
from snngen.data.fitting import Wanted
from snngen.data.raw import Bytes, Indices, RawSamples, Source
from snngen.errors import DataError, Problem
from snngen.ops import Shape

AEDAT = (".aedat", ".aedat4")
SUFFIXES = (*AEDAT, ".bin", ".npz")  # of recordings in folders


def read(path: Path, sensor: tuple[int, int] | None = None) -> Recording:
    """The recording in a file; `sensor` (height, width) where the file does not say. DataError
    where it is damaged, FileError where it cannot be read.
    """
    match path.suffix.lower():
        case ".bin":
            return read_bin(path, sensor)
        case ".npz":
            return read_recording(path)
        case ".aedat" | ".aedat4":
            return read_aedat(path)
    rule, known = "not a recording of events", ", ".join(SUFFIXES)
    raise DataError(Problem(str(path), rule, hint=f"recordings are files {known}"))


def open_file(path: Path, wanted: Wanted) -> Source:
    """The recording at `path`, without a label."""
    shape = _shape(wanted, str(path))
    return _opened(decoded.File(path, _Decode(wanted, None), shape), wanted, None)


def open_folder(path: Path, wanted: Wanted, sensor: tuple[int, int] | None = None) -> Source:
    """The recordings in a folder, or in one folder per class."""
    shape = _shape(wanted, str(path))
    return _opened(decoded.open_folder(path, _Decode(wanted, sensor), shape), wanted, sensor)


def open_set(
    path: Path, split: str, wanted: Wanted, sensor: tuple[int, int] | None = None
) -> Source:
    """The recordings of an .npz file."""
    _shape(wanted, str(path))
    found = open_npz(path, split, wanted, sensor)
    return _opened(found, wanted, found.sensor)


def open_nmnist(folder: Path, split: str, wanted: Wanted) -> Source:
    """N-MNIST, as published or packed."""
    published = folder / nmnist.FOLDERS[split]
    if published.is_dir():
        return open_folder(published, wanted, nmnist.SENSOR)
    return open_set(folder / nmnist.PACKED, split, wanted, nmnist.SENSOR)


def open_gesture(folder: Path, split: str, wanted: Wanted) -> Source:
    """DVS128 Gesture, as published."""
    _shape(wanted, str(folder))
    return _opened(gesture.open_gestures(folder, split, wanted), wanted, gesture.SENSOR)


@dataclass(frozen=True)
class _Decode:
    """From a file to the counts (T, C, H, W) of its events."""

    wanted: Wanted
    sensor: tuple[int, int] | None

    def __call__(self, path: Path) -> Bytes:
        return frames(read(path, self.sensor), self.wanted, str(path))


@dataclass(frozen=True, eq=False)
class Frames:
    """Every bin of the streams (T, C, H, W) of a source as a sample of its own. `sensor`: (height,
    width), None where only the recordings may say.
    """

    streams: Source
    wanted: Wanted
    sensor: tuple[int, int] | None

    @property
    def count(self) -> int:
        return self.streams.count * self.streams.sample_shape[0]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self.streams.sample_shape[1:]

    def frame_shape(self, where: str) -> Shape:
        """(C, H, W) of the frames, whatever shape is wanted; DataError where nobody says how large
        the sensor is.
        """
        if self.sensor is None:
            rule = "does not say how large the sensor is"
            hint = "add an array 'sensor' of its height and width"
            raise DataError(Problem(where, rule, hint=hint))
        return self.wanted.shape[0], *frame_size(self.sensor, self.wanted.fitting, where)

    def read(self, indices: Indices) -> RawSamples:
        """The bins at ascending `indices`."""
        stream, step = np.divmod(indices, self.streams.sample_shape[0])
        needed, which = np.unique(stream, return_inverse=True)
        found = self.streams.read(needed)
        labels = None if found.labels is None else found.labels[which]
        return RawSamples(found.images[which, step], labels)


def _opened(streams: Source, wanted: Wanted, sensor: tuple[int, int] | None) -> Source:
    return streams if wanted.coding == "events" else Frames(streams, wanted, sensor)


def _shape(wanted: Wanted, where: str) -> tuple[int, ...]:
    """(T, C, H, W); DataError where the channels cannot be polarities."""
    if wanted.shape[0] not in POLARITIES:
        rule = f"the network reads {wanted.shape[0]} channels; recordings have 1 or 2, polarities"
        raise DataError(Problem(where, rule))
    return wanted.binning.steps, *wanted.shape
