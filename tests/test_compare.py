"""The two forms of a network side by side."""

from __future__ import annotations

from snngen.compare import compare
from snngen.convert import Options
from snngen.evaluate import evaluate
from snngen.pipeline import build
from tests import graphs


def test_both_forms_are_measured_on_the_same_images() -> None:
    g = graphs.lenet()
    ann, images, options = graphs.ann(g), graphs.images(g, 40), Options(timesteps=8, levels=7)
    net = build(ann, images, options)
    chosen, other = compare(ann, net, images, options, source=ann)
    found = evaluate(net, images, ann=ann)
    assert (chosen.neuron, chosen.steps, other.neuron, other.steps) == ("if", "T=8", "level", "N=7")
    assert found.agreement is not None and chosen.agreement == found.agreement[-1] / 40
    assert chosen.synops == found.synops and other.agreement > 0.5
    assert other.arena_bytes < chosen.arena_bytes
