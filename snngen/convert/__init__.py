"""Conversion methods: one file each, all listed in METHODS.

A method takes the populations of the network, calibration images as model values (batch, C, H, W)
and the options, and returns the layers with their neurons and what they make of those images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snngen.convert.balance import channel_max, layer_max
from snngen.convert.options import PERCENTILES, Converted, Options, check_options
from snngen.convert.structure import Population, populations
from snngen.graph import Graph, forward
from snngen.spiking import Preprocess, SpikingNet

Method = Callable[[tuple[Population, ...], NDArray[np.floating], Options], Converted]

METHODS: dict[str, Method] = {
    "channel-max": channel_max,
    "layer-max": layer_max,
}


def convert(
    graph: Graph, preprocess: Preprocess, images: NDArray[np.uint8], options: Options
) -> SpikingNet:
    """Turn a folded CNN into a spiking network, calibrated on raw bytes `images` (batch, C, H, W).

    `preprocess` takes bytes to what the model reads. Raises ConversionError.
    """
    check_options(options, tuple(METHODS))
    seen = Preprocess(
        preprocess.gain * graph.input.scale,
        preprocess.offset * graph.input.scale + graph.input.shift,
    )
    method, parts, values = METHODS[options.method], populations(graph), seen.apply(images)
    if options.percentile == "auto":
        wanted = forward(graph, preprocess.apply(images))[graph.output]
        candidates = (replace(options, percentile=p) for p in PERCENTILES)
        converted = max(
            (method(parts, values, candidate) for candidate in candidates),
            key=lambda made: likeness(made.outputs, wanted),
        )
    else:
        converted = method(parts, values, options)
    return SpikingNet(
        graph.name,
        graph.input,
        seen,
        converted.layers,
        options.steps,
        graph.output_layout,
        options.method,
        graph.notes,
    )


def likeness(outputs: NDArray[np.floating], wanted: NDArray[np.floating]) -> float:
    """The mean over images of the correlation between the outputs and those `wanted`, 1 at best.

    Correlation, because the class does not change where all scores shrink together, as they do
    under lower thresholds. A single output has none: there it is the negated mean squared error.
    """
    a, b = (v.reshape(len(v), -1).astype(np.float64) for v in (outputs, wanted))
    if a.shape[1] == 1:
        return -float(np.square(a - b).mean())
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    norm = np.sqrt(np.square(a).sum(1) * np.square(b).sum(1))
    return float(np.divide((a * b).sum(1), norm, out=np.zeros(len(a)), where=norm > 0).mean())


__all__ = ["METHODS", "Options", "convert", "populations"]
