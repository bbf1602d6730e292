"""Operations that treat every element by itself, and chains of them.

Most have a node of their own in the float graph, an Affine or a Relu. Rounding, and clipping
elsewhere than at 0, have none: they are deferred, and so is what follows them, until the walk is
over and `chain.resolve` can make one Staircase of the whole chain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from snngen.graph import Affine, Floats, GraphOp, Relu
from snngen.onnx_import.network import Chain, Network, Step
from snngen.onnx_import.onnx_node import OnnxNode
from snngen.onnx_import.values import Refused, View, guard_size
from snngen.ops.window import Array


@dataclass(frozen=True, eq=False)
class Pointwise:
    """function(x, *constants), monotone in x; the constants broadcast as in ONNX.

    `op` makes the graph's own operator from the constants, where there is one.
    """

    function: Callable[..., Floats]
    constants: tuple[Floats, ...] = ()
    op: Callable[..., GraphOp] | None = None
    rounds: bool = False
    bounds: tuple[float, float] | None = None  # of a clip


def times(factor: Floats) -> Pointwise:
    """x * factor."""
    return Pointwise(np.multiply, (factor,), lambda c: Affine(c, np.zeros_like(c)))


def over(divisor: Floats) -> Pointwise:
    """x / divisor; raises Refused where that contains 0."""
    if not divisor.all():
        raise Refused("the divisor must not contain 0")
    if not np.isfinite(1 / divisor).all():
        raise Refused("its constants overflow double precision")
    return Pointwise(np.divide, (divisor,), lambda c: Affine(1 / c, np.zeros_like(c)))


def plus(summand: Floats) -> Pointwise:
    """x + summand."""
    return Pointwise(np.add, (summand,), lambda c: Affine(np.ones_like(c), c))


def minus_from(minuend: Floats) -> Pointwise:
    """minuend - x."""
    return Pointwise(lambda x, c: c - x, (minuend,), lambda c: Affine(-np.ones_like(c), c))


def clipped(low: float, high: float) -> Pointwise:
    """min(max(x, low), high)."""
    is_relu = low == 0 and high > 0
    return Pointwise(
        lambda x: np.clip(x, low, high),
        op=(lambda: Relu(high)) if is_relu else None,
        bounds=(low, high),
    )


def rounded(function: Callable[[Floats], Floats]) -> Pointwise:
    """`function` gives integers."""
    return Pointwise(function, rounds=True)


def fold_constant(value: Array, *operations: Pointwise) -> Array:
    """The operations applied to a constant: in its own precision up to the last rounding, as a
    float runtime would; then in float64, so that what was quantised stays exactly on its grid.
    """
    last = max((k for k, o in enumerate(operations) if o.rounds), default=-1)
    value = value if value.dtype.kind == "f" and last >= 0 else value.astype(np.float64)
    try:
        with np.errstate(all="ignore"):
            for k, operation in enumerate(operations):
                dtype = value.dtype if k <= last else np.dtype(np.float64)
                constants = (c.astype(dtype) for c in operation.constants)
                value = np.asarray(operation.function(value.astype(dtype), *constants))
    except ValueError as error:
        raise Refused("the operands cannot be broadcast together", error) from None
    return value.astype(np.float64)


def apply(net: Network, node: OnnxNode, view: View, *operations: Pointwise) -> View:
    """The operations applied to an activation, one after the other."""
    view, constants = _broadcast(net, node, view, operations)
    name = view.source
    if name in net.deferred or any(operation.op is None for operation in operations):
        chain = net.chains.get(name, Chain(name))
        for operation, parts in zip(operations, constants, strict=True):
            chain = chain.extended(_step(node, operation, parts))
        return View(net.defer(node.name, chain, name), view.index)
    for operation, parts in zip(operations, constants, strict=True):
        assert operation.op is not None
        before = net.chains.get(name)
        chain = (before or Chain(name)).extended(_step(node, operation, parts))
        name = net.add(node.name, operation.op(*parts), (name,))
        if before is not None or not _is_bias(operation):
            net.chains[name] = chain.standing_at(name)
    return View(name, view.index)


def normalise(net: Network, node: OnnxNode, view: View, scale: Floats, shift: Floats) -> View:
    """scale * view + shift as one node that is part of no chain: a batch norm belongs to the layer
    before it, not to a quantiser behind.
    """
    operation = Pointwise(lambda x, a, b: x * a + b, (scale, shift))
    view, (parts,) = _broadcast(net, node, view, [operation])
    return View(net.add(node.name, Affine(*parts), (view.source,)), view.index)


def _step(node: OnnxNode, operation: Pointwise, constants: tuple[Floats, ...]) -> Step:
    return Step(node.place, operation.function, constants, operation.rounds, operation.bounds)


def _broadcast(
    net: Network, node: OnnxNode, view: View, operations: Sequence[Pointwise]
) -> tuple[View, list[tuple[Floats, ...]]]:
    """The view in the shape that the operations give it, and their constants in the canonical order
    of its source.
    """
    constants = [c for operation in operations for c in operation.constants]
    try:
        shape = np.broadcast_shapes(view.shape, *(c.shape for c in constants))
    except ValueError:
        raise Refused(
            "the operands cannot be broadcast together",
            " and ".join(str(list(s)) for s in (view.shape, *(c.shape for c in constants))),
        ) from None
    guard_size(shape, "its output")
    if not all(np.isfinite(c).all() for c in constants):
        raise Refused("its constants overflow double precision")
    if shape != view.shape:
        view = View(view.source, np.broadcast_to(view.index, shape))
    if any(c.size > 1 for c in constants) or _moves_zero(operations):
        view = net.materialise(node.name, view)
    return view, [tuple(_per_element(net, view, c) for c in o.constants) for o in operations]


def _moves_zero(operations: Sequence[Pointwise]) -> bool:
    """Whether padding with zeros before and after the operations would differ."""
    x = np.zeros(1)
    for operation in operations:
        x = operation.function(x, *operation.constants)
    return bool(np.any(x != 0))


def _is_bias(operation: Pointwise) -> bool:
    """Whether this is an addition per channel: it belongs to the layer before, not to a
    quantiser behind.
    """
    return operation.function is np.add and operation.constants[0].size > 1


def _per_element(net: Network, view: View, constant: Floats) -> Floats:
    """`constant`, broadcast over a bijective view, in the canonical order of the view's source:
    (C, H, W), or (C, 1, 1) where it is the same all over a channel.
    """
    channels, height, width = net.shapes[view.source]
    if constant.size == 1:
        return np.full((channels, 1, 1), constant.item())
    ordered = np.empty(view.index.size)
    ordered[view.index] = np.broadcast_to(constant, view.shape)
    samples = ordered.reshape(net.batch, channels, height, width)
    if not np.array_equal(samples, np.broadcast_to(samples[0], samples.shape)):
        raise Refused("a constant may not differ between the samples of a batch")
    first: Floats = samples[0]
    if np.array_equal(first, np.broadcast_to(first[:, :1, :1], first.shape)):
        return first[:, :1, :1]
    return first
