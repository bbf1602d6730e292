"""From a source's name to its samples in a network's own shape."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from snngen.data import arrays, cifar, decoded, events, images, published
from snngen.data.fitting import Fitting, Wanted
from snngen.data.published import Split
from snngen.data.raw import Bytes, Source, check_size, spread
from snngen.errors import DataError, Problem
from snngen.ops import Shape
from snngen.spiking import Coding

Order = Literal["CHW", "HWC"]


class Readable(Protocol):
    """Samples that can be read part by part."""

    def __len__(self) -> int: ...

    def read(self, start: int, stop: int) -> Samples:
        """The samples from the `start`-th to before the `stop`-th."""
        ...


@dataclass(frozen=True, eq=False)
class Samples:
    """Raw bytes uint8 (N, C, H, W), of streams (N, T, C, H, W), and their labels int64 (N,), or
    None where the source has none.
    """

    images: Bytes
    labels: NDArray[np.int64] | None
    name: str

    def __len__(self) -> int:
        return len(self.images)

    def read(self, start: int, stop: int) -> Samples:
        labels = None if self.labels is None else self.labels[start:stop]
        return Samples(self.images[start:stop], labels, self.name)


@dataclass(frozen=True, eq=False)
class StoredSamples:
    """Samples that are read when they are needed, in memory proportional to what is read at once,
    by any number of threads, and of processes that unpickle this. There is at least one. `shape` is
    (C, H, W), or (T, C, H, W).
    """

    source: Source
    name: str
    shape: tuple[int, ...]
    order: Order
    limit: int | None

    def __len__(self) -> int:
        return min(self.source.count, self.limit or self.source.count)

    def read(self, start: int, stop: int) -> Samples:
        """The samples from the `start`-th to before the `stop`-th, in the network's shape.

        Raises DataError where they are damaged, no bytes, or too many for memory; FileError where
        a file cannot be read.
        """
        indices = spread(self.source.count, self.limit, start, stop)
        check_size(self.name, len(indices), self.shape)
        raw = self.source.read(indices)
        fitting = _canonical(raw.images, self.shape, self.order, self.name)
        return Samples(fitting, _labels(raw.labels, self.name), self.name)


def open_samples(
    source: str,
    shape: Shape,
    *,
    split: Split = "test",
    limit: int | None = None,
    fitting: Fitting | None = None,
    coding: Coding = "direct",
    steps: int = 1,
) -> StoredSamples:
    """The samples of `source` for a network that reads `shape` (C, H, W), at every timestep where
    `coding` is "events"; otherwise every bin of a recording is a sample.

    `split` is that of a published data set where `source` names none. `limit` takes so many
    samples, evenly spread over the source. `fitting` is for image files and recordings; of these
    so many `steps` are made where it names no bins. Raises DataError where the samples do not fit,
    FileError where a file cannot be read.
    """
    if limit is not None and limit < 1:
        raise DataError(Problem("the number of samples", "must be at least 1", str(limit)))
    found = _open(source, split, Wanted(shape, fitting or Fitting(), coding, steps))
    if not found.count:
        raise DataError(Problem(source, "the data holds no samples"))
    axes = found.sample_shape
    time, frame = (axes[:1], axes[1:]) if coding == "events" else ((), axes)
    if coding == "events" and (len(frame) != 3 or 0 in time):
        rule = "a stream has the axes timesteps, channels, height, width"
        shown = f"samples of {'x'.join(map(str, axes)) or 'single numbers'}"
        hint = "count the events of each pixel and polarity in every timestep"
        raise DataError(Problem(source, rule, shown, hint))
    order = _order(frame, shape, source)
    return StoredSamples(found, source, (*time, *shape), order, limit)


def load(
    source: str,
    shape: Shape,
    *,
    split: Split = "test",
    limit: int | None = None,
    fitting: Fitting | None = None,
    coding: Coding = "direct",
    steps: int = 1,
) -> Samples:
    """All that `open_samples` opens, in memory."""
    stored = open_samples(
        source, shape, split=split, limit=limit, fitting=fitting, coding=coding, steps=steps
    )
    return stored.read(0, len(stored))


def shape_of(source: str, fitting: Fitting | None = None, polarities: int = 2) -> Shape:
    """The shape (C, H, W) of a sample of a published data set or an .npz file, where nobody else
    says it: of three axes the channels are the first, unless the last is shorter. Of recordings it
    is that of a frame, of so many `polarities`. DataError where there are other than two or three
    axes.
    """
    found = _open(source, "train", Wanted((polarities, 1, 1), fitting or Fitting()))
    if isinstance(found, events.Frames):
        return found.frame_shape(source)
    axes = found.sample_shape
    if len(axes) not in (2, 3):
        shown = f"samples of {'x'.join(map(str, axes)) or 'single numbers'}"
        raise DataError(Problem(source, "must hold images", shown))
    first, *middle, last = axes
    if not middle:
        return 1, first, last
    return (first, middle[0], last) if first <= last else (last, first, middle[0])


def has_recordings(source: str) -> bool:
    """Whether a source is of events, so that there are bins; DataError where it is a file that
    cannot be read.
    """
    return _has_recordings(source, Path(source))


def has_parts(path: Path) -> bool:
    """Whether the samples of an .npz file are others for each split."""
    if events.has_events(path):
        return events.has_splits(path)
    return arrays.has_parts(path)


def check_labels(samples: Samples, outputs: int) -> None:
    """DataError where a label is not that of one of so many outputs."""
    if samples.labels is not None and samples.labels.max() >= outputs:
        rule = f"labels must be 0..{outputs - 1}, one per output of the network"
        raise DataError(Problem(samples.name, rule, str(samples.labels.max())))


def _open(source: str, split: Split, wanted: Wanted) -> Source:
    path = Path(source).absolute()  # a worker may have another working directory
    is_name, fitting = published.is_name(source), wanted.fitting
    if _has_recordings(source, path):
        fitting.refuse(source, "image files", "resize")
        return _open_recordings(source, path, split, wanted)
    fitting.refuse(source, "recordings of events", "bins", "shrink")
    if path.is_dir() and not is_name:
        return images.open_folder(path, wanted.shape, fitting)
    if path.suffix.lower() in images.SUFFIXES:
        return images.open_file(path, wanted.shape, fitting)
    fitting.refuse(source, "image files", "resize", "crop")
    if is_name:
        return published.open_named(source, split)
    if path.suffix == ".npz":
        return arrays.open_npz(path, split)
    if path.suffix == ".npy":
        return arrays.open_npy(path)
    if path.suffix == ".bin":
        return cifar.open_files([path])
    if arrays.IDX_NAME.search(path.name):
        return arrays.open_idx(path)
    names = ", ".join(published.SPLITS)
    hint = (
        f"give one of {names}, a file .npz, .npy, .bin, .aedat or IDX, an image, or a folder of "
        "images or recordings"
    )
    raise DataError(Problem(source, "not a source of images", hint=hint))


def _has_recordings(source: str, path: Path) -> bool:
    if published.is_name(source):
        return published.has_recordings(source)
    if path.is_dir():
        return decoded.first_file(path).suffix.lower() in events.SUFFIXES
    suffix = path.suffix.lower()
    return suffix in events.AEDAT or (suffix == ".npz" and events.has_events(path))


def _open_recordings(source: str, path: Path, split: Split, wanted: Wanted) -> Source:
    if published.is_name(source):
        return published.open_recordings(source, split, wanted)
    if path.is_dir():
        return events.open_folder(path, wanted)
    if path.suffix.lower() == ".npz":
        return events.open_set(path, split, wanted)
    return events.open_file(path, wanted)


def _order(found: tuple[int, ...], shape: Shape, source: str) -> Order:
    """The axes of samples of shape `found`, told apart by their sizes."""
    c, h, w = shape
    orders: dict[Order, tuple[int, ...]] = {"CHW": (c, h, w), "HWC": (h, w, c)}
    exact = [order for order, axes in orders.items() if axes == found]
    fitting = exact or [order for order in orders if _squeezed(orders[order]) == _squeezed(found)]
    is_flat = len(found) == 1 or (h, w) == (1, 1)  # then the order is the file's own
    if is_flat and prod(found) == c * h * w and (len(found) > 1 or c == 1):
        fitting = ["CHW"]
    shown = "x".join(map(str, found)) or "single numbers"
    if not fitting:
        rule = f"the network reads {c}x{h}x{w} (channels, height, width)"
        raise DataError(Problem(source, rule, f"samples of {shown}", "resize the images"))
    if len(fitting) == 2 and not (c == 1 or h * w == 1):
        raise DataError(
            Problem(
                source,
                "cannot tell which axis of the samples is the channels",
                f"samples of {shown} for a network that reads {c}x{h}x{w}",
                "give them as images in folders",
            )
        )
    return fitting[0]


def _canonical(values: NDArray[Any], shape: tuple[int, ...], order: Order, source: str) -> Bytes:
    """`values` (N, ...) as uint8 (N, C, H, W), or (N, T, C, H, W)."""
    *steps, c, h, w = shape
    axes = values.reshape(len(values), *steps, *((c, h, w) if order == "CHW" else (h, w, c)))
    in_order = axes if order == "CHW" else np.moveaxis(axes, -1, -3)
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


def _labels(values: NDArray[Any] | None, source: str) -> NDArray[np.int64] | None:
    if values is None:
        return None
    labels = values.reshape(len(values)).astype(np.int64)
    if labels.size and labels.min() < 0:
        raise DataError(Problem(source, "labels must not be negative", str(labels.min())))
    return labels
