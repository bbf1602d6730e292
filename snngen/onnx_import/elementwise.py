"""Operators that treat every element by itself: activations, arithmetic with constants, batch
norm, and those that pass their input on unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snngen.onnx_import.merge import add_views
from snngen.onnx_import.network import Network
from snngen.onnx_import.onnx_node import OnnxNode, finite
from snngen.onnx_import.pointwise import apply, clipped, minus_from, normalise, over, plus, times
from snngen.onnx_import.values import Refused, Value, View

TINY_VARIANCE = 1e-10
NO_BOUND = 3.4e38


def import_identity(_: Network, node: OnnxNode) -> Sequence[Value]:
    """Identity, and Dropout at inference."""
    return [node.view()]


def import_dropout(_: Network, node: OnnxNode) -> Sequence[Value]:
    """Dropout does nothing at inference."""
    training = node.constant(2)
    if training is not None and training.any():
        raise Refused("training_mode must be 0", 1, "export the model in inference mode")
    if node.uses_output(1):
        raise Refused("the mask output cannot be used")
    return [node.view()]


def import_cast(_: Network, node: OnnxNode) -> Sequence[Value]:
    """Cast between float types keeps the (real) number."""
    kind = node.integer("to", 0)
    if kind not in (1, 10, 11):  # float, float16, double
        raise Refused(
            "only casts to float16, float32 and float64 are supported",
            f"to={kind}",
        )
    return [node.view()]


def import_relu(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Relu."""
    return [apply(net, node, node.view(), clipped(0, np.inf))]


def import_clip(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Clip: a ReLU with a ceiling (ReLU6 and kin), or part of a quantised activation."""
    bounds = []
    for k, (name, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        constant = node.constant(k)
        if constant is not None and constant.size != 1:
            raise Refused(f"{name} must be a scalar", f"shape {list(constant.shape)}")
        bounds.append(node.number(name, default) if constant is None else float(constant.item()))
    return [_clip(net, node, node.view(), *bounds)]


def import_extremum(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Max and Min of one activation and scalars: a Clip."""
    views = [v for v in node.inputs if isinstance(v, View)]
    constants = [v for v in node.inputs if isinstance(v, np.ndarray)]
    if len(views) != 1 or any(c.size != 1 for c in constants):
        raise Refused(
            f"{node.op} must compare one activation with scalars",
            f"{len(views)} activations, constants of shapes {[list(c.shape) for c in constants]}",
            "use Relu, Clip or MaxPool",
        )
    bounds = [float(finite(c, "a bound").item()) for c in constants]
    if node.op == "Max":
        return [_clip(net, node, views[0], max(bounds, default=-np.inf), np.inf)]
    return [_clip(net, node, views[0], -np.inf, min(bounds, default=np.inf))]


def _clip(net: Network, node: OnnxNode, view: View, low: float, high: float) -> View:
    if np.isnan(low) or np.isnan(high) or low > high:
        raise Refused("min may not be larger than max", f"min {low:g}, max {high:g}")
    # Exporters write "no bound" as the largest float.
    low, high = (float(np.copysign(np.inf, b)) if abs(b) >= NO_BOUND else b for b in (low, high))
    if (low, high) == (-np.inf, np.inf):
        return view
    return apply(net, node, view, clipped(low, high))


def import_add(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Add and Sum: activations are added, constants become an Affine."""
    views = [v for v in node.inputs if isinstance(v, View)]
    constants = [finite(c, "a summand") for c in node.inputs if isinstance(c, np.ndarray)]
    total = views[0] if len(views) == 1 else _straight_through(net, views)
    if total is None:
        total = add_views(net, node, views)
    return [apply(net, node, total, *(plus(c) for c in constants))]


def _straight_through(net: Network, views: Sequence[View]) -> View | None:
    """q, where the sum is x + (q - x): so training code hides rounding from the gradient."""
    if len(views) == 2:
        for x, other in (views, views[::-1]):
            known = net.differences.get(other.source)
            if known and all(
                a.source == b.source and np.array_equal(a.index, b.index)
                for a, b in ((known[0], other), (known[2], x))
            ):
                net.superseded.add(other.source)
                return known[1]
    return None


def import_subtract(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Sub: x - constant, constant - x, or the difference of two activations."""
    left, right = node.input(0), node.input(1)
    if isinstance(left, View) and isinstance(right, View):
        negated = apply(net, node, right, times(np.array(-1.0)))
        difference = add_views(net, node, [left, negated])
        net.differences[difference.source] = (difference, left, right)
        return [difference]
    if isinstance(left, View):
        return [apply(net, node, left, plus(-node.weights(1, "the subtrahend")))]
    return [apply(net, node, node.view(1), minus_from(node.weights(0, "the minuend")))]


def import_multiply(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Mul by a constant."""
    activation, constant = (0, 1) if isinstance(node.input(0), View) else (1, 0)
    factor = node.weights(constant, "the factor")
    return [apply(net, node, node.view(activation), times(factor))]


def import_divide(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Div by a constant."""
    return [apply(net, node, node.view(), over(node.weights(1, "the divisor")))]


def import_negate(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Neg."""
    return [apply(net, node, node.view(), times(np.array(-1.0)))]


def import_batch_norm(net: Network, node: OnnxNode) -> Sequence[Value]:
    """BatchNormalization with its running statistics: scale * (x - mean) / sqrt(var + epsilon) +
    bias.
    """
    if node.integer("training_mode", 0) or any(node.uses_output(k) for k in range(1, 5)):
        raise Refused(
            "batch norm must use its running statistics",
            "training mode",
            "export with model.eval()",
        )
    if node.integer("spatial", 1) != 1:
        raise Refused("spatial=0 is not supported", "spatial 0", "export with opset 9 or newer")
    view = node.view()
    rank = view.index.ndim
    names = ("scale", "bias", "mean", "variance")
    scale, bias, mean, variance = (node.weights(k, n) for k, n in enumerate(names, start=1))
    channels = view.shape[1] if rank > 1 else 1
    for name, value in zip(names, (scale, bias, mean, variance), strict=True):
        if value.shape != (channels,):
            raise Refused(
                f"{name} must hold one number per channel", f"{value.shape} for {channels}"
            )
    deviation = variance + node.number("epsilon", 1e-5)
    if deviation.min() <= 0:
        raise Refused("variance + epsilon must be positive", f"{deviation.min():g}")
    if variance.min() < TINY_VARIANCE:
        net.notes.append(
            f"{node.place}: the variance of {int((variance < TINY_VARIANCE).sum())} of {channels} "
            f"channels is below {TINY_VARIANCE:g}: they were constant in training"
        )
    gain = scale / np.sqrt(deviation)
    per_channel = (1, channels, *[1] * (rank - 2)) if rank > 1 else (1,)
    shift = bias - mean * gain
    return [normalise(net, node, view, gain.reshape(per_channel), shift.reshape(per_channel))]
