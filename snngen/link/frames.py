"""Frames of the link, as docs/link.md describes them.

A5 5A  kind  tag  size (u32)  CRC-32 of these 8 bytes  payload  CRC-32 of the payload
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

SYNC = b"\xa5\x5a"
HEADER = struct.Struct("<2scBI")
CRC = struct.Struct("<I")
HEADER_BYTES = HEADER.size + CRC.size
OVERHEAD = HEADER_BYTES + CRC.size

IDENTIFY, RUN, TRACE, SELFTEST = b"I", b"R", b"T", b"S"
ERROR = b"e"
DAMAGED, UNKNOWN, WRONG_SIZE = 1, 2, 3  # codes of an error; negative ones are those of snn.h


@dataclass(frozen=True)
class Frame:
    """`kind` is one letter: a request in upper case, its answer in lower case. An answer has the
    `tag`, 0..255, of its request. `payload` is None where its checksum is wrong.
    """

    kind: bytes
    tag: int
    payload: bytes | None


def encode(kind: bytes, tag: int, payload: bytes = b"") -> bytes:
    """The bytes of a frame."""
    header = HEADER.pack(SYNC, kind, tag, len(payload))
    return header + CRC.pack(crc32(header)) + payload + CRC.pack(crc32(payload))


def receive(read: Callable[[int], bytes]) -> Frame | None:
    """The next frame of what `read` gives, whatever lies before it; None where that ends.

    `read(n)` gives n bytes, or fewer where no more come.
    """
    header = read(HEADER_BYTES)
    while not _is_header(header):
        if len(header) < HEADER_BYTES:
            return None
        begin = header.find(SYNC[:1], 1)
        kept = header[begin:] if begin > 0 else b""
        header = kept + read(HEADER_BYTES - len(kept))
    _, kind, tag, size = HEADER.unpack_from(header)
    body = read(size + CRC.size)
    if len(body) < size + CRC.size:
        return None
    payload = body[:size]
    return Frame(kind, tag, payload if CRC.pack(crc32(payload)) == body[size:] else None)


def _is_header(header: bytes) -> bool:
    checked, checksum = header[: HEADER.size], header[HEADER.size :]
    return header.startswith(SYNC) and CRC.pack(crc32(checked)) == checksum
