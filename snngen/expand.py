"""Counts in space: level neurons with N thresholds as N binary neurons with one each.

Zou et al. 2021, Frontiers in Neuroscience 15:694170: the copies share inputs and weights, none of
them has a state, and all fire in the same step. A layer that read a count n reads n spikes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snngen.bounds import prove
from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedLayer, FixedNet
from snngen.neurons import Level
from snngen.ops import Scale
from snngen.spiking import INPUT, Synapse


def expand(net: FixedNet) -> FixedNet:
    """`net` with every level layer of N thresholds as N layers of binary neurons, "NAME copy i",
    i = 0..N-1, one for each threshold.

    Where weights read a level layer, they read each of its copies. Wiring needs the counts
    themselves, a maximum of them for example, and reads NAME, a layer that adds the copies up.
    ConversionError where levels lie below 0, which no number of spikes is.
    """
    signed = unsendable(net)
    if signed:
        raise ConversionError(*signed)
    wired = {s.source for layer in net.layers for s in layer.synapses if layer.is_wiring}
    copies: dict[str, list[str]] = {}
    layers: list[FixedLayer] = []
    for layer in net.layers:
        synapses = tuple(
            Synapse(source, s.op)
            for s in layer.synapses
            for source in ([s.source] if layer.is_wiring else copies.get(s.source, [s.source]))
        )
        if not isinstance(layer.neuron, Level):
            layers.append(_proven(net, layers, replace(layer, synapses=synapses)))
            continue
        names = [f"{layer.name} copy {i}" for i in range(layer.neuron.thresholds.shape[1])]
        for name, threshold in zip(names, layer.neuron.thresholds.T, strict=True):
            binary = replace(
                layer, name=name, synapses=synapses, neuron=Level(threshold[:, None].copy())
            )
            layers.append(_proven(net, layers, binary))
        if layer.name in wired:
            ones = Scale(np.ones(layer.shape[0], np.int64))
            gathered = replace(
                layer, synapses=tuple(Synapse(name, ones) for name in names), bias=None, neuron=None
            )
            layers.append(_proven(net, layers, gathered))
        copies[layer.name] = names
    return replace(net, layers=tuple(layers))


def unsendable(net: FixedNet) -> list[Problem]:
    """The layers of `net` that send levels below 0."""
    return [
        Problem(
            f"layer '{layer.name}'",
            "binary neurons cannot send levels below 0",
            f"its lowest level is {layer.neuron.lowest}",
        )
        for layer in net.layers
        if isinstance(layer.neuron, Level) and layer.neuron.lowest != 0
    ]


def _proven(net: FixedNet, earlier: list[FixedLayer], layer: FixedLayer) -> FixedLayer:
    """`layer` with the bounds that its synapses give it."""
    known = {INPUT: net.input.interval, **{done.name: done.output for done in earlier}}
    sources = [known[s.source] for s in layer.synapses]
    b = prove(layer.name, layer.synapses, sources, layer.bias, layer.neuron, net.longest)
    return replace(layer, current=b.current, membrane=b.membrane, output=b.output)
