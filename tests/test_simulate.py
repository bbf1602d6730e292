"""The fast simulation: exactness at the bound where float32 ends, batches that change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from snngen import golden
from snngen.fixed import FixedInput
from snngen.neurons import Accumulate
from snngen.ops import Interval, Linear
from snngen.simulate import exact_dtype, simulate, stream
from snngen.spiking import INPUT
from tests.networks import Builder, random_images


def net_with_bound(bound: int):
    """A dense layer of 1024 inputs in -1..1 whose partial sums reach exactly `bound`, and one
    output.
    """
    table = np.zeros((1024, 256), np.int16)
    table[:, 1], table[:, 2] = 1, -1
    inputs = FixedInput((1024, 1, 1), "CHW", table, np.ones(1024), np.zeros(1024))
    weight = np.full((2, 1024, 1, 1), bound // 1024)
    weight[0, 0] += bound - weight[0].sum()
    weight[1] *= np.where(np.arange(1024) % 2, 1, -1)[:, None, None]
    builder = Builder(inputs, 1)
    builder.add("out", [(INPUT, Linear(weight))], None, Accumulate())
    return builder.finish()


@pytest.mark.parametrize(("bound", "dtype"), [(2**24, np.float32), (2**24 + 1, np.float64)])
def test_float_arithmetic_is_exact_up_to_the_bound_that_picks_it(bound: int, dtype: type) -> None:
    net = net_with_bound(bound)
    layer = net.layers[0]
    assert layer.current.max == bound
    assert exact_dtype(layer, [Interval(np.full(1024, -1), np.full(1024, 1))]) is dtype
    images = np.ones((3, 1024, 1, 1), np.uint8)  # every input at its largest: the bound itself
    images[1] = 2
    images[2, ::2] = 2
    want = golden.trace(net, images)["out"].output[..., 0, 0]
    assert abs(want).max() == bound
    np.testing.assert_array_equal(simulate(net, images).outputs, want)


def test_float32_would_be_wrong_one_above_its_bound() -> None:
    """The bound is not slack: at 2**24 + 1 a float32 sum misses."""
    weight = net_with_bound(2**24 + 1).layers[0].synapses[0].op.weight[0].ravel()
    assert int(weight.astype(np.float32) @ np.ones(1024, np.float32)) != 2**24 + 1


@pytest.mark.parametrize("size", [1, 3, 64])
def test_batch_size_changes_nothing(size: int) -> None:
    from snngen.convert import Options
    from snngen.pipeline import build
    from tests import graphs

    g = graphs.residual()
    net = build(graphs.ann(g), graphs.images(g, 8), Options(timesteps=6))
    images = random_images(net, 10)
    whole = simulate(net, images, trace=True)
    parts = list(stream(net, (images[k : k + size] for k in range(0, 10, size)), trace=True))
    np.testing.assert_array_equal(np.concatenate([p.outputs for p in parts]), whole.outputs)
    for name, counts in whole.counts.items():
        np.testing.assert_array_equal(np.concatenate([p.counts[name] for p in parts]), counts)
    assert whole.trace is not None
    for layer in net.layers:
        np.testing.assert_array_equal(
            np.concatenate([p.trace[layer.name].output for p in parts if p.trace]),
            whole.trace[layer.name].output,
        )
    np.testing.assert_array_equal(net.classes(whole.outputs), whole.outputs.argmax(2))
