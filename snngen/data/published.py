"""The published files of MNIST, Fashion-MNIST (IDX, gzip) and CIFAR-10 ("binary version")."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from snngen.data.raw import MAX_BYTES, Bytes, RawSamples
from snngen.errors import DataError, Problem
from snngen.files import read_file

Split = Literal["train", "test"]
NAMES = ("mnist", "fashion_mnist", "cifar10")
VARIABLE = "SNNGEN_DATA"
IDX_FILES = {"train": "train", "test": "t10k"}
CIFAR_FILES = {
    "train": tuple(f"data_batch_{k}.bin" for k in range(1, 6)),
    "test": ("test_batch.bin",),
}
CIFAR_RECORD = 1 + 3 * 32 * 32
DAMAGED = "the file is damaged: get it again"


def is_name(source: str) -> bool:
    """Whether `source` names a published data set, with or without its split."""
    return source.split(":")[0] in NAMES


def read(source: str, split: Split) -> RawSamples:
    """All samples of "NAME" or "NAME:SPLIT", images uint8 (N, C, H, W)."""
    name, _, chosen = source.partition(":")
    if chosen and chosen not in get_args(Split):
        raise DataError(Problem(source, "the splits are train and test", chosen))
    folder = _folder(name)
    which = chosen or split
    if name == "cifar10":
        return _read_cifar([folder / file for file in CIFAR_FILES[which]])
    images = _read_idx(folder / f"{IDX_FILES[which]}-images-idx3-ubyte.gz", 3)
    return RawSamples(
        images[:, None], _read_idx(folder / f"{IDX_FILES[which]}-labels-idx1-ubyte.gz", 1)
    )


def _folder(name: str) -> Path:
    base = os.environ.get(VARIABLE)
    folder = Path(base or "") / name
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


def _read_idx(path: Path, dimensions: int) -> Bytes:
    """The bytes of a gzipped IDX file of so many dimensions."""
    packed = read_file(path, MAX_BYTES)
    header = 4 + 4 * dimensions
    content = _unpack(packed, header, path)
    if len(content) < header or content[:4] != bytes([0, 0, 8, dimensions]):
        found = f"begins with {content[:4].hex()}"
        raise DataError(Problem(str(path), f"not an IDX file of {dimensions}-D bytes", found))
    shape = [int(n) for n in np.frombuffer(content, ">u4", dimensions, 4)]
    size = int(np.prod(shape, dtype=object))
    content = _unpack(packed, min(size + header, MAX_BYTES) + 1, path)
    if len(content) != header + size:
        found = f"{len(content) - header} bytes for {'x'.join(map(str, shape))}"
        raise DataError(Problem(str(path), "the file is too short or too long", found, DAMAGED))
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _unpack(packed: bytes, limit: int, path: Path) -> bytes:
    """The first `limit` bytes of what a gzip file holds, or all of them."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        return unpacker.decompress(packed, limit)
    except zlib.error as error:
        raise DataError(Problem(str(path), "not a gzip file", str(error), DAMAGED)) from error


def _read_cifar(paths: list[Path]) -> RawSamples:
    records = []
    for path in paths:
        content = np.frombuffer(read_file(path, MAX_BYTES), np.uint8)
        if not content.size or content.size % CIFAR_RECORD:
            rule = f"must be records of {CIFAR_RECORD} bytes"
            raise DataError(Problem(str(path), rule, f"{content.size} bytes", DAMAGED))
        records.append(content.reshape(-1, CIFAR_RECORD))
    joined = np.concatenate(records)
    return RawSamples(joined[:, 1:].reshape(-1, 3, 32, 32), joined[:, 0])
