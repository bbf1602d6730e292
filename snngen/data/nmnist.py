"""N-MNIST, MNIST digits seen by a moving event camera, as frames of event counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snngen.data.arrays import read_npz
from snngen.data.raw import Bytes, Held, RawSamples, Source
from snngen.errors import DataError, Problem

FILE = "nmnist_small.npz"
SIDE = 34
ARRAYS = ("x", "y", "p", "dt", "offset", "label", "is_test")


def read(folder: Path, split: str, *, frames: int) -> Source:
    """Events per polarity and pixel, (2, 34, 34), at most 255, of every recording or of each of so
    many `frames` of equal duration.
    """
    path = folder / FILE
    x, y, p, dt, offset, label, is_test = read_npz(path, *ARRAYS)
    events, count = len(x), len(label)
    if (
        not all(len(values) == events for values in (y, p, dt))
        or len(offset) != count + 1
        or len(is_test) != count
        or (offset[0], offset[-1]) != (0, events)
        or (np.diff(offset) < 0).any()
        or (events and (max(x.max(), y.max()) >= SIDE or p.max() > 1))
    ):
        raise DataError(Problem(str(path), "the arrays of events do not belong together"))
    chosen = np.flatnonzero(is_test == (split == "test"))
    parts = [slice(offset[k], offset[k + 1]) for k in chosen]
    images = [_frames(x[part], y[part], p[part], dt[part], frames) for part in parts]
    return Held(RawSamples(np.concatenate(images), np.repeat(label[chosen], frames)))


def _frames(x: Bytes, y: Bytes, p: Bytes, dt: NDArray[np.uint16], frames: int) -> Bytes:
    """Counts (frames, 2, 34, 34) of the events of one recording, the durations `dt` between them in
    microseconds.
    """
    time = np.cumsum(dt, dtype=np.int64)
    frame = time * frames // (time[-1] + 1) if len(time) else time
    counts = np.zeros((frames, 2, SIDE, SIDE), np.int64)
    np.add.at(counts, (frame, p, y, x), 1)
    return np.minimum(counts, 255).astype(np.uint8)
