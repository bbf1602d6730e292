"""Images for when there are none."""

from __future__ import annotations

import numpy as np

from snngen.data.raw import Bytes
from snngen.ops import Shape

BLOBS = 4
NOISE = 12.0  # standard deviation, in byte values


def synthetic(shape: Shape, count: int, seed: int = 0) -> Bytes:
    """`count` images (N, C, H, W) of a few smooth blobs and some noise, the same for a `seed`.

    A stand-in only: thresholds balanced on them fit no real data. Good for trying a model out, and
    for checking that two implementations agree.
    """
    rng = np.random.default_rng(seed)
    channels, height, width = shape
    y, x = np.arange(height) / height, np.arange(width) / width
    pixels = rng.normal(0, NOISE, (count, *shape))
    for _ in range(BLOBS):
        centre_y, centre_x, radius, strength = (
            rng.uniform(low, high, (count, channels, 1))
            for low, high in ((0, 1), (0, 1), (0.1, 0.4), (60, 255))
        )
        rows = np.exp(-(((y - centre_y) / radius) ** 2))
        columns = np.exp(-(((x - centre_x) / radius) ** 2))
        pixels += strength[..., None] * rows[..., :, None] * columns[..., None, :]
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
