"""Event coding: an input of its own at every timestep, and bounds for any number of timesteps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from snngen import fixed_file, golden
from snngen.errors import BoundError
from snngen.fixed import FixedNet
from snngen.neurons import IF, Accumulate
from snngen.ops import MaxPool, Scale, Window
from snngen.simulate import simulate
from snngen.spiking import INPUT
from tests.networks import Builder, fixed_input
from tests.streams import LIMIT, event_nets, random_streams, stream_showcase
from tests.traces import assert_same_traces, assert_within_bounds

relaxed = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@relaxed
@given(event_nets())
def test_simulate_equals_golden(net: FixedNet) -> None:
    bins = random_streams(net, 2, 12)
    expected = golden.trace(net, bins)
    assert_same_traces(expected, simulate(net, bins, trace=True).trace)


@relaxed
@given(event_nets())
def test_the_bounds_hold_however_long_the_stream(net: FixedNet) -> None:
    """Of noise, and of every input at its largest or smallest for hundreds of timesteps."""
    bins = random_streams(net, 4, 300)
    bins[0] = net.input.table.argmax(1)[:, None, None]
    bins[1] = net.input.table.argmin(1)[:, None, None]
    assert_within_bounds(net, simulate(net, bins, trace=True).trace)


def test_the_showcase_reaches_its_clamps() -> None:
    net = stream_showcase()
    trace = golden.trace(net, random_streams(net, 3, 40))
    for name in ("first", "sum"):
        neuron, v = net[name].neuron, trace[name].membrane
        assert isinstance(neuron, IF) and v is not None
        assert (v == neuron.v_min[:, None, None]).any()
        assert (v == (neuron.v_max - neuron.max_spikes * neuron.threshold)[:, None, None]).any()
    assert (abs(trace["output"].output) == 700).any()


def pooled(bins: list[list[int]]) -> list[int]:
    """What a max pool over two inputs sends, given what they send at every timestep."""
    builder = Builder(events((1, 1, 2)), 4)
    builder.add("pool", [(INPUT, MaxPool(Window((1, 2))))])
    builder.add("out", [("pool", Scale(np.array([1])))], None, Accumulate(LIMIT))
    given = np.array(bins, np.uint8).reshape(1, -1, 1, 1, 2)
    return golden.trace(builder.finish(), given)["pool"].output.ravel().tolist()


def events(shape: tuple[int, int, int], highest: int = 1):
    from dataclasses import replace

    made = fixed_input(np.random.default_rng(0), shape, "CHW", 0, 1)
    table = np.minimum(np.arange(256), highest).astype(np.int16)
    return replace(made, coding="events", table=np.broadcast_to(table, (shape[0], 256)))


def test_max_pooling_passes_on_increments_of_the_leader() -> None:
    assert pooled([[1, 0], [0, 1], [0, 1], [1, 0], [1, 0]]) == [1, 0, 1, 0, 1]


def test_max_pooling_forgets_how_far_an_input_is_behind() -> None:
    """At most 127 spikes, so that it leads after as many of its own."""
    sent = pooled([[1, 0]] * 1000 + [[0, 1]] * 200)
    assert sent == [1] * 1000 + [0] * 127 + [1] * 73


def layer(neuron, lo: int = -3, hi: int = 5, sources=None) -> None:
    builder = Builder(events((1, 1, 1), 5), 4)
    builder.add("x", [(INPUT, Scale(np.array([1])))], np.array([lo]), None)
    builder.add("y", [("x", Scale(np.array([1])))], None, neuron)


@pytest.mark.parametrize(
    ("neuron", "found"),
    [
        (IF(np.array([9]), np.array([0])), "current down to -3, and no v_min"),
        (IF(np.array([1]), np.array([0]), np.array([-9])), "current up to 5, and no v_max"),
        (IF(np.array([9]), np.array([0]), np.array([-9]), signed=True), "signed spikes"),
        (Accumulate(), "it has no limit"),
    ],
)
def test_what_may_grow_without_end_is_refused(neuron, found: str) -> None:
    with pytest.raises(BoundError, match=found):
        layer(neuron)
    if isinstance(neuron, IF) and not neuron.signed:
        theta = neuron.threshold
        layer(IF(theta, np.array([0]), np.array([-9]), 5 * theta))


def test_a_pool_of_counts_that_fall_is_refused() -> None:
    builder = Builder(events((1, 1, 2), 5), 4)
    builder.add("x", [(INPUT, Scale(np.array([-1])))])
    with pytest.raises(BoundError, match="maximum of running counts that fall"):
        builder.add("y", [("x", MaxPool(Window((1, 2))))])


@relaxed
@given(event_nets())
def test_files_keep_the_coding(net: FixedNet) -> None:
    read = fixed_file.loads(fixed_file.dumps(net), "test")
    assert read.is_stream and fixed_file.dumps(read) == fixed_file.dumps(net)
