"""Conversion methods: one file each, all listed in METHODS.

A method takes the populations of the network, calibration images as model values (batch, C, H, W)
and the options, and returns the layers with their neurons.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from snngen.convert.balance import channel_max, layer_max
from snngen.convert.options import Options, check_options
from snngen.convert.structure import Population, populations
from snngen.graph import Graph
from snngen.spiking import Preprocess, SpikingLayer, SpikingNet

Method = Callable[[tuple[Population, ...], NDArray[np.floating], Options], tuple[SpikingLayer, ...]]

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
    layers = METHODS[options.method](populations(graph), seen.apply(images), options)
    return SpikingNet(
        graph.name,
        graph.input,
        seen,
        layers,
        options.steps,
        graph.output_layout,
        options.method,
        graph.notes,
    )


__all__ = ["METHODS", "Options", "convert", "populations"]
