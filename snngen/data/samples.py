"""From a source's name to its samples in a network's own shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.data import arrays, images, published
from snngen.data.published import Split
from snngen.data.raw import Bytes, RawSamples, spread
from snngen.errors import DataError, Problem
from snngen.ops import Shape


@dataclass(frozen=True, eq=False)
class Samples:
    """Raw bytes uint8 (N, C, H, W) with N >= 1, and their labels int64 (N,), or None where the
    source has none.
    """

    images: Bytes
    labels: NDArray[np.int64] | None
    name: str


def load(source: str, shape: Shape, *, split: Split = "test", limit: int | None = None) -> Samples:
    """The samples of `source` for a network that reads `shape` (C, H, W).

    `split` is that of a published data set where `source` names none. `limit` takes so many
    samples, evenly spread over the source. Raises DataError where the samples are damaged or do not
    fit, FileError where a file cannot be read.
    """
    if limit is not None and limit < 1:
        raise DataError(Problem("the number of samples", "must be at least 1", str(limit)))
    raw = _read(source, shape, split, limit)
    if not len(raw.images):
        raise DataError(Problem(source, "the data holds no samples"))
    chosen = spread(len(raw.images), limit)
    fitting = _canonical(raw.images[chosen], shape, source)
    labels = None if raw.labels is None else _labels(raw.labels, len(raw.images), source)[chosen]
    return Samples(fitting, labels, source)


def _read(source: str, shape: Shape, split: Split, limit: int | None) -> RawSamples:
    if published.is_name(source):
        return published.read(source, split)
    path = Path(source)
    if path.suffix in (".npz", ".npy"):
        return arrays.read(path, split)
    if path.is_dir():
        return images.read_folder(path, shape, limit)
    if path.suffix.lower() in images.SUFFIXES:
        return images.read_files([path], shape)
    names = ", ".join(published.NAMES)
    hint = f"give one of {names}, a file .npz or .npy, an image, or a folder of images"
    raise DataError(Problem(source, "not a source of images", hint=hint))


def _canonical(values: NDArray[Any], shape: Shape, source: str) -> Bytes:
    """`values` (N, ...) as uint8 (N, C, H, W): the axes told apart by their sizes."""
    c, h, w = shape
    found = values.shape[1:]
    orders = {"CHW": (c, h, w), "HWC": (h, w, c)}
    exact = [order for order, axes in orders.items() if axes == found]
    fitting = exact or [order for order in orders if _squeezed(orders[order]) == _squeezed(found)]
    is_flat = len(found) == 1 or (h, w) == (1, 1)  # then the order is the file's own
    if is_flat and prod(found) == c * h * w and (len(found) > 1 or c == 1):
        fitting = ["CHW"]
    if not fitting:
        rule = f"the network reads {c}x{h}x{w} (channels, height, width)"
        shown = "x".join(map(str, found)) or "single numbers"
        raise DataError(Problem(source, rule, f"samples of {shown}", "resize the images"))
    if len(fitting) == 2 and not (c == 1 or h * w == 1):
        shown = "x".join(map(str, found))
        raise DataError(
            Problem(
                source,
                "cannot tell which axis of the samples is the channels",
                f"samples of {shown} for a network that reads {c}x{h}x{w}",
                "give them as images in folders",
            )
        )
    order = fitting[0]
    axes = values.reshape(len(values), *orders[order])
    in_order = axes if order == "CHW" else axes.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(_as_bytes(in_order, source))


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _as_bytes(values: NDArray[Any], source: str) -> Bytes:
    """Whole numbers 0..255 of any dtype as uint8."""
    if values.dtype == np.uint8:
        return values
    converted: Bytes = np.clip(np.nan_to_num(values), 0, 255).astype(np.uint8)
    if not np.array_equal(converted, values):
        raise DataError(
            Problem(
                source,
                "samples must be whole numbers 0..255, as the sensor gives them",
                f"{values.dtype} from {values.min():g} to {values.max():g}",
                "undo the scaling; --scale, --mean and --std tell snngen what the model expects",
            )
        )
    return converted


def _labels(values: NDArray[Any], count: int, source: str) -> NDArray[np.int64]:
    """One class per sample."""
    if values.dtype.kind not in "iu" or values.size != count or len(values) != count:
        shown = f"{values.dtype} of shape {values.shape} for {count} samples"
        raise DataError(
            Problem(source, "there must be one whole number per sample as label", shown)
        )
    labels = values.reshape(count).astype(np.int64)
    if labels.min() < 0:
        raise DataError(Problem(source, "labels must not be negative", str(labels.min())))
    return labels
