"""Chips as tests want them: of any width, with links that stop at random, with a fault in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, islice

import numpy as np
from snngen_hdl.chip import ChipPlan
from snngen_hdl.layer import LayerPlan

from snngen.errors import ConversionError
from snngen.fixed import FixedNet
from snngen.neurons import Accumulate, Level
from snngen.ops import Conv, Linear, Window
from snngen.spiking import INPUT
from snngen.targets.hdl.check import check_supported
from snngen.targets.hdl.plan import Fold, plan_chip
from tests.drawn import drawn
from tests.networks import Builder, fixed_input


def small() -> FixedNet:
    """A convolution and a dense layer."""
    rng = np.random.default_rng(4)
    builder = Builder(fixed_input(rng, (2, 6, 5), "HWC", 0, 40), 1)
    conv = Conv(rng.integers(-7, 8, (3, 2, 3, 3)), Window((3, 3), pads=(1, 1, 1, 1)))
    builder.add("conv", [(INPUT, conv)], None, Level(np.array([[40, 90, 200]] * 3)))
    dense = Linear(rng.integers(-7, 8, (4, 3, 6, 5)))
    builder.add("dense", [("conv", dense)], rng.integers(-9, 10, 4), Accumulate())
    return builder.finish()


def planned(net: FixedNet, fold: Fold, *, stutters: bool, depth: int) -> ChipPlan:
    """Each layer as `fold` says, as far as it has so many channels, columns and rows; `depth`
    places in each queue.
    """
    folds = {
        layer.name: Fold(
            1 if layer.is_wiring else min(fold.lanes, layer.shape[0]),
            min(fold.banks, layer.shape[2]),
            min(fold.bank_rows, layer.shape[1]),
            fold.queued,
        )
        for layer in net.layers
    }
    plan = plan_chip(net, folds, ahead=depth, link=depth)
    return replace(plan, network=replace(plan.network, stutters=stutters))


def width(number: int) -> Fold:
    """One of many, for a random network of that number."""
    return Fold(1 + number % 4, 1 + number % 3, 1 + number % 5 % 3, number % 7 < 3)


def is_supported(net: FixedNet) -> bool:
    """Whether the cores compute all of it."""
    try:
        check_supported(net)
    except ConversionError:
        return False
    return True


def supported(numbers: int, start: int = 0) -> Iterator[tuple[int, FixedNet]]:
    """So many random networks that the cores compute, from number `start` of tests/drawn.py on."""
    every = ((number, drawn(number)) for number in count(start))
    return islice(((number, net) for number, net in every if is_supported(net)), numbers)


def with_weight_changed(plan: ChipPlan, layer: str) -> ChipPlan:
    """One weight of `layer`, in the middle of its first synapse's, is one off."""
    return _with_weight(plan, layer, lambda weight, _: weight + (1 if weight < 0 else -1))


def with_weight_at_limit(plan: ChipPlan, layer: str) -> ChipPlan:
    """The same weight is the least, or where it is negative the largest, that its bits can hold."""
    return _with_weight(plan, layer, lambda weight, most: most - 1 if weight < 0 else -most)


def _with_weight(plan: ChipPlan, layer: str, change: Callable[[int, int], int]) -> ChipPlan:
    (k,) = (k for k, known in enumerate(plan.network.layers) if known.name == layer)
    known = plan.network.layers[k]
    first, *others = known.routes
    weights = first.weights.copy()
    at = (*(size // 2 for size in weights.shape[:-1]), 0)
    weights[at] = change(int(weights[at]), 1 << (first.weight_bits - 1))
    return _with_layer(plan, k, replace(known, routes=(replace(first, weights=weights), *others)))


def _with_layer(plan: ChipPlan, place: int, layer: LayerPlan) -> ChipPlan:
    layers = list(plan.network.layers)
    layers[place] = layer
    return replace(plan, network=replace(plan.network, layers=tuple(layers)))
