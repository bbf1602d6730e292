"""Folders of images, decoded by Pillow once their size is known to fit."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from snngen.data.raw import Bytes, Indices, RawSamples, Source, check_size
from snngen.data.streams import PerThread
from snngen.errors import DataError, Problem
from snngen.files import open_regular, reporting
from snngen.ops import Shape

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
MODES = {1: "L", 3: "RGB"}  # by the network's channels
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


@dataclass(frozen=True)
class Fitting:
    """How images of other sizes become what the network reads: `resize`, then cut out the centre,
    `crop`; as torchvision's Resize and CenterCrop do on Pillow images.

    `resize` is (shorter side,) or (height, width), bilinear; `crop` is (side,) or (height, width);
    None leaves that step out.
    """

    resize: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None

    def __call__(self, image: Image.Image, where: str) -> Image.Image:
        """The fitted image; DataError where it is smaller than what is to be cut out."""
        if self.resize is not None:
            image = image.resize(_resized(image.size, self.resize), Image.Resampling.BILINEAR)
        if self.crop is not None:
            height, width = self.crop if len(self.crop) == 2 else self.crop * 2
            if height > image.height or width > image.width:
                rule = f"smaller than the {height} x {width} (height x width) to cut out"
                found = f"{image.height} x {image.width}"
                raise DataError(Problem(where, rule, found, "add --resize"))
            top, left = round((image.height - height) / 2), round((image.width - width) / 2)
            image = image.crop((left, top, left + width, top + height))
        return image


def _resized(size: tuple[int, int], wanted: tuple[int, ...]) -> tuple[int, int]:
    """Width and height, the proportions kept where only the shorter side is `wanted`."""
    if len(wanted) == 2:
        return wanted[1], wanted[0]
    shorter, longer = min(size), max(size)
    other = int(wanted[0] * longer / shorter)
    return (wanted[0], other) if size[0] <= size[1] else (other, wanted[0])


@dataclass(frozen=True, eq=False)
class Folder:
    """Images in order of name, in one folder or in one per class, the labels counting these.

    Knows how many images there are in each folder; their names are listed when they are read.
    """

    folders: tuple[Path, ...]
    counts: tuple[int, ...]
    has_labels: bool
    decode: Callable[[Path], Bytes]
    sample_shape: Shape
    listed: PerThread[dict[Path, list[str]]]

    @property
    def count(self) -> int:
        return sum(self.counts)

    def read(self, indices: Indices) -> RawSamples:
        """The samples at ascending `indices`; DataError with all images that are damaged."""
        check_size(str(self.folders[0].parent), len(indices), self.sample_shape)
        ends = np.cumsum(self.counts)
        labels = np.searchsorted(ends, indices, side="right")
        images: list[Bytes] = []
        problems: list[Problem] = []
        for index, label in zip(indices.tolist(), labels.tolist(), strict=True):
            path = self.folders[label] / self._names(label)[index - ends[label]]
            try:
                images.append(self.decode(path))
            except DataError as error:
                problems += error.problems
        if problems:
            raise DataError(*problems)
        return RawSamples(np.stack(images), labels if self.has_labels else None)

    def _names(self, label: int) -> list[str]:
        """The names in a folder; the last one's are kept."""
        folder, listed = self.folders[label], self.listed.get()
        if folder not in listed:
            with reporting(folder, "cannot be read"):
                names = sorted(_visible(folder))
            if len(names) != self.counts[label]:
                found = f"{len(names)} files, {self.counts[label]} at the start"
                raise DataError(Problem(str(folder), "changed while it was read", found))
            listed.clear()
            listed[folder] = names
        return listed[folder]


def open_folder(folder: Path, shape: Shape, fitting: Fitting) -> Source:
    """The images in `folder`; where they lie in one folder per class, the labels count these
    folders in order of name (of number, if all their names are numbers).

    Hidden files are passed over.
    """
    with reporting(folder, "cannot be read"):
        names = _visible(folder)
        classes = [name for name in names if (folder / name).is_dir()]
        loose = sorted(set(names) - set(classes))
        if classes and loose:
            rule = "must hold either images, or folders of images, one per class"
            raise DataError(Problem(str(folder), rule, f"'{loose[0]}' beside folders"))
        folders = tuple(folder / name for name in _sorted(classes)) if classes else (folder,)
        counts = tuple(len(_visible(path)) for path in folders)
    if not sum(counts):
        raise DataError(Problem(str(folder), "the folder holds no images"))
    _check_channels(folder, shape)
    decode = partial(_decode, shape=shape, fitting=fitting)
    return Folder(folders, counts, bool(classes), decode, shape, PerThread(dict))


@dataclass(frozen=True, eq=False)
class File:
    """One image without a label."""

    path: Path
    sample_shape: Shape
    fitting: Fitting
    count: int = 1

    def read(self, indices: Indices) -> RawSamples:
        images = [_decode(self.path, self.sample_shape, self.fitting) for _ in indices]
        return RawSamples(np.stack(images), None)


def open_file(path: Path, shape: Shape, fitting: Fitting) -> Source:
    """The image at `path`."""
    _check_channels(path, shape)
    return File(path, shape, fitting)


def _check_channels(path: Path, shape: Shape) -> None:
    if shape[0] not in MODES:
        rule = f"the network reads {shape[0]} channels; images have 1 or 3"
        raise DataError(Problem(str(path), rule, hint="give the samples as an .npz file"))


def _visible(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if not entry.name.startswith(".")]


def _sorted(names: list[str]) -> list[str]:
    if all(name.isascii() and name.isdigit() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)


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
                fitted = fitting(image.convert(MODES[channels]), str(path))
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
    if fitting == Fitting():
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
