"""What `snngen check` says about a model before anything is converted: every problem, what looks
suspicious, and what each layer costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snngen.errors import Problem, SnngenError
from snngen.fold import fold
from snngen.graph import Affine, Graph, Node, Relu, Staircase, shapes
from snngen.onnx_import import load
from snngen.ops import Conv, Linear, MaxPool, Select, Shape, SumPool

WIDE_RANGE = 1e4  # between the largest weights of two channels of a layer


@dataclass(frozen=True)
class LayerRow:
    """One line of the table: a node of the folded graph. `op` is its operator, of a quantised
    activation with the number N of its levels above the lowest.

    `macs` are multiply-accumulates of one dense evaluation; `fan_in` the synapses of one neuron, 0
    for an operator without any.
    """

    name: str
    op: str
    output_shape: Shape
    parameters: int
    macs: int
    fan_in: int


@dataclass(frozen=True)
class CheckReport:
    """The verdict on one model. With problems it cannot be converted, and `layers` is empty."""

    model: str
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    notes: tuple[str, ...]
    input_shape: Shape | None
    layers: tuple[LayerRow, ...]

    @property
    def ok(self) -> bool:
        """Whether the model can be imported; warnings do not count."""
        return not self.problems

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.layers)

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Everything, in types that `json.dumps` takes."""
        totals = {"parameters": self.parameters, "macs": self.macs, "layers": len(self.layers)}
        return {**asdict(self), "ok": self.ok, "totals": totals}


def check(
    path: Path, *, input_shape: tuple[int, ...] | None = None, output: str | None = None
) -> CheckReport:
    """Judge the ONNX file at `path`; what is wrong with it is reported, never raised."""
    name = path.name
    try:
        graph = fold(load(path, input_shape=input_shape, output=output))
    except SnngenError as error:
        return CheckReport(name, error.problems, (), (), None, ())
    return CheckReport(
        name,
        (),
        tuple(_warnings(graph)),
        graph.notes,
        graph.input.shape,
        tuple(_row(graph, node) for node in graph.nodes),
    )


def _row(graph: Graph, node: Node) -> LayerRow:
    known = shapes(graph)
    channels, height, width = known[node.name]
    parameters = macs = fan_in = 0
    match node.op:
        case Conv() | Linear() as op:
            parameters = op.weight.size + (0 if node.bias is None else node.bias.size)
            fan_in = op.fan_in
            macs = channels * height * width * fan_in
        case Affine(scale, shift):
            parameters, macs, fan_in = scale.size + shift.size, channels * height * width, 1
        case SumPool() | MaxPool() | Select() as op:
            fan_in = op.fan_in
    kind = type(node.op).__name__
    if isinstance(node.op, Staircase):
        kind += f" N={node.op.thresholds.shape[1]}"
    return LayerRow(node.name, kind, (channels, height, width), parameters, macs, fan_in)


def _warnings(graph: Graph) -> Iterator[Problem]:
    for node in graph.nodes:
        if isinstance(node.op, Conv | Linear):
            yield from _suspicious_weights(node, node.op)
            for earlier in _weighted_sources(graph, node):
                yield Problem(
                    _place(node),
                    "follows another weighted layer without an activation between them",
                    f"'{earlier}'",
                    "nothing can spike between the two: insert an activation, or merge them",
                )
    if any(isinstance(graph[name].op, Relu) for name in _last(graph)):
        yield Problem(
            "the output",
            "passes through a ReLU, so that negative scores tie at 0",
            f"'{graph.output}'",
            "remove the ReLU behind the last layer",
        )
    if not any(isinstance(node.op, Conv | Linear) for node in graph.nodes):
        yield Problem("the model", "contains no weighted layer")


def _suspicious_weights(node: Node, op: Conv | Linear) -> Iterator[Problem]:
    largest = np.abs(op.weight).max(axis=(1, 2, 3))
    silent = np.flatnonzero(largest == 0)
    if len(silent):
        yield Problem(
            _place(node),
            "has output channels whose weights are all zero",
            f"{len(silent)} of {len(largest)}, the first is {silent[0]}",
            "prune them, or check that the checkpoint was loaded",
        )
    used = largest[largest > 0]
    if len(used) and used.max() > WIDE_RANGE * used.min():
        yield Problem(
            _place(node),
            f"its channels' weights differ in range by more than {WIDE_RANGE:g}",
            f"largest weights from {used.min():.3g} to {used.max():.3g}",
            "quantise per channel; a batch norm with a tiny variance is a common cause",
        )


def _weighted_sources(graph: Graph, node: Node) -> list[str]:
    """The weighted layers that `node` reads with nothing between that could spike."""
    found, pending, seen = [], list(node.inputs), set()
    while pending:
        name = pending.pop()
        if name == graph.input.name or name in seen:
            continue
        seen.add(name)
        earlier = graph[name]
        if isinstance(earlier.op, Conv | Linear):
            found.append(name)
        elif not isinstance(earlier.op, Relu | Staircase):
            pending += earlier.inputs
    return sorted(found)


def _last(graph: Graph) -> list[str]:
    """The nodes that the output shows, through rearrangement and pooling."""
    name, chain = graph.output, []
    while name != graph.input.name:
        chain.append(name)
        if not isinstance(graph[name].op, Select | MaxPool | SumPool):
            break
        name = graph[name].inputs[0]
    return chain


def _place(node: Node) -> str:
    return f"node '{node.name}' ({type(node.op).__name__})"
