"""From deferred chains of pointwise operations to the graph's own operators: a chain that rounds is
a Staircase.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import takewhile

import numpy as np

from snngen.graph import Add, Affine, Concat, Floats, Node, Relu, Staircase
from snngen.levels import LARGEST, NotLevels, staircase, steps_of, values_of
from snngen.onnx_import.network import Chain, Deferred, Network, Step
from snngen.onnx_import.values import Refused
from snngen.ops import MaxPool, Select, SumPool

Range = tuple[float, float]


def resolve(net: Network, output: str | None) -> tuple[Node, ...]:
    """The nodes that matter, with operators in the places of deferred ones; what has none becomes
    a problem of `net`.

    `output` is the node that the model's output shows; None where a problem hides it.
    """
    resolved: list[Node] = []
    ranges: dict[str, Range] = {}
    for node in _needed(net, output):
        try:
            made = _operators(net, node, ranges) if isinstance(node, Deferred) else (node,)
        except Refused as refused:
            net.problems.append(refused.at(_place(node)))
            continue
        for one in made:
            known = _range(one, ranges)
            if known is not None:
                ranges[one.name] = known
        resolved += made
    return tuple(resolved)


def _place(node: Node | Deferred) -> str:
    """The step that has no operator of its own is to blame: the rounding, or the first other."""
    assert isinstance(node, Deferred)
    steps = node.chain.steps[node.chain.standing :]
    return next((s.place for s in steps if s.rounds), steps[0].place)


def _inputs(node: Node | Deferred) -> tuple[str, ...]:
    if isinstance(node, Node):
        return node.inputs
    return (_reads(node),)


def _reads(node: Deferred) -> str:
    """What the operators made of the node will read."""
    chain = node.chain
    return chain.base if chain.rounds or not chain.stands else chain.stands


def _needed(net: Network, output: str | None) -> Iterable[Node | Deferred]:
    """Without the nodes that nothing depends on: chains leave some behind as they grow."""
    if output is None:
        read = {name for node in net.nodes for name in _inputs(node)}
        needed = {node.name for node in net.nodes} - read - net.superseded
    else:
        needed = {output}
    for node in reversed(net.nodes):
        if node.name in needed:
            needed.update(_inputs(node))
    return [node for node in net.nodes if node.name in needed]


def _operators(net: Network, node: Deferred, ranges: Mapping[str, Range]) -> tuple[Node, ...]:
    """The nodes that compute a deferred one; the last has its name. Raises Refused."""
    chain = node.chain
    if not chain.rounds:
        low, high = _combined_clip(chain)
        if low != 0 or not high > 0:
            raise Refused(
                "Clip must have min 0 and a positive max, or be part of a quantised activation",
                f"min {low:g}, max {high:g}",
                "a spiking neuron that is not quantised sends no negative values: use ReLU or "
                "Clip(0, max) and fine-tune",
            )
        return (Node(node.name, Relu(high), (_reads(node),)),)
    try:
        sign, op, shift = _quantised(chain.steps, ranges.get(chain.base, (-LARGEST, LARGEST)))
    except NotLevels as error:
        raise Refused(error.rule, error.found, error.hint) from None
    channels = net.shapes[node.name][0]
    made = [Node(node.name, op, (chain.base,))]
    if np.any(sign < 0):
        scale = np.broadcast_to(sign[:, :, None], (channels, 1, 1))
        flip = Node(
            net.unique(f"{node.name}_negated"), Affine(scale, np.zeros_like(scale)), (chain.base,)
        )
        net.shapes[flip.name] = net.shapes[node.name]
        made = [flip, Node(node.name, op, (flip.name,))]
    if shift is not None:
        levels = Node(net.unique(f"{node.name}_levels"), op, made[-1].inputs)
        net.shapes[levels.name] = net.shapes[node.name]
        up = np.broadcast_to(shift[:, None, None], (channels, 1, 1))
        made[-1:] = [levels, Node(node.name, Affine(np.ones_like(up), up), (levels.name,))]
    return tuple(made)


def _combined_clip(chain: Chain) -> Range:
    """The bounds of the clips that end a chain; raises Refused where anything else is deferred."""
    clips = [s.bounds for s in takewhile(lambda s: s.bounds, reversed(chain.steps)) if s.bounds]
    if len(clips) < len(chain.steps) - chain.standing:
        raise Refused(
            "a Clip that is not a ReLU must be part of a quantised activation",
            ", ".join(dict.fromkeys(s.place for s in chain.steps[chain.standing :])),
            "use ReLU or Clip(0, max) and fine-tune",
        )
    low, high = -np.inf, np.inf
    for bounds in reversed(clips):
        low, high = (float(np.clip(end, *bounds)) for end in (low, high))
    return low, high


def _quantised(steps: tuple[Step, ...], ends: Range) -> tuple[Floats, Staircase, Floats | None]:
    """(sign, op, shift) such that the chain of x is op(sign * x) + shift, for x between `ends`.

    `sign` (C, 1) or (1, 1), `shift` (C,) or (1,). Raises NotLevels and Refused.
    """
    rows = [tuple(_row(step, c) for c in step.constants) for step in steps]
    last = max(k for k, step in enumerate(steps) if step.rounds)

    def run(x: Floats, begin: int, end: int) -> Floats:
        for step, constants in zip(steps[begin:end], rows[begin:end], strict=True):
            x = step.function(x, *constants)
        return x

    def head(x: Floats) -> Floats:
        return run(x, 0, last + 1)

    def tail(x: Floats) -> Floats:
        return run(x, last + 1, len(steps))

    channels = max((len(c) for row in rows for c in row), default=1)
    low, high = (np.full((channels, 1), end) for end in ends)
    sign = np.where(tail(head(high)) < tail(head(low)), -1.0, 1.0)
    low, high = np.where(sign < 0, -high, low), np.where(sign < 0, -low, high)
    turn = np.where(head(sign * high) < head(sign * low), -1.0, 1.0)
    thresholds, values = steps_of(
        lambda x: turn * head(sign * x), lambda m: tail(turn * m), low, high
    )
    return sign, *staircase(thresholds, values)


def _row(step: Step, constant: Floats) -> Floats:
    """A constant as (C, 1), or (1, 1) where all channels agree."""
    if constant.shape[1:] != (1, 1):
        raise Refused(
            "a constant of a quantised activation must be the same all over a channel",
            f"shape {list(constant.shape)} at {step.place}",
        )
    row: Floats = constant[:, :, 0]
    return row[:1] if np.all(row == row[0]) else row


def _range(node: Node, ranges: Mapping[str, Range]) -> Range | None:
    """Between which numbers the node's values lie; None where the weights would have to say."""
    known = [ranges.get(name) for name in node.inputs]
    sources = [r for r in known if r is not None]
    if isinstance(node.op, Staircase):
        values = values_of(node.op)
        return float(values.min()), float(values.max())
    if isinstance(node.op, Relu) and np.isfinite(node.op.maximum):
        return 0.0, node.op.maximum
    if len(sources) < len(known):
        return None
    low, high = min(r[0] for r in sources), max(r[1] for r in sources)
    match node.op:
        case Relu():
            return max(low, 0.0), max(high, 0.0)
        case Select() | MaxPool() | Concat():
            return min(low, 0.0), max(high, 0.0)
        case SumPool(window, divisor, multiplier):
            largest = 1 if multiplier is None else int(multiplier.max())
            taps = window.kernel[0] * window.kernel[1] * largest / divisor
            return min(low * taps, low, 0.0), max(high * taps, high, 0.0)
        case Add():
            return sum(r[0] for r in sources), sum(r[1] for r in sources)
        case Affine(scale, shift):
            ends = np.stack([scale * low + shift, scale * high + shift])
            return float(ends.min()), float(ends.max())
        case _:
            return None
