"""Cores stay within the device, few of them suffice, what did not change stays, and what does not
fit is said in full.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snngen.errors import ConversionError
from snngen.fixed import FixedNet
from snngen.mapping import DEVICES, Core, Crossbar, Mapping, map_network
from snngen.mapping.chip import run
from snngen.mapping.compare import first_difference
from snngen.mapping.device import width
from snngen.mapping.usage import shares, usages
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Linear, MaxPool, Window
from snngen.simulate import simulate
from snngen.spiking import INPUT
from tests.mapping.networks import DEVICES as SMALL
from tests.mapping.networks import TINY, mappable_nets, residual_net
from tests.mapping.test_chip import mapped
from tests.networks import Builder, fixed_input, random_images, spiking_showcase

drawn = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


@drawn
@given(mappable_nets(), st.sampled_from(SMALL), st.booleans())
def test_cores_stay_within_the_device_and_hold_every_neuron_once(
    net: FixedNet, device: Crossbar, balance: bool
) -> None:
    mapping = mapped(net, device, balance=balance)
    for core in mapping.cores:
        assert core.neurons <= device.neurons(core.width, core.extension)
        assert core.fan_in <= device.fan_in(core.extension)
        assert all(group.kind == core.groups[0].kind for group in core.groups)
        bits = 2**core.width
        for group in core.groups:
            lo, hi = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if bits > 1 else (0, 1)
            assert lo <= group.weights.min(initial=0) and group.weights.max(initial=0) <= hi
            assert group.weights.shape == (
                sum(len(axons.spikes) for axons in group.axons),
                len(group.neurons),
            )
    for population in mapping.populations:
        held = [
            group.neurons
            for core in mapping.cores
            for group in core.groups
            if group.layer == population.name
        ]
        wanted = [] if population.on_host else np.arange(population.neurons)
        np.testing.assert_array_equal(np.sort(np.concatenate([*held, []])), wanted)
    if not balance:
        assert len(mapping.cores) >= mapping.bound.cores(device)
    used = shares(mapping, mapping.cores)
    assert 0 <= used.axons <= 1 and 0 < used.neurons <= 1 and 0 <= used.weights <= 1
    assert {use.layer for use in usages(mapping)} == {p.name for p in mapping.populations}


@pytest.mark.parametrize(
    ("lo", "hi", "bits"),
    [(0, 0, 1), (0, 1, 1), (-1, 0, 2), (-1, 1, 2), (-2, 1, 2), (0, 2, 4), (-8, 7, 4), (-9, 7, 8),
     (-128, 127, 8), (0, 128, 16)],
)  # fmt: skip
def test_width_of_weights(lo: int, hi: int, bits: int) -> None:
    assert 2 ** width(lo, hi) == bits


def test_parameters_of_the_preset() -> None:
    device = DEVICES["paicore-like"]
    assert (device.cores, device.axons, device.dendrites) == (1024, 1152, 512)
    assert [device.extension(n) for n in (1, 1152, 1153, 2304, 2305, 4608, 4609)] == [
        0, 0, 1, 1, 2, 2, 3,
    ]  # fmt: skip
    assert [device.neurons(1, e) for e in (0, 1, 4)] == [256, 128, 16]
    with pytest.raises(ValueError, match="not 4"):
        replace(device, widest=4)


def programs(mapping: Mapping) -> list[bytes]:
    return [core.program() for core in mapping.cores]


def without(mapping: Mapping, layer: str) -> list[bytes]:
    """The programs of all cores, less what they hold of `layer`, sorted."""
    others = (tuple(g for g in core.groups if g.layer != layer) for core in mapping.cores)
    return sorted(Core(groups).program() for groups in others if groups)


def with_weight_changed(net: FixedNet, layer: str) -> FixedNet:
    """`net` with one weight of `layer` a different one, within the bounds that are proven."""
    layers = []
    for known in net.layers:
        if known.name == layer:
            op = known.synapses[0].op
            weight = op.weight.copy()
            at = tuple(int(n) for n in np.argwhere(weight != 0)[0])
            weight[at] = 0
            changed = replace(known.synapses[0], op=replace(op, weight=weight))
            known = replace(known, synapses=(changed, *known.synapses[1:]))
        layers.append(known)
    return replace(net, layers=tuple(layers))


@pytest.mark.parametrize("layer", ["depthwise", "sum", "dense", "output"])
@pytest.mark.parametrize("device", SMALL)
def test_a_changed_weight_changes_the_cores_of_its_layer_alone(
    layer: str, device: Crossbar
) -> None:
    net = residual_net()
    before = map_network(net, device, chips=None)
    after = map_network(with_weight_changed(net, layer), device, chips=None, known=before)
    assert without(after, layer) == without(before, layer)
    assert programs(after) != programs(before)
    fresh = map_network(after.net, device, chips=None)
    assert sorted(programs(fresh)) == sorted(programs(after))  # and nothing was left behind
    for name, known in before.layers.items():
        assert (after.layers[name] is known) == (name != layer)


@drawn
@given(mappable_nets(), st.sampled_from(SMALL), st.data())
def test_a_changed_layer_leaves_the_others_as_they_are(
    net: FixedNet, device: Crossbar, data: st.DataObject
) -> None:
    """Random networks; a layer's bias, and so its thresholds, are moved."""
    before = mapped(net, device)
    layer = data.draw(st.sampled_from(sorted(before.layers)))
    layers = [
        replace(known, bias=np.arange(known.shape[0]) + 1)
        if known.name == layer and not known.is_wiring
        else known
        for known in net.layers
    ]
    after = map_network(replace(net, layers=tuple(layers)), device, chips=None, known=before)
    assert without(after, layer) == without(before, layer)


def test_another_size_of_a_layer_leaves_those_that_do_not_read_it() -> None:
    before = map_network(residual_net(), TINY, chips=None)
    net = residual_net()
    # more outputs of the last layer: nothing else reads them, and it finds room among the others
    rng = np.random.default_rng(5)
    output = net.layers[-1]
    wide = Linear(rng.integers(-99, 100, (9, 20, 1, 1)))
    builder = Builder(net.input, 1, list(net.layers[:-1]))
    builder.add("output", [(output.synapses[0].source, wide)], None, Accumulate())
    larger = builder.finish("larger")
    after = map_network(larger, TINY, chips=None, known=before)
    assert without(after, "output") == without(before, "output")
    images = random_images(larger, 3)
    expected = simulate(larger, images, trace=True).trace
    assert expected is not None
    assert first_difference(after, run(after, images), expected) is None


def test_the_same_network_gives_the_same_programs() -> None:
    first, second = (map_network(residual_net(), TINY, chips=None) for _ in range(2))
    assert programs(first) == programs(second)
    again = map_network(residual_net(), TINY, chips=None, known=first)
    assert all(a is b for a, b in zip(first.cores, again.cores, strict=True))


def test_leftovers_share_cores() -> None:
    """Tiles at the borders of odd sizes are not full: together they take no more cores than any
    mapping must.
    """
    mapping = map_network(residual_net(), SMALL[1], chips=None)
    layer = mapping.layers["sum"]
    needed = layer.plan.bound.cores(SMALL[1])
    assert len(mapping.cores_of["sum"]) == needed < len(layer.groups)


def test_balance_takes_cores_for_speed() -> None:
    """Cores read fewer spikes, down to what a single neuron reads."""
    device = DEVICES["paicore-like"]
    few, many = (map_network(residual_net(), device, balance=b) for b in (False, True))
    busiest = [max(core.fan_in for core in mapping.cores) for mapping in (few, many)]
    assert len(few.cores) < len(many.cores) <= device.cores
    assert busiest[1] < 0.7 * busiest[0]
    assert busiest[1] <= max(layer.plan.choices[-1].axons for layer in many.layers.values())


def test_weights_that_are_too_wide_take_several_axons() -> None:
    net = residual_net()
    device = replace(TINY, axons=100, widest=2)  # four bits: -8..7
    mapping = map_network(net, device, chips=None)
    largest = net["output"].synapses[0].op.weight.max()
    assert largest > 90
    spikes = np.concatenate([a.spikes for a in mapping.layers["output"].groups[0].axons])
    assert np.unique(spikes, return_counts=True)[1].max() == -(-largest // 7)
    images = random_images(net, 4)
    expected = simulate(net, images, trace=True).trace
    assert expected is not None
    assert first_difference(mapping, run(mapping, images), expected) is None


def refusal(net: FixedNet, device: Crossbar = DEVICES["paicore-like"], **options: object) -> str:
    with pytest.raises(ConversionError) as caught:
        map_network(net, device, **options)
    return str(caught.value)


def test_too_few_cores_are_counted_by_layer() -> None:
    small = replace(TINY, columns=2, rows=2)
    needed = len(map_network(residual_net(), small, chips=None).cores)
    said = refusal(residual_net(), small)
    least = map_network(residual_net(), small, chips=None).bound.cores(small)
    assert f"the network needs at least {least} cores, {least - 4} more than there are" in said
    for layer in ("depthwise", "sum", "pool", "dense", "output"):
        assert f"'{layer}' " in said
    chips = -(-needed // 4)
    assert len(map_network(residual_net(), small, chips=chips).cores) == needed
    said = refusal(residual_net(), small, chips=chips - 1)
    assert f"the network needs {needed} cores, {needed - 4 * (chips - 1)} more" in said
    assert f"--chips {chips}" in said


def test_all_that_does_not_fit_is_said_at_once() -> None:
    narrow = replace(TINY, widest=0, axons=2, longest=1, membrane_bits=4)
    said = refusal(residual_net(), narrow)
    assert "layer 'depthwise': its weights need 2 bits, 1 more than a core has" in said
    assert "layer 'depthwise': a neuron reads 27 spikes, 23 more than a core can" in said
    assert "layer 'output': its weights need 2 bits, 1 more than a core has" in said
    assert re.search(r"layer 'dense': its sums need (\d+) bits, \d+ more than a membrane", said)
    assert said.count("layer '") >= 10


def test_what_binary_neurons_cannot_do_is_said_at_once() -> None:
    said = refusal(spiking_showcase())
    assert "layer 'pool': the maximum of spikes over time keeps running counts" in said
    assert "layer 'sum': binary neurons cannot take spikes back" in said
    assert "layer 'sum': reads the input's numbers together with spikes of cores" in said


def test_sums_that_are_sent_on_are_refused() -> None:
    builder = Builder(fixed_input(np.random.default_rng(0), (1, 4, 4), "CHW", 0, 9), 1)
    one = Conv(np.ones((2, 1, 1, 1), int), Window((1, 1)))
    two = Conv(np.ones((2, 2, 1, 1), int), Window((1, 1)))
    builder.add("a", [(INPUT, one)], None, Level(np.array([[1, 5], [2, 7]])))
    builder.add("b", [("a", two)])
    builder.add("c", [("b", two)], None, IF(np.ones(2, int), np.zeros(2, int), max_spikes=3))
    builder.add("output", [("c", Linear(np.ones((3, 2, 4, 4), int)))], None, Accumulate())
    said = refusal(builder.finish())
    assert "layer 'b': sends its sum, which is no spike" in said
    assert "layer 'c': binary neurons send one spike at a time\n  found: up to 3" in said


def test_sums_of_the_input_stay_on_the_host() -> None:
    """A first layer without activation, and a maximum of bytes: what reads them does so there."""
    builder = Builder(fixed_input(np.random.default_rng(0), (1, 4, 4), "CHW", 0, 9), 1)
    builder.add("largest", [(INPUT, MaxPool(Window((2, 2))))])
    builder.add("linear", [("largest", Conv(np.array([[[[2]]], [[[-3]]]]), Window((1, 1))))])
    two = Conv(np.array([[[[1]], [[1]]], [[[2]], [[-1]]]]), Window((1, 1)))
    builder.add("level", [("linear", two)], None, Level(np.array([[-9, 5], [2, 40]])))
    builder.add("output", [("level", Linear(np.ones((3, 2, 3, 3), int)))], None, Accumulate())
    net = builder.finish()
    mapping = map_network(net, TINY)
    assert [p.name for p in mapping.populations if not p.on_host] == ["output"]
    images = random_images(net, 5)
    expected = simulate(net, images, trace=True).trace
    assert expected is not None
    assert first_difference(mapping, run(mapping, images), expected) is None


def test_what_the_host_leaves_is_not_nothing() -> None:
    builder = Builder(fixed_input(np.random.default_rng(0), (1, 4, 4), "CHW", 0, 9), 1)
    builder.add("pool", [(INPUT, MaxPool(Window((2, 2), (2, 2))))])
    builder.add("output", [("pool", Linear(np.ones((3, 1, 2, 2), int)))], None, Accumulate())
    assert "layer 'output': reads the input's numbers" in refusal(builder.finish())


def test_levels_below_zero_are_refused() -> None:
    net = residual_net()
    layers = [
        replace(layer, neuron=replace(layer.neuron, lowest=-1)) if layer.name == "sum" else layer
        for layer in net.layers
    ]
    said = refusal(replace(net, layers=tuple(layers)))
    assert "layer 'sum': binary neurons cannot send levels below 0" in said
