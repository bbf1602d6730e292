"""Accuracy against synaptic operations: the page is made of the results, each of a recipe."""

import json
import tomllib
from pathlib import Path

import pytest

from bench.synops.page import (
    BUDGETS,
    EXACT,
    PAGE,
    RESULTS,
    at_budget,
    off_by,
    page,
    reference,
    scaled,
)
from bench.synops.points import BOTH, POINTS, QUANTISED, SCALING, SYNOP, Point

RECIPE = Path(__file__).parents[1] / "examples/recipes/sorbaro_fashion.toml"
KNOWN = json.loads(RESULTS.read_text())
FOUND = list(KNOWN["points"].values())


def test_the_page_is_made_of_the_results() -> None:
    assert list(KNOWN["points"]) == [point.name for point in POINTS]
    assert PAGE.read_text() == page(KNOWN)


def test_what_came_of_the_paper() -> None:
    """Six times fewer for 1.3 points, the loss's count the network's, the order at equal cost."""
    best = reference(FOUND)
    assert any(
        p["curve"] == BOTH and best["synops"] >= 6 * p["synops"] and best["top1"] - p["top1"] <= 1.3
        for p in FOUND
    )
    for point in FOUND:
        assert off_by(point) <= EXACT or "quantised" not in point["curve"]
    for budget in BUDGETS:
        both, *others = (at_budget(FOUND, c, budget) for c in (BOTH, QUANTISED, SYNOP, SCALING))
        assert both is not None and both > max(v for v in others if v is not None)


def test_between_the_points_of_a_curve() -> None:
    points = [
        {"curve": SCALING, "top1": 80.0, "synops": 100.0},
        {"curve": SCALING, "top1": 90.0, "synops": 400.0},
    ]
    assert at_budget(points, SCALING, 200.0) == pytest.approx(85.0)
    assert at_budget(points, SCALING, 99.0) is None and at_budget(points, BOTH, 200.0) is None
    assert scaled(points, 85.0) == pytest.approx(200.0)
    assert scaled(points, 91.0) is None


def test_every_point_is_the_recipe_with_other_settings() -> None:
    text = RECIPE.read_text()
    own = tomllib.loads(text)
    assert tomllib.loads(Point(BOTH, 4.0, 600_000).recipe(text, own["output"])) == own
    assert len({point.name for point in POINTS}) == len(POINTS)
    for point in POINTS:
        made = tomllib.loads(point.recipe(text, "there"))
        assert (made["output"], made["scale"]) == ("there", 255 / point.factor)
        assert made["loss"]["synops_target"] == point.target
        assert (made["quantisation"]["rounding"] == "down") == ("quantised" in point.curve)
        assert bool(point.target) == (point.curve in (SYNOP, BOTH))
