"""The keyword spotting set of MLPerf Tiny: 1,000 clips of Speech Commands as 49 x 10 int8 MFCC."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snngen.data.arrays import read_npz
from snngen.data.raw import Held, RawSamples, Source
from snngen.errors import DataError, Problem

FILE = "kws01_mfcc_int8.npz"
# It is an accuracy set, no training set comes with it: calibrate on one half, report on the other.
PARTS = {"train": slice(0, None, 2), "test": slice(1, None, 2), "all": slice(None)}


def read(folder: Path, split: str) -> Source:
    """Every other clip, from the first ("train") or from the second ("test"), or all of them; an
    int8 q as the byte q + 128.
    """
    clips, labels = read_npz(folder / FILE, "q", "label")
    if clips.dtype != np.int8 or clips.ndim != 3 or labels.shape != clips.shape[:1]:
        found = f"{clips.dtype} of shape {clips.shape}, labels {labels.shape}"
        raise DataError(Problem(str(folder / FILE), "must hold int8 clips and their labels", found))
    part = PARTS[split]
    return Held(RawSamples((clips[part].view(np.uint8) ^ 128)[:, None], labels[part]))
