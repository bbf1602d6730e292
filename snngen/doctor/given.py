"""A network that was given beside its model: whether it can be one of that model's, and where its
numbers differ.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedLayer, FixedNet
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import WEIGHTED, Op


@dataclass(frozen=True)
class Altered:
    """Channels of `layer` that hold other numbers than the conversion gives them: `what`, weights
    and biases or thresholds.
    """

    layer: str
    what: str
    channels: tuple[int, ...]
    of: int


def check_layers(given: FixedNet, made: FixedNet, where: str) -> None:
    """ConversionError where `given` differs from the network that was `made` of the model in more
    than numbers; `where` names it.
    """
    pairs: list[tuple[str, object, object]] = [
        ("the input's shape", given.input.shape, made.input.shape),
        ("the timesteps", given.timesteps, made.timesteps),
        ("the layers", _names(given), _names(made)),
    ]
    if _names(given) == _names(made):
        for a, b in zip(given.layers, made.layers, strict=True):
            pairs.append((f"layer '{a.name}'", _form(a), _form(b)))
    problems = [
        Problem(
            where,
            f"{what} must be as in the network that these options make of the model",
            f"{found} instead of {wanted}",
            "give the model it was made of, with the options it was converted with",
        )
        for what, found, wanted in pairs
        if found != wanted
    ]
    if problems:
        raise ConversionError(*problems)


def altered(given: FixedNet, made: FixedNet) -> tuple[Altered, ...]:
    """Where the numbers of two networks with the same layers differ."""
    found = []
    for a, b in zip(given.layers, made.layers, strict=True):
        for what, numbers in (("weights or biases", _weights), ("thresholds", _thresholds)):
            channels = np.flatnonzero((numbers(a) != numbers(b)).any(1)).tolist()
            if channels:
                found.append(Altered(a.name, what, tuple(channels), a.shape[0]))
    return tuple(found)


def _names(net: FixedNet) -> str:
    return ", ".join(layer.name for layer in net.layers)


def _form(layer: FixedLayer) -> str:
    """A layer without its numbers."""
    parts = [f"{type(s.op).__name__} of {s.source}, {_geometry(s.op)}" for s in layer.synapses]
    match layer.neuron:
        case IF(reset=reset, max_spikes=most, signed=signed):
            neuron = f"{'signed ' * signed}IF, reset {reset}, at most {most} spikes"
        case Level(thresholds, lowest):
            neuron = f"{thresholds.shape[1]} levels from {lowest}"
        case Accumulate():
            neuron = "output"
        case None:
            neuron = "no neuron"
    return " + ".join([*parts, neuron])


def _geometry(op: Op) -> str:
    """All of an operator but its weights, in words."""
    told = []
    for field in fields(op):
        value = getattr(op, field.name)
        if isinstance(value, np.ndarray):
            value = "x".join(map(str, value.shape)) if field.name == "weight" else value.tolist()
        told.append(f"{field.name} {value}")
    return " ".join(told)


def _weights(layer: FixedLayer) -> NDArray[np.int64]:
    """Weights and bias of each channel, side by side: (C, n)."""
    channels = layer.shape[0]
    bias = np.zeros(channels, np.int64) if layer.bias is None else layer.bias
    weights = [
        s.op.weight.reshape(channels, -1) for s in layer.synapses if isinstance(s.op, WEIGHTED)
    ]
    return np.concatenate([*weights, bias[:, None]], axis=1)


def _thresholds(layer: FixedLayer) -> NDArray[np.int64]:
    """Everything that the neurons of each channel hold: (C, n)."""
    match layer.neuron:
        case IF() as neuron:
            held = [neuron.threshold, neuron.v_init]
            return np.stack(held if neuron.v_min is None else [*held, neuron.v_min], axis=1)
        case Level(thresholds):
            return thresholds
        case _:
            return np.zeros((layer.shape[0], 0), np.int64)
