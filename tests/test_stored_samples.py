"""Samples that stay where they are: read in parts, by anybody, in constant memory."""

from __future__ import annotations

import gzip
import pickle
import struct
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snngen import data
from snngen.errors import DataError, SnngenError

COLOUR = (3, 32, 32)
COUNT = 40


def drawn(count: int = COUNT) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, *COLOUR), dtype=np.uint8), np.arange(count) % 10


def idx(values: np.ndarray) -> bytes:
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.astype(np.uint8).tobytes()


def write_npz(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    np.savez(path / "a.npz", x=images, y=labels)
    return path / "a.npz"


def write_packed_npz(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    np.savez_compressed(path / "b.npz", x=images.transpose(0, 2, 3, 1), y=labels)
    return path / "b.npz"


def write_npy(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    np.save(path / "a.npy", images.astype(np.float64))
    return path / "a.npy"


def write_fortran_npy(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    np.save(path / "f.npy", np.asfortranarray(images))
    return path / "f.npy"


def write_idx(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    (path / "some.images-idx4-ubyte").write_bytes(idx(images))
    (path / "some.labels-idx1-ubyte").write_bytes(idx(labels))
    return path / "some.images-idx4-ubyte"


def write_packed_idx(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    (path / "images-idx4-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (path / "labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    return path / "images-idx4-ubyte.gz"


def write_cifar10(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    records = np.hstack([labels[:, None], images.reshape(len(images), -1)]).astype(np.uint8)
    (path / "a.bin").write_bytes(records.tobytes())
    return path / "a.bin"


def write_cifar100(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    both = np.stack([labels // 5, labels], axis=1)  # coarse, fine
    records = np.hstack([both, images.reshape(len(images), -1)]).astype(np.uint8)
    (path / "b.bin").write_bytes(records.tobytes())
    return path / "b.bin"


def write_folder(path: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    for k, (image, label) in enumerate(zip(images, labels, strict=True)):
        folder = path / "folder" / f"n{label:04}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{k:06}.png", compress_level=1)
    return path / "folder"


WRITERS: dict[str, Callable[[Path, np.ndarray, np.ndarray], Path]] = {
    name.removeprefix("write_"): value
    for name, value in list(globals().items())
    if name.startswith("write_")
}
STREAMED = [name for name in WRITERS if name != "fortran_npy"]


@pytest.mark.parametrize("name", WRITERS)
def test_parts_are_the_whole(tmp_path: Path, name: str) -> None:
    images, labels = drawn()
    source = str(WRITERS[name](tmp_path, images, labels))
    stored = data.open_samples(source, COLOUR)
    order = np.argsort(labels, kind="stable") if name == "folder" else np.arange(COUNT)
    whole = data.load(source, COLOUR)
    np.testing.assert_array_equal(whole.images, images[order])
    if name.endswith("npy"):
        assert whole.labels is None
    else:
        np.testing.assert_array_equal(whole.labels, labels[order])

    def read(start: int) -> data.Samples:
        return pickle.loads(pickle.dumps(stored)).read(start, start + 7)

    starts = [*range(0, COUNT, 7)]
    with ThreadPoolExecutor(3) as pool:  # forwards, backwards, at once, elsewhere
        for found in (map(stored.read, starts, [s + 7 for s in starts]), pool.map(read, starts)):
            parts = list(found)
            np.testing.assert_array_equal(np.concatenate([p.images for p in parts]), whole.images)
    np.testing.assert_array_equal(stored.read(3, 5).images, whole.images[3:5])


@pytest.mark.parametrize("name", WRITERS)
def test_limits_are_the_same_samples_in_parts(tmp_path: Path, name: str) -> None:
    source = str(WRITERS[name](tmp_path, *drawn()))
    stored = data.open_samples(source, COLOUR, limit=17)
    assert len(stored) == 17
    chosen = np.arange(17) * COUNT // 17
    whole = data.load(source, COLOUR).images[chosen]
    parts = [stored.read(k, k + 5).images for k in range(0, 17, 5)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("name", STREAMED)
def test_memory_does_not_grow_with_the_source(tmp_path: Path, name: str) -> None:
    """Ten times the samples, the same peak; holding them all would take megabytes."""
    peaks = []
    for count in (30, 300):
        (tmp_path / str(count)).mkdir()
        source = str(WRITERS[name](tmp_path / str(count), *drawn(count)))
        tracemalloc.start()
        stored = data.open_samples(source, COLOUR)
        for k in range(0, count, 10):
            stored.read(k, k + 10)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    held = 270 * 3072
    assert peaks[1] - peaks[0] < held / 8, peaks


@pytest.mark.parametrize("name", STREAMED)
def test_damage_anywhere_is_found_where_it_is_read(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path, *drawn())
    stored = data.open_samples(str(path), COLOUR)
    damaged = sorted(path.rglob("*.png"))[30] if name == "folder" else path
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size * 2 // 3])
    stored.read(0, 5)
    with pytest.raises(SnngenError):
        stored.read(0, COUNT)


def test_every_damaged_image_is_named(tmp_path: Path) -> None:
    folder = WRITERS["folder"](tmp_path, *drawn())
    damaged = [path for k, path in enumerate(sorted(folder.rglob("*.png"))) if k in (3, 21, 22)]
    for path in damaged:
        path.write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        data.load(str(folder), COLOUR)
    assert [problem.where for problem in caught.value.problems] == [*map(str, damaged)]


def test_a_folder_that_changes_is_noticed(tmp_path: Path) -> None:
    folder = WRITERS["folder"](tmp_path, *drawn())
    stored = data.open_samples(str(folder), COLOUR)
    next((folder / "n0005").iterdir()).unlink()
    stored.read(0, 4)
    with pytest.raises(DataError, match="changed while it was read"):
        stored.read(0, COUNT)


def direct(image: Image.Image, resize: int, crop: int) -> np.ndarray:
    """What torchvision.transforms.Resize and CenterCrop compute, written out."""
    width, height = image.size
    if width <= height:
        new = resize, int(resize * height / width)
    else:
        new = int(resize * width / height), resize
    resized = image.resize(new, Image.Resampling.BILINEAR)
    top = round((resized.height - crop) / 2.0)
    left = round((resized.width - crop) / 2.0)
    return np.asarray(resized)[top : top + crop, left : left + crop].transpose(2, 0, 1)


@pytest.mark.parametrize("size", [(50, 37), (37, 50), (41, 41), (23, 90), (300, 299)])
def test_resize_and_crop(tmp_path: Path, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    fitting = data.Fitting(resize=(36,), crop=(31,))
    found = data.load(str(tmp_path), (3, 31, 31), fitting=fitting).images[0]
    np.testing.assert_array_equal(found, direct(Image.open(tmp_path / "a.png"), 36, 31))
    exact = data.load(str(tmp_path), (3, 20, 30), fitting=data.Fitting(resize=(20, 30))).images[0]
    expected = Image.fromarray(noise).resize((30, 20), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(exact, np.asarray(expected).transpose(2, 0, 1))
    grey = data.load(str(tmp_path), (1, 31, 31), fitting=fitting).images[0, 0]
    np.testing.assert_array_equal(
        grey, direct(Image.fromarray(noise).convert("L").convert("RGB"), 36, 31)[0]
    )


@pytest.mark.parametrize(
    ("fitting", "message"),
    [
        (data.Fitting(crop=(60,)), "smaller than the 60 x 60"),
        (data.Fitting(resize=(36,)), "the network reads images 31 wide and 31 high"),
        (data.Fitting(), "fit them with --resize and --crop"),
    ],
    ids=["small", "wide", "none"],
)
def test_images_that_do_not_fit(tmp_path: Path, fitting: data.Fitting, message: str) -> None:
    Image.new("RGB", (50, 37)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=message):
        data.load(str(tmp_path), (3, 31, 31), fitting=fitting)


def test_arrays_are_not_resized(tmp_path: Path) -> None:
    source = str(WRITERS["npz"](tmp_path, *drawn()))
    with pytest.raises(DataError, match="are for image files"):
        data.load(source, COLOUR, fitting=data.Fitting(crop=(3,)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("SNNGEN_DATA", str(tmp_path))
    for name in ("cifar100", "kws", "nmnist"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_cifar100_counts_the_fine_labels(folder: Path) -> None:
    images, labels = drawn()
    WRITERS["cifar100"](folder, images, labels * 9).rename(folder / "cifar100" / "test.bin")
    found = data.load("cifar100", COLOUR)
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.labels, labels * 9)


def test_keywords_are_signed_bytes_moved_by_128(folder: Path) -> None:
    clips = np.arange(-128, 112, dtype=np.int8).reshape(6, 8, 5)
    labels = np.arange(6, dtype=np.uint8)
    np.savez(folder / "kws" / "kws01_mfcc_int8.npz", q=clips, label=labels)
    shape = (1, 8, 5)
    found = data.load("kws:all", shape).images[:, 0]
    np.testing.assert_array_equal(found, clips.astype(int) + 128)
    for split, part in (("train", [0, 2, 4]), ("test", [1, 3, 5])):
        half = data.load(f"kws:{split}", shape)
        np.testing.assert_array_equal(half.images[:, 0], found[part])
        assert half.labels is not None and half.labels.tolist() == part
    with pytest.raises(DataError, match="the splits are train and test and all"):
        data.load("kws:some", shape)
    np.savez(folder / "kws" / "kws01_mfcc_int8.npz", q=clips, label=labels[1:])
    with pytest.raises(DataError, match="must hold int8 clips and their labels"):
        data.load("kws", shape)


def events(path: Path, **changed: object) -> None:
    """A training and a test recording."""
    arrays = {
        "x": np.array([1, 2, 3, 3, 33], np.uint8),
        "y": np.array([4, 5, 6, 6, 0], np.uint8),
        "p": np.array([0, 0, 1, 1, 1], np.uint8),
        "dt": np.array([7, 9, 2, 4, 3], np.uint16),  # so that the test events come at 9, 11, 15, 18
        "offset": np.array([0, 1, 5]),
        "label": np.array([3, 8], np.uint8),
        "is_test": np.array([False, True]),
    }
    np.savez(path / "nmnist" / "nmnist_small.npz", **(arrays | changed))


def test_events_are_counted_by_polarity_and_pixel(folder: Path) -> None:
    events(folder)
    found = data.load("nmnist", (2, 34, 34))
    expected = np.zeros((1, 2, 34, 34), int)
    expected[0, 0, 5, 2] = expected[0, 1, 0, 33] = 1
    expected[0, 1, 6, 3] = 2
    np.testing.assert_array_equal(found.images, expected)
    assert found.labels is not None and found.labels.tolist() == [8]
    thirds = data.load("nmnist", (2, 34, 34), fitting=data.Fitting(bins=data.Binning(3)))
    np.testing.assert_array_equal(thirds.images.sum(0, keepdims=True), expected)
    assert [frame.sum() for frame in thirds.images] == [2, 1, 1]
    assert thirds.labels is not None and thirds.labels.tolist() == [8, 8, 8]
    assert data.load("nmnist:train", (2, 34, 34)).images.sum() == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": np.array([1, 2, 3, 3, 34], np.uint8)}, "event 3: lies outside the sensor, 34 x 34"),
        ({"p": np.array([0, 0, 1, 1, 2], np.uint8)}, "event 3: the polarity must be 0 or 1"),
        ({"offset": np.array([0, 5, 5])}, "holds no events"),
        ({"dt": np.zeros(4, np.uint16)}, "do not belong together"),
        ({"offset": np.array([0, 3])}, "do not belong together"),
    ],
    ids=str,
)
def test_damaged_recordings(folder: Path, changed: dict[str, np.ndarray], message: str) -> None:
    events(folder, **changed)
    with pytest.raises(DataError, match=message):
        data.load("nmnist", (2, 34, 34))


def test_the_real_recordings_and_clips(data_dir: Path) -> None:
    fitting = data.Fitting(bins=data.Binning(3))
    found = data.load("nmnist:train", (2, 34, 34), limit=30, fitting=fitting)
    assert found.images.shape == (30, 2, 34, 34)
    assert len(data.open_samples("kws:all", (1, 49, 10))) == 1000
