"""Channels that stand out: silent ones, saturated ones, and those whose error is far from that of
their layer's others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snngen.doctor.split import COMPONENTS, Layer
from snngen.doctor.sums import LayerSums
from snngen.spiking import Floats

SATURATED = 0.05  # of a channel's outputs ask for more than its neurons can send
TESTED = ("weights", "levels")  # what a damaged weight, bias or threshold shows in
LEAST_CHANNELS = 4  # fewer have no others to stand out from
LEAST_ERROR = 0.05  # of a channel's range: less is not worth a line
FLOOR = 0.01  # of a channel's range: below, one error is as good as another
DEVIATIONS = 5.0  # robust standard deviations, of the logarithm, above the median
LEAST_DEVIATION = float(np.log(1.25))


@dataclass(frozen=True)
class Finding:
    """A channel that stands out.

    "dead": neither the CNN's activation nor the network's spikes are ever above 0; "silent": the
    CNN's is, and `value` is its RMS in parts of the layer's. "saturated": `value` is how much of
    its outputs ask for more than the neuron can send. "outlier": the RMS of error `component` is
    `value` of the channel's range, `typical` in the layer's median.
    """

    kind: Literal["dead", "silent", "saturated", "outlier"]
    layer: str
    channel: int
    value: float = 0.0
    component: str = ""
    typical: float = 0.0


def findings(layer: Layer, sums: LayerSums) -> Iterator[Finding]:
    """What is remarkable about the channels of one layer."""
    if layer.range is not None:
        worth = np.sqrt(sums.cnn / max(float(sums.cnn.mean()), np.finfo(float).tiny))
        for channel in np.flatnonzero(sums.sent == 0).tolist():
            if sums.active[channel] == 0:
                yield Finding("dead", layer.name, channel)
            else:
                yield Finding("silent", layer.name, channel, float(worth[channel]))
        for channel in np.flatnonzero(sums.beyond > SATURATED * sums.values).tolist():
            value = float(sums.beyond[channel] / sums.values)
            yield Finding("saturated", layer.name, channel, value)
    alive = np.flatnonzero(sums.sent + sums.active > 0)
    if len(alive) < LEAST_CHANNELS:
        return
    for component in TESTED:
        squared = sums.squared[COMPONENTS.index(component)][alive]
        relative = np.sqrt(squared / sums.values) / _range(layer, sums)[alive]
        typical = float(np.median(relative))
        for k in np.flatnonzero(outliers(relative) & (squared > 2 * squared.mean())):
            channel, value = int(alive[k]), float(relative[k])
            yield Finding("outlier", layer.name, channel, value, component, typical)


def outliers(relative: Floats) -> NDArray[np.bool_]:
    """Where a `relative` error (C,) is far above the others: by the median and the median deviation
    of logarithms, which the outliers themselves hardly move.
    """
    size = np.log(np.maximum(relative, FLOOR))
    above = size - np.median(size)
    deviation = max(1.4826 * float(np.median(np.abs(above))), LEAST_DEVIATION)
    far: NDArray[np.bool_] = (above > DEVIATIONS * deviation) & (relative > LEAST_ERROR)
    return far


def _range(layer: Layer, sums: LayerSums) -> Floats:
    """What errors of a channel are measured by, (C,): the span of what its neurons can send, or the
    RMS of the layer where nothing bounds that.
    """
    if layer.range is not None:
        return layer.range[1] - layer.range[0]
    rms = float(np.sqrt(sums.cnn.sum() / (sums.values * len(sums.cnn))))
    return np.full(len(sums.cnn), rms or 1.0)
