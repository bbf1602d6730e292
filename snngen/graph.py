"""The float CNN: what the ONNX importer makes and `fold` simplifies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snngen.ops import Conv, Linear, MaxPool, Op, Select, Shape, SumPool
from snngen.ops.window import Array

Floats = NDArray[np.float64]
Layout = Literal[
    "CHW", "HWC"
]  # the order in which the user's file or sensor holds a (C, H, W) value


@dataclass(frozen=True, eq=False)
class Affine:
    """scale * x + shift, element by element; both broadcast to (C, H, W). After `fold` both are (C,
    1, 1).
    """

    scale: Floats
    shift: Floats


@dataclass(frozen=True)
class Relu:
    """min(max(x, 0), maximum)."""

    maximum: float = np.inf

    def forward(self, x: Array) -> Array:
        """Of `x` (N, C, H, W), in its dtype."""
        values: Array = np.clip(x, 0, x.dtype.type(self.maximum))
        return values


@dataclass(frozen=True, eq=False)
class Staircase:
    """A quantised activation: step * (lowest + how many of its channel's thresholds x has reached).

    `thresholds` (C, N) or (1, N), sorted, N in 1..255; `step` (C,) or (1,), above 0; `lowest` is
    the smallest level, below 0 for quantisers that keep the sign.
    """

    thresholds: Floats
    step: Floats
    lowest: int = 0

    def forward(self, x: Array) -> Array:
        """Of `x` (N, C, H, W), in its dtype."""
        count = np.full(x.shape, self.lowest, x.dtype)
        for threshold in self.thresholds.T:
            count += x >= threshold[:, None, None]
        values: Array = count * self.step[:, None, None].astype(x.dtype)
        return values


@dataclass(frozen=True)
class Add:
    """The sum of all inputs, equal in shape."""


@dataclass(frozen=True)
class Concat:
    """All inputs side by side along the channels."""


GraphOp = Op | Affine | Relu | Staircase | Add | Concat


@dataclass(frozen=True, eq=False)
class Node:
    """One operation; `inputs` are names of earlier nodes or of the graph's input. `bias` (O,) only
    on Conv and Linear.
    """

    name: str
    op: GraphOp
    inputs: tuple[str, ...]
    bias: Floats | None = None


@dataclass(frozen=True, eq=False)
class GraphInput:
    """The network's input in canonical (C, H, W); the model's file holds it as `layout`, in a
    tensor of `model_shape`.

    The network sees scale * x + shift per channel, both (C,): normalisation that the model itself
    contains.
    """

    name: str
    shape: Shape
    layout: Layout
    model_shape: tuple[int, ...]  # of one sample, without the batch axis
    scale: Floats
    shift: Floats


@dataclass(frozen=True, eq=False)
class Graph:
    """A float CNN in topological order. `output` names the node whose value, in `output_layout`, is
    the result.
    """

    name: str
    input: GraphInput
    nodes: tuple[Node, ...]
    output: str
    output_layout: Layout = "CHW"
    notes: tuple[str, ...] = ()
    _index: dict[str, Node] = field(init=False, repr=False)
    _readers: dict[str, list[Node]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {node.name: node for node in self.nodes})
        readers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                readers.setdefault(name, []).append(node)
        object.__setattr__(self, "_readers", readers)

    def __getitem__(self, name: str) -> Node:
        return self._index[name]

    def consumers(self, name: str) -> list[Node]:
        return self._readers.get(name, [])


def in_layout(values: Array, shape: Shape, layout: Layout) -> Array:
    """`values` (..., C * H * W) in canonical order, as the user's file or sensor orders them."""
    if layout == "CHW":
        return values
    axes = np.moveaxis(values.reshape(*values.shape[:-1], *shape), -3, -1)
    return axes.reshape(values.shape)


def output_shape(op: GraphOp, sources: list[Shape]) -> Shape:
    """The (C, H, W) that `op` makes of its inputs; raises ValueError where they do not fit."""
    match op:
        case Affine() | Relu() | Staircase():
            return sources[0]
        case Add():
            if len(set(sources)) != 1:
                raise ValueError(f"Add needs equal shapes, not {sources}")
            return sources[0]
        case Concat():
            if len({s[1:] for s in sources}) != 1:
                raise ValueError(f"Concat needs equal heights and widths, not {sources}")
            return (sum(s[0] for s in sources), *sources[0][1:])
        case _:
            return op.shape(sources[0])


def shapes(graph: Graph) -> dict[str, Shape]:
    """The (C, H, W) of the input and of every node."""
    known = {graph.input.name: graph.input.shape}
    for node in graph.nodes:
        known[node.name] = output_shape(node.op, [known[i] for i in node.inputs])
    return known


def check_graph(graph: Graph) -> None:
    """Assert what every pass relies on: unique names, topological order, fitting shapes."""
    names = [graph.input.name, *(n.name for n in graph.nodes)]
    assert len(set(names)) == len(names), "duplicate node names"
    earlier = {graph.input.name}
    for node in graph.nodes:
        assert earlier.issuperset(node.inputs), f"{node.name} reads a later node"
        earlier.add(node.name)
        assert node.bias is None or isinstance(node.op, Conv | Linear), (
            f"{node.name} cannot carry a bias"
        )
    assert graph.output in names
    shapes(graph)


def forward(
    graph: Graph, x: NDArray[np.floating], keep: Iterable[str] = ()
) -> dict[str, NDArray[np.floating]]:
    """Run the float CNN on `x` (N, C, H, W), model values in canonical order; computes in the dtype
    of `x`.

    Returns the output's value and those of the nodes in `keep`, by name.
    """
    dtype = x.dtype
    last_use = {i: k for k, node in enumerate(graph.nodes) for i in node.inputs}
    wanted = {graph.output, *keep}
    normalised = x * graph.input.scale[:, None, None].astype(dtype) + graph.input.shift[
        :, None, None
    ].astype(dtype)
    values: dict[str, NDArray[np.floating]] = {graph.input.name: normalised}
    for k, node in enumerate(graph.nodes):
        values[node.name] = _apply(node, [values[i] for i in node.inputs], dtype)
        for i in set(node.inputs):
            if last_use[i] == k and i not in wanted:
                del values[i]
    return {name: values[name] for name in wanted}


def _apply(node: Node, xs: list[Array], dtype: np.dtype[np.floating]) -> Array:
    x = xs[0]
    match node.op:
        case Affine(scale, shift):
            transformed: Array = x * scale.astype(dtype) + shift.astype(dtype)
            return transformed
        case Relu(maximum):
            rectified: Array = np.clip(x, 0, maximum)
            return rectified
        case Staircase() as staircase:
            return staircase.forward(x)
        case Add():
            total: Array = sum(xs[1:], start=x)
            return total
        case Concat():
            joined: Array = np.concatenate(xs, axis=1)
            return joined
        case SumPool() as pool:
            average: Array = pool.forward(x) / dtype.type(pool.divisor)
            return average
        case MaxPool() | Select() as wiring:
            return wiring.forward(x)
        case Conv() | Linear() as op:
            y: Array = replace(op, weight=op.weight.astype(dtype)).forward(x)
            return y if node.bias is None else y + node.bias[:, None, None].astype(dtype)
        case _:
            raise AssertionError(
                f"{node.name}: {type(node.op).__name__} is not an operator of a float graph"
            )
