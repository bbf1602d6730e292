"""What self-tests run where nobody says what else: images drawn for a network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedNet
from snngen.fixed_file import digest

STEPS = 4  # of a stream


def known_images(net: FixedNet, count: int) -> NDArray[np.uint8]:
    """Images (count, C, H, W) or streams (count, STEPS, C, H, W), for a network always the same."""
    rng = np.random.default_rng(int(digest(net)[:16], 16))
    steps = (STEPS,) if net.is_stream else ()
    return rng.integers(0, 256, (count, *steps, *net.input.shape), dtype=np.uint8)
