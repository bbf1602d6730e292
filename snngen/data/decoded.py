"""Files that hold a sample each: one, or those in a folder, or in one folder per class."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snngen.data.raw import Bytes, Indices, RawSamples, check_size
from snngen.data.streams import PerThread
from snngen.errors import DataError, Problem
from snngen.files import reporting


@dataclass(frozen=True, eq=False)
class Folder:
    """Files in order of name, in one folder or in one per class, the labels counting these.

    Knows how many files there are in each folder; their names are listed when they are read.
    """

    folders: tuple[Path, ...]
    counts: tuple[int, ...]
    has_labels: bool
    decode: Callable[[Path], Bytes]
    sample_shape: tuple[int, ...]
    listed: PerThread[dict[Path, list[str]]]

    @property
    def count(self) -> int:
        return sum(self.counts)

    def read(self, indices: Indices) -> RawSamples:
        """The samples at ascending `indices`; DataError with all files that are damaged."""
        check_size(str(self.folders[0].parent), len(indices), self.sample_shape)
        ends = np.cumsum(self.counts)
        labels = np.searchsorted(ends, indices, side="right")
        samples: list[Bytes] = []
        problems: list[Problem] = []
        for index, label in zip(indices.tolist(), labels.tolist(), strict=True):
            path = self.folders[label] / self._names(label)[index - ends[label]]
            try:
                samples.append(self.decode(path))
            except DataError as error:
                problems += error.problems
        if problems:
            raise DataError(*problems)
        return RawSamples(np.stack(samples), labels if self.has_labels else None)

    def _names(self, label: int) -> list[str]:
        """The names in a folder; the last one's are kept."""
        folder, listed = self.folders[label], self.listed.get()
        if folder not in listed:
            with reporting(folder, "cannot be read"):
                names = sorted(_visible(folder))
            if len(names) != self.counts[label]:
                found = f"{len(names)} files, {self.counts[label]} at the start"
                raise DataError(Problem(str(folder), "changed while it was read", found))
            listed.clear()
            listed[folder] = names
        return listed[folder]


@dataclass(frozen=True, eq=False)
class File:
    """One file, a sample without a label."""

    path: Path
    decode: Callable[[Path], Bytes]
    sample_shape: tuple[int, ...]
    count: int = 1

    def read(self, indices: Indices) -> RawSamples:
        return RawSamples(np.stack([self.decode(self.path) for _ in indices]), None)


def open_folder(
    folder: Path, decode: Callable[[Path], Bytes], sample_shape: tuple[int, ...]
) -> Folder:
    """The files in `folder`; where they lie in one folder per class, the labels count these folders
    in order of name (of number, if all their names are numbers).

    Hidden files are passed over.
    """
    folders, has_labels = _folders(folder)
    with reporting(folder, "cannot be read"):
        counts = tuple(len(_visible(path)) for path in folders)
    return Folder(folders, counts, has_labels, decode, sample_shape, PerThread(dict))


def first_file(folder: Path) -> Path:
    """One of the files that `open_folder` finds; DataError where there is none."""
    for path in _folders(folder)[0]:
        with reporting(path, "cannot be read"):
            names = _visible(path)
        if names:
            return path / min(names)
    raise DataError(Problem(str(folder), "the folder holds no images and no recordings"))


def _folders(folder: Path) -> tuple[tuple[Path, ...], bool]:
    """Those that hold the files, and whether they are classes."""
    with reporting(folder, "cannot be read"):
        names = _visible(folder)
        classes = [name for name in names if (folder / name).is_dir()]
    loose = sorted(set(names) - set(classes))
    if classes and loose:
        rule = "must hold either files, or folders of files, one per class"
        raise DataError(Problem(str(folder), rule, f"'{loose[0]}' beside folders"))
    return tuple(folder / name for name in _sorted(classes)) or (folder,), bool(classes)


def _visible(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if not entry.name.startswith(".")]


def _sorted(names: list[str]) -> list[str]:
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)
