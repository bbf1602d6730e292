"""Mapped cores compute what the golden model says, and a fault in one of them is named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from snngen import golden
from snngen.errors import ConversionError
from snngen.expand import expand
from snngen.fixed import FixedInput, FixedNet
from snngen.mapping import Core, Crossbar, Group, Mapping, map_network
from snngen.mapping.chip import run
from snngen.mapping.compare import Difference, first_difference
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Linear, Window
from snngen.simulate import simulate
from snngen.spiking import INPUT
from tests.mapping.networks import DEVICES, TINY, mappable_nets, residual_net
from tests.networks import Builder, random_images
from tests.streams import random_streams

REFUSALS = (
    "its weights need",
    "its sums need",
    "a neuron reads",
    "no core holds",
    "takes the maximum of sums",
)
drawn = settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))


def mapped(net: FixedNet, device: Crossbar, *, balance: bool = False) -> Mapping:
    """A mapping, unless the network has what no core of the device holds."""
    try:
        return map_network(net, device, chips=None, balance=balance)
    except ConversionError as error:
        assert all(problem.rule.startswith(REFUSALS) for problem in error.problems), error
        assume(False)
        raise


def difference(mapping: Mapping, images: np.ndarray) -> Difference | None:
    return first_difference(mapping, run(mapping, images), golden.trace(mapping.net, images))


@drawn
@given(mappable_nets(), st.sampled_from(DEVICES), st.booleans())
def test_random_networks_run_as_the_golden_model_says(
    net: FixedNet, device: Crossbar, balance: bool
) -> None:
    mapping = mapped(net, device, balance=balance)
    assert difference(mapping, random_images(net, 2)) is None


def test_streams_run_as_the_golden_model_says() -> None:
    rng = np.random.default_rng(2)
    table = np.tile(np.arange(256, dtype=np.int16), (1, 1))
    builder = Builder(
        FixedInput((1, 6, 6), "CHW", table, np.ones(1), np.zeros(1), coding="events"), 5
    )
    for name, source, channels, theta in (("a", INPUT, 1, 300), ("b", "a", 4, 9)):
        neuron = IF(
            np.full(4, theta), np.zeros(4, int), np.full(4, -theta), np.full(4, 2 * theta), "zero"
        )
        conv = Conv(rng.integers(-5, 8, (4, channels, 3, 3)), Window((3, 3), pads=(1, 1, 1, 1)))
        builder.add(name, [(source, conv)], np.array([1, 0, -2, 0]), neuron)
    weight = rng.integers(-90, 90, (3, 4, 6, 6))
    builder.add("output", [("b", Linear(weight))], None, Accumulate(limit=1000))
    net = builder.finish("stream")
    mapping = map_network(net, TINY, chips=None)
    streams = random_streams(net, 2, 30)
    assert difference(mapping, streams) is None
    assert 0 < run(mapping, streams).spikes["b"].mean() < 1


def test_copies_are_those_of_expand() -> None:
    net = residual_net()
    images = random_images(net, 5)
    ran = run(map_network(net, TINY, chips=None), images)
    spatial = simulate(expand(net), images).counts
    for layer in net.layers:
        if isinstance(layer.neuron, Level):
            copies = [spatial[f"{layer.name} copy {k}"].reshape(5, -1) for k in range(3)]
            want = np.stack(copies, -1).reshape(5, 1, -1)
            np.testing.assert_array_equal(ran.spikes[layer.name], want)


def changed(mapping: Mapping, core: int, place: int, **fields: object) -> Mapping:
    """`mapping` with a group of a core altered."""
    groups = list(mapping.cores[core].groups)
    groups[place] = replace(groups[place], **fields)
    cores = list(mapping.cores)
    cores[core] = Core(tuple(groups))
    return replace(mapping, cores=tuple(cores))


def groups(mapping: Mapping) -> list[tuple[int, int, Group]]:
    return [(k, p, g) for k, core in enumerate(mapping.cores) for p, g in enumerate(core.groups)]


def coordinates(mapping: Mapping, layer: str, neuron: int) -> tuple[int, ...]:
    population = next(p for p in mapping.populations if p.name == layer)
    at = np.unravel_index(neuron, (*population.shape, population.copies))
    return tuple(int(n) for n in at)


@pytest.fixture(scope="module")
def mapping() -> Mapping:
    return map_network(residual_net(), TINY, chips=None)


def found(mapping: Mapping) -> Difference:
    result = difference(mapping, random_images(mapping.net, 12, seed=4))
    assert result is not None
    return result


@pytest.mark.parametrize("layer", ["depthwise", "sum", "dense", "output"])
def test_a_flipped_weight_bit_is_found_and_named(mapping: Mapping, layer: str) -> None:
    core, place, group = next(item for item in groups(mapping) if item[2].layer == layer)
    ran = run(mapping, random_images(mapping.net, 12, seed=4))
    incoming = np.concatenate([ran.spikes[a.source][..., a.spikes] for a in group.axons], -1)
    axon = int(incoming.sum((0, 1)).argmax())  # one that is driven
    weights = group.weights.copy()
    weights[axon, 2] ^= 1
    seen = found(changed(mapping, core, place, weights=weights))
    assert (seen.core, seen.layer, seen.what) == (core, layer, "membrane")
    assert seen.neuron == coordinates(mapping, layer, int(group.neurons[2]))
    assert abs(seen.expected - seen.got) == 1
    named = rf"core {core}, layer '{layer}', neuron \({seen.neuron[0]}, "
    with pytest.raises(AssertionError, match=named):
        raise AssertionError(str(seen))


@pytest.mark.parametrize("layer", ["depthwise", "sum", "pool", "dense", "output"])
def test_swapped_axons_are_found_and_named(mapping: Mapping, layer: str) -> None:
    ran = run(mapping, random_images(mapping.net, 12, seed=4))
    core, place, group = next(item for item in groups(mapping) if item[2].layer == layer)
    spikes = ran.spikes[group.axons[0].source][:, 0][:, group.axons[0].spikes]
    a, b = next(  # two that do not fire alike, and are not weighted alike
        (a, b)
        for a in range(spikes.shape[1])
        for b in range(a)
        if (spikes[:, a] != spikes[:, b]).any() and (group.weights[a] != group.weights[b]).any()
    )
    order = np.arange(spikes.shape[1])
    order[[a, b]] = b, a
    first = replace(group.axons[0], spikes=group.axons[0].spikes[order])
    seen = found(changed(mapping, core, place, axons=(first, *group.axons[1:])))
    assert (seen.core, seen.layer) == (core, layer)
    assert seen.neuron in {coordinates(mapping, layer, int(n)) for n in group.neurons}


def test_a_wrong_threshold_is_found_and_named(mapping: Mapping) -> None:
    core, place, group = next(item for item in groups(mapping) if item[2].layer == "sum")
    threshold = group.does.threshold.copy()
    threshold[1] += 1000
    does = replace(group.does, threshold=threshold)
    seen = found(changed(mapping, core, place, does=does))
    assert (seen.core, seen.layer, seen.what) == (core, "sum", "spikes")
    assert seen.neuron == coordinates(mapping, "sum", int(group.neurons[1]))


def test_a_core_that_is_missing_is_found(mapping: Mapping) -> None:
    images = random_images(mapping.net, 2)
    ran = run(replace(mapping, cores=mapping.cores[1:]), images)
    seen = first_difference(mapping, ran, golden.trace(mapping.net, images))
    assert seen is not None and seen.core == 0
