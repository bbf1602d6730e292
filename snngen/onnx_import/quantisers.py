"""Rounding and quantisation: Floor and kin, QuantizeLinear with DequantizeLinear, and QONNX.

Each is spelled out as pointwise operations, on constants and activations alike. Integers are
numbers like all others here: a quantised tensor holds the values 0..255, say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from onnx import TensorProto

from snngen.graph import Floats
from snngen.onnx_import.network import Network
from snngen.onnx_import.onnx_node import OnnxNode, finite
from snngen.onnx_import.pointwise import (
    Pointwise,
    apply,
    clipped,
    fold_constant,
    over,
    plus,
    rounded,
    times,
)
from snngen.onnx_import.values import Refused, Value, View

WIDEST = 32  # bits of a quantised constant

_INTEGERS = {
    f"{sign}int{bits}": (0.0, 2.0**bits - 1)
    if sign
    else (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1)
    for sign in ("", "u")
    for bits in (2, 4, 8, 16, 32)
}


def _up(x: Floats) -> Floats:
    result: Floats = np.copysign(np.ceil(np.abs(x)), x)
    return result


def _half_up(x: Floats) -> Floats:
    result: Floats = np.copysign(np.floor(np.abs(x) + 0.5), x)
    return result


def _half_down(x: Floats) -> Floats:
    result: Floats = np.copysign(np.ceil(np.abs(x) - 0.5), x)
    return result


_ROUNDINGS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "ROUND": np.rint,
        "HALF_EVEN": np.rint,
        "CEIL": np.ceil,
        "FLOOR": np.floor,
        "UP": _up,
        "DOWN": np.trunc,
        "ROUND_TO_ZERO": np.trunc,
        "HALF_UP": _half_up,
        "HALF_DOWN": _half_down,
    }
)
"""QONNX's rounding modes: UP and DOWN lead away from zero and towards it."""


def import_rounding(net: Network, node: OnnxNode) -> Sequence[Value]:
    """Ceil, Floor and Round (half to even)."""
    mode = _ROUNDINGS[node.op.upper()]
    return [apply(net, node, node.view(), rounded(mode))]


def import_quantize_linear(net: Network, node: OnnxNode) -> Sequence[Value]:
    """QuantizeLinear: round(x / scale) + zero point, half to even, saturating at its type's range,
    per tensor or along an axis.
    """
    zero = node.constant(2)
    kind = "uint8" if zero is None else str(zero.dtype)
    output = node.integer("output_dtype", 0)
    if output and zero is None:
        kind = TensorProto.DataType.Name(output).lower() if output in _NAMES else str(output)
    if kind not in _INTEGERS:
        raise Refused("the quantised type must be an integer", kind, "quantise to int8 or uint8")
    if node.integer("precision", 0) not in (0, TensorProto.FLOAT):
        raise Refused("the precision must be float32", node.integer("precision", 0))
    scale, offset = _along_axis(node)
    return [
        _each(
            net,
            node,
            over(scale),
            rounded(np.rint),
            *_shift(offset),
            clipped(*_INTEGERS[kind]),
        )
    ]


_NAMES = frozenset(TensorProto.DataType.values())


def import_dequantize_linear(net: Network, node: OnnxNode) -> Sequence[Value]:
    """DequantizeLinear: (x - zero point) * scale, per tensor or along an axis."""
    scale, offset = _along_axis(node)
    return [_each(net, node, *_shift(-offset), times(scale))]


def _along_axis(node: OnnxNode) -> tuple[Floats, Floats]:
    """Scale and zero point, shaped for broadcasting."""
    if node.integer("block_size", 0):
        raise Refused(
            "block_size must be 0", node.integer("block_size", 0), "quantise per tensor or channel"
        )
    value, scale = node.input(0), node.weights(1, "the scale")
    zero = node.constant(2)
    offset = np.zeros(()) if zero is None else _whole(zero, "the zero point")
    if not isinstance(value, View | np.ndarray):
        raise Refused("it has no input")
    if scale.size == 1:
        scale = scale.reshape(())
    elif scale.ndim == 1:
        rank, axis = len(value.shape), node.integer("axis", 1)
        if not -rank <= axis < rank or value.shape[axis] != scale.size:
            raise Refused(
                "the scale must hold one number per channel",
                f"{scale.size} along axis {axis} of {list(value.shape)}",
            )
        scale = scale.reshape([-1 if a == axis % rank else 1 for a in range(rank)])
    else:
        raise Refused("the scale must be a number or a vector", f"shape {list(scale.shape)}")
    if offset.size not in (1, scale.size):
        raise Refused("the zero point must have the scale's shape", f"{list(offset.shape)}")
    return scale, offset.reshape(() if offset.size == 1 else scale.shape)


def import_quant(net: Network, node: OnnxNode) -> Sequence[Value]:
    """QONNX Quant: x / scale + zero point, clipped to its bits, rounded, and back."""
    scale, zero = node.weights(1, "the scale"), node.weights(2, "the zero point")
    bits = _bit_width(node, 3)
    signed, narrow = node.integer("signed", 1), node.integer("narrow", 0)
    if bits == 1 and signed:  # as QONNX itself reads it
        limits = [rounded(lambda x: np.where(x >= 0, 1.0, -1.0).astype(x.dtype))]
    else:
        low, high = _limits(bits, signed, narrow)
        limits = [clipped(low, high), _mode(node, "ROUND")]
    return [_each(net, node, over(scale), *_shift(zero), *limits, *_shift(-zero), times(scale))]


def import_bipolar_quant(net: Network, node: OnnxNode) -> Sequence[Value]:
    """QONNX BipolarQuant: scale where x >= 0, else -scale."""
    sign = rounded(lambda x: np.where(x >= 0, 1.0, -1.0).astype(x.dtype))
    return [_each(net, node, sign, times(node.weights(1, "the scale")))]


def import_trunc(net: Network, node: OnnxNode) -> Sequence[Value]:
    """QONNX Trunc, both versions: integers with fewer bits, the lowest ones cut off."""
    scale, zero = node.weights(1, "the scale"), node.weights(2, "the zero point")
    before = [over(scale), *_shift(zero), rounded(np.rint)]
    if len(node.inputs) < 6:
        shrink = 2.0 ** (_bit_width(node, 3) - _bit_width(node, 4))
        after = [*_shift(-zero), times(scale)]
        return [_each(net, node, *before, over(np.array(shrink)), _mode(node, "FLOOR"), *after)]
    wide = node.weights(4, "the output scale")
    if min(float((wide / scale).min()), float(scale.min())) <= 0:
        raise Refused("scales must be positive", f"{scale.min():g} and {wide.min():g}")
    shrinks = 2.0 ** np.rint(np.log2(wide / scale))
    low, high = _limits(_bit_width(node, 5), node.integer("signed", 1), node.integer("narrow", 0))
    cut = [over(shrinks), clipped(low, high), _mode(node, "FLOOR")]
    return [_each(net, node, *before, *cut, *_shift(-zero / shrinks), times(wide))]


def _each(net: Network, node: OnnxNode, *operations: Pointwise) -> Value:
    """The operations on the node's first input, whatever that is."""
    value = node.input(0)
    if isinstance(value, np.ndarray):
        _whole_or_finite(value)
        return fold_constant(value, *operations)
    return apply(net, node, node.view(), *operations)


def _whole_or_finite(value: np.ndarray) -> None:
    if value.dtype.kind == "f":
        finite(value, "the constant")
    else:
        _whole(value, "the constant")


def _whole(value: np.ndarray, what: str) -> Floats:
    """An integer tensor as float64; raises Refused for other types."""
    if str(value.dtype) not in _INTEGERS and value.dtype.kind != "f":
        raise Refused(f"{what} must be of an integer type", value.dtype)
    return finite(value.astype(np.float64), what)


def _shift(offset: Floats) -> list[Pointwise]:
    return [plus(offset)] if offset.any() else []


def _mode(node: OnnxNode, default: str) -> Pointwise:
    mode = node.text("rounding_mode", default)
    if mode.upper() not in _ROUNDINGS:
        raise Refused(f"rounding_mode must be one of {', '.join(_ROUNDINGS)}", mode)
    return rounded(_ROUNDINGS[mode.upper()])


def _bit_width(node: OnnxNode, k: int) -> int:
    bits = node.weights(k, "the bit width")
    if bits.size != 1 or bits.item() not in range(1, WIDEST + 1):
        raise Refused(
            f"the bit width must be one integer from 1 to {WIDEST}", list(bits.ravel()[:4])
        )
    return int(bits.item())


def _limits(bits: int, signed: int, narrow: int) -> tuple[float, float]:
    """The least and largest integer of a QONNX type; narrow leaves out the one of largest size."""
    if signed:
        return float(-(2 ** (bits - 1)) + bool(narrow)), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1 - bool(narrow)
