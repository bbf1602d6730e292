"""The hash of a trace, as hardware makes it, beside that of the golden model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from driving import Bench
from snngen_hdl.chip import Chip

from snngen import golden
from snngen.fixed import FixedNet
from snngen.targets.hdl.plan import Fold, plan_chip
from snngen.targets.trace_hash import trace_hashes
from tests.drawn import drawn
from tests.networks import random_images

OUTPUT_WORDS = 2  # a class and the cycles, before the outputs


def hashed(net: FixedNet, images: np.ndarray, lanes: int, *, on: bool = True) -> list[int]:
    """Of the network's chip, after each of `images`."""
    folds = {layer.name: Fold(1 if layer.is_wiring else lanes) for layer in net.layers}
    plan = plan_chip(net, folds, ahead=4, link=4, witnessed=True)
    found = []
    for image in images:
        chip = Chip(plan)
        bench = Bench(chip)
        bench.hold(chip.seen.on, int(on))
        shaped = image.transpose(1, 2, 0) if net.input.layout == "HWC" else image
        bench.give(chip.i, [int(b) for b in shaped.ravel()])
        words = OUTPUT_WORDS + plan.readout.count
        bench.take(chip.o, words, cycles=200_000, then=1)
        sums = bench.watch(chip.seen.idle, chip.seen.sum)
        bench.run()
        found.append(sums[-1][0])
    return found


@pytest.mark.parametrize(("number", "lanes"), [(48, 1), (21, 3), (119, 2)])
def test_it_is_that_of_the_golden_model(number: int, lanes: int) -> None:
    net = drawn(number)
    images = random_images(net, 1)
    assert hashed(net, images, lanes) == trace_hashes(net, golden.trace(net, images))


def test_another_bias_is_another_hash() -> None:
    net = drawn(48)
    images = random_images(net, 1)
    layer = net.layers[0]
    bias = np.zeros(layer.shape[0], np.int64) if layer.bias is None else layer.bias
    wrong = replace(net, layers=(replace(layer, bias=bias + 1), *net.layers[1:]))
    assert hashed(wrong, images, 2) != trace_hashes(net, golden.trace(net, images))


def test_who_is_not_asked_says_nothing() -> None:
    net = drawn(48)
    assert hashed(net, random_images(net, 1), 2, on=False) == [0]
