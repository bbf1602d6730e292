"""What every kind of source offers: its samples by their indices, as the files hold them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snngen.errors import DataError, Problem

Bytes = NDArray[np.uint8]
Indices = NDArray[np.int64]
MAX_BYTES = 2**29  # of what is read at once, unpacked


@dataclass(frozen=True, eq=False)
class RawSamples:
    """Numbers of any dtype and shape (N, ...), and labels (N, ...) or None, as the files hold
    them.
    """

    images: NDArray[np.generic]
    labels: NDArray[np.generic] | None


class Source(Protocol):
    """Samples that lie somewhere. Several threads may read at once; a pickled source reads in
    another process.
    """

    @property
    def count(self) -> int: ...

    @property
    def sample_shape(self) -> tuple[int, ...]: ...

    def read(self, indices: Indices) -> RawSamples:
        """The samples at ascending `indices`."""
        ...


@dataclass(frozen=True, eq=False)
class Held:
    """Samples in memory, for small sources that have to be worked out."""

    samples: RawSamples

    @property
    def count(self) -> int:
        return len(self.samples.images)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return self.samples.images.shape[1:]

    def read(self, indices: Indices) -> RawSamples:
        images, labels = self.samples.images, self.samples.labels
        return RawSamples(images[indices], None if labels is None else labels[indices])


def check_size(where: str, count: int, sample: tuple[int, ...], itemsize: int = 1) -> None:
    """DataError where `count` samples do not fit memory."""
    size = count * prod(sample) * itemsize
    if size > MAX_BYTES:
        rule = f"more than {MAX_BYTES} bytes at once"
        raise DataError(Problem(where, rule, f"{size} bytes", "use fewer samples"))


def spread(count: int, limit: int | None, start: int = 0, stop: int | None = None) -> Indices:
    """Of the indices of `limit` of `count` samples, evenly spread, those from the `start`-th to the
    `stop`-th; all of the samples without a limit.
    """
    wanted = count if limit is None else min(count, limit)
    chosen = np.arange(start, wanted if stop is None else min(stop, wanted), dtype=np.int64)
    indices: Indices = chosen * count // max(1, wanted)
    return indices
