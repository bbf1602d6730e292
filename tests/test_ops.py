"""Each operator against its definition in the golden model: values, bounds, fan-in and fan-out."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snngen.fixed import FixedNet
from snngen.golden import synaptic_current
from snngen.ops import WEIGHTED, Interval, MaxPool
from tests.networks import fixed_nets

thorough = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))


@thorough
@given(fixed_nets(), st.integers(0, 1000))
def test_forward_bounds_and_fan_out_agree_with_the_definition(net: FixedNet, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for layer in net.layers:
        for synapse in layer.synapses:
            op, shape = synapse.op, net.source_shape(synapse.source)
            lo = rng.integers(-5, 3, shape[0])
            interval = Interval(lo, lo + rng.integers(0, 6, shape[0]))
            x = rng.integers(lo[:, None, None], interval.hi[:, None, None] + 1, shape)
            y = op.forward(x[None])[0]
            bounds = op.bounds(interval)
            assert np.all(y >= bounds.lo[:, None, None]) and np.all(y <= bounds.hi[:, None, None])
            assert op.shape(shape) == y.shape == layer.shape
            if not isinstance(op, MaxPool):
                np.testing.assert_array_equal(y, synaptic_current(op, x, layer.shape))
            # every synapse leaves one input neuron and reaches one output neuron
            fan_out = op.fan_out(shape)
            assert fan_out.shape == shape
            assert fan_out.sum() <= op.fan_in * np.prod(layer.shape)
            one = np.zeros(shape, np.int64)
            at = tuple(rng.integers(0, n) for n in shape)
            one[at] = 1
            if hasattr(op, "weight"):
                reached = type(op)(**{**vars(op), "weight": np.ones_like(op.weight)}).forward(
                    one[None]
                )
                assert reached.sum() == fan_out[at]


@thorough
@given(fixed_nets(), st.integers(0, 1000))
def test_backward_is_the_adjoint_of_forward(net: FixedNet, seed: int) -> None:
    """<g, forward(x)> is linear in x and in the weight, for the maximum piecewise: it is <dx, x>
    and <dw, w>.
    """
    rng = np.random.default_rng(seed)
    for layer in net.layers:
        for synapse in layer.synapses:
            op = synapse.op
            x = rng.integers(-5, 6, (2, *net.source_shape(synapse.source)))
            gradient = rng.integers(-5, 6, (2, *layer.shape))
            product = (gradient * op.forward(x)).sum()
            if isinstance(op, WEIGHTED):
                by_input, by_weight = op.backward(x, gradient)
                assert (by_weight * op.weight).sum() == product
            else:
                by_input = op.backward(x, gradient)
            assert by_input.shape == x.shape
            assert (by_input * x).sum() == product
