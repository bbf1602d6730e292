"""The overflow proof: every partial sum in any order, and every membrane before and after its
reset.
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from snngen.bounds import prove
from snngen.errors import BoundError
from snngen.fixed import FixedNet
from snngen.neurons import IF
from snngen.ops import Conv, Interval, Linear, Scale, Window
from snngen.simulate import simulate
from snngen.spiking import Synapse
from tests.networks import fixed_nets
from tests.traces import assert_within, assert_within_bounds


def interval(lo: list[int], hi: list[int]) -> Interval:
    return Interval(np.array(lo), np.array(hi))


@pytest.mark.parametrize("seed", range(20))
def test_every_partial_sum_lies_within_the_current(seed: int) -> None:
    """All subsets of all terms, the bias among them: whatever order a target adds in."""
    rng = np.random.default_rng(seed)
    lo = rng.integers(-3, 2, 2)
    sources = [Interval(lo, lo + rng.integers(0, 4, 2)), interval([1], [3])]
    linear, scale = rng.integers(-9, 10, (1, 2, 1, 2)), rng.integers(-9, 10, 1)
    bias = rng.integers(-20, 21, 1)
    synapses = [Synapse("a", Linear(linear)), Synapse("b", Scale(scale))]
    current = prove("x", synapses, sources, bias, None, 1).current
    inputs = [(sources[0].lo[c], sources[0].hi[c]) for c in (0, 0, 1, 1)] + [(1, 3)]
    weights = [*linear.ravel(), *scale]
    for values in product(*inputs):
        terms = [w * v for w, v in zip(weights, values, strict=True)] + [bias[0]]
        for size in range(1, len(terms) + 1):
            for chosen in combinations(terms, size):
                assert current.min <= sum(chosen) <= current.max


def test_the_current_is_no_wider_than_it_must_be() -> None:
    synapses = [Synapse("a", Linear(np.array([[[[3]], [[-2]]]])))]
    current = prove("x", synapses, [interval([0, 0], [1, 5])], np.array([4]), None, 1).current
    assert (current.min, current.max) == (-10, 7)
    padded = Conv(np.array([[[[3, -2]]]]), Window((1, 2), pads=(0, 1, 0, 0)))
    current = prove("x", [Synapse("a", padded)], [interval([1], [2])], None, None, 1).current
    assert (current.min, current.max) == (-4, 6)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(fixed_nets(max_timesteps=8))
def test_extreme_images_stay_within_the_bounds(net: FixedNet) -> None:
    """Every pixel at its smallest, at its largest, and either at random."""
    smallest, largest = net.input.table.argmin(1), net.input.table.argmax(1)
    picks = np.random.default_rng(0).random((6, *net.input.shape)) < 0.5
    picks[0], picks[1] = False, True
    images = np.where(picks, largest[:, None, None], smallest[:, None, None]).astype(np.uint8)
    trace = simulate(net, images, trace=True).trace
    assert_within_bounds(net, trace)
    for layer in net.layers:
        if isinstance(layer.neuron, IF) and layer.neuron.reset == "subtract":
            got = trace[layer.name]
            before = got.membrane + got.output * layer.neuron.threshold[:, None, None]
            assert_within(before, layer.membrane, layer.name)


def neuron(**options) -> IF:
    return IF(np.array([10]), np.array([0]), **options)


def membrane(lo: int, hi: int, timesteps: int, **options) -> tuple[int, int]:
    synapses = [Synapse("a", Scale(np.array([1])))]
    bounds = prove("x", synapses, [interval([lo], [hi])], None, neuron(**options), timesteps)
    assert bounds.membrane is not None
    return bounds.membrane.min, bounds.membrane.max


def test_membranes_by_hand() -> None:
    assert membrane(0, 4, 100) == (0, 13)  # 9 + 4, then a spike takes 10
    assert membrane(0, 14, 3) == (0, 27)  # 9, 9 + 14 = 23, and from the 13 that a spike leaves 27
    assert membrane(-3, 4, 5)[0] == -15
    assert membrane(-3, 4, 5, v_min=np.array([-5]))[0] == -8  # held before the clamp
    assert membrane(0, 25, 3, max_spikes=4)[1] == 34
    assert membrane(0, 25, 4, reset="zero")[1] == 34


def test_a_proof_that_fails_names_the_channel() -> None:
    with pytest.raises(BoundError, match=r"layer 'x': the membrane cannot be proven"):
        membrane(-(2**30), 2**30, 3)
    with pytest.raises(BoundError, match="the number of spikes sent"):
        membrane(0, 1, 4, signed=True, max_spikes=2**30)
