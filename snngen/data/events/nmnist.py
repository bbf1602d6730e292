"""N-MNIST, MNIST digits seen by a moving event camera (Orchard et al. 2015).

https://www.garrickorchard.com/datasets/n-mnist
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snngen.data.events.recording import Recording, recording
from snngen.data.raw import MAX_BYTES
from snngen.data.streams import DAMAGED
from snngen.errors import DataError, Problem
from snngen.files import read_file

SENSOR = (34, 34)
FOLDERS = {"train": "Train", "test": "Test"}  # as published, with a folder per digit
PACKED = "nmnist_small.npz"  # some of the recordings
EVENT_BYTES = 5


def read_bin(path: Path, sensor: tuple[int, int] | None) -> Recording:
    """The recording in a .bin file: events of 40 bits, big-endian, that are column, row, polarity
    (one bit) and microseconds (23 bits). DataError where it is damaged.
    """
    content = read_file(path, MAX_BYTES)
    if len(content) % EVENT_BYTES:
        rule, found = f"must be events of {EVENT_BYTES} bytes", f"{len(content)} bytes"
        raise DataError(Problem(str(path), rule, found, DAMAGED))
    x, y, high, middle, low = np.frombuffer(content, np.uint8).reshape(-1, 5).T.astype(np.int64)
    t = (high & 127) << 16 | middle << 8 | low
    return recording(x, y, high >> 7, t, sensor, str(path))
