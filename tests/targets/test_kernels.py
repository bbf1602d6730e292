"""What is told about kernels is what is emitted."""

from __future__ import annotations

import re

import pytest

from snngen.convert import Options
from snngen.pipeline import build
from snngen.targets.c.budget import budget_for
from snngen.targets.c.emit import emit
from snngen.targets.c.schedule import Optimise
from tests import graphs
from tests.networks import level_showcase, spiking_showcase


@pytest.mark.parametrize("optimise", ["speed", "size", "vectors"])
@pytest.mark.parametrize("showcase", [spiking_showcase, level_showcase])
def test_kernels_are_those_of_the_emitted_file(showcase, optimise: Optimise) -> None:
    net = showcase()
    told = budget_for(net, schedule="fastest", optimise=optimise).kernels
    text = emit(net, schedule="fastest", optimise=optimise)["model.c"].decode()
    named = {kernel.function for kernel in told} - {"snn_pooled"}
    adds = re.findall(r"\.(?:add|fire|run) = (\w+)", text)
    assert set(adds) - {"NULL", "snn_gather"} == named | ({"snn_if"} & set(adds))
    layers = [layer.name for layer in net.layers]
    assert list(dict.fromkeys(kernel.layer for kernel in told)) == layers
    read = [(kernel.layer, kernel.source) for kernel in told if kernel.source]
    assert sorted(read) == sorted((la.name, s.source) for la in net.layers for s in la.synapses)


def test_reasons() -> None:
    g = graphs.lenet()
    net = build(graphs.ann(g), graphs.images(g, 4), Options("channel-max", "level", levels=63))
    reasons = {(k.layer, k.source): k.reason for k in budget_for(net).kernels}
    conv1, conv2, _, fc2 = (la.name for la in net.layers if "fc" in la.name or "conv" in la.name)
    assert reasons[conv1, "input"] == "sums need 32 bits; few channels: one list of all rows"
    assert reasons[conv2, ""] == "levels are products of 64 bits"
    assert reasons[fc2, ""] == ""
    narrow = build(
        graphs.ann(g), graphs.images(g, 4), Options("channel-max", "level", levels=63, bits=7)
    )
    small = {(k.layer, k.source): k for k in budget_for(narrow, optimise="size").kernels}
    assert small[conv1, "input"].reason == "for size: weights of 7 bits"
    assert small[conv1, "input"].function == "snn_packed"
    # 63 thresholds are more than what replaces them
    assert small[conv1, ""].function == "snn_level"
    few = build(graphs.ann(g), graphs.images(g, 4), Options("channel-max", "level", levels=7))
    climbing = {(k.layer, k.source): k for k in budget_for(few, optimise="size").kernels}
    assert climbing[conv1, ""].function == "snn_climb"
    assert climbing[conv1, ""].reason == "for size: one threshold after the other"
    spikes = build(graphs.ann(g), graphs.images(g, 4), Options("channel-max", "if", timesteps=8))
    chosen = budget_for(spikes, schedule="fastest").kernels
    trains = [k for k in chosen if k.function == "snn_trains"]
    assert [k.layer for k in trains] == [conv1]
