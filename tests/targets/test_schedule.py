"""The arena planner: what is alive at the same time never shares a byte."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snngen.convert import Options
from snngen.fixed import FixedNet
from snngen.ops import Linear
from snngen.pipeline import build
from snngen.targets.c.schedule import ALIGNMENT, Region, place, plan
from snngen.targets.c.storage import U8, Storage, weights_in_order
from tests import graphs
from tests.networks import fixed_nets, spiking_showcase


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(fixed_nets(), st.sampled_from(["smallest", "fastest"]))
def test_regions_alive_together_lie_apart(net: FixedNet, preference: str) -> None:
    found = plan(net, preference)
    pooled = [net.layers.index(net[name]) for name in found.pooled.values()]
    assert sorted((*found.order, *pooled)) == list(range(len(net.layers)))
    for key, region in found.regions.items():
        assert found.offsets[key] % ALIGNMENT == 0
        assert found.offsets[key] + region.storage.bytes <= found.arena_bytes
    for a, b in combinations(found.regions.values(), 2):
        if a.overlaps(b):
            begin_a, begin_b = found.offsets[a.key], found.offsets[b.key]
            end_a, end_b = begin_a + a.storage.bytes, begin_b + b.storage.bytes
            assert end_a <= begin_b or end_b <= begin_a, (a, b)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(fixed_nets(), st.sampled_from(["smallest", "fastest"]))
def test_every_layer_runs_after_its_sources(net: FixedNet, preference: str) -> None:
    found = plan(net, preference)
    done = {"input"}
    for number in found.order:
        layer = net.layers[number]
        assert done >= {synapse.source for synapse in layer.synapses}
        done |= {layer.name, found.pooled.get(layer.name, layer.name)}


def test_what_is_pooled_at_once_takes_memory_for_a_line() -> None:
    g = graphs.lenet()
    net = build(graphs.ann(g), graphs.images(g, 4), Options(neuron="level", levels=3))
    found = plan(net)
    assert len(found.pooled) == 2
    for name, pool in found.pooled.items():
        channels, height, width = net[name].shape
        assert height > 1 and found.regions[name, "values"].storage.shape == (channels, 1, width)
        assert found.regions[pool, "values"].born == found.regions[name, "values"].born
        assert (pool, "scratch") not in found.regions


def test_what_is_read_at_every_timestep_outlives_the_first() -> None:
    net = spiking_showcase()
    found = plan(net)
    stepped = {net.layers[i].name for i in found.order[found.at_once :]}
    assert stepped, "the showcase is expected to keep some layers time by time"
    for name in stepped:
        for synapse in net[name].synapses:
            if synapse.source not in stepped:
                assert found.regions[synapse.source, "values"].dies == len(net.layers) - 1


def test_first_fit_reuses_what_is_free() -> None:
    def region(name: str, size: int, born: int, dies: int) -> Region:
        return Region(name, "values", Storage((size, 1, 1), 1, U8), born, dies)

    offsets = place([region("a", 10, 0, 1), region("b", 5, 1, 2), region("c", 8, 2, 3)])
    assert offsets == {("a", "values"): 0, ("c", "values"): 0, ("b", "values"): 12}


def test_weights_follow_the_order_of_reading() -> None:
    weight = np.arange(2 * 3 * 1 * 2).reshape(2, 3, 1, 2)  # (O, C, H, W)
    expected = [weight[o, c, 0, x] for x in range(2) for c in range(3) for o in range(2)]
    assert weights_in_order(Linear(weight)).tolist() == expected
