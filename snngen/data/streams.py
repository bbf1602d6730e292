"""Bytes at any offset of a file, of what a gzip file holds, or of a member of a zip archive; never
all of them are held.

Packed content is read forwards; a thread that goes back begins anew.
"""

from __future__ import annotations

import gzip
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import local
from typing import IO, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from snngen.data.raw import Indices, check_size
from snngen.errors import DataError, Problem
from snngen.files import open_regular, reporting

Value = TypeVar("Value")

DAMAGED = "the file is damaged: get it again"


class PerThread(Generic[Value]):
    """A value that every thread makes for itself when it first needs it; pickling leaves it out."""

    def __init__(self, make: Callable[[], Value]) -> None:
        self._make, self._local = make, local()

    def get(self) -> Value:
        if not hasattr(self._local, "value"):
            self._local.value = self._make()
        value: Value = self._local.value
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return PerThread, (self._make,)


class Stream:
    """The bytes of the file at `path`: as they are, or what it holds if it is a gzip file, or those
    of a zip archive's `member`. `size` in bytes, None where only reading tells.
    """

    def __init__(self, path: Path, member: str | None = None, size: int | None = None) -> None:
        self.path, self.where = path, str(path) if member is None else f"{path}: '{member}'"
        is_packed = member is not None or path.suffix == ".gz"
        with reporting(path, "cannot be read"), open_regular(path) as descriptor:
            self.size = size if is_packed else os.fstat(descriptor).st_size
        self._packed = PerThread(partial(_open, path, member)) if is_packed else None

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, fewer only where the content ends."""
        with self._reporting():
            if self._packed is None:
                with open_regular(self.path) as descriptor:
                    return _pread(descriptor, offset, size)
            file = self._packed.get()
            file.seek(offset)
            return b"" if file.tell() < offset else file.read(size)

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Turn what opening and unpacking raise into a FileError or a DataError."""
        with reporting(self.path, "cannot be read"):
            try:
                yield
            except EOFError as error:
                raise DataError(Problem(self.where, "is cut short", "", DAMAGED)) from error
            except gzip.BadGzipFile as error:
                rule, found = "not a gzip file", str(error)
                raise DataError(Problem(self.where, rule, found, DAMAGED)) from error
            except (zlib.error, zipfile.BadZipFile, RuntimeError, KeyError, struct.error) as error:
                rule, found = "cannot be unpacked", str(error)
                raise DataError(Problem(self.where, rule, found, DAMAGED)) from error


def _open(path: Path, member: str | None) -> IO[bytes] | gzip.GzipFile:
    if member is None:
        return gzip.open(path)
    return zipfile.ZipFile(path).open(member)


def _pread(descriptor: int, offset: int, size: int) -> bytes:
    """As `os.pread`, which may stop early at 2 GiB."""
    parts = []
    while size and (part := os.pread(descriptor, size, offset)):
        parts.append(part)
        offset, size = offset + len(part), size - len(part)
    return b"".join(parts)


@dataclass(frozen=True, eq=False)
class Records:
    """An array in a stream from byte `offset` on, its first axis the samples; nothing comes after
    it.
    """

    stream: Stream
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def record_bytes(self) -> int:
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=object))

    def read(self, indices: Indices) -> NDArray[Any]:
        """The samples at ascending `indices`; DataError where the stream is shorter or longer than
        the array.
        """
        check_size(self.stream.where, len(indices), self.shape[1:], self.dtype.itemsize)
        ends = np.flatnonzero(np.diff(indices) != 1) + 1
        runs = np.split(indices, ends) if len(indices) else []
        content = b"".join(self._read_run(int(run[0]), len(run)) for run in runs)
        return np.frombuffer(content, self.dtype).reshape(len(indices), *self.shape[1:])

    def _read_run(self, first: int, count: int) -> bytes:
        is_last = first + count == self.shape[0]  # and then a checksum is due
        size = count * self.record_bytes
        content = self.stream.read(self.offset + first * self.record_bytes, size + is_last)
        if len(content) != size:
            shown = "x".join(map(str, self.shape))
            found = f"{'more' if len(content) > size else 'fewer'} bytes than {self.dtype} {shown}"
            raise DataError(Problem(self.stream.where, "is cut short or too long", found, DAMAGED))
        return content


class Interleaved:
    """An array in Fortran order: its samples lie in every part of the file, so that each thread
    holds them all. Made of its transpose as the only one of `whole`'s records.
    """

    def __init__(self, whole: Records) -> None:
        self.dtype, self.shape = whole.dtype, whole.shape[:0:-1]
        self._held = PerThread(partial(_transposed, whole))

    def read(self, indices: Indices) -> NDArray[Any]:
        """The samples at ascending `indices`."""
        return self._held.get()[indices]


def _transposed(whole: Records) -> NDArray[Any]:
    transposed: NDArray[Any] = whole.read(np.zeros(1, np.int64))[0].T
    return transposed
