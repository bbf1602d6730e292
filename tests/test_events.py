"""Recordings of event cameras: every format as described, and whatever is wrong in a file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snngen.data import events
from snngen.errors import DataError, SnngenError, ToolError
from tests import recordings
from tests.recordings import Events, drawn

CLOCK = 1_700_000_000_000_000  # microseconds since 1970

FILES: dict[str, tuple[str, Callable[[Events], bytes], tuple[int, int] | None]] = {
    "nmnist": ("a.bin", recordings.nmnist, None),
    "aedat2": ("a.aedat", recordings.aedat2, (128, 128)),
    "aedat3": ("a.aedat", recordings.aedat3, (128, 128)),
    "aedat4": ("a.aedat4", recordings.aedat4, (128, 128)),
}
formats = pytest.mark.parametrize("name", FILES)


def read(folder: Path, name: str, content: bytes) -> events.Recording:
    path = folder / FILES[name][0]
    path.write_bytes(content)
    return events.read(path)


def assert_same(found: events.Recording, e: Events) -> None:
    for column, expected in (("x", e.x), ("y", e.y), ("polarity", e.polarity), ("t", e.t)):
        np.testing.assert_array_equal(found.events[column], expected)


@formats
def test_every_format_is_read_as_it_is_described(tmp_path: Path, name: str) -> None:
    for seed, count in enumerate([1, 2, 69, 70, 71, 300]):
        e = drawn(count, seed=seed)
        found = read(tmp_path, name, FILES[name][1](e))
        assert_same(found, e)
        assert found.sensor == FILES[name][2] and found.events.dtype == events.EVENT


def test_corners_of_the_sensor(tmp_path: Path) -> None:
    sides = np.array([0, 127])
    e = Events(np.tile(sides, 2), np.repeat(sides, 2), np.array([0, 1, 1, 0]), np.arange(4))
    for name, (_, write, _) in FILES.items():
        assert_same(read(tmp_path, name, write(e)), e)


def test_a_few_events_byte_by_byte(tmp_path: Path) -> None:
    """Column 3, row 5, darker after 7 us; column 127, row 0, brighter after 65,543 us."""
    e = Events(np.array([3, 127]), np.array([5, 0]), np.array([0, 1]), np.array([7, 65543]))
    files = {
        "nmnist": bytes.fromhex("03 05 00 00 07  7f 00 81 00 07"),
        "aedat2": b"#!AER-DAT2.0\r\n" + bytes.fromhex("00007af9 00000007 00007f00 00010007"),
        "aedat3": b"#!AER-DAT3.1\r\n#!END-HEADER\r\n"
        + bytes.fromhex("0100 0000 08000000 04000000 00000000 02000000 02000000 02000000")
        + bytes.fromhex("15000600 07000000 0300fe00 07000100"),
    }
    for name, content in files.items():
        assert_same(read(tmp_path, name, content), e)


def test_times_beyond_31_bits(tmp_path: Path) -> None:
    late = drawn(200, first=2**31 - 100, last=2**31 + 100)
    assert_same(read(tmp_path, "aedat3", recordings.aedat3(late)), late)
    clock = drawn(200, first=CLOCK, last=CLOCK + 300)
    assert_same(read(tmp_path, "aedat4", recordings.aedat4(clock)), clock)


def test_sensors(tmp_path: Path) -> None:
    e = drawn(50, (260, 346))
    found = read(tmp_path, "aedat4", recordings.aedat4(e, sensor=(260, 346), with_table=False))
    assert found.sensor == (260, 346)
    assert_same(found, e)
    for camera, sensor in (("DAVIS240C", (180, 240)), ("DVXplorer", None)):
        small = drawn(50, (180, 240))
        found = read(tmp_path, "aedat3", recordings.aedat3(small, camera=camera))
        assert found.sensor == sensor
        assert_same(found, small)


PACKERS = {
    "lz4": (1, "lz4.frame", lambda lz4, content: lz4.compress(content)),
    "lz4 high": (2, "lz4.frame", lambda lz4, content: lz4.compress(content, 9)),
    "zstd": (3, "zstandard", lambda zstd, content: zstd.ZstdCompressor().compress(content)),
    "zstd high": (4, "zstandard", lambda zstd, content: zstd.ZstdCompressor(9).compress(content)),
}


def packing(packer: str) -> tuple[int, Callable[[bytes], bytes]]:
    """For `aedat4`."""
    number, package, compress = PACKERS[packer]
    return number, lambda content: compress(import_module(package), content)


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_packets(tmp_path: Path, packer: str, require) -> None:
    require(f"python:{PACKERS[packer][1].split('.')[0]}")
    e, (number, pack) = drawn(), packing(packer)
    assert_same(read(tmp_path, "aedat4", recordings.aedat4(e, pack=(number, pack))), e)
    damaged = recordings.aedat4(e, pack=(number, lambda c: pack(c)[:-40] + bytes(40)))
    with pytest.raises(DataError, match=r"packet at byte \d+"):
        read(tmp_path, "aedat4", damaged)


@pytest.mark.parametrize("packer", ["lz4", "zstd"])
def test_a_packet_that_unpacks_without_end(
    tmp_path: Path, packer: str, require, monkeypatch
) -> None:
    require(f"python:{PACKERS[packer][1].split('.')[0]}")
    monkeypatch.setattr("snngen.data.events.aedat4.MAX_BYTES", 2**16)
    number, pack = packing(packer)
    huge = struct.pack("<I", 2**20) + bytes(2**20)
    with pytest.raises(DataError, match="is cut short"):
        read(tmp_path, "aedat4", recordings.aedat4(drawn(1), pack=(number, lambda c: pack(huge))))


def test_packed_packets_without_the_package(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lz4.frame", None)
    with pytest.raises(ToolError, match=r"needs the Python package lz4\n.*snngen\[events\]"):
        read(tmp_path, "aedat4", recordings.aedat4(drawn(), pack=(1, recordings.plain)))


@pytest.mark.parametrize("split", ["t", "dt"])
def test_arrays_of_one_recording(tmp_path: Path, split: str) -> None:
    e = drawn(sensor=(40, 60))
    time = {"t": e.t} if split == "t" else {"dt": np.diff(e.t, prepend=0)}
    arrays = {"x": e.x, "y": e.y, "p": e.polarity, **time}
    np.savez(tmp_path / "a.npz", **arrays)
    found = events.read(tmp_path / "a.npz")
    assert_same(found, e)
    assert found.sensor is None
    np.savez(tmp_path / "a.npz", **arrays, sensor=np.array([40, 60]))
    assert events.read(tmp_path / "a.npz").sensor == (40, 60)


# What is wrong in a file, and what the message must say.


def altered(**columns: np.ndarray) -> Events:
    e = drawn(30)
    return Events(**({"x": e.x, "y": e.y, "polarity": e.polarity, "t": e.t} | columns))


BACK = altered(t=np.array([*range(20), 5, *range(21, 30)]))
WIDE = altered(x=np.array([*range(29), 128]))
EMPTY = drawn(2)
EMPTY = Events(*(column[:0] for column in (EMPTY.x, EMPTY.y, EMPTY.polarity, EMPTY.t)))
GOOD = drawn(30)
HEAD_3 = recordings.aedat3(EMPTY)


def cut(content: bytes, count: int = 3) -> bytes:
    return content[:-count]


def with_xml(xml: bytes) -> bytes:
    packed = struct.pack("<I", len(xml)) + xml
    return b"#!AER-DAT4.0\r\n" + recordings.flatbuffer("IOHE", [0, -1, packed])


BAD: dict[str, tuple[str, bytes, str]] = {
    **{f"{name}-empty": (name, write(EMPTY), "holds no events")
       for name, (_, write, _) in FILES.items()},
    **{f"{name}-back": (name, write(BACK),
                        "event 20: comes before the event before it\n  found: 19, then 5 us")
       for name, (_, write, _) in FILES.items()},
    "nmnist-cut": ("nmnist", cut(recordings.nmnist(GOOD)), "must be events of 5 bytes"),
    "nothing": ("aedat2", b"", "must begin as AEDAT"),
    "zeros": ("aedat2", bytes(1000), "must begin as AEDAT"),
    "1.0": ("aedat2", b"#!AER-DAT1.0\r\n" + bytes(6), "must begin as AEDAT"),
    "2-cut": ("aedat2", cut(recordings.aedat2(GOOD)), "must be events of 8 bytes"),
    "2-chip": ("aedat2", recordings.aedat2(GOOD, chip="a.Davis346B"), "only DVS128 is known"),
    "2-address": ("aedat2", b"#!AER-DAT2.0\r\n" + struct.pack(">ii", 1 << 20, 3), "0x100000"),
    "2-header-only": ("aedat2", b"#!AER-DAT2.0\r\n# no end", "holds no events"),
    "2-wrapped": ("aedat2", b"#!AER-DAT2.0\r\n" + struct.pack(">ii", 4, -3), "no such time"),
    "3-cut": ("aedat3", cut(recordings.aedat3(GOOD)), "is cut short"),
    "3-cut-header": ("aedat3", HEAD_3 + bytes(20), "packet at byte 205: is cut short"),
    "3-no-end": ("aedat3", b"#!AER-DAT3.1\r\n#Format: RAW\r\n", "no line #!END-HEADER"),
    "3-size": ("aedat3", HEAD_3 + recordings.packet3(bytes(12), 1), "1 events of 12 bytes"),
    "3-cameras": ("aedat3", HEAD_3 + recordings.packet3(bytes(8), 1, source=0)
                  + recordings.packet3(bytes(8), 1), "several cameras"),
    "3-outside": ("aedat3", recordings.aedat3(WIDE), "event 29: lies outside the sensor, 128 x"),
    "3-negative": ("aedat3", HEAD_3 + recordings.packet3(struct.pack("<II", 1, 2**31), 1),
                   "no such time"),
    "4-cut": ("aedat4", cut(recordings.aedat4(GOOD), 300), "is cut short"),
    "4-cut-plain": ("aedat4", cut(recordings.aedat4(GOOD, with_table=False)), "is cut short"),
    "4-no-header": ("aedat4", b"#!AER-DAT4.0\r\n\x09", "header: is cut short"),
    "4-other": ("aedat4", b"#!AER-DAT4.0\r\n" + recordings.flatbuffer("ABCD", []), "'IOHE'"),
    "4-packing": ("aedat4", recordings.aedat4(GOOD, pack=(9, recordings.plain)), "number 9"),
    "4-outside": ("aedat4", recordings.aedat4(WIDE), "event 29: lies outside the sensor, 128 x"),
    "4-negative": ("aedat4", recordings.aedat4(altered(y=np.full(30, -1))), "outside the sensor"),
    "4-xml": ("aedat4", with_xml(b"<dv>"), "must describe the streams"),
    "4-entity": ("aedat4", with_xml(b'<!DOCTYPE d [<!ENTITY a "b">]><dv>&a;</dv>'), "declaration"),
    "4-no-events": ("aedat4", with_xml(b"<dv/>"), "tells of no stream of events"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said(tmp_path: Path, case: str) -> None:
    name, content, message = BAD[case]
    with pytest.raises(DataError) as caught:
        read(tmp_path, name, content)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


BAD_ARRAYS = {
    "shorter": ({"x": np.zeros(4, int)}, "do not belong together"),
    "real": ({"x": np.zeros(5)}, "'x': must be one whole number"),
    "square": ({"y": np.zeros((5, 1), int)}, "'y': must be one whole number"),
    "polarity": ({"p": np.full(5, 2)}, "event 0: the polarity must be 0 or 1"),
    "negative": ({"p": np.full(5, -1)}, "event 0: the polarity must be 0 or 1"),
    "far": ({"t": np.full(5, 2**62)}, "no such time"),
    "sensor": ({"sensor": np.array([3])}, "must be height and width"),
    "outside": ({"sensor": np.array([3, 2]), "x": np.full(5, 2)}, "row 0, column 2; 4 more"),
    "large": ({"x": np.full(5, 2**40)}, "outside the sensor"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_arrays_that_are_no_recording(tmp_path: Path, case: str) -> None:
    changed, message = BAD_ARRAYS[case]
    arrays = {name: np.zeros(5, int) for name in ("x", "y", "p", "t")}
    np.savez(tmp_path / "a.npz", **(arrays | changed))
    with pytest.raises(DataError, match=message):
        events.read(tmp_path / "a.npz")


def try_to_read(folder: Path, name: str, content: bytes) -> None:
    """Whatever the content, there is a recording that keeps its promises, or a plain error."""
    try:
        found = read(folder, name, content)
    except SnngenError as error:
        assert str(folder) in str(error)
        return
    assert len(found.events) and (np.diff(found.events["t"]) >= 0).all()
    if found.sensor is not None:
        height, width = found.sensor
        assert found.events["x"].max() < width and found.events["y"].max() < height


quick = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
STARTS = [b"", b"#!AER-DAT2.0\r\n", HEAD_3, b"#!AER-DAT4.0\r\n"]


@formats
@quick
@given(st.sampled_from(STARTS), st.binary(max_size=300))
def test_random_bytes(tmp_path: Path, name: str, start: bytes, content: bytes) -> None:
    try_to_read(tmp_path, name, start + content)


@formats
@quick
@given(st.data())
def test_changed_files(tmp_path: Path, name: str, data: st.DataObject) -> None:
    """Bytes replaced, taken out and put in, most of them where the headers are."""
    content = bytearray(FILES[name][1](drawn(20)))
    for _ in range(data.draw(st.integers(1, 4))):
        near = data.draw(st.sampled_from([60, 200, len(content)]))
        place = data.draw(st.integers(0, min(near, len(content) - 1)))
        removed = data.draw(st.sampled_from([0, 1, 1, 1, 8]))
        content[place : place + removed] = data.draw(st.binary(max_size=9))
        if not content:
            break
    try_to_read(tmp_path, name, bytes(content))


@quick
@given(st.sampled_from(["lz4", "zstd"]), st.data())
def test_changed_packed_files(tmp_path: Path, require, packer: str, data: st.DataObject) -> None:
    require("python:lz4")
    require("python:zstandard")
    content = bytearray(recordings.aedat4(drawn(60), pack=packing(packer)))
    place = data.draw(st.integers(700, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    try_to_read(tmp_path, "aedat4", bytes(content))
