"""The network under construction: canonical nodes, and how views of them are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from snngen.errors import Problem
from snngen.graph import Affine, Floats, GraphOp, Node, Relu, output_shape
from snngen.onnx_import.values import (
    Index,
    Refused,
    View,
    as_chw,
    guard_size,
    is_bijective,
    separate,
)
from snngen.ops import Shape

INPUT = "input"  # the name of the graph's input; no node may take it


@dataclass(frozen=True, eq=False)
class Step:
    """One link of a chain: function(x, *constants), monotone, at ONNX node `place`.

    The constants are in the order of the canonical value, (C, H, W) or (C, 1, 1).
    """

    place: str
    function: Callable[..., Floats]
    constants: tuple[Floats, ...]
    rounds: bool
    bounds: tuple[float, float] | None  # of a clip


@dataclass(frozen=True, eq=False)
class Chain:
    """Pointwise operations on the value of node `base`; the first `standing` of them are also done
    by nodes of the graph, the last of which is `stands`.
    """

    base: str
    steps: tuple[Step, ...] = ()
    stands: str = ""
    standing: int = 0

    @property
    def rounds(self) -> bool:
        return any(step.rounds for step in self.steps)

    def extended(self, step: Step) -> Chain:
        """With one more operation at its end."""
        return replace(self, steps=(*self.steps, step))

    def standing_at(self, name: str) -> Chain:
        """Now that node `name` does all of it."""
        return replace(self, stands=name, standing=len(self.steps))


@dataclass(frozen=True, eq=False)
class Deferred:
    """The place of a node that computes `chain`, once it is known how the chain goes on."""

    name: str
    chain: Chain


@dataclass
class Network:
    """Grows node by node while the ONNX graph is walked.

    `batch` samples are laid side by side in every view, so that an operation that mixes them shows.
    """

    batch: int
    shapes: dict[str, Shape] = field(default_factory=dict)
    nodes: list[Node | Deferred] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    # Arrangements of the graph's input, in its flat positions, that no Select could provide.
    input_demands: list[Index] = field(default_factory=list)
    chains: dict[str, Chain] = field(default_factory=dict)  # the one that a node is the end of
    deferred: set[str] = field(default_factory=set)  # nodes whose chain has no other form yet
    superseded: set[str] = field(default_factory=set)  # ends of chains that went on
    # Differences of two activations, by the node that computes them: (difference, left, right).
    differences: dict[str, tuple[View, View, View]] = field(default_factory=dict)
    # What pointwise nodes read: they follow any rearrangement of the input.
    _pointwise: dict[str, str] = field(default_factory=dict)
    _selects: dict[tuple[str, bytes, bytes, bytes], str] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        """`name`, or `name` with the first free number behind it."""
        taken = self.shapes.keys() | {INPUT}
        candidate, k = name, 2
        while candidate in taken:
            candidate, k = f"{name}_{k}", k + 1
        return candidate

    def add(
        self, name: str, op: GraphOp, sources: tuple[str, ...], bias: Floats | None = None
    ) -> str:
        """Append a node and return its (unique) name; raises Refused where shapes do not fit."""
        try:
            shape = output_shape(op, [self.shapes[s] for s in sources])
        except ValueError as error:
            raise Refused("the shapes do not fit", error) from None
        guard_size((self.batch, *shape), "its output")
        name = self.unique(name)
        self.nodes.append(Node(name, op, sources, bias))
        self.shapes[name] = shape
        if isinstance(op, Affine | Relu):
            self._pointwise[name] = sources[0]
        return name

    def defer(self, name: str, chain: Chain, source: str) -> str:
        """Append the place of a node that computes `chain`, the last step of which reads `source`;
        return its (unique) name.
        """
        name = self.unique(name)
        self.nodes.append(Deferred(name, chain))
        self.shapes[name] = self.shapes[chain.base]
        self._pointwise[name] = source
        self.chains[name] = chain
        self.superseded.update({source} & self.deferred)
        self.deferred.add(name)
        return name

    def end_chain(self, name: str) -> None:
        """Operations behind node `name` start a chain of their own, if this one rounds."""
        if name in self.chains and self.chains[name].rounds:
            del self.chains[name]
            self.deferred.discard(name)

    def stand_in(self, name: str, shape: tuple[int, ...]) -> View:
        """A view of shape `shape` of a value that no node computes, so that the nodes behind a
        refused one can still be checked.
        """
        guard_size(shape, "its output")
        name = self.unique(name)
        if shape[:1] != (self.batch,):
            raise Refused("the batch is not the first axis", list(shape))
        self.shapes[name] = as_chw(shape[1:])
        return self.view(name, shape[1:])

    def size(self, source: str) -> int:
        """Elements per sample of a node's value."""
        c, h, w = self.shapes[source]
        return c * h * w

    def view(self, source: str, shape: tuple[int, ...]) -> View:
        """The value of `source` in its own order, as an ONNX tensor of (batch, *shape)."""
        return View(
            source,
            np.arange(self.batch * self.size(source), dtype=np.int32).reshape(self.batch, *shape),
        )

    def is_bijective(self, view: View) -> bool:
        """Whether the view holds every element of its source exactly once."""
        return is_bijective(view.index, self.batch * self.size(view.source))

    def per_sample(self, view: View) -> Index:
        """The index of one sample, without the batch axis; raises Refused where the samples are
        mixed or the batch is not the first axis.
        """
        index, size = view.index, self.size(view.source)
        if index.ndim == 0 or index.shape[0] != self.batch:
            raise Refused(
                f"the batch (of {self.batch}) must be the first axis",
                f"a tensor of shape {list(index.shape)}",
                "export the model with a batch of 1",
            )
        first: Index = index[0]
        apart = first.max(initial=-1) < size and all(
            np.array_equal(other, np.where(first < 0, -1, first + b * size))
            for b, other in enumerate(index)
        )
        if not apart:
            raise Refused(
                "samples of a batch may not be mixed",
                f"a tensor of shape {list(index.shape)} with the batch inside another axis",
                "export the model with a batch of 1",
            )
        return first

    def read(self, name: str, source: str, want: Index) -> str:
        """The node that holds elements `want` (C, H, W) of `source`: `source` itself, or a Select.

        Raises Refused where `want` is no selection per axis.
        """
        shape = self.shapes[source]
        if want.shape == shape and np.array_equal(
            want.ravel(), np.arange(want.size, dtype=np.int32)
        ):
            return source
        select = separate(want, shape)
        if select is None:
            if self._reads_input(source):
                self.input_demands.append(want)
            raise Refused(
                "its input is rearranged across channels, rows and columns",
                f"{shape} -> {want.shape}",
                "only a selection per axis (slice, crop, pad, flip, shuffle) can precede this "
                "operator; a dense layer takes any order",
            )
        key = (
            source,
            select.channels.tobytes(),
            select.rows.tobytes(),
            select.columns.tobytes(),
        )
        if key not in self._selects:
            self._selects[key] = self.add(f"{name}_select", select, (source,))
        return self._selects[key]

    def materialise(self, name: str, view: View) -> View:
        """The same tensor as a view that holds every element of its source exactly once."""
        if self.is_bijective(view):
            return view
        index = self.per_sample(view)
        source = self.read(name, view.source, index.reshape(as_chw(index.shape)))
        return self.view(source, index.shape)

    def _reads_input(self, source: str) -> bool:
        while source in self._pointwise:
            source = self._pointwise[source]
        return source == INPUT
