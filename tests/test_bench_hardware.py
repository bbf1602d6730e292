"""The benchmark of chips: its page is what its records say, they say what is asked, and what is
wrong is told.
"""

from __future__ import annotations

import json
from copy import deepcopy

import numpy as np
import pytest

from bench.hardware.__main__ import CASES, PAGE, RANDOM, RATES, RESULTS
from bench.hardware.measure import random_chip
from bench.hardware.page import page, wrong
from bench.hardware.rates import firing, firing_at
from snngen.neurons import IF, Accumulate
from snngen.ops import Conv, Linear, Window
from snngen.spiking import INPUT
from tests.networks import Builder, fixed_input, random_images


@pytest.fixture(scope="module")
def records():
    return json.loads(RESULTS.read_text())


def test_the_page_is_that_of_the_records(records) -> None:
    assert PAGE.read_text() == page(records)


def test_what_was_measured_is_what_is_asked(records) -> None:
    assert wrong(records) == []
    assert list(records["images"]) == [case.key for case in CASES]
    for case, record in zip(CASES, records["images"].values(), strict=True):
        assert "refused" in record or record["images"] == record["latency"]["images"] == case.images
    assert len(records["random"]) == RANDOM
    assert {r["stops"] for r in records["random"].values()} == {
        "",
        "links",
        "bench",
        "links, bench",
    }
    kinds = " ".join(r["layers"] for r in records["random"].values())
    for kind in ("IF", "Level", "MaxPool", "SumPool", "DepthwiseConv", "Linear", "Conv+Conv"):
        assert kind in kinds
    for share, record in zip(RATES, records["rates"].values(), strict=True):
        assert all(abs(rate / share - 1) < 0.2 for rate in record["rates"].values())
    cycles = [record["interval"]["mean"] for record in records["rates"].values()]
    assert cycles == sorted(cycles)


def test_what_is_wrong_is_told(records) -> None:
    broken = deepcopy(records)
    label = next(label for label, r in records["images"].items() if "refused" not in r)
    broken["images"][label]["same_alone"] = False
    broken["random"]["01"]["difference"] = "image 0, layer 'x'"
    for fault in broken["faults"].values():
        fault |= {"traces": None, "counts": None}
    faults = [f"fault {label}" for label in (*records["faults"], "by outputs and spike counts")]
    assert wrong(broken) == [f"images {label}", "random 01", *faults]
    text = page(broken)
    assert "**answers of images alone**" in text and "**image 0, layer 'x'**" in text


def test_chips_of_random_networks_differ() -> None:
    plans = [random_chip(number)[1:] for number in (3, 4)]
    (links, pauses), (others, none) = ((plan.network.stutters, p) for plan, p in plans)
    assert links and pauses and not others and not none


def test_thresholds_set_how_often_neurons_fire() -> None:
    rng = np.random.default_rng(1)
    builder = Builder(fixed_input(rng, (1, 8, 8), "CHW", 0, 40), 8)
    conv = Conv(rng.integers(-20, 30, (4, 1, 3, 3)), Window((3, 3)))
    neuron = IF(np.full(4, 900), np.full(4, 450))
    builder.add("conv", [(INPUT, conv)], None, neuron)
    builder.add("out", [("conv", Linear(rng.integers(-9, 9, (3, 4, 6, 6))))], None, Accumulate())
    net = builder.finish()
    images = random_images(net, 8)
    for share in (0.1, 0.3):
        made = firing_at(net, images, share)
        assert abs(firing(made, images)["conv"] / share - 1) < 0.05
        assert made["out"].synapses[0].op is net["out"].synapses[0].op
