"""The specification and its fast form agree on every output and membrane of random networks."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings

from snngen import golden
from snngen.fixed import FixedNet
from snngen.simulate import simulate
from tests.networks import fixed_nets, random_images
from tests.traces import assert_same_traces, assert_within_bounds


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(fixed_nets(max_timesteps=8))
def test_simulate_equals_golden(net: FixedNet) -> None:
    images = random_images(net, 2)
    expected = golden.trace(net, images)
    fast = simulate(net, images, trace=True)
    assert_same_traces(expected, fast.trace)
    for name, counts in fast.counts.items():
        np.testing.assert_array_equal(counts, expected[name].output.sum(1))
        np.testing.assert_array_equal(fast.spikes[name], abs(expected[name].output).sum(1))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(fixed_nets(max_timesteps=8))
def test_traces_stay_within_the_proven_bounds(net: FixedNet) -> None:
    assert_within_bounds(net, simulate(net, random_images(net, 4), trace=True).trace)
