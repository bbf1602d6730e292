"""CIFAR-10 and CIFAR-100, "binary version": records of a label, or of a coarse and a fine one, and
of 32x32 bytes of red, green and blue each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snngen.data.raw import Indices, RawSamples, Source
from snngen.data.streams import DAMAGED, Records, Stream
from snngen.errors import DataError, Problem

FILES: dict[str, dict[str, tuple[str, ...]]] = {
    "cifar10": {
        "train": tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
        "test": ("test_batch.bin",),
    },
    "cifar100": {"train": ("train.bin",), "test": ("test.bin",)},
}
PIXELS = 3 * 32 * 32
RECORDS = (1 + PIXELS, 2 + PIXELS)


@dataclass(frozen=True, eq=False)
class Files:
    """Records in one or more files, one after the other; the last label counts."""

    files: tuple[Records, ...]
    sample_shape: tuple[int, ...] = (3, 32, 32)

    @property
    def count(self) -> int:
        return sum(records.shape[0] for records in self.files)

    def read(self, indices: Indices) -> RawSamples:
        ends = np.cumsum([records.shape[0] for records in self.files])
        parts = []
        for records, end in zip(self.files, ends, strict=True):
            begin = end - records.shape[0]
            here = indices[(indices >= begin) & (indices < end)] - begin
            content = records.read(here)
            parts.append((content[:, -PIXELS:], content[:, -PIXELS - 1]))
        images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
        return RawSamples(images.reshape(-1, *self.sample_shape), labels)


def open_files(paths: list[Path]) -> Source:
    """The samples of binary files of one of the two data sets, told apart by their sizes."""
    return Files(tuple(_records(path) for path in paths))


def _records(path: Path) -> Records:
    stream = Stream(path)
    size = stream.size or 0
    fitting = [record for record in RECORDS if size and size % record == 0]
    if not fitting:
        rule = f"must be records of {RECORDS[0]} bytes (CIFAR-10) or {RECORDS[1]} (CIFAR-100)"
        raise DataError(Problem(str(path), rule, f"{size} bytes", DAMAGED))
    shape = (size // fitting[0], fitting[0])
    return Records(stream, 0, np.dtype(np.uint8), shape)
