"""One number for a whole trace, the same for every order of evaluation.

runtime_c/src/snn_selftest.c computes it on the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedNet
from snngen.golden import Trace
from snngen.targets.c.storage import channels_last

SEED = 0x736E6E67
FACTOR = 0x9E3779B1


def trace_hashes(net: FixedNet, trace: Trace) -> list[int]:
    """For every image of `trace`: the sum, modulo 2**32, of the hashes of all neurons and
    timesteps.
    """
    total = np.zeros(len(trace[net.layers[0].name].output), np.uint64)
    for number, layer in enumerate(net.layers):
        outputs = channels_last(trace[layer.name].output)
        held = trace[layer.name].membrane
        membranes = np.zeros_like(outputs) if held is None else channels_last(held)
        _, timesteps, neurons = outputs.shape
        hashes = _mix(
            np.uint32(number),
            np.arange(neurons, dtype=np.uint32),
            np.arange(timesteps, dtype=np.uint32)[:, None],
            outputs,
            membranes,
        )
        total += hashes.sum((1, 2), dtype=np.uint64)
    return [int(h) & 0xFFFFFFFF for h in total]


def _mix(*words: NDArray[Any] | np.uint32) -> NDArray[np.uint32]:
    shape = np.broadcast_shapes(*(np.shape(word) for word in words))
    hashes = np.full(shape, SEED, np.uint32)
    for word in words:
        hashes = (hashes ^ np.asarray(word).astype(np.uint32)) * np.uint32(FACTOR)
        hashes ^= hashes >> np.uint32(15)
    return hashes
