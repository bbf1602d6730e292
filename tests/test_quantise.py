"""Details of quantisation that whole networks would hide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snngen.convert import Options
from snngen.evaluate import Ann
from snngen.graph import GraphOp
from snngen.ops import Conv, MaxPool, Select, SumPool, Window
from snngen.pipeline import build
from snngen.simulate import simulate
from snngen.spiking import Preprocess
from tests import graphs


def test_a_class_without_weights_does_not_coarsen_the_others() -> None:
    g = graphs.lenet()
    last = g.nodes[-1]
    weight, bias = last.op.weight.copy(), last.bias.copy()
    weight[2], bias[2] = 0, 0
    g = replace(
        g, nodes=(*g.nodes[:-1], replace(last, op=replace(last.op, weight=weight), bias=bias))
    )
    net = build(graphs.ann(g), graphs.images(g, 8), Options())
    assert np.abs(net.layers[-1].synapses[0].op.weight).max() == 127


@pytest.mark.parametrize(
    "wiring",
    [
        MaxPool(Window((2, 2), (2, 2))),
        SumPool(Window((2, 2), (2, 2)), 4),
        Select(np.arange(1, dtype=np.int32), *(np.arange(0, 8, 2, dtype=np.int32),) * 2),
    ],
)
def test_what_the_input_table_cannot_hold_survives_wiring(wiring: GraphOp) -> None:
    """Zero lies between two bytes; the half unit must reach the biases behind the wiring."""
    weight = np.sign(np.random.default_rng(0).normal(size=(4, 1, 3, 3)))  # exact in any bits
    g = graphs.graph(
        (1, 8, 8), ("wiring", wiring, ["input"]), ("conv", Conv(weight, Window((3, 3))), ["wiring"])
    )
    ann = Ann(g, Preprocess(np.array([1 / 8]), np.array([-15.56])))  # zero at byte 124.48
    images = graphs.images(g, 16)
    net = build(ann, images, Options(neuron="level"))
    got = simulate(net, images).outputs[:, -1] * net.output_scale
    np.testing.assert_allclose(got, ann.outputs(images), atol=0.001)
