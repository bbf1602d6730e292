"""Recordings of events as files, written by the descriptions of the formats, and by nothing that
reads them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Events:
    """Columns and rows from the upper left, 1 for brighter, microseconds: int64 (N,) each."""

    x: np.ndarray
    y: np.ndarray
    polarity: np.ndarray
    t: np.ndarray


def drawn(
    count: int = 300,
    sensor: tuple[int, int] = (128, 128),
    seed: int = 0,
    first: int = 0,
    last: int = 10**5,
) -> Events:
    """So many events on a sensor (height, width), from `first` to before `last`, both of which are
    there; times may be equal.
    """
    rng = np.random.default_rng(seed)
    height, width = sensor
    t = np.sort(rng.integers(first, last, count))
    t[0], t[-1] = first, last - 1
    return Events(
        rng.integers(0, width, count), rng.integers(0, height, count), rng.integers(0, 2, count), t
    )


def nmnist(e: Events) -> bytes:
    """40 bits each: column, row, polarity in bit 23, microseconds in the bits below."""
    words = zip(e.x.tolist(), e.y.tolist(), e.polarity.tolist(), e.t.tolist(), strict=True)
    return b"".join((x << 32 | y << 24 | p << 23 | t).to_bytes(5, "big") for x, y, p, t in words)


def aedat2(e: Events, *, chip: str = "ch.unizh.ini.jaer.chip.retina.DVS128") -> bytes:
    """Big-endian address and time. A DVS128 counts columns and rows from the lower right, and its
    bit of polarity is 0 for brighter. An external event, which no pixel sent, comes first.
    """
    head = f"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# AEChip: {chip}\r\n"
    events = [struct.pack(">ii", 1 << 15, int(e.t[0]))] if len(e.t) else []
    for x, y, p, t in zip(e.x, e.y, e.polarity, e.t, strict=True):
        events.append(struct.pack(">ii", (127 - y) << 8 | (127 - x) << 1 | (1 - p), t))
    return head.encode() + b"".join(events)


def packet3(body: bytes, count: int, *, kind: int = 1, source: int = 1, overflow: int = 0) -> bytes:
    size = len(body) // max(count, 1)
    return struct.pack("<hhiiiiii", kind, source, size, 4, overflow, count, count, count) + body


def aedat3(e: Events, *, camera: str = "DVS128", per_packet: int = 70) -> bytes:
    """Packets of little-endian events: column, row, polarity and validity in 15, 15, 1 and 1 bits,
    and the time, whose bits above 31 are the packet's. An IMU packet and an invalid event are among
    them.
    """
    lines = ["#!AER-DAT3.1", "#Format: RAW", f"#Source 1: {camera}",
             "#Start-Time: 2016-05-09 09:29:15 (TZ+0200)", "#!END-HEADER"]  # fmt: skip
    content = "".join(line + "\r\n" for line in lines).encode()
    content += packet3(bytes(72), 2, kind=3)
    begin = 0
    while begin < len(e.t):
        same = e.t[begin : begin + per_packet] >> 31 == e.t[begin] >> 31
        part = slice(begin, begin + int(same.sum()))
        begin = part.stop
        overflow = int(e.t[part.start] >> 31)
        body = struct.pack("<II", 5 << 17 | 9 << 2, 0)  # invalid, of another time
        for x, y, p, t in zip(e.x[part], e.y[part], e.polarity[part], e.t[part], strict=True):
            body += struct.pack("<II", int(x) << 17 | int(y) << 2 | int(p) << 1 | 1, t & 2**31 - 1)
        content += packet3(body, len(body) // 8, overflow=overflow)
    return content


def flatbuffer(identifier: str, fields: list[bytes | int | None]) -> bytes:
    """A size-prefixed FlatBuffer of one table: its root's place, four letters, the table of its
    fields' places, the table. A field that is bytes is a place behind the table, where these are.
    """
    size = 4 + 8 * len(fields)
    places = [0 if value is None else 4 + 8 * k for k, value in enumerate(fields)]
    directory = struct.pack(f"<HH{len(fields)}H", 4 + 2 * len(fields), size, *places)
    directory += bytes(-(8 + len(directory)) % 8)
    start = 8 + len(directory)
    table, behind = struct.pack("<i", start - 8), b""
    for k, value in enumerate(fields):
        if isinstance(value, bytes):
            table += struct.pack("<II", size + len(behind) - 4 - 8 * k, 0)
            behind += value + bytes(-len(value) % 8)
        else:
            table += struct.pack("<q", value or 0)
    content = struct.pack("<I", start) + identifier.encode() + directory + table + behind
    return struct.pack("<I", len(content)) + content


def plain(content: bytes) -> bytes:
    return content


def aedat4(
    e: Events,
    *,
    sensor: tuple[int, int] = (128, 128),
    pack: tuple[int, Callable[[bytes], bytes]] = (0, plain),
    per_packet: int = 70,
    with_table: bool = True,
) -> bytes:
    """The header tells of two streams, events (0) and triggers (1), and where a table of all
    packets lies, behind them. Times are those of a clock.
    """
    height, width = sensor
    info = (
        '<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">'
        '<node name="0" path="/0/"><attr key="typeIdentifier" type="string">EVTS</attr>'
        f'<node name="info" path="/i/"><attr key="sizeX" type="int">{width}</attr>'
        f'<attr key="sizeY" type="int">{height}</attr></node></node>'
        '<node name="1" path="/1/"><attr key="typeIdentifier" type="string">TRIG</attr></node>'
        "</node></dv>"
    ).encode()
    packets = b""
    for begin in range(0, len(e.t), per_packet):
        part = slice(begin, begin + per_packet)
        rows = zip(e.t[part], e.x[part], e.y[part], e.polarity[part], strict=True)
        elements = b"".join(struct.pack("<qhhB3x", *row) for row in rows)
        vector = struct.pack("<I", len(elements) // 16) + elements
        content = pack[1](flatbuffer("EVTS", [vector]))
        packets += struct.pack("<ii", 0, len(content)) + content
        packets += struct.pack("<ii", 1, 3) + b"any"

    def header(position: int) -> bytes:
        return flatbuffer("IOHE", [pack[0], position, struct.pack("<I", len(info)) + info])

    start = b"#!AER-DAT4.0\r\n"
    behind = len(start) + len(header(0)) + len(packets)
    if not with_table:
        return start + header(-1) + packets
    return start + header(behind) + packets + flatbuffer("FTAB", [])


def write_npz(path: Path, e: Events, **more: object) -> None:
    np.savez(path, x=e.x, y=e.y, p=e.polarity, t=e.t, **more)
