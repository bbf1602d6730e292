"""Accuracy against synaptic operations: the page is made of the results, each of a recipe."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bench.networks import ROOT
from bench.synops.page import (
    EXACT,
    PAGE,
    PUBLISHED,
    RESULTS,
    WIDTH,
    at_budget,
    best,
    interval,
    off_by,
    page,
    reference,
    scaled,
    section,
)
from bench.synops.points import (
    BOTH,
    CNN,
    QUANTISED,
    SCALING,
    STUDIES,
    SYNOP,
    Study,
    varied,
)
from snngen.train.recipes import parse

KNOWN = json.loads(RESULTS.read_text())
there = pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.key)


def found(study: Study) -> list[dict[str, Any]]:
    return list(KNOWN[study.key]["points"].values())


def test_the_page_is_made_of_the_results() -> None:
    for study in STUDIES:
        assert list(KNOWN[study.key]["points"]) == [point.name for point in study.points]
    text = PAGE.read_text()
    assert text == page(KNOWN)
    assert all(len(line) <= WIDTH for line in text.splitlines() if not line.startswith("|"))


@there
def test_the_loss_counts_what_the_network_does(study: Study) -> None:
    for point in found(study):
        assert off_by(point) <= EXACT or "quantised" not in point["curve"]


@there
def test_what_came_of_the_paper(study: Study) -> None:
    """Six times fewer for 1.3 points; at equal cost what was trained for both is the best."""
    points = found(study)
    most = reference(points)
    assert any(
        p["curve"] == BOTH and most["synops"] >= 6 * p["synops"] and most["top1"] - p["top1"] <= 1.3
        for p in points
    )
    for budget in study.budgets:
        both, *others = (at_budget(points, c, budget) for c in (BOTH, QUANTISED, SYNOP, SCALING))
        assert both is not None and both > max(v for v in others if v is not None)


def test_the_order_of_the_paper_on_recordings() -> None:
    study = next(study for study in STUDIES if study.key == "nmnist")
    for budget in study.budgets:
        top1 = [at_budget(found(study), curve, budget) or 0.0 for curve in PUBLISHED]
        assert top1 == sorted(top1, reverse=True) and top1[-1] > 0


def test_every_run_is_in_the_mean() -> None:
    for study in STUDIES:
        for point in found(study):
            assert len(point["runs"]) == len(study.seeds)
            for key in ("top1", "synops", "estimate"):
                runs = [run[key] for run in point["runs"]]
                assert point[key] == pytest.approx(sum(runs) / len(runs))


def test_given_as_many_epochs_it_holds_against_all_that_is_near_the_cnn() -> None:
    study = next(study for study in STUDIES if study.key == "fashion_longer")
    said = "\n".join(section(study, KNOWN[study.key]))
    assert said.count(": holds.") == 2 and "does not hold" not in said


def test_between_the_points_of_a_curve() -> None:
    points = [
        {"curve": SCALING, "top1": 80.0, "synops": 100.0},
        {"curve": SCALING, "top1": 70.0, "synops": 150.0},
        {"curve": SCALING, "top1": 90.0, "synops": 400.0},
    ]
    assert best(points, SCALING) == [(100.0, 80.0), (150.0, 80.0), (400.0, 90.0)]
    assert at_budget(points, SCALING, 120.0) == pytest.approx(80.0)
    assert at_budget(points, SCALING, 245.0) == pytest.approx(85.0, abs=0.01)
    assert at_budget(points, SCALING, 99.0) is None and at_budget(points, BOTH, 200.0) is None
    assert scaled(points, 85.0) == pytest.approx(244.95, abs=0.01)
    assert scaled(points, 91.0) is None


def test_intervals() -> None:
    """Those of docs/events.md, of 97 of 100; never beyond all of them."""
    assert interval(97.0, 100) == pytest.approx((91.55, 98.97), abs=0.01)
    assert interval(100.0, 100)[1] == pytest.approx(100.0)


@there
def test_the_recipe_as_it_is_makes_one_of_the_points(study: Study) -> None:
    own, folder = tomllib.loads(study.base), Path("there")
    made = [tomllib.loads(study.text(point, folder, 1)) for point in study.points]
    changed = {"epochs": study.epochs, "seed": 1}
    assert any(m == own | changed | {"output": m["output"]} for m in made)


@there
def test_every_point_is_a_recipe_with_other_settings(study: Study) -> None:
    folder = Path("there")
    assert len({point.name for point in study.points}) == len(study.points)
    for point in study.points:
        made = parse(study.text(point, folder, 7).encode(), point.name)
        assert (made.output, made.epochs) == (f"there/{point.name}", study.epochs)
        assert (made.scale, made.seed) == (pytest.approx(study.scale / point.factor), 7)
        assert made.loss.synops_target == point.target
        assert (made.quantisation.rounding == "down") == ("quantised" in point.curve)
        assert bool(point.target) == (point.curve in (SYNOP, BOTH))
        assert made.start == (study.cnn if point.is_trained else str(study.scaled(folder)))


@there
def test_the_cnn_has_relus_and_no_target(study: Study) -> None:
    """Whether it is trained, and what it begins with, is that of the others."""
    folder = Path("there")
    made = parse(study.cnn_text(folder, 7).encode(), CNN)
    assert (made.quantisation.activation, made.loss.synops_target) == ("relu", 0)
    assert (made.start, made.epochs, made.seed) == (study.cnn, study.epochs, 7)
    if study.trains_cnn:
        assert study.scaled(folder) == Path(made.output) / "model.onnx"
    else:
        assert study.scaled(folder) == ROOT / str(study.cnn)


def test_settings_of_a_recipe() -> None:
    text = "# a recipe\na = 1\n[t]\nb = 2\nc = 3\n"
    assert varied(text, {"a": "4", "c": None, "d": "5"}) == "d = 5\n# a recipe\na = 4\n[t]\nb = 2\n"
    assert varied(text, {}) == text
