"""The page of whole traces says what was equal, what was not, and what had no room."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.boards import RANDOM, Results, compare, compare_random, page
from snngen.neurons import Accumulate
from snngen.ops import Linear
from snngen.spiking import INPUT
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.emit import emit
from tests.drawn import drawn, way
from tests.networks import Builder, fixed_input, level_showcase, random_images


@pytest.fixture(autouse=True)
def tools(require) -> None:
    for board in ("atmega1284", "powerpc"):
        for tool in BOARDS[board].tools:
            require(tool)


def test_equal_networks_are_counted_and_kept(tmp_path: Path, capsys) -> None:
    results = Results(tmp_path / "boards.json")
    compare_random(3, results, ["powerpc"])
    assert "random 03 powerpc" in capsys.readouterr().out
    again = Results(tmp_path / "boards.json")
    compare_random(3, again, ["powerpc"])
    assert capsys.readouterr().out == "" and again.records == results.records
    net = drawn(3)
    numbers = sum(
        (1 + (layer.neuron is not None)) * int(np.prod(layer.shape)) for layer in net.layers
    )
    row = f"| 1 | {again.records['random 03']['layers']} | fastest, speed | {2 * numbers:,} | 1 of "
    assert row in page(again.records)


def test_differences_and_lack_of_room_are_told() -> None:
    net, images = level_showcase(), random_images(level_showcase(), 1)
    emitted = dict(emit(net))
    text = emitted["model.c"].decode()
    emitted["model.c"] = text.replace("bias[10] = {\n    ", "bias[10] = {\n    1 +").encode()
    differs = compare(net, images, [emitted], "powerpc")
    builder = Builder(fixed_input(np.random.default_rng(2), (300, 1, 1), "CHW", 0, 9), 1)
    weights = np.random.default_rng(3).integers(-7, 8, (300, 300, 1, 1))
    builder.add("wide", [(INPUT, Linear(weights))], None, Accumulate())
    wide = builder.finish()
    emitted_wide = [emit(wide), emit(wide, optimise="size")]
    needs = compare(wide, random_images(wide, 1), emitted_wide, "atmega1284")
    label = "lenet_ref, N=7"
    text = page({label: {"boards": {"powerpc": differs, "atmega1284": needs}}})
    assert (
        "input_table 76,800 of 32,767, layer0_synapse0_weights 45,000 of 32,767 | - | **diff"
        in text
    )
    assert "layer 'dense'" in text


def test_random_networks_are_emitted_in_all_ways() -> None:
    kinds = {(way(number), number % 5 in (1, 3)) for number in range(RANDOM)}
    assert len(kinds) == 12
