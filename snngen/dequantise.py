"""The quantised CNN that a network of level neurons is: every level of the one is a level of the
other, on every input.

Rounding weights to integers makes another CNN. This is that CNN, as a graph of real numbers, for
`snngen.graph.forward` in float64 or any other program: a reference with which the integers have
nothing in common.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from snngen.fixed import FixedLayer, FixedNet
from snngen.graph import Add, Affine, Graph, GraphOp, Node, Staircase, check_graph
from snngen.neurons import IF, Level
from snngen.ops import WEIGHTED, Conv, Linear, Scale
from snngen.quantise import Units
from snngen.spiking import INPUT, SpikingLayer, SpikingNet, Synapse

QUANTISED_INPUT = "quantised input"


def dequantised(spiking: SpikingNet, net: FixedNet, units: Mapping[str, Units]) -> Graph:
    """The graph with the weights of `net`, which quantisation made of `spiking`, in real numbers.

    A node with a layer's name has the value that the layer sends, in the CNN's units. ValueError
    where neurons spike over time: no activation is what they do.
    """
    given = spiking.input
    shift = given.shift - units[INPUT].offset
    nodes: list[Node] = []
    values = {INPUT: given.name}
    if spiking.preprocess.quantiser is not None:
        nodes.append(Node(QUANTISED_INPUT, spiking.preprocess.quantiser, (given.name,)))
        values[INPUT] = QUANTISED_INPUT
    for real, fixed in zip(spiking.layers, net.layers, strict=True):
        nodes += _nodes(real, fixed, units, values)
        values[real.name] = real.name
    graph = Graph(
        net.name, replace(given, shift=shift), tuple(nodes), net.layers[-1].name, net.output_layout
    )
    check_graph(graph)
    return graph


def _nodes(
    real: SpikingLayer, fixed: FixedLayer, units: Mapping[str, Units], values: Mapping[str, str]
) -> Iterator[Node]:
    """One node for each synapse, their sum, the activation; the last has the layer's name."""
    own = units[real.name]
    chain: list[tuple[GraphOp, tuple[str, ...]]] = [
        (_in_real_units(synapse, own, units), (values[synapse.source],))
        for synapse in fixed.synapses
    ]
    names = [f"{real.name}, synapse {k}" for k in range(len(chain))]
    if len(chain) > 1:
        chain.append((Add(), tuple(names)))
        names.append(f"{real.name}, sum")
    bias = own.offset if fixed.bias is None else own.offset + fixed.bias / own.scale
    if not fixed.is_wiring and np.any(bias):
        chain.append((Affine(np.ones((1, 1, 1)), bias[:, None, None]), (names[-1],)))
        names.append(f"{real.name}, current")
    if isinstance(real.neuron, IF):
        raise ValueError(f"layer '{real.name}' spikes over time")
    if isinstance(real.neuron, Level):
        stairs = Staircase(real.neuron.thresholds, real.amplitude, real.neuron.lowest)
        chain.append((stairs, (names[-1],)))
        names.append("")
    names[-1] = real.name
    for name, (op, inputs) in zip(names, chain, strict=True):
        yield Node(name, op, inputs)


def _in_real_units(synapse: Synapse, own: Units, units: Mapping[str, Units]) -> GraphOp:
    """What the synapse's integers stand for, per unit of what its source stands for."""
    if not isinstance(synapse.op, WEIGHTED):
        return synapse.op
    scaled = synapse.op.scale_inputs(1 / units[synapse.source].amplitude)
    weight = scaled.weight / own.scale.reshape(-1, *(1,) * (scaled.weight.ndim - 1))
    if isinstance(scaled, Scale):
        return Affine(weight[:, None, None], np.zeros((1, 1, 1)))
    assert isinstance(scaled, Conv | Linear)
    return replace(scaled, weight=weight)
