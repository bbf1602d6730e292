"""The specification and its fast form agree on every output and membrane of random networks."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings

from snngen import golden
from snngen.fixed import FixedNet
from snngen.simulate import simulate
from tests.networks import fixed_nets, random_images


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(fixed_nets(max_timesteps=8))
def test_simulate_equals_golden(net: FixedNet) -> None:
    images = random_images(net, 2)
    expected = golden.trace(net, images)
    fast = simulate(net, images, trace=True)
    assert fast.trace is not None
    for layer in net.layers:
        want, got = expected[layer.name], fast.trace[layer.name]
        np.testing.assert_array_equal(got.output, want.output, err_msg=layer.name)
        if want.membrane is None:
            assert got.membrane is None
        else:
            np.testing.assert_array_equal(got.membrane, want.membrane, err_msg=layer.name)
        if layer.name in fast.counts:
            np.testing.assert_array_equal(fast.counts[layer.name], want.output.sum(1))
            np.testing.assert_array_equal(fast.spikes[layer.name], abs(want.output).sum(1))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(fixed_nets(max_timesteps=8))
def test_traces_stay_within_the_proven_bounds(net: FixedNet) -> None:
    expected = simulate(net, random_images(net, 4), trace=True).trace
    assert expected is not None
    for layer in net.layers:
        got = expected[layer.name]
        pairs = [(got.output, layer.output)]
        if got.membrane is not None:
            pairs.append((got.membrane, layer.membrane or layer.current))
        for values, bounds in pairs:
            assert np.all(values >= bounds.lo[:, None, None]), layer.name
            assert np.all(values <= bounds.hi[:, None, None]), layer.name
