"""NumPy's .npy and .npz files, read without pickle and without trusting the sizes they claim."""

from __future__ import annotations

import io
import zipfile
from math import prod
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from snngen.data.raw import MAX_BYTES, RawSamples
from snngen.errors import DataError, Problem, SnngenError
from snngen.files import read_file

IMAGES = ("x", "images")
LABELS = ("y", "labels")
HINT = "write it again with numpy.save or numpy.savez"


def read(path: Path, split: str) -> RawSamples:
    """The array of a .npy file; of an .npz file `x` or `images`, and `y` or `labels` if present.

    Where an .npz file holds `x_train`, `y_train`, `x_test` and `y_test`, `split` chooses.
    """
    content = read_file(path, MAX_BYTES)
    if path.suffix == ".npy":
        return RawSamples(_read_npy(content, str(path)), None)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            images = _one_of(members, IMAGES, split)
            labels = _one_of(members, LABELS, split)
            if images is None:
                raise DataError(
                    Problem(
                        str(path),
                        "the file must hold an array 'x' or 'images'",
                        ", ".join(members) or "nothing",
                    )
                )
            return RawSamples(
                _read_member(archive, images, path),
                None if labels is None else _read_member(archive, labels, path),
            )
    except SnngenError:
        raise
    except Exception as error:  # zipfile raises anything on a damaged file
        raise DataError(Problem(str(path), "not a readable .npz file", str(error), HINT)) from error


def _one_of(
    members: dict[str, zipfile.ZipInfo], names: tuple[str, ...], split: str
) -> zipfile.ZipInfo | None:
    candidates = [*names, *(f"{name}_{split}" for name in names)]
    return next((members[name] for name in candidates if name in members), None)


def _read_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path
) -> NDArray[np.generic]:
    where = f"{path}: '{info.filename}'"
    if info.file_size > MAX_BYTES:
        rule = f"larger than {MAX_BYTES} bytes when unpacked"
        raise DataError(Problem(where, rule, f"{info.file_size} bytes", "use fewer samples"))
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(Problem(where, "packed in a way that NumPy does not use", hint=HINT))
    with archive.open(info) as member:
        return _read_npy(member.read(info.file_size), where)


def _read_npy(content: bytes, where: str) -> NDArray[np.generic]:
    """An array of numbers with at least one axis."""
    file = io.BytesIO(content)
    try:
        version = npy.read_magic(file)
        read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[
            version
        ]
        shape, fortran, dtype = read_header(file)
    except Exception as error:  # a syntax error, a tokeniser's, a recursion too deep: anything
        raise DataError(Problem(where, "not a .npy array", str(error), HINT)) from error
    if dtype.kind not in "uifb" or not shape:
        found = f"{dtype} of shape {shape}"
        raise DataError(Problem(where, "must be an array of numbers", found, HINT))
    left = len(content) - file.tell()
    if min(shape) < 0 or prod(shape) * dtype.itemsize != left:
        found = f"{left} bytes for {dtype} of shape {shape}"
        raise DataError(Problem(where, "the array is cut short or too long", found, HINT))
    flat = np.frombuffer(content, dtype, offset=file.tell())
    return flat.reshape(shape, order="F" if fortran else "C")
