"""Softmax, LogSoftmax and Sigmoid at the end, which do not change which output is the largest."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from snngen.onnx_import.network import Network
from snngen.onnx_import.onnx_node import OnnxNode
from snngen.onnx_import.values import Refused, Value, View


def import_softmax(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Dropped, with a note, where it ends the network and covers all of its outputs."""
    view = _last(node, "leave the normalisation to what reads its output")
    rank = view.index.ndim
    axis = node.integer("axis", -1 if node.opset >= 13 else 1)
    if not -rank <= axis < rank:
        raise Refused(f"axis must be within the {rank} axes of its input", axis)
    axis %= rank
    # Before opset 13 the axes from `axis` on were normalised together.
    group = view.shape[axis] if node.opset >= 13 else prod(view.shape[axis:])
    if group != prod(view.shape[1:]):
        raise Refused(
            f"{node.op} must cover all outputs of a sample",
            f"axis {axis} of {list(view.shape)}",
        )
    return [_dropped(net, node, view)]


def import_sigmoid(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Dropped, with a note, where it ends the network."""
    hint = "inside a network, replace it by ReLU or Clip(0, max) and fine-tune"
    return [_dropped(net, node, _last(node, hint))]


def _last(node: OnnxNode, hint: str) -> View:
    """The input of an operation that must end the network."""
    view = node.view()
    if not node.ends_network:
        raise Refused(
            f"{node.op} is only supported as the last operation",
            "other operators use its output",
            f"a spiking network compares sums; {hint}",
        )
    return view


def _dropped(net: Network, node: OnnxNode, view: View) -> View:
    net.notes.append(
        f"{node.place} is dropped: it does not change which output is the largest, but the "
        "network's outputs are the values before it"
    )
    return view
