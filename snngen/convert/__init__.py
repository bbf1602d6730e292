"""Conversion methods: one file each, all listed in METHODS."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snngen.convert.balance import channel_max, layer_max
from snngen.convert.calibrated import calibrated
from snngen.convert.ecc import ecc
from snngen.convert.options import PERCENTILES, Converted, Method, Options, check_options
from snngen.convert.quantized import quantized
from snngen.convert.refined import refined
from snngen.convert.scatter_gather import scatter_gather
from snngen.convert.structure import populations
from snngen.errors import ConversionError, Problem
from snngen.graph import Graph, Relu, Staircase, forward
from snngen.spiking import Preprocess, SpikingNet

METHODS = {
    "channel-max": Method(channel_max, ("percentile", "scaling", "v_init", "coding")),
    "layer-max": Method(layer_max, ("percentile", "scaling", "v_init", "coding")),
    "calibrated": Method(calibrated, rounds=True),
    "refined": Method(refined, rounds=True, trains=True),
    "ecc": Method(ecc, ("v_init", "without")),
    "quantized": Method(quantized, ("coding",), quantised=True),
    "scatter-gather": Method(scatter_gather, quantised=True),
}


def resolve(graph: Graph, options: Options) -> Options:
    """`options` with what suits `graph` in place of "auto", checked; ConversionError."""
    chosen = options
    if options.method == "auto":
        quantised = any(isinstance(node.op, Staircase) for node in graph.nodes)
        chosen = replace(options, method="quantized" if quantised else "channel-max")
    if options.neuron == "auto" and chosen.method in METHODS:
        counts = METHODS[chosen.method].quantised and options.coding == "direct"
        neuron: Literal["if", "level"] = "level" if counts else "if"
        chosen = replace(chosen, neuron=neuron)
    check_options(chosen, METHODS)
    _check_activations(graph, chosen.method)
    return chosen


def _check_activations(graph: Graph, method: str) -> None:
    """Refuse those that `method` does not convert; ConversionError."""
    relus = [node.name for node in graph.nodes if isinstance(node.op, Relu)]
    stairs = [node.name for node in graph.nodes if isinstance(node.op, Staircase)]
    if METHODS[method].quantised and relus:
        rule = f"method {method} needs every activation quantised"
        hint = "quantise it in training, or convert the float model with another method"
        raise ConversionError(*(Problem(f"node '{name}' (ReLU)", rule, "", hint) for name in relus))
    if stairs and not METHODS[method].quantised:
        mixed = f"; {len(relus)} ReLUs are not quantised, which no method combines with them"
        raise ConversionError(
            Problem(
                "the model",
                f"method {method} converts ReLUs, not quantised activations",
                f"{len(stairs)} quantised, the first is '{stairs[0]}'" + (mixed if relus else ""),
                "quantise all of them in training, or none" if relus else "use method quantized",
            )
        )


def convert(
    graph: Graph, preprocess: Preprocess, images: NDArray[np.uint8], options: Options
) -> SpikingNet:
    """Turn a folded CNN into a spiking network, calibrated on raw bytes `images` (batch, C, H, W),
    or on streams (batch, T, C, H, W) for event coding.

    `preprocess` takes bytes to what the model reads. Raises ConversionError.
    """
    options = resolve(graph, options)
    seen = Preprocess(
        preprocess.gain * graph.input.scale,
        preprocess.offset * graph.input.scale + graph.input.shift,
    )
    whole = images
    if options.coding == "events":
        _check_events(seen)
        whole = images.sum(1)
        seen = replace(seen, gain=seen.gain * options.timesteps)  # so that rates are of the whole
    method, parts, values = METHODS[options.method], populations(graph), seen.apply(images)
    if "percentile" in method.options and options.percentile == "auto":
        wanted = forward(graph, preprocess.apply(whole))[graph.output]
        candidates = (replace(options, percentile=p) for p in PERCENTILES)
        converted = max(
            (method.convert(parts, values, candidate) for candidate in candidates),
            key=lambda made: likeness(_outputs(made), wanted),
        )
    else:
        converted = method.convert(parts, values, options)
    return SpikingNet(
        graph.name,
        graph.input,
        replace(seen, quantiser=converted.quantiser),
        converted.layers,
        options.steps,
        graph.output_layout,
        options.method,
        graph.notes,
        options.coding,
    )


def _check_events(seen: Preprocess) -> None:
    """ConversionError unless the model sees 0 where no event is."""
    if seen.offset.any():
        rule = "where no event is, the model must see 0"
        hint = "leave out --mean, and train the model without one"
        found = f"it sees {', '.join(f'{v:g}' for v in seen.offset)}"
        raise ConversionError(Problem("the input", rule, found, hint))


def _outputs(made: Converted) -> NDArray[np.float32]:
    assert made.outputs is not None, "methods that read a percentile give outputs to choose it by"
    return made.outputs


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


__all__ = ["METHODS", "Options", "convert", "populations", "resolve"]
