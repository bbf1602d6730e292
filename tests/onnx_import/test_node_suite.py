"""ONNX's own node tests: no wrong number, no traceback, and the page that lists them is current."""

from __future__ import annotations

import onnx
import pytest

from tests.onnx_import.node_suite import PAGE, Outcome, cases, judge, page


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [judge(case) for case in cases()]  # anything but a ModelError ends the test here


def test_no_node_test_gives_a_wrong_number(outcomes: list[Outcome]) -> None:
    assert [(o.name, o.wrong) for o in outcomes if o.wrong] == []


def test_every_refusal_has_a_reason(outcomes: list[Outcome]) -> None:
    assert [o.name for o in outcomes if not o.passed and not o.refusal] == []


def test_most_node_tests_pass(outcomes: list[Outcome]) -> None:
    # The rest need integer arithmetic, three dimensions, training mode or negative activations; and
    # nearly all of Max and Min compare two activations, most of Resize interpolate.
    judged = [o for o in outcomes if o.op not in ("Cast", "Max", "Min", "Resize")]
    assert sum(o.passed for o in judged) > 0.65 * len(judged)


def test_the_support_page_is_current(outcomes: list[Outcome]) -> None:
    committed = PAGE.read_text(encoding="utf-8")
    if f"onnx {onnx.__version__}:" not in committed:
        pytest.skip("the page was written with another version of onnx, whose suite differs")
    assert committed == page(outcomes), "run python -m tests.onnx_import.node_suite"
