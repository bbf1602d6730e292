"""Folders of images, decoded by Pillow once their size is known to fit."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from snngen.data.raw import MAX_BYTES, Bytes, RawSamples, spread
from snngen.errors import DataError, Problem
from snngen.files import open_regular, reporting
from snngen.ops import Shape

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
MODES = {1: "L", 3: "RGB"}  # by the network's channels
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


def read_folder(folder: Path, shape: Shape, limit: int | None) -> RawSamples:
    """The images in `folder`, in order of name; where they lie in one folder per class, the labels
    count these folders in order (of number, if all their names are numbers).

    Hidden files are passed over. Of more than `limit` images, so many are taken evenly spread.
    """
    with reporting(folder, "cannot be read"):
        classes = _sorted([p for p in _visible(folder) if p.is_dir()])
        loose = sorted(p for p in _visible(folder) if not p.is_dir())
        if classes and loose:
            rule = "must hold either images, or folders of images, one per class"
            raise DataError(Problem(str(folder), rule, f"'{loose[0].name}' beside folders"))
        found = [(p, k) for k, c in enumerate(classes) for p in sorted(_visible(c))]
    found = found or [(p, 0) for p in loose]
    chosen = [found[k] for k in spread(len(found), limit)]
    if not chosen:
        raise DataError(Problem(str(folder), "the folder holds no images"))
    images = read_files([path for path, _ in chosen], shape).images
    labels = np.array([label for _, label in chosen], np.int64)
    return RawSamples(images, labels if classes else None)


def read_files(paths: list[Path], shape: Shape) -> RawSamples:
    """The images at `paths`, grey or RGB as the network's `shape` (C, H, W) asks for."""
    if shape[0] not in MODES:
        rule = f"the network reads {shape[0]} channels; images have 1 or 3"
        raise DataError(Problem(str(paths[0]), rule, hint="give the samples as an .npz file"))
    size = len(paths) * shape[0] * shape[1] * shape[2]
    if size > MAX_BYTES:
        raise DataError(
            Problem(str(paths[0].parent), "more images than fit memory", f"{size} bytes")
        )
    return RawSamples(np.stack([_decode(path, shape) for path in paths]), None)


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def _sorted(folders: list[Path]) -> list[Path]:
    if all(f.name.isascii() and f.name.isdigit() for f in folders):
        return sorted(folders, key=lambda f: (int(f.name), f.name))
    return sorted(folders)


def _decode(path: Path, shape: Shape) -> Bytes:
    """One image as uint8 (C, H, W)."""
    channels, height, width = shape
    with reporting(path, "cannot be read"), open_regular(path):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of suspicious sizes: they are checked here
            with Image.open(path, formats=FORMATS) as image:
                _check(path, image, (width, height))
                pixels = np.asarray(image.convert(MODES[channels]))
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise anything on a damaged file
        found = str(error).replace(str(path), path.name)
        raise DataError(Problem(str(path), "not a readable image", found)) from error
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def _check(path: Path, image: Image.Image, size: tuple[int, int]) -> None:
    if image.size != size:
        rule = f"the network reads images {size[0]} wide and {size[1]} high"
        found = f"{image.size[0]} wide, {image.size[1]} high"
        raise DataError(Problem(str(path), rule, found, "resize the images"))
    if image.mode not in EIGHT_BIT:
        rule = "images must have 8 bits per channel"
        raise DataError(Problem(str(path), rule, f"mode {image.mode}"))
