"""From the float graph to populations: which neurons there are and what each of them gathers, not
yet its thresholds.

Every activation becomes a population of neurons; the linear nodes before it become its synapses, an
Add of several branches becomes several synapses on one population. Pools, slices and concatenations
stay as wiring between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snngen.graph import Add, Affine, Concat, Graph, Node, Relu, Staircase, shapes
from snngen.ops import Conv, Linear, MaxPool, Scale, Select, Shape, SumPool
from snngen.spiking import INPUT, Floats, Synapse


@dataclass(frozen=True, eq=False)
class Population:
    """A layer before thresholds are known.

    `activation` is what the CNN applies to the sum of `synapses` and `bias` (C,), which are in its
    units; None where none follows: the layer then sends its current on, or is wiring.
    """

    name: str
    shape: Shape
    synapses: tuple[Synapse, ...]
    bias: Floats | None
    activation: Relu | Staircase | None


@dataclass(frozen=True, eq=False)
class _Current:
    """A sum of synapses that no population owns yet."""

    name: str
    synapses: tuple[Synapse, ...]
    bias: Floats


class _Builder:
    """Walks the graph; `values` says where each node's value is found: a population's name or a
    loose current.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shapes = shapes(graph)
        self.populations: list[Population] = []
        self.values: dict[str, str | _Current] = {graph.input.name: INPUT}

    def build(self) -> tuple[Population, ...]:
        for node in self.graph.nodes:
            self.values[node.name] = self._value(node)
        current = self._current(self.graph.output, self.graph.output)
        self._own(_Current(self._output_name(current), current.synapses, current.bias), None)
        return tuple(self.populations)

    def _value(self, node: Node) -> str | _Current:
        channels = self.shapes[node.name][0]
        match node.op:
            case Conv() | Linear():
                bias = np.zeros(channels) if node.bias is None else node.bias
                return _Current(node.name, (Synapse(self._source(node.inputs[0]), node.op),), bias)
            case Affine(scale, shift):
                synapse = Synapse(self._source(node.inputs[0]), Scale(scale.reshape(channels)))
                return _Current(node.name, (synapse,), shift.reshape(channels))
            case Add():
                parts = [self._current(name, node.name) for name in node.inputs]
                synapses = tuple(s for part in parts for s in part.synapses)
                return _Current(node.name, synapses, np.sum([p.bias for p in parts], axis=0))
            case Relu() | Staircase() as activation:
                return self._own(self._current(node.inputs[0], node.name), activation)
            case SumPool() | MaxPool() | Select():
                return self._wire(node, (Synapse(self._source(node.inputs[0]), node.op),))
            case Concat():
                return self._wire(node, self._side_by_side(node))
            case _:
                raise AssertionError(f"{node.name}: no population for {type(node.op).__name__}")

    def _current(self, name: str, owner: str) -> _Current:
        """The value `name` as a current that the caller may own."""
        value = self.values[name]
        if isinstance(value, _Current):
            if len(self.graph.consumers(name)) + (name == self.graph.output) == 1:
                return value
            value = self._source(name)
        channels = self.shapes[name][0]
        return _Current(owner, (Synapse(value, Scale(np.ones(channels))),), np.zeros(channels))

    def _source(self, name: str) -> str:
        """The population that sends the value `name`; a loose current becomes one that sends it
        on.
        """
        value = self.values[name]
        if isinstance(value, _Current):
            value = self.values[name] = self._own(value, None)
        return value

    def _own(self, current: _Current, activation: Relu | Staircase | None) -> str:
        shape = self._shape_of(current.synapses)
        self.populations.append(
            Population(current.name, shape, current.synapses, current.bias, activation)
        )
        return current.name

    def _wire(self, node: Node, synapses: tuple[Synapse, ...]) -> str:
        shape = self.shapes[node.name]
        self.populations.append(Population(node.name, shape, synapses, None, None))
        return node.name

    def _side_by_side(self, node: Node) -> tuple[Synapse, ...]:
        total, height, width = self.shapes[node.name]
        synapses, start = [], 0
        for name in node.inputs:
            channels = np.full(total, -1, np.int32)
            count = self.shapes[name][0]
            channels[start : start + count] = np.arange(count)
            start += count
            rows, columns = np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32)
            synapses.append(Synapse(self._source(name), Select(channels, rows, columns)))
        return tuple(synapses)

    def _shape_of(self, synapses: tuple[Synapse, ...]) -> Shape:
        known = {INPUT: self.graph.input.shape, **{p.name: p.shape for p in self.populations}}
        return synapses[0].op.shape(known[synapses[0].source])

    def _output_name(self, current: _Current) -> str:
        taken = {p.name for p in self.populations}
        name = current.name
        while name in taken:
            name += "_output"
        return name


def populations(graph: Graph) -> tuple[Population, ...]:
    """The populations of a folded `graph` in topological order; the last one is the output and has
    no activation.
    """
    return _Builder(graph).build()
