"""Reads FlatBuffers (https://flatbuffers.dev/internals), as far as AEDAT 4 needs them, without
trusting the offsets in them.
"""

from __future__ import annotations

import struct
from typing import Any

from snngen.data.streams import DAMAGED
from snngen.errors import DataError, Problem


class Table:
    """The root table of a buffer that carries the four letters `identifier`.

    DataError where a field leads out of the buffer.
    """

    def __init__(self, buffer: bytes, identifier: str, where: str) -> None:
        self._buffer, self._where = buffer, where
        if buffer[4:8] != identifier.encode():
            found = f"{buffer[4:8]!r}"
            raise DataError(Problem(where, f"must be a FlatBuffer '{identifier}'", found, DAMAGED))
        self._place = self._read("I", 0)
        self._fields = self._place - self._read("i", self._place)
        self._fields_size = self._read("H", self._fields)

    def number(self, field: int, kind: str, default: int) -> int:
        """A field that is a number, of a kind as `struct` names it."""
        place = self._find(field)
        return default if place is None else int(self._read(kind, place))

    def vector(self, field: int, size: int) -> bytes:
        """The content of a vector of elements of `size` bytes; of one left out, none."""
        place = self._find(field)
        if place is None:
            return b""
        place += self._read("I", place)
        length = size * self._read("I", place)
        if length > len(self._buffer) - place - 4:
            raise self._damaged()
        return self._buffer[place + 4 : place + 4 + length]

    def _find(self, field: int) -> int | None:
        entry = 4 + 2 * field
        offset = self._read("H", self._fields + entry) if entry < self._fields_size else 0
        return self._place + offset if offset else None

    def _read(self, kind: str, place: int) -> Any:
        try:
            return struct.unpack_from("<" + kind, self._buffer, place if place >= 0 else 2**62)[0]
        except (struct.error, OverflowError) as error:
            raise self._damaged() from error

    def _damaged(self) -> DataError:
        return DataError(Problem(self._where, "a FlatBuffer leads out of itself", "", DAMAGED))
