"""AEDAT 4.0, as DV and dv-processing write it: FlatBuffers in packets, plain or packed.

https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any
from xml.etree import ElementTree

import numpy as np

from snngen.data.events.flatbuffer import Table
from snngen.data.events.recording import SIDE, Recording, recording
from snngen.data.raw import MAX_BYTES
from snngen.data.streams import DAMAGED
from snngen.errors import DataError, Problem, ToolError

# IOHeader: compression, dataTablePosition, infoNode. EventPacket: elements.
COMPRESSION, TABLE_POSITION, INFO, ELEMENTS = 0, 1, 2, 0
EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("on", "u1"), ("", "V3")])
Unpack = Callable[[bytes, str], bytes]


def read_aedat4(content: bytes, start: int, where: str) -> Recording:
    """The recording in the bytes of a file whose version line ends at `start`: the events of its
    first stream of events.
    """
    header, start = _sized(content, start, f"{where}: header")
    table = Table(header, "IOHE", f"{where}: header")
    unpack = _unpacking(table.number(COMPRESSION, "i", 0), where)
    end = table.number(TABLE_POSITION, "q", -1)
    end = len(content) if end == -1 else end
    if not start <= end <= len(content):
        rule, found = "is cut short", f"{len(content)} bytes of at least {end}"
        raise DataError(Problem(where, rule, found, DAMAGED))
    stream, sensor = _stream(table.vector(INFO, 1), f"{where}: header")
    packets, size = [np.zeros(0, EVENT)], 0
    for of, place, packed in _packets(content[:end], start, where):
        if of == stream:
            at = f"{where}: packet at byte {place}"
            packet, _ = _sized(unpack(packed, at), 0, at)
            packets.append(np.frombuffer(Table(packet, "EVTS", at).vector(ELEMENTS, 16), EVENT))
            size += packets[-1].nbytes
        if size > MAX_BYTES:
            raise DataError(Problem(where, f"more than {MAX_BYTES} bytes of events"))
    events = np.concatenate(packets)
    return recording(events["x"], events["y"], events["on"], events["t"], sensor, where)


def _sized(content: bytes, place: int, where: str) -> tuple[bytes, int]:
    """What a size of four bytes is followed by, and where that ends."""
    begin = place + 4
    size = int.from_bytes(content[place:begin], "little")
    if len(content) < begin + size:
        raise DataError(Problem(where, "is cut short", hint=DAMAGED))
    return content[begin : begin + size], begin + size


def _packets(content: bytes, place: int, where: str) -> Iterator[tuple[int, int, bytes]]:
    """Of all packets the stream that they belong to, their place, and what they hold."""
    while place < len(content):
        at = f"{where}: packet at byte {place}"
        if len(content) - place < 8:
            raise DataError(Problem(at, "is cut short", hint=DAMAGED))
        stream, size = struct.unpack_from("<ii", content, place)
        if not 0 <= size <= len(content) - place - 8:
            raise DataError(Problem(at, "is cut short", f"{size} bytes", DAMAGED))
        yield stream, place, content[place + 8 : place + 8 + size]
        place += 8 + size


def _stream(info: bytes, where: str) -> tuple[int, tuple[int, int] | None]:
    """The first stream of events that the header tells of, and its sensor (height, width)."""
    rule = "must describe the streams, in XML"
    if b"<!" in info:  # DV declares nothing: entities could grow without end
        raise DataError(Problem(where, rule, "a declaration", DAMAGED))
    try:
        root = ElementTree.fromstring(info)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(Problem(where, rule, str(error), DAMAGED)) from error
    for node in root.findall("./node[@name='outInfo']/node"):
        number = _whole(node.get("name"))
        if node.findtext("attr[@key='typeIdentifier']") == "EVTS" and number is not None:
            sides = [
                _whole(node.findtext(f"node[@name='info']/attr[@key='{key}']")) or 0
                for key in ("sizeY", "sizeX")
            ]
            is_size = min(sides) > 0 and max(sides) <= SIDE
            return number, (sides[0], sides[1]) if is_size else None
    raise DataError(Problem(where, "tells of no stream of events", hint="record events"))


def _whole(text: str | None) -> int | None:
    is_number = text is not None and text.isascii() and text.isdigit() and len(text) < 10
    return int(text) if text is not None and is_number else None


def _unpacking(compression: int, where: str) -> Unpack:
    """What unpacks a packet, given the header's number."""
    match compression:
        case 0:
            return lambda packed, at: packed
        case 1 | 2:
            return partial(_unpack_lz4, _package("lz4.frame", where))
        case 3 | 4:
            return partial(_unpack_zstd, _package("zstandard", where))
    found = f"number {compression}"
    raise DataError(Problem(where, "is packed in a way that is not known", found, DAMAGED))


def _package(name: str, where: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        rule = f"is packed: reading it needs the Python package {name.split('.')[0]}"
        hint = "pip install 'snngen[events]'"
        raise ToolError(Problem(where, rule, hint=hint)) from error


def _unpack_lz4(lz4: Any, packed: bytes, where: str) -> bytes:
    unpacking = lz4.LZ4FrameDecompressor()
    try:
        content: bytes = unpacking.decompress(packed, max_length=MAX_BYTES)
    except RuntimeError as error:
        raise DataError(Problem(where, "cannot be unpacked", str(error), DAMAGED)) from error
    return content


def _unpack_zstd(zstd: Any, packed: bytes, where: str) -> bytes:
    try:
        content: bytes = zstd.ZstdDecompressor().stream_reader(packed).read(MAX_BYTES)
    except zstd.ZstdError as error:
        raise DataError(Problem(where, "cannot be unpacked", str(error), DAMAGED)) from error
    return content
