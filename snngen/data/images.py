"""Images, decoded by Pillow once their size is known to fit."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from snngen.data import decoded
from snngen.data.fitting import Fitting
from snngen.data.raw import Bytes, Source, check_size
from snngen.errors import DataError, Problem
from snngen.files import open_regular, reporting
from snngen.ops import Shape

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
MODES = {1: "L", 3: "RGB"}  # by the network's channels
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


def _fitted(image: Image.Image, fitting: Fitting, where: str) -> Image.Image:
    """The image resized and cropped; DataError where it is smaller than what is to be cut out."""
    if fitting.resize is not None:
        image = image.resize(_resized(image.size, fitting.resize), Image.Resampling.BILINEAR)
    rows, columns = fitting.centre((image.height, image.width), where, "add --resize")
    return image.crop((columns.start, rows.start, columns.stop, rows.stop))


def _resized(size: tuple[int, int], wanted: tuple[int, ...]) -> tuple[int, int]:
    """Width and height, the proportions kept where only the shorter side is `wanted`."""
    if len(wanted) == 2:
        return wanted[1], wanted[0]
    shorter, longer = min(size), max(size)
    other = int(wanted[0] * longer / shorter)
    return (wanted[0], other) if size[0] <= size[1] else (other, wanted[0])


def open_folder(folder: Path, shape: Shape, fitting: Fitting) -> Source:
    """The images in `folder`, or in one folder per class."""
    _check_channels(folder, shape)
    return decoded.open_folder(folder, partial(_decode, shape=shape, fitting=fitting), shape)


def open_file(path: Path, shape: Shape, fitting: Fitting) -> Source:
    """The image at `path`."""
    _check_channels(path, shape)
    return decoded.File(path, partial(_decode, shape=shape, fitting=fitting), shape)


def _check_channels(path: Path, shape: Shape) -> None:
    if shape[0] not in MODES:
        rule = f"the network reads {shape[0]} channels; images have 1 or 3"
        raise DataError(Problem(str(path), rule, hint="give the samples as an .npz file"))


def _decode(path: Path, shape: Shape, fitting: Fitting) -> Bytes:
    """One image as uint8 (C, H, W), grey or RGB as `shape` asks for."""
    channels, height, width = shape
    with reporting(path, "cannot be read"), open_regular(path):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of suspicious sizes: they are checked here
            with Image.open(path, formats=FORMATS) as image:
                _check(path, image, (width, height), fitting)
                fitted = _fitted(image.convert(MODES[channels]), fitting, str(path))
                _check_fitted(path, fitted, (width, height))
                pixels = np.asarray(fitted)
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise anything on a damaged file
        found = str(error).replace(str(path), path.name)
        raise DataError(Problem(str(path), "not a readable image", found)) from error
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


def _check(path: Path, image: Image.Image, size: tuple[int, int], fitting: Fitting) -> None:
    """Before it is decoded."""
    if fitting.resize is None and fitting.crop is None:
        _check_fitted(path, image, size)
    check_size(str(path), 1, (*image.size, 4))
    if image.mode not in EIGHT_BIT:
        rule = "images must have 8 bits per channel"
        raise DataError(Problem(str(path), rule, f"mode {image.mode}"))


def _check_fitted(path: Path, image: Image.Image, size: tuple[int, int]) -> None:
    if image.size != size:
        rule = f"the network reads images {size[0]} wide and {size[1]} high"
        found = f"{image.size[0]} wide, {image.size[1]} high"
        raise DataError(Problem(str(path), rule, found, "fit them with --resize and --crop"))
