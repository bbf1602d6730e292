"""Counts of events in bins, by time and by number, of the part of the sensor that is asked for; and
where recordings lie.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from snngen import data
from snngen.data import Binning, Fitting, events
from snngen.data.events.recording import recording
from snngen.data.fitting import Wanted
from snngen.errors import DataError, SnngenError
from tests import recordings
from tests.recordings import Events, drawn, write_npz

SENSOR = (24, 16)


def stored(e: Events, sensor: tuple[int, int] | None = SENSOR) -> events.Recording:
    return recording(e.x, e.y, e.polarity, e.t, sensor, "here")


def counted(
    e: Events, binning: Binning, sensor: tuple[int, int], crop: tuple[int, int], shrink: int
) -> np.ndarray:
    """Event by event, as the documentation says."""
    top, left = round((sensor[0] - crop[0]) / 2), round((sensor[1] - crop[1]) / 2)
    height, width = crop[0] // shrink, crop[1] // shrink
    frames = np.zeros((binning.steps, 2, height, width), int)
    for k, (x, y, p, t) in enumerate(zip(e.x, e.y, e.polarity, e.t, strict=True)):
        since = int(t - e.t[0])
        if binning.events is not None:
            step = k // binning.events
        elif binning.duration is not None:
            step = since // binning.duration
        else:
            step = since * binning.steps // int(e.t[-1] - e.t[0] + 1)
        row, column = (y - top) // shrink, (x - left) // shrink
        if step < binning.steps and 0 <= row < height and 0 <= column < width:
            frames[step, p, row, column] += 1
    return np.minimum(frames, 255)


BINNINGS = [Binning(), Binning(7), Binning(3, duration=400), Binning(9, duration=400),
            Binning(4, events=50), Binning(8, events=50), Binning(2, duration=10**9)]  # fmt: skip


@pytest.mark.parametrize("binning", BINNINGS, ids=str)
@pytest.mark.parametrize("crop", [None, (20, 16), (18, 12)], ids=str)
@pytest.mark.parametrize("shrink", [None, 2])
def test_frames(binning: Binning, crop: tuple[int, int] | None, shrink: int | None) -> None:
    e = drawn(300, SENSOR, seed=4, first=10**15, last=10**15 + 3000)
    expected = counted(e, binning, SENSOR, crop or SENSOR, shrink or 1)
    fitting = Fitting(crop=crop, shrink=shrink, bins=binning)
    size = expected.shape[2:]
    found = events.frames(stored(e), Wanted((2, *size), fitting), "here")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected)
    merged = events.frames(stored(e), Wanted((1, *size), fitting), "here")
    np.testing.assert_array_equal(merged[:, 0], expected.sum(1))


def test_more_than_255_events_count_as_255() -> None:
    same = Events(*(np.full(300, k) for k in (3, 5, 1, 77)))
    for binning, expected in ((Binning(), [255]), (Binning(3, events=120), [120, 120, 60])):
        found = events.frames(stored(same), Wanted((2, *SENSOR), Fitting(bins=binning)), "here")
        assert found[:, 1, 5, 3].tolist() == expected
        assert found.astype(int).sum() == sum(expected)


def test_a_sensor_of_unknown_size_is_what_the_network_reads() -> None:
    e = drawn(100, SENSOR)
    found = events.frames(stored(e, None), Wanted((1, 12, 8), Fitting(shrink=2)), "here")
    assert found.sum() == 100


@pytest.mark.parametrize(
    ("sensor", "shape", "fitting", "message"),
    [
        (SENSOR, (2, 24, 17), Fitting(), "24 x 16, of a sensor of 24 x 16\n.*--crop and --shrink"),
        (SENSOR, (2, 10, 10), Fitting(shrink=5), "multiples of 5.*\n.*24 x 16\n.*--crop 20,15"),
        (SENSOR, (2, 20, 20), Fitting(crop=(20,)), "smaller than the 20 x 20"),
        (None, (2, 10, 10), Fitting(crop=(10,)), "does not say how large.*\n.*leave out --crop"),
        (SENSOR, (2, 24, 16), Fitting(bins=Binning(10**6)), "bytes at once"),
    ],
)
def test_frames_that_do_not_fit(sensor, shape, fitting: Fitting, message: str) -> None:
    with pytest.raises(DataError, match=message):
        events.frames(stored(drawn(9, SENSOR), sensor), Wanted(shape, fitting), "here")


# Where recordings lie.

NMNIST = (34, 34)
FORMATS = {"a.bin": recordings.nmnist, "a.aedat": recordings.aedat3, "a.aedat4": recordings.aedat4}


def folder_of(top: Path, suffix: str, write, classes: int = 3, each: int = 2) -> list[Events]:
    """A folder per class, all in order."""
    made = []
    for label in range(classes):
        (top / f"{label:02}").mkdir(parents=True)
        for k in range(each):
            e = drawn(60, seed=len(made), sensor=NMNIST)
            (top / f"{label:02}" / f"{k}{suffix}").write_bytes(write(e))
            made.append(e)
    return made


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_per_class(tmp_path: Path, name: str) -> None:
    made = folder_of(tmp_path / "set", Path(name).suffix, FORMATS[name])
    side, source = (34 if name == "a.bin" else 128), str(tmp_path / "set")
    shape, sensor = (2, side, side), (side, side)
    expected = np.stack([counted(e, Binning(4), sensor, sensor, 1) for e in made])
    streams = data.load(source, shape, coding="events", steps=4)
    np.testing.assert_array_equal(streams.images, expected)
    assert streams.labels is not None and streams.labels.tolist() == [0, 0, 1, 1, 2, 2]
    fitting = Fitting(bins=Binning(4))
    opened = data.open_samples(source, shape, fitting=fitting)
    assert len(opened) == 24
    frames = expected.reshape(24, *shape)
    parts = [pickle.loads(pickle.dumps(opened)).read(k, k + 5) for k in range(0, 24, 5)]
    np.testing.assert_array_equal(np.concatenate([p.images for p in parts]), frames)
    labels = np.concatenate([p.labels for p in parts if p.labels is not None])
    np.testing.assert_array_equal(labels, np.repeat([0, 0, 1, 1, 2, 2], 4))
    few = data.load(source, shape, fitting=fitting, limit=5)
    np.testing.assert_array_equal(few.images, frames[np.arange(5) * 24 // 5])
    whole = data.load(source, shape)
    np.testing.assert_array_equal(whole.images, expected.sum(1))


def test_one_file(tmp_path: Path) -> None:
    e = drawn(40)
    (tmp_path / "a.aedat4").write_bytes(recordings.aedat4(e))
    found = data.load(str(tmp_path / "a.aedat4"), (2, 128, 128))
    assert found.labels is None and found.images.shape == (1, 2, 128, 128)
    assert found.images.sum() == 40


def test_every_damaged_recording_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path / "set", ".bin", recordings.nmnist)
    for label in ("00", "02"):
        (tmp_path / "set" / label / "1.bin").write_bytes(b"1234")
    with pytest.raises(DataError) as caught:
        data.load(str(tmp_path / "set"), (2, 34, 34))
    assert [Path(p.where).parent.name for p in caught.value.problems] == ["00", "02"]


def test_recordings_of_an_npz_file(tmp_path: Path) -> None:
    made = [drawn(50, NMNIST, seed=k) for k in range(3)]
    arrays = {
        key: np.concatenate([getattr(e, name) for e in made])
        for key, name in (("x", "x"), ("y", "y"), ("p", "polarity"), ("t", "t"))
    }
    more = {"offset": np.array([0, 50, 100, 150]), "label": np.array([7, 1, 2])}
    path = tmp_path / "set.npz"
    np.savez(path, **arrays, **more)
    found = data.load(str(path), (2, 34, 34), coding="events", steps=5)
    expected = [counted(e, Binning(5), NMNIST, NMNIST, 1) for e in made]
    np.testing.assert_array_equal(found.images, np.stack(expected))
    assert found.labels is not None and found.labels.tolist() == [7, 1, 2]
    np.savez(path, **arrays, **more, is_test=np.array([False, True, False]))
    for split, part in (("train", [0, 2]), ("test", [1])):
        half = data.load(str(path), (2, 34, 34), coding="events", steps=5, split=split)
        np.testing.assert_array_equal(half.images, np.stack([expected[k] for k in part]))
    with pytest.raises(DataError, match="where one recording is expected"):
        events.read(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"x": np.array([1, 2, 3, 3], np.uint8)},
        {"offset": np.array([0, 3, 2, 5])},
        {"offset": np.array([0, 1, 5])},
        {"offset": np.array([0, 1, 5, 6])},
        {"offset": np.array([1, 1, 2, 5])},
        {"is_test": np.array([True])},
    ],
    ids=str,
)
def test_arrays_that_do_not_belong_together(tmp_path: Path, changed: dict) -> None:
    arrays = {name: np.ones(5, int) for name in ("x", "y", "p", "t")}
    more = {"offset": np.array([0, 1, 3, 5]), "label": np.array([3, 8, 9])}
    np.savez(tmp_path / "a.npz", **(arrays | more | changed))
    with pytest.raises(DataError, match="do not belong together"):
        data.load(str(tmp_path / "a.npz"), (2, 34, 34))


@pytest.mark.parametrize(
    ("source", "shape", "fitting", "message"),
    [
        ("a.npz", (3, 34, 34), Fitting(), "reads 3 channels; recordings have 1 or 2"),
        ("a.npz", (2, 34, 34), Fitting(resize=(20,)), "--resize is for image files"),
        ("i.npz", (1, 8, 8), Fitting(bins=Binning()), "are for recordings of events\n.*--bins"),
        ("i.npz", (1, 8, 8), Fitting(shrink=2), "are for recordings of events\n.*--shrink"),
        ("empty", (1, 8, 8), Fitting(), "holds no images and no recordings"),
        ("mixed", (2, 34, 34), Fitting(), "b.txt: not a recording of events"),
    ],
)
def test_sources_that_do_not_fit(tmp_path: Path, source, shape, fitting, message: str) -> None:
    write_npz(tmp_path / "a.npz", drawn(20, NMNIST))
    np.savez(tmp_path / "i.npz", x=np.zeros((3, 8, 8), np.uint8), y=np.zeros(3, int))
    for folder in ("empty", "mixed"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mixed" / "a.bin").write_bytes(recordings.nmnist(drawn(20, NMNIST)))
    (tmp_path / "mixed" / "b.txt").write_bytes(b"notes")
    with pytest.raises(DataError, match=message):
        data.load(str(tmp_path / source), shape, fitting=fitting)


def test_nmnist_as_published(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SNNGEN_DATA", str(tmp_path))
    made = {
        part: folder_of(tmp_path / "nmnist" / part, ".bin", recordings.nmnist, each=each)
        for part, each in (("Train", 2), ("Test", 1))
    }
    for split, part in (("train", "Train"), ("test", "Test")):
        found = data.load("nmnist", (2, 34, 34), split=split)
        expected = [counted(e, Binning(), NMNIST, NMNIST, 1)[0] for e in made[part]]
        np.testing.assert_array_equal(found.images, np.stack(expected))
    cropped = data.load("nmnist:test", (1, 15, 15), fitting=Fitting(crop=(30,), shrink=2))
    assert cropped.images.shape == (3, 1, 15, 15)


def write_gestures(folder: Path) -> list[Events]:
    """Two recordings for training and one for testing, of two gestures each with some events
    before, between and behind them, in the files that DVS128 Gesture has.
    """
    made, names = [], ["user01_led", "user02_lab", "user03_led"]
    folder.mkdir(parents=True)
    for k, name in enumerate(names):
        e = drawn(400, seed=k, first=2**31 - 2000, last=2**31 + 2000)
        rows = ["class,startTime_usec,endTime_usec"]
        for label, (start, end) in enumerate([(-1500, -500), (0, 1700)], k + 1):
            start, end = start + 2**31, end + 2**31
            inside = (e.t >= start) & (e.t < end)
            made.append(Events(e.x[inside], e.y[inside], e.polarity[inside], e.t[inside]))
            rows.append(f"{label},{start},{end}")
        (folder / f"{name}.aedat").write_bytes(recordings.aedat3(e))
        (folder / f"{name}_labels.csv").write_text("\n".join(rows) + "\n")
    listed = "".join(f"{name}.aedat\n" for name in names[:2])
    (folder / "trials_to_train.txt").write_text(listed)
    (folder / "trials_to_test.txt").write_text(f"{names[2]}.aedat\r\n\r\n")
    return made


def test_gestures_as_published(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("SNNGEN_DATA", str(tmp_path))
    made, sensor = write_gestures(tmp_path / "dvs_gesture"), (128, 128)
    expected = np.stack([counted(e, Binning(3), sensor, sensor, 4) for e in made])
    fitting = Fitting(bins=Binning(3), shrink=4)
    for split, part, labels in (
        ("train", slice(0, 4), [0, 1, 1, 2]),
        ("test", slice(4, 6), [2, 3]),
    ):
        found = data.load(f"dvs_gesture:{split}", (2, 32, 32), fitting=fitting, coding="events")
        np.testing.assert_array_equal(found.images, expected[part])
        assert found.labels is not None and found.labels.tolist() == labels
    frames = data.load("dvs_gesture", (2, 32, 32), fitting=fitting)
    np.testing.assert_array_equal(frames.images, expected[4:].reshape(6, 2, 32, 32))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "line 1: must be a line class,startTime_usec"),
        ("class,start\n", "line 1: must be a line class,startTime_usec"),
        ("class,startTime_usec,endTime_usec\n1,2\n", "line 2: must be a line"),
        ("class,startTime_usec,endTime_usec\n1,5,9\n", "5 to 9 us: the gesture has no events"),
        ("class,startTime_usec,endTime_usec\n0,2147483648,2147484648\n", "must not be negative"),
        (None, "No such file"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, monkeypatch, table, message: str) -> None:
    monkeypatch.setenv("SNNGEN_DATA", str(tmp_path))
    write_gestures(tmp_path / "dvs_gesture")
    path = tmp_path / "dvs_gesture" / "user03_led_labels.csv"
    path.unlink() if table is None else path.write_text(table)
    with pytest.raises(SnngenError, match=message):
        data.load("dvs_gesture", (2, 128, 128))


def test_the_real_recordings(data_dir: Path, tmp_path: Path) -> None:
    """Written anew as published they are the same."""
    with np.load(data_dir / "nmnist" / "nmnist_small.npz") as packed:
        is_test, offset, label = packed["is_test"], packed["offset"], packed["label"]
        x, y, p, dt = (packed[name].astype(int) for name in ("x", "y", "p", "dt"))
    for k in np.flatnonzero(is_test):
        part = slice(offset[k], offset[k + 1])
        e = Events(x[part], y[part], p[part], np.cumsum(dt[part]))
        folder = tmp_path / str(label[k])
        folder.mkdir(exist_ok=True)
        (folder / f"{k:05}.bin").write_bytes(recordings.nmnist(e))
    fitting = Fitting(bins=Binning(30, duration=10_000))
    packed_streams = data.load("nmnist", (2, 34, 34), coding="events", fitting=fitting)
    streams = data.load(str(tmp_path), (2, 34, 34), coding="events", fitting=fitting)
    order = np.argsort(label[is_test], kind="stable")
    assert streams.labels is not None and packed_streams.labels is not None
    np.testing.assert_array_equal(streams.images, packed_streams.images[order])
    np.testing.assert_array_equal(streams.labels, packed_streams.labels[order])
    assert streams.images.sum() > 0.9 * (np.diff(offset)[is_test]).sum()
