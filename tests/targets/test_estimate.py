"""The estimate of costs without a toolchain: complete, repeatable, and as near as its page says."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from bench.estimate.fitting import not_below_0
from bench.estimate.networks import KINDS, fitted_on
from snngen import fixed_file
from snngen.cli import run
from snngen.data import load, synthetic
from snngen.errors import ConversionError
from snngen.fixed import FixedNet
from snngen.resources import resource_dir
from snngen.targets.c import estimate as estimate_module
from snngen.targets.c.boards import BOARDS, check_board
from snngen.targets.c.boards.cost import measure
from snngen.targets.c.estimate import (
    FORMS,
    TABLES,
    cost_of,
    estimate,
    estimated_boards,
    table_of,
    table_text,
)
from snngen.targets.c.work.layers import board_is_8_bit, turns_of
from snngen.targets.c.work.neurons import NEURONS
from snngen.targets.c.work.pieces import pieces
from snngen.targets.c.work.synapses import SYNAPSES
from tests.drawn import drawn
from tests.networks import level_showcase, random_images, spiking_showcase
from tests.streams import random_streams
from tests.test_cli import DEMO

VECTORS = {"snn_dense", "snn_scattered", "snn_compare"}  # of processors that no board has
RUNS = {"snn_gather", "snn_trains", "snn_max_pool_counts"}  # in snngen/targets/c/work/layers.py
DECLARED = re.compile(r"^snn_(?:synapse|neuron|layer)_fn (\w+);", re.M)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> FixedNet:
    path = tmp_path_factory.mktemp("demo") / "digits.snn"
    words = ["convert", f"{DEMO}/digits.onnx", "--data", f"{DEMO}/digits.npz", "-o", str(path)]
    assert run([*words, "--neuron", "level"]) == 0
    return fixed_file.load(path)


def test_every_kernel_is_counted() -> None:
    header = (resource_dir("runtime_c") / "include" / "snn_model.h").read_text("ascii")
    assert {*DECLARED.findall(header)} == VECTORS | RUNS | {*SYNAPSES} | {*NEURONS} - {"NULL"}


@pytest.mark.parametrize("board", estimated_boards())
def test_every_piece_has_a_cost_on_every_board(board: str) -> None:
    table = table_of(board)
    assert {*table.turns} == {*pieces(is_8_bit=board_is_8_bit(board))}
    assert all(len(costs) == 3 and min(costs) >= 0 for costs in table.turns.values())
    assert table_text(table) == (TABLES / f"{_own(board)}.json").read_text("ascii")


def _own(board: str) -> str:
    return estimate_module.LIKE.get(board, board)


@pytest.mark.parametrize("board", ["cortex-m4", "atmega2560"])
@pytest.mark.parametrize("form", FORMS)
def test_nothing_else_is_counted(board: str, form) -> None:
    known = {*pieces(is_8_bit=board_is_8_bit(board))}
    given = [(net, random_images(net, 1)) for net in (level_showcase(), spiking_showcase())]
    given += [(drawn(number), random_images(drawn(number), 1)) for number in range(3)]
    given += [fitted_on(number) for number in (9, len(KINDS) - 1)]
    for net, images in given:
        for layer, turns in turns_of(net, images, board, form).items():
            assert {*turns} <= known, layer
            assert all((each >= 0).all() and np.isfinite(each).all() for each in turns.values())


def test_it_is_near_what_the_emulator_counts(demo: FixedNet, require) -> None:
    for tool in BOARDS["cortex-m4"].tools:
        require(tool)
    images = load(str(DEMO / "digits.npz"), demo.input.shape, limit=3).images
    cost, found = measure(demo, "cortex-m4", images), estimate(demo, "cortex-m4", images)
    limits = found.errors
    assert _off(found.counts, cost.counts) <= limits.worst_network
    assert cost.cycles is not None and found.cycles is not None
    assert _off(found.cycles, cost.cycles) <= 2 * limits.worst_network
    assert [*found.layers] == [*cost.layers]
    for name, counted in cost.layers.items():
        if counted > 0.01 * cost.counts.mean():
            assert _off(found.layers[name], counted) <= limits.worst_layer, name


def _off(guess, counted) -> float:
    """In % of what was counted."""
    return float(100 * abs(np.mean(guess) / np.mean(counted) - 1))


def test_a_wrong_table_is_seen(demo: FixedNet, require, monkeypatch) -> None:
    for tool in BOARDS["cortex-m4"].tools:
        require(tool)
    table = table_of("cortex-m4")
    turns = {name: tuple(2 * c for c in costs) for name, costs in table.turns.items()}
    monkeypatch.setattr(
        estimate_module,
        "table_of",
        lambda board: replace(table, turns={**table.turns, "wide_8.event": turns["wide_8.event"]}),
    )
    with pytest.raises(AssertionError):
        test_it_is_near_what_the_emulator_counts(demo, require)


def test_it_is_repeatable_and_adds_up(demo: FixedNet) -> None:
    images = synthetic(demo.input.shape, 4)
    first, again = (estimate(demo, "cortex-m4", images) for _ in range(2))
    np.testing.assert_array_equal(first.counts, again.counts)
    assert first.layers == again.layers and first.counts.shape == (4,)
    assert sum(first.layers.values()) == pytest.approx(first.counts.mean())
    alone = estimate(demo, "cortex-m4", images[2:3])
    np.testing.assert_allclose(alone.counts, first.counts[2:3])


def test_of_streams_every_timestep_is_estimated() -> None:
    net, _ = fitted_on(9)
    found = estimate(net, "cortex-m4", random_streams(net, 2, 5))
    assert found.counts.shape == (2, 5) and (found.counts > 1000).all()


def test_more_events_cost_more(demo: FixedNet) -> None:
    dark, bright = np.zeros((1, *demo.input.shape), np.uint8), random_images(demo, 1)
    counts = [estimate(demo, "cortex-m4", images).counts[0] for images in (dark, bright)]
    assert counts[0] < counts[1]


def test_what_cannot_be_estimated_is_refused(monkeypatch, capsys) -> None:
    with pytest.raises(ConversionError, match="must be one of"):
        check_board("z80")
    monkeypatch.setattr(estimate_module, "TABLES", TABLES / "none")
    monkeypatch.setattr(estimate_module, "LIKE", {"cortex-m4": "none"})
    table_of.cache_clear()
    assert run(["cost", "digits.snn", "--on", "cortex-m4", "--estimate"]) == 2
    assert "can be estimated for" in capsys.readouterr().err
    table_of.cache_clear()


def test_coefficients_are_not_below_0() -> None:
    rng = np.random.default_rng(3)
    a = rng.random((60, 8))
    x = np.array([3.0, 0, 2, 0, 0, 1, 5, 0])
    np.testing.assert_allclose(not_below_0(a, a @ x), x, atol=1e-4)
    right = a @ x - 2 * rng.random(60)
    found = not_below_0(a, right)
    gradient = a.T @ (a @ found - right)
    assert (found >= 0).all() and (found == 0).any()
    np.testing.assert_allclose(gradient[found > 0], 0, atol=1e-6)  # what is used is at its best
    assert (gradient[found == 0] > -1e-6).all()  # what is not would have to be below 0


def test_cost_of_a_layer() -> None:
    table = replace(table_of("cortex-m4"), turns={"a": (2.0, 1.0, 0.0), "b": (3.0, 0.0, 1.0)})
    turns = {"b": np.array([1.0, 2.0]), "a": np.array([10.0, 0.0])}
    np.testing.assert_array_equal(cost_of(turns, table), [[23, 10, 1], [6, 0, 2]])
