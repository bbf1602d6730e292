"""What the rules of `fold` are made of: looking around a node, and rewriting a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from snngen.graph import Affine, Graph, Node
from snngen.ops import Conv, Linear, Shape

Shapes = Mapping[str, Shape]
Rule = Callable[[Graph, Shapes, Node], Graph | None]
"""The graph with this one node's neighbourhood rewritten; None where the rule does not apply."""


def drop_dead(graph: Graph) -> Graph:
    """Without the nodes that the output does not depend on."""
    needed = {graph.output}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return replace(graph, nodes=tuple(n for n in graph.nodes if n.name in needed))


def rewire(
    graph: Graph,
    put: Mapping[str, Node] | None = None,
    bypass: Mapping[str, str] | None = None,
) -> Graph:
    """With nodes replaced in their places (`put`), and with all others, and the output, reading
    `bypass[name]` instead of `name`.
    """
    put, bypass = put or {}, bypass or {}
    nodes = [
        put[n.name]
        if n.name in put
        else replace(n, inputs=tuple(bypass.get(i, i) for i in n.inputs))
        for n in graph.nodes
        if n.name in put or n.name not in bypass
    ]
    return replace(graph, nodes=tuple(nodes), output=bypass.get(graph.output, graph.output))


def producer(graph: Graph, node: Node) -> Node | None:
    """The node that `node` (of one input) reads; None for the graph's input."""
    return None if node.inputs[0] == graph.input.name else graph[node.inputs[0]]


def only_reader(graph: Graph, name: str) -> Node | None:
    """The one node that reads `name`; None where there are others or `name` is the output."""
    readers = graph.consumers(name)
    return readers[0] if len(readers) == 1 and name != graph.output else None


def swap(graph: Graph, first: Node, second: Node) -> Graph:
    """`second`, which alone reads `first`, moved in front of it."""
    return rewire(
        graph,
        {
            first.name: replace(second, inputs=first.inputs),
            second.name: replace(first, inputs=(second.name,)),
        },
        {second.name: first.name},
    )


def unique(graph: Graph, name: str) -> str:
    """`name`, or `name` with as many "_" behind it as make it new."""
    taken = {graph.input.name, *(node.name for node in graph.nodes)}
    while name in taken:
        name += "_"
    return name


def insert(graph: Graph, at: Node, nodes: Sequence[Node]) -> Graph:
    """With `nodes` in place of `at`; the last of them has its name."""
    k = graph.nodes.index(at)
    return replace(graph, nodes=(*graph.nodes[:k], *nodes, *graph.nodes[k + 1 :]))


def is_per_channel(affine: Affine) -> bool:
    """Whether its constants are the same all over each channel: (C, 1, 1)."""
    return affine.scale.shape[1:] == affine.shift.shape[1:] == (1, 1)


def absorbs(node: Node, affine: Affine) -> bool:
    """Whether `node` can take an Affine before it into its weights exactly."""
    match node.op:
        case Linear():
            return True
        case Conv(window=window):
            padded = any(window.pads) and bool(np.any(affine.shift))
            return is_per_channel(affine) and not padded
        case _:
            return False
