"""Resize and Upsample to the nearest element: each output repeats one input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import floor
from types import MappingProxyType

import numpy as np
import onnx

from snngen.graph import Floats
from snngen.onnx_import.network import Network
from snngen.onnx_import.onnx_node import OnnxNode
from snngen.onnx_import.values import Refused, Value, View, guard_size

Position = Callable[[Floats, int, int, float], Floats]
"""Where in the input (of so many elements) the output's elements (of so many) lie, at a scale."""


def _half_pixel(x: Floats, _: int, __: int, scale: float) -> Floats:
    return (x + 0.5) / scale - 0.5


def _half_pixel_symmetric(x: Floats, given: int, wanted: int, scale: float) -> Floats:
    return given / 2 * (1 - wanted / (given * scale)) + _half_pixel(x, given, wanted, scale)


def _pytorch_half_pixel(x: Floats, given: int, wanted: int, scale: float) -> Floats:
    return _half_pixel(x, given, wanted, scale) if wanted > 1 else np.zeros_like(x)


def _align_corners(x: Floats, given: int, wanted: int, _: float) -> Floats:
    return x * (given - 1) / max(1, wanted - 1)


def _asymmetric(x: Floats, _: int, __: int, scale: float) -> Floats:
    return x / scale


_POSITIONS: Mapping[str, Position] = MappingProxyType(
    {
        "half_pixel": _half_pixel,
        "half_pixel_symmetric": _half_pixel_symmetric,
        "pytorch_half_pixel": _pytorch_half_pixel,
        "align_corners": _align_corners,
        "asymmetric": _asymmetric,
    }
)
_ROUNDINGS: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
)


def import_resize(_: Network, node: OnnxNode) -> Sequence[Value]:
    """Resize and Upsample with mode nearest; never of the batch axis."""
    view = node.view()
    early = node.op == "Upsample" or node.opset < 11  # without choice of positions and rounding
    coordinates = node.text("coordinate_transformation_mode", "half_pixel")
    nearest = node.text("nearest_mode", "round_prefer_floor")
    position = _asymmetric if early else _POSITIONS.get(coordinates)
    rounding = _ROUNDINGS.get("floor" if early else nearest)
    for what, found, wanted in (
        ("mode", node.text("mode", "nearest"), ("nearest",)),
        ("coordinate_transformation_mode", coordinates, tuple(_POSITIONS)),
        ("nearest_mode", nearest, tuple(_ROUNDINGS)),
        ("keep_aspect_ratio_policy", node.text("keep_aspect_ratio_policy", "stretch"),
         ("stretch",)),
    ):  # fmt: skip
        if found not in wanted:
            rule = f"{what} must be {' or '.join(wanted)}"
            raise Refused(rule, found, "a value between others is no number of spikes")
    assert position is not None and rounding is not None
    sizes, scales = _wanted(node, view.shape, early)
    guard_size(tuple(sizes), "its output")
    if sizes[0] != view.shape[0]:
        raise Refused("the batch axis must keep its size", f"{view.shape[0]} to {sizes[0]}")
    index = view.index
    for axis, (wanted_size, scale) in enumerate(zip(sizes, scales, strict=True)):
        given = view.shape[axis]
        x = position(np.arange(wanted_size, dtype=np.float64), given, wanted_size, scale)
        index = index.take(np.clip(rounding(x), 0, given - 1).astype(np.int64), axis)
    return [View(view.source, index)]


def _wanted(node: OnnxNode, shape: tuple[int, ...], early: bool) -> tuple[list[int], list[float]]:
    """The output's size and scale along every axis."""
    attribute = node.attribute("scales", onnx.AttributeProto.FLOATS) or ()  # of Upsample-7
    factors = [float(v) for v in attribute] or _numbers(node, 1 if early else 2)
    targets = [] if early else _numbers(node, 3)
    axes = node.integer_list("axes") or list(range(len(shape)))
    if not all(-len(shape) <= a < len(shape) for a in axes) or len(factors or targets) != len(axes):
        raise Refused("scales or sizes must hold one number per axis", factors or targets)
    if not all(0 < v < np.inf for v in factors or targets):
        raise Refused("scales and sizes must be finite and above 0", factors or targets)
    sizes, scales = list(shape), [1.0] * len(shape)
    for k, axis in enumerate(axes):
        sizes[axis] = floor(shape[axis] * factors[k]) if factors else int(targets[k])
        scales[axis] = factors[k] if factors else sizes[axis] / shape[axis]
    return sizes, scales


def _numbers(node: OnnxNode, k: int) -> list[float]:
    constant = node.constant(k)
    return [] if constant is None else [float(v) for v in constant.ravel()]
