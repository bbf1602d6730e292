"""Published data sets by their names, in the files that their authors publish."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from snngen.data import arrays, cifar, events, kws
from snngen.data.fitting import Wanted
from snngen.data.raw import Source
from snngen.errors import DataError, Problem

Split = Literal["train", "test"]
SPLITS = {
    "mnist": ("train", "test"),
    "fashion_mnist": ("train", "test"),
    "cifar10": ("train", "test"),
    "cifar100": ("train", "test"),
    "kws": ("train", "test", "all"),
    "nmnist": ("train", "test"),
    "dvs_gesture": ("train", "test"),
}
RECORDINGS = {"nmnist": events.open_nmnist, "dvs_gesture": events.open_gesture}
VARIABLE = "SNNGEN_DATA"
IDX_FILES = {"train": "train", "test": "t10k"}


def is_name(source: str) -> bool:
    """Whether `source` names a published data set, with or without its split."""
    return source.split(":")[0] in SPLITS


def has_recordings(source: str) -> bool:
    """Whether a published data set is of events."""
    return source.split(":")[0] in RECORDINGS


def open_named(source: str, split: Split) -> Source:
    """All samples of "NAME" or "NAME:SPLIT"."""
    name, folder, which = _found(source, split)
    match name:
        case "cifar10" | "cifar100":
            return cifar.open_files([folder / file for file in cifar.FILES[name][which]])
        case "kws":
            return kws.read(folder, which)
        case _:
            return arrays.idx_pair(
                folder / f"{IDX_FILES[which]}-images-idx3-ubyte.gz",
                folder / f"{IDX_FILES[which]}-labels-idx1-ubyte.gz",
            )


def open_recordings(source: str, split: Split, wanted: Wanted) -> Source:
    """The recordings of "NAME" or "NAME:SPLIT"."""
    name, folder, which = _found(source, split)
    return RECORDINGS[name](folder, which, wanted)


def _found(source: str, split: Split) -> tuple[str, Path, str]:
    """The name that is in `source`, the folder of its files, and the split."""
    name, _, chosen = source.partition(":")
    if chosen and chosen not in SPLITS[name]:
        rule = f"the splits are {' and '.join(SPLITS[name])}"
        raise DataError(Problem(source, rule, chosen))
    return name, _folder(name), chosen or split


def _folder(name: str) -> Path:
    base = os.environ.get(VARIABLE)
    folder = Path(base or "").absolute() / name
    if not base or not folder.is_dir():
        raise DataError(
            Problem(
                f"data set '{name}'",
                "its files are not here",
                f"no folder {folder}" if base else f"{VARIABLE} is not set",
                f"get its published files and point {VARIABLE} at the folder that holds {name}/",
            )
        )
    return folder
