"""Samples from every kind of source, in a network's own shape, or an error that says what to do."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snngen import data
from snngen.errors import DataError, FileError, SnngenError

GREY, COLOUR = (1, 4, 5), (3, 4, 5)


def pixels(shape: tuple[int, ...], count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def npz(path: Path, **arrays: np.ndarray) -> str:
    np.savez(path / "a.npz", **arrays)
    return str(path / "a.npz")


@pytest.mark.parametrize("names", [("x", "y"), ("images", "labels"), ("x_test", "y_test")])
def test_npz(tmp_path: Path, names: tuple[str, str]) -> None:
    images, labels = pixels(COLOUR), np.arange(6, dtype=np.uint8)
    found = data.load(npz(tmp_path, **dict(zip(names, (images, labels), strict=True))), COLOUR)
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.labels is not None and found.labels.dtype == np.int64


def test_splits_of_an_npz(tmp_path: Path) -> None:
    source = npz(tmp_path, x_train=pixels(GREY, 3), x_test=pixels(GREY, 4))
    assert len(data.load(source, GREY, split="train").images) == 3
    assert len(data.load(source, GREY).images) == 4


@pytest.mark.parametrize(
    ("given", "shape", "axes"),
    [
        ((3, 4, 5), (3, 4, 5), (0, 1, 2, 3)),
        ((4, 5, 3), (3, 4, 5), (0, 3, 1, 2)),
        ((4, 5), (1, 4, 5), None),
        ((4, 5, 1), (1, 4, 5), None),
        ((20,), (1, 4, 5), None),
        ((7,), (7, 1, 1), None),
        ((1, 3, 8), (3, 1, 8), (0, 2, 1, 3)),
        ((2, 2, 1), (2, 2, 1), (0, 1, 2, 3)),
    ],
)
def test_axes_are_told_apart_by_size(tmp_path: Path, given, shape, axes) -> None:
    images = pixels(given)
    np.save(tmp_path / "a.npy", images)
    found = data.load(str(tmp_path / "a.npy"), shape)
    expected = images.transpose(axes) if axes else images
    np.testing.assert_array_equal(found.images, expected.reshape(-1, *shape))
    assert found.images.dtype == np.uint8 and found.labels is None


@pytest.mark.parametrize(
    ("given", "shape"),
    [((8, 9), (1, 8, 9)), ((3, 8, 9), (3, 8, 9)), ((8, 9, 3), (3, 8, 9)), ((8, 9, 1), (1, 8, 9)),
     ((5, 6, 5), (5, 6, 5))],
)  # fmt: skip
def test_the_shape_of_what_a_file_holds(tmp_path: Path, given, shape) -> None:
    path = tmp_path / "images.npz"
    np.savez(path, x=np.zeros((2, *given), np.uint8))
    assert data.shape_of(str(path)) == shape
    assert data.load(str(path), shape).images.shape == (2, *shape)


@pytest.mark.parametrize("given", [(), (4,), (2, 3, 4, 5)])
def test_what_holds_no_images_has_no_shape(tmp_path: Path, given) -> None:
    np.savez(tmp_path / "images.npz", x=np.zeros((2, *given), np.uint8))
    with pytest.raises(DataError, match="must hold images"):
        data.shape_of(str(tmp_path / "images.npz"))


def test_whether_an_npz_has_both_parts(tmp_path: Path) -> None:
    images = np.zeros((2, 3, 3), np.uint8)
    for names, both in (
        (("x",), False),
        (("x_train",), False),
        (("x_test", "x_train"), True),
        (("images_test", "images_train"), True),
        (("x", "x_test", "x_train"), False),
    ):
        np.savez(tmp_path / "images.npz", **dict.fromkeys(names, images))
        assert data.has_parts(tmp_path / "images.npz") == both


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, np.float32, np.float64, bool])
def test_whole_numbers_of_any_type(tmp_path: Path, dtype) -> None:
    images = (pixels(GREY) % (2 if dtype is bool else 100)).astype(dtype)
    found = data.load(npz(tmp_path, x=np.asfortranarray(images)), GREY)
    np.testing.assert_array_equal(found.images, images.astype(np.uint8))


def test_limit_spreads_evenly(tmp_path: Path) -> None:
    images = np.arange(10, dtype=np.uint8)[:, None]
    source = npz(tmp_path, x=images, y=np.arange(10))
    found = data.load(source, (1, 1, 1), limit=5)
    assert found.images.ravel().tolist() == [0, 2, 4, 6, 8]
    assert found.labels is not None and found.labels.tolist() == [0, 2, 4, 6, 8]
    assert len(data.load(source, (1, 1, 1), limit=50).images) == 10


def arrays(**given: object) -> object:
    return lambda path: np.savez(path, **given)


def npy_header(text: str, tail: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + tail


def archive(content: bytes, packing: int = zipfile.ZIP_DEFLATED) -> object:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", packing) as file:
            file.writestr("x.npy", content)

    return write


class Hostile:
    def __reduce__(self):
        return exec, ("raise SystemExit('executed')",)


def claiming(size: int) -> object:
    """An archive whose directory claims `size` bytes for a member of 10,000."""

    def write(path: Path) -> None:
        archive(bytes(10_000))(path)  # type: ignore[operator]
        content = path.read_bytes()
        path.write_bytes(content.replace(struct.pack("<I", 10_000), struct.pack("<I", size)))

    return write


BROKEN_NPZ = {
    "text": (lambda p: p.write_text("hello"), "not a readable .npz"),
    "empty": (lambda p: p.write_bytes(b""), "not a readable .npz"),
    "no x": (arrays(a=np.zeros(3), b=np.zeros(3)), "must hold an array 'x' or 'images'"),
    "nothing": (arrays(), "found: nothing"),
    "object": (arrays(x=np.array([Hostile()])), "must be an array of numbers"),
    "strings": (arrays(x=np.array(["a"])), "must be an array of numbers"),
    "scalar": (arrays(x=np.uint8(1)), "must be an array of numbers"),
    "no samples": (arrays(x=pixels(GREY, 0)), "holds no samples"),
    "wrong size": (arrays(x=pixels((1, 4, 6))), "the network reads 1x4x5"),
    "one image": (arrays(x=pixels((4, 5))[0]), "the network reads 1x4x5"),
    "fractions": (arrays(x=pixels(GREY) / 255), "must be whole numbers 0..255"),
    "negative": (arrays(x=pixels(GREY).astype(int) - 1), "must be whole numbers 0..255"),
    "nan": (arrays(x=np.full((1, *GREY), np.nan)), "must be whole numbers 0..255"),
    "few labels": (arrays(x=pixels(GREY), y=np.zeros(5, int)), "one whole number per sample"),
    "one-hot": (arrays(x=pixels(GREY), y=np.zeros((6, 10), int)), "one whole number per sample"),
    "float labels": (arrays(x=pixels(GREY), y=np.zeros(6)), "one whole number per sample"),
    "negative labels": (arrays(x=pixels(GREY), y=np.full(6, -1)), "labels must not be negative"),
    "huge": (claiming(2**30), "not a .npy array"),
    "lying": (claiming(100), "cannot be unpacked"),
    "bzip2": (archive(b"", zipfile.ZIP_BZIP2), "in a way that NumPy does not use"),
    "not npy": (archive(b"hello"), "not a .npy array"),
    "header bomb": (archive(npy_header("(" * 5000)), "not a .npy array"),
    "ten billion": (
        archive(npy_header("{'descr':'|u1','fortran_order':False,'shape':(10000000000,)}\n")),
        "cut short or too long",
    ),
    "negative shape": (
        archive(npy_header("{'descr':'|u1','fortran_order':False,'shape':(-1,-1)}\n", b"1")),
        "cut short or too long",
    ),
}


@pytest.mark.parametrize("name", BROKEN_NPZ)
def test_broken_npz(tmp_path: Path, name: str) -> None:
    write, message = BROKEN_NPZ[name]
    write(tmp_path / "a.npz")  # type: ignore[operator]
    with pytest.raises(DataError) as caught:
        data.load(str(tmp_path / "a.npz"), GREY)
    assert message in str(caught.value)


def test_a_cut_or_flipped_npz_is_refused_or_read_whole(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=pixels(GREY), y=np.arange(6))
    content = (tmp_path / "a.npz").read_bytes()
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        for damaged in (content[:position], bytes(flipped)):
            (tmp_path / "a.npz").write_bytes(damaged)
            try:
                found = data.load(str(tmp_path / "a.npz"), GREY)
            except SnngenError:
                continue
            np.testing.assert_array_equal(found.images, pixels(GREY))


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(DataError, match=r"not a \.npy array"):
        data.load(str(tmp_path / "a.npy"), GREY)


def test_axes_that_cannot_be_told_apart(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", pixels((3, 3, 3)))
    with pytest.raises(DataError, match="cannot tell which axis"):
        data.load(str(tmp_path / "a.npy"), (3, 3, 3))


def save_images(folder: Path, names: list[str], size: tuple[int, int] = (5, 4), mode="L") -> None:
    for k, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, k if mode in ("L", "I;16") else (k, 0, 0)).save(folder / name)


def test_a_folder_of_images(tmp_path: Path) -> None:
    save_images(tmp_path, ["b.png", "a.png", "c.bmp"])
    (tmp_path / ".hidden").touch()
    found = data.load(str(tmp_path), GREY)
    assert found.images[:, 0, 0, 0].tolist() == [1, 0, 2] and found.labels is None
    assert data.load(str(tmp_path / "b.png"), GREY).images.shape == (1, 1, 4, 5)


def test_class_folders_are_labels(tmp_path: Path) -> None:
    save_images(tmp_path, [f"{name}/{k}.png" for name in ("10", "9", "2") for k in (0, 1)])
    found = data.load(str(tmp_path), GREY)
    assert found.labels is not None and found.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.images[:, 0, 0, 0].tolist() == [4, 5, 2, 3, 0, 1]
    chosen = data.load(str(tmp_path), GREY, limit=3)
    assert chosen.labels is not None and chosen.labels.tolist() == [0, 1, 2]


def test_colour(tmp_path: Path) -> None:
    save_images(tmp_path, ["a.png"], mode="RGB")
    assert data.load(str(tmp_path), COLOUR).images.shape == (1, 3, 4, 5)
    assert data.load(str(tmp_path), GREY).images.shape == (1, 1, 4, 5)
    with pytest.raises(DataError, match="reads 2 channels; images have 1 or 3"):
        data.load(str(tmp_path), (2, 4, 5))


def png_bomb() -> bytes:
    """A PNG that claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10)))


def valid_png() -> bytes:
    file = io.BytesIO()
    Image.new("L", (5, 4)).save(file, "PNG")
    return file.getvalue()


BROKEN_FOLDERS = {
    "empty": (lambda f: None, "holds no images"),
    "text": (lambda f: (f / "notes.txt").write_text("x"), "not a readable image"),
    "cut": (lambda f: (f / "a.png").write_bytes(valid_png()[:40]), "not a readable image"),
    "bomb": (lambda f: (f / "a.png").write_bytes(png_bomb()), "a.png: "),
    "size": (lambda f: save_images(f, ["a.png"], (4, 5)), "reads images 5 wide and 4 high"),
    "16 bit": (lambda f: save_images(f, ["a.png"], mode="I;16"), "8 bits per channel"),
    "mixed": (lambda f: save_images(f, ["a.png", "b/a.png"]), "either files, or folders"),
    "nested": (lambda f: save_images(f, ["a/b/c.png"]), "not a file"),
    "dangling": (lambda f: (f / "a.png").symlink_to("absent"), "No such file"),
}


@pytest.mark.parametrize("name", BROKEN_FOLDERS)
def test_broken_folders(tmp_path: Path, name: str) -> None:
    make, message = BROKEN_FOLDERS[name]
    make(tmp_path)
    with pytest.raises((DataError, FileError)) as caught:
        data.load(str(tmp_path), GREY)
    assert message in str(caught.value)


def idx(*shape: int, content: bytes | None = None, magic: int = 8) -> bytes:
    body = bytes(int(np.prod(shape))) if content is None else content
    return gzip.compress(
        bytes([0, 0, magic, len(shape)]) + b"".join(struct.pack(">I", n) for n in shape) + body
    )


@pytest.fixture
def published(tmp_path: Path, monkeypatch) -> Path:
    """A data folder with tiny files in the published formats."""
    monkeypatch.setenv("SNNGEN_DATA", str(tmp_path))
    mnist, cifar = tmp_path / "mnist", tmp_path / "cifar10"
    mnist.mkdir()
    cifar.mkdir()
    for prefix, count in (("train", 3), ("t10k", 2)):
        (mnist / f"{prefix}-images-idx3-ubyte.gz").write_bytes(idx(count, 28, 28))
        labels = idx(count, content=bytes(range(count)))
        (mnist / f"{prefix}-labels-idx1-ubyte.gz").write_bytes(labels)
    record = np.arange(3073, dtype=np.uint16).astype(np.uint8)
    for name in ("test_batch", *(f"data_batch_{k}" for k in range(1, 6))):
        (cifar / f"{name}.bin").write_bytes(record.tobytes() * 2)
    return tmp_path


def test_published_formats(published: Path) -> None:
    assert data.load("mnist", (1, 28, 28)).images.shape == (2, 1, 28, 28)
    assert len(data.load("mnist", (1, 28, 28), split="train").images) == 3
    train = data.load("mnist:train", (1, 28, 28))
    assert train.labels is not None and train.labels.tolist() == [0, 1, 2]
    cifar = data.load("cifar10", (3, 32, 32))
    assert cifar.labels is not None and cifar.labels.tolist() == [0, 0]
    assert cifar.images[0].ravel()[:3].tolist() == [1, 2, 3]
    assert len(data.load("cifar10:train", (3, 32, 32)).images) == 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "not a gzip file"),
        (gzip.compress(b"hello"), "not an IDX file"),
        (idx(2, 28, 28, magic=9), "not an IDX file"),
        (idx(2, 28, 28)[:-20], "is cut short"),
        (idx(2, 28, 28, content=b"1"), "is cut short or too long"),
        (idx(2**32 - 1, 2**32 - 1, 2**32 - 1, content=b"1"), "one whole number per sample"),
        (idx(2, 28, 28, content=bytes(10**6)), "is cut short or too long"),
        (idx(2, 28, 27), "the network reads 1x28x28"),
        (idx(3, 28, 28), "one whole number per sample"),
    ],
    ids=lambda value: len(value),
)
def test_broken_idx(published: Path, content: bytes, message: str) -> None:
    (published / "mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        data.load("mnist", (1, 28, 28))


def test_missing_and_misnamed(published: Path, monkeypatch) -> None:
    (published / "cifar10" / "test_batch.bin").write_bytes(b"x" * 3072)
    with pytest.raises(DataError, match="records of 3073 bytes"):
        data.load("cifar10", (3, 32, 32))
    with pytest.raises(DataError, match="the splits are train and test"):
        data.load("mnist:all", (1, 28, 28))
    with pytest.raises(DataError, match="not a source of images"):
        data.load("mnist2", (1, 28, 28))
    with pytest.raises(FileError, match="No such file"):
        data.load("absent.npz", (1, 28, 28))
    with pytest.raises(DataError, match="must be at least 1"):
        data.load("mnist", (1, 28, 28), limit=0)
    (published / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(FileError, match="No such file"):
        data.load("mnist", (1, 28, 28))
    monkeypatch.delenv("SNNGEN_DATA")
    with pytest.raises(DataError, match="SNNGEN_DATA is not set"):
        data.load("mnist", (1, 28, 28))


def test_the_real_data_sets(data_dir: Path) -> None:
    mnist = data.load("mnist", (1, 28, 28), limit=100)
    assert mnist.labels is not None and set(mnist.labels.tolist()) == set(range(10))
    assert len(data.load("fashion_mnist:train", (1, 28, 28)).images) == 60_000
    assert len(data.load("cifar10", (3, 32, 32)).images) == 10_000


def test_synthetic_images_are_the_same_every_time() -> None:
    images = data.synthetic((3, 8, 9), 4)
    assert images.shape == (4, 3, 8, 9) and images.dtype == np.uint8
    np.testing.assert_array_equal(images, data.synthetic((3, 8, 9), 4))
    assert images.std() > 20


def test_a_network_that_reads_a_vector_takes_images_in_the_order_of_the_file(tmp_path) -> None:
    values = np.arange(2 * 12, dtype=np.uint8).reshape(2, 1, 3, 4)
    np.savez(tmp_path / "x.npz", x=values)
    flat = data.load(str(tmp_path / "x.npz"), (12, 1, 1)).images
    np.testing.assert_array_equal(flat[:, :, 0, 0], values.reshape(2, 12))
