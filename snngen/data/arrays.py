"""Samples in arrays: NumPy's .npy and .npz files, IDX files. Read without pickle, and without
trusting the sizes that files claim.
"""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from snngen.data.raw import Indices, RawSamples, Source
from snngen.data.streams import DAMAGED, Interleaved, Records, Stream
from snngen.errors import DataError, Problem, SnngenError
from snngen.files import open_regular, reporting

IMAGES = ("x", "images")
LABELS = ("y", "labels")
IDX_NAME = re.compile(r"[-.]idx[1-9]-ubyte(\.gz)?$")  # both spellings that are in circulation
LONGEST_HEADER = 2**16
Array = Records | Interleaved
HINT = "write it again with numpy.save or numpy.savez"


@dataclass(frozen=True, eq=False)
class Arrays:
    """An array of samples, and one of labels, or None."""

    images: Array
    labels: Array | None

    @property
    def count(self) -> int:
        return self.images.shape[0]

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self.images.shape[1:]

    def read(self, indices: Indices) -> RawSamples:
        labels = None if self.labels is None else self.labels.read(indices)
        return RawSamples(self.images.read(indices), labels)


def open_npy(path: Path) -> Source:
    """The samples of a .npy file."""
    return Arrays(_open_array(Stream(path)), None)


def open_npz(path: Path, split: str) -> Source:
    """The samples `x` or `images` of an .npz file, and `y` or `labels` if present.

    Where it holds `x_train`, `y_train`, `x_test` and `y_test`, `split` chooses.
    """
    members = _members(path)
    images, labels = (_one_of(members, names, split) for names in (IMAGES, LABELS))
    if images is None:
        rule, found = "the file must hold an array 'x' or 'images'", ", ".join(members) or "nothing"
        raise DataError(Problem(str(path), rule, found))
    return _labelled(
        _open_member(path, images), None if labels is None else _open_member(path, labels), path
    )


def has_parts(path: Path) -> bool:
    """Whether the samples that `open_npz` finds are others for each split."""
    members = _members(path)
    chosen = [_one_of(members, IMAGES, split) for split in ("train", "test")]
    return None not in chosen and chosen[0] != chosen[1]


def names_in(path: Path) -> list[str]:
    """The names of the arrays in an .npz file."""
    return list(_members(path))


def read_npz(path: Path, *names: str) -> list[NDArray[Any]]:
    """These arrays of an .npz file, whole."""
    members = _members(path)
    missing = [name for name in names if name not in members]
    if missing:
        rule = f"the file must hold the arrays {', '.join(names)}"
        raise DataError(Problem(str(path), rule, f"no {', '.join(missing)}", DAMAGED))
    arrays = (_open_member(path, members[name]) for name in names)
    return [array.read(np.arange(array.shape[0])) for array in arrays]


def open_idx(images: Path) -> Source:
    """The samples of an IDX file of bytes, plain or gzip, and the labels of the one beside it that
    is called `labels-idx1` instead of `images-idx3`.
    """
    name = re.sub(r"idx\d", "idx1", images.name.replace("images", "labels"))
    labels = images.with_name(name)
    beside = labels if labels.name != images.name and labels.exists() else None
    return idx_pair(images, beside)


def idx_pair(images: Path, labels: Path | None) -> Source:
    """The samples of one IDX file, the labels of another one."""
    return _labelled(_open_idx(images), None if labels is None else _open_idx(labels), images)


def _labelled(images: Array, labels: Array | None, path: Path) -> Source:
    """Checked: one whole number per sample."""
    count = images.shape[0]
    if labels is not None and (
        labels.dtype.kind not in "iu" or labels.shape[0] != count or prod(labels.shape) != count
    ):
        found = f"{labels.dtype} of shape {labels.shape} for {count} samples"
        rule = "there must be one whole number per sample as label"
        raise DataError(Problem(str(path), rule, found))
    return Arrays(images, labels)


def _members(path: Path) -> dict[str, zipfile.ZipInfo]:
    try:
        with reporting(path, "cannot be read"), open_regular(path):
            pass
        with zipfile.ZipFile(path) as archive:
            return {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    except SnngenError:
        raise
    except Exception as error:  # zipfile raises anything on a damaged file
        raise DataError(Problem(str(path), "not a readable .npz file", str(error), HINT)) from error


def _one_of(
    members: dict[str, zipfile.ZipInfo], names: tuple[str, ...], split: str
) -> zipfile.ZipInfo | None:
    candidates = [*names, *(f"{name}_{split}" for name in names)]
    return next((members[name] for name in candidates if name in members), None)


def _open_member(path: Path, info: zipfile.ZipInfo) -> Array:
    stream = Stream(path, info.filename, info.file_size)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        rule = "packed in a way that NumPy does not use"
        raise DataError(Problem(stream.where, rule, hint=HINT))
    return _open_array(stream)


def _open_array(stream: Stream) -> Array:
    """An array of numbers with at least one axis."""
    file = io.BytesIO(stream.read(0, LONGEST_HEADER))
    try:
        version = npy.read_magic(file)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[
            version
        ]
        shape, fortran, dtype = read_header(file)
    except Exception as error:  # a syntax error, a tokeniser's, a recursion too deep: anything
        raise DataError(Problem(stream.where, "not a .npy array", str(error), HINT)) from error
    if dtype.kind not in "uifb" or not shape:
        found = f"{dtype} of shape {shape}"
        raise DataError(Problem(stream.where, "must be an array of numbers", found, HINT))
    left = (stream.size or 0) - file.tell()
    if min(shape) < 0 or prod(shape) * dtype.itemsize != left:
        found = f"{left} bytes for {dtype} of shape {shape}"
        raise DataError(Problem(stream.where, "the array is cut short or too long", found, HINT))
    if fortran and len(shape) > 1:
        return Interleaved(Records(stream, file.tell(), dtype, (1, *shape[::-1])))
    return Records(stream, file.tell(), dtype, shape)


def _open_idx(path: Path) -> Records:
    stream = Stream(path)
    start = stream.read(0, 4)
    dimensions = start[3] if len(start) == 4 else 0
    header = stream.read(4, 4 * dimensions)
    if start[:3] != bytes([0, 0, 8]) or not dimensions or len(header) < 4 * dimensions:
        found = f"begins with {start.hex()}"
        raise DataError(Problem(str(path), "not an IDX file of bytes", found, DAMAGED))
    shape = tuple(int(n) for n in np.frombuffer(header, ">u4"))
    return Records(stream, 4 + len(header), np.dtype(np.uint8), shape)
