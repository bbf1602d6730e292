"""What every reader of samples returns, before it is fitted to a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
MAX_BYTES = 2**29  # of one source, unpacked


@dataclass(frozen=True, eq=False)
class RawSamples:
    """Numbers of any dtype and shape (N, ...), and labels (N, ...) or None, as the files hold
    them.
    """

    images: NDArray[np.generic]
    labels: NDArray[np.generic] | None


def spread(count: int, limit: int | None) -> NDArray[np.int64]:
    """Indices of `limit` of `count` samples, evenly spread; all of them without a limit."""
    wanted = count if limit is None else min(count, limit)
    indices: NDArray[np.int64] = np.arange(wanted, dtype=np.int64) * count // max(1, wanted)
    return indices
