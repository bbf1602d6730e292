"""AEDAT 2.0 and 3.1, as jAER, cAER and libcaer write them, and which AEDAT a file is.

https://docs.inivation.com/software/software-advanced-usage/file-formats/index.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snngen.data.events.aedat4 import read_aedat4
from snngen.data.events.recording import Recording, recording
from snngen.data.raw import MAX_BYTES
from snngen.data.streams import DAMAGED
from snngen.errors import DataError, Problem
from snngen.files import read_file

VERSION = re.compile(rb"#!AER-DAT(\d\.\d)\r?\n")
CHIP = re.compile(rb"^#\s*AEChip:\s*(\S+)", re.MULTILINE)
SOURCE = re.compile(rb"^#Source \d+:\s*([^\r\n]+)", re.MULTILINE)
END = re.compile(rb"^#!END-HEADER\r?\n", re.MULTILINE)
SENSORS = {  # (height, width)
    "DVS128": (128, 128),
    "DAVIS240": (180, 240),
    "DAVIS346": (260, 346),
    "DAVIS640": (480, 640),
}
EXTERNAL, ADDRESSES = 1 << 15, 1 << 15  # of a DVS128, in AEDAT 2.0
POLARITY_EVENT, HEADER_BYTES, EVENT_BYTES = 1, 28, 8
HEADER = np.dtype(
    [(name, "<i2") for name in ("type", "source")]
    + [(name, "<i4") for name in ("size", "t_offset", "overflow", "capacity", "number", "valid")]
)


def read_aedat(path: Path) -> Recording:
    """The recording in an AEDAT file; DataError where it is none of a version that is known, or is
    damaged.
    """
    content, where = read_file(path, MAX_BYTES), str(path)
    version = VERSION.match(content)
    known = {b"2.0": _read_2, b"3.1": _read_3, b"4.0": read_aedat4}
    if version is None or version[1] not in known:
        rule = "must begin as AEDAT 2.0, 3.1 or 4.0 do, with the line #!AER-DAT and the version"
        raise DataError(Problem(where, rule, repr(content[:16]), "write it again as AEDAT 4"))
    return known[version[1]](content, version.end(), where)


def _read_2(content: bytes, start: int, where: str) -> Recording:
    """AEDAT 2.0 of a DVS128: pairs of big-endian address and time. Bit 0 of the address is 0 for
    brighter, bits 1..7 and 8..14 are column and row from the lower right, and bit 15 is no event of
    a pixel: so read by libcaer (src/dvs128.c) and by the data sets' own dat2mat.m, unlike the
    description of the format.
    """
    while content[start : start + 1] == b"#":
        start = content.find(b"\n", start) + 1 or len(content)
    chip = CHIP.search(content, 0, start)
    if chip is not None and b"DVS128" not in chip[1]:
        rule, found = "of AEDAT 2.0 only DVS128 is known", chip[1].decode(errors="replace")
        raise DataError(Problem(where, rule, found, "convert it to AEDAT 4 with DV"))
    if (len(content) - start) % EVENT_BYTES:
        found = f"{len(content) - start} bytes behind the header"
        raise DataError(Problem(where, "must be events of 8 bytes", found, DAMAGED))
    pairs = np.frombuffer(content, ">i4", offset=start).reshape(-1, 2)
    address, t = pairs[pairs[:, 0] & EXTERNAL == 0].T
    if ((address < 0) | (address >= ADDRESSES)).any():
        rule = "has addresses that a DVS128 has not"
        raise DataError(Problem(where, rule, hex(int(address.max())), DAMAGED))
    height, width = sensor = SENSORS["DVS128"]
    x, y = width - 1 - (address >> 1 & 127), height - 1 - (address >> 8)
    return recording(x, y, 1 - (address & 1), t, sensor, where)


def _read_3(content: bytes, start: int, where: str) -> Recording:
    """AEDAT 3.1: packets of little-endian events; those that are no polarity events are passed
    over, so are invalid ones.
    """
    end = END.search(content, start)
    if end is None:
        rule = "the header has no line #!END-HEADER"
        raise DataError(Problem(where, rule, hint=DAMAGED))
    packets, sources = [], set()
    for header, events in _packets(content, end.end(), where):
        if header["type"] == POLARITY_EVENT:
            sources.add(int(header["source"]))
            word, t = np.frombuffer(events, "<u4").reshape(-1, 2).T
            late = (t >= 2**31) | (header["overflow"] < 0)
            whole = t.astype(np.int64) + (int(header["overflow"]) << 31)
            packets.append(np.stack([word, np.where(late, -1, whole)])[:, word & 1 == 1])
    if len(sources) > 1:
        rule, found = "holds events of several cameras", ", ".join(map(str, sorted(sources)))
        raise DataError(Problem(where, rule, found, "write one file per camera"))
    word, t = np.concatenate([np.zeros((2, 0), np.int64), *packets], axis=1)
    return recording(
        word >> 17, word >> 2 & 0x7FFF, word >> 1 & 1, t, _sensor(content[: end.start()]), where
    )


def _packets(content: bytes, place: int, where: str) -> Iterator[tuple[NDArray[np.void], bytes]]:
    """The headers and events of all packets."""
    while place < len(content):
        problem = Problem(f"{where}: packet at byte {place}", "is cut short", hint=DAMAGED)
        if len(content) - place < HEADER_BYTES:
            raise DataError(problem)
        header = np.frombuffer(content, HEADER, 1, place)[0]
        size, number = int(header["size"]), int(header["number"])
        wrong = header["type"] == POLARITY_EVENT and size != EVENT_BYTES
        if wrong or size < 0 or number < 0 or header["capacity"] != number:
            found = f"{number} events of {size} bytes, room for {header['capacity']}"
            raise DataError(Problem(problem.where, "is no packet of events", found, DAMAGED))
        place += HEADER_BYTES
        if size * number > len(content) - place:
            raise DataError(problem)
        yield header, content[place : place + size * number]
        place += size * number


def _sensor(header: bytes) -> tuple[int, int] | None:
    """Of the camera that the header names, where it is known."""
    named = SOURCE.search(header)
    name = "" if named is None else named[1].decode(errors="replace").upper()
    return next((size for known, size in SENSORS.items() if known in name), None)
