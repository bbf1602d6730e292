"""Resize to the nearest element, as onnxruntime does it."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from snngen.ops import Select
from tests.onnx_import.build import agrees, model, refused

node = helper.make_node
SHAPE = ["N", 2, 5, 6]
POSITIONS = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("position", POSITIONS)
def test_every_rule(position: str, rounding: str) -> None:
    attributes = {"coordinate_transformation_mode": position, "nearest_mode": rounding}
    for sizes in ([1, 2, 10, 12], [1, 2, 7, 3], [1, 2, 1, 17]):
        factors = np.array(sizes) / [1, 2, 5, 6] + np.array([0, 0, 1e-3, 1e-3])
        graph = agrees(
            model(
                [node("Resize", ["x", "", "f"], ["y"], **attributes)],
                SHAPE,
                {"f": factors.astype(np.float32)},
            )
        )
        assert isinstance(graph.nodes[-1].op, Select)


def test_sizes_axes_and_early_forms() -> None:
    sizes = {"s": np.array([2, 2, 9, 7])}
    agrees(model([node("Resize", ["x", "", "", "s"], ["y"])], [2, *SHAPE[1:]], sizes))
    axes = {"s": np.array([12, 10])}
    proto = model([node("Resize", ["x", "", "", "s"], ["y"], axes=[3, -2])], SHAPE, axes, opset=18)
    agrees(proto)
    factors = {"f": np.array([1, 1, 2, 3], np.float32)}
    agrees(model([node("Resize", ["x", "f"], ["y"])], SHAPE, factors, opset=10))
    agrees(model([node("Upsample", ["x", "f"], ["y"])], SHAPE, factors, opset=9))
    early = node("Upsample", ["x"], ["y"], scales=[1.0, 1.0, 2.0, 3.0])
    agrees(model([early], SHAPE, opset=7))


@pytest.mark.parametrize(
    ("attributes", "factors", "rule"),
    [
        ({"mode": "linear"}, [1, 1, 2, 2], "mode must be nearest"),
        ({"coordinate_transformation_mode": "tf_crop_and_resize"}, [1, 1, 2, 2], "half_pixel"),
        ({"nearest_mode": "random"}, [1, 1, 2, 2], "round_prefer_floor"),
        ({"keep_aspect_ratio_policy": "not_larger"}, [1, 1, 2, 2], "stretch"),
        ({}, [1, 2, 2], "one number per axis"),
        ({}, [1, 1, 0, 2], "above 0"),
        ({}, [1, 1, np.nan, 2], "above 0"),
        ({}, [1, 1, 1e30, 2], "elements"),
        ({}, [3, 1, 2, 2], "batch axis"),
    ],
)
def test_refused(attributes: dict[str, str], factors: list[float], rule: str) -> None:
    resize = node("Resize", ["x", "", "f"], ["y"], "up", **attributes)
    constants = {"f": np.array(factors, np.float32)}
    (problem,) = refused(model([resize], SHAPE, constants, opset=18))
    assert problem.where == "node 'up' (Resize)"
    assert rule in problem.rule
