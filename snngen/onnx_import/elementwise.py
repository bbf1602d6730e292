"""Operators that treat every element by itself: activations, arithmetic with constants, batch
norm, and those that pass their input on unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snngen.graph import Affine, Floats, Relu
from snngen.onnx_import.merge import add_views
from snngen.onnx_import.network import Network
from snngen.onnx_import.onnx_node import OnnxNode, finite
from snngen.onnx_import.values import Refused, Value, View, guard_size

TINY_VARIANCE = 1e-10


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
    return [_rectify(net, node, np.inf)]


def import_clip(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Clip(x, 0, maximum) is a ReLU with a ceiling (ReLU6 and kin)."""
    bounds = []
    for k, (name, default) in enumerate((("min", -np.inf), ("max", np.inf)), start=1):
        constant = node.constant(k)
        if constant is not None and constant.size != 1:
            raise Refused(f"{name} must be a scalar", f"shape {list(constant.shape)}")
        value = node.number(name, default) if constant is None else constant.item()
        # Exporters write "no bound" as the largest float.
        bounds.append(float(np.copysign(np.inf, value)) if abs(value) >= 3.4e38 else float(value))
    low, high = bounds
    if (low, high) == (-np.inf, np.inf):
        return [node.view()]
    if low != 0 or not high > 0:
        raise Refused(
            "Clip must have min 0 and a positive max",
            f"min {low:g}, max {high:g}",
            "a spiking neuron sends no negative values: use ReLU or Clip(0, max) and fine-tune",
        )
    return [_rectify(net, node, high)]


def _rectify(net: Network, node: OnnxNode, maximum: float) -> View:
    view = node.view()
    return View(net.add(node.name, Relu(maximum), (view.source,)), view.index)


def import_add(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Add and Sum: activations are added, constants become an Affine."""
    views = [v for v in node.inputs if isinstance(v, View)]
    constants = [finite(c, "a summand") for c in node.inputs if isinstance(c, np.ndarray)]
    total = views[0] if len(views) == 1 else add_views(net, node, views)
    for constant in constants:
        total = apply_affine(net, node, total, None, constant)
    return [total]


def import_subtract(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Sub: x - constant, constant - x, or the difference of two activations."""
    left, right = node.input(0), node.input(1)
    minus_one = np.array(-1.0)
    if isinstance(left, View) and isinstance(right, View):
        negated = apply_affine(net, node, right, minus_one, None)
        return [add_views(net, node, [left, negated])]
    if isinstance(left, View):
        return [apply_affine(net, node, left, None, -node.weights(1, "the subtrahend"))]
    shift = node.weights(0, "the minuend")
    return [apply_affine(net, node, node.view(1), minus_one, shift)]


def import_multiply(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Mul by a constant."""
    activation, constant = (0, 1) if isinstance(node.input(0), View) else (1, 0)
    return [
        apply_affine(net, node, node.view(activation), node.weights(constant, "the factor"), None)
    ]


def import_divide(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Div by a constant."""
    divisor = node.weights(1, "the divisor")
    if not divisor.all():
        raise Refused("the divisor must not contain 0")
    return [apply_affine(net, node, node.view(), 1 / divisor, None)]


def import_negate(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Neg."""
    return [apply_affine(net, node, node.view(), np.array(-1.0), None)]


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
    return [
        apply_affine(
            net, node, view, gain.reshape(per_channel), (bias - mean * gain).reshape(per_channel)
        )
    ]


def apply_affine(
    net: Network, node: OnnxNode, view: View, scale: Floats | None, shift: Floats | None
) -> View:
    """scale * view + shift, the constants broadcast as ONNX does; None stands for 1 and 0."""
    constants = [c for c in (scale, shift) if c is not None]
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
    if shift is not None or any(c.size > 1 for c in constants):
        view = net.materialise(node.name, view)
    parts = [
        _per_element(net, view, np.array(default) if c is None else c)
        for c, default in ((scale, 1.0), (shift, 0.0))
    ]
    return View(net.add(node.name, Affine(*parts), (view.source,)), view.index)


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
