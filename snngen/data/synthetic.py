"""Images and streams for when there are none."""

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


def over_time(images: Bytes, steps: int) -> Bytes:
    """`images` (N, C, H, W) as streams of events (N, steps, C, H, W): as many for a pixel as its
    byte says, evenly spaced, and at other times for every pixel, so that no timestep has them all.
    """
    shape = images.shape[1:]
    phase = np.random.default_rng(0).integers(0, steps, shape)
    time = np.arange(steps + 1).reshape(-1, *(1 for _ in shape))
    reached = (images[:, None].astype(np.int64) * time + phase) // steps
    return np.diff(reached, axis=1).astype(np.uint8)


def noisy_streams(shape: tuple[int, int, int, int, int], seed: int = 1) -> Bytes:
    """Streams of `shape` (N, T, C, H, W), each with a rate of its own: most bins are sparse, one in
    ten is empty, and one in ten as full as bytes can say.
    """
    rng = np.random.default_rng(seed)
    bins = rng.integers(1, 256, shape) >> rng.integers(0, 9, shape)
    bins *= rng.random(shape) < rng.uniform(0, 0.5, (shape[0], 1, 1, 1, 1))
    kind = rng.integers(0, 10, shape[:2])
    bins[kind == 0], bins[kind == 1] = 0, 255
    return bins.astype(np.uint8)
