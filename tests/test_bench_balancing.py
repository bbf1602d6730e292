"""Threshold balancing: the page is made of the results, and C is the golden model."""

import json

import numpy as np
import pytest

from bench.balancing import CALIBRATION, NETWORKS, PAGE, RESULTS, WITHIN, Subject, near, page
from snngen.convert import Options
from snngen.data import Samples, synthetic
from snngen.evaluate import Ann
from snngen.pipeline import build, read_model
from snngen.verify import verify


def test_the_page_is_made_of_the_results() -> None:
    records = json.loads(RESULTS.read_text())
    assert list(records) == list(NETWORKS)
    assert PAGE.read_text() == page(records)


def test_what_came_of_the_paper() -> None:
    """Near the CNN in 8 timesteps on MNIST, above it on both."""
    records = json.loads(RESULTS.read_text())
    mnist = records["MNIST"]
    assert mnist["by_length"]["channel-max"][1]["spikes"]["top1"][-1] >= mnist["cnn"] - WITHIN
    for record in records.values():
        every = [found["top1"] for found in record["whole"].values()]
        every += [row["spikes"]["top1"][-1:] for r in record["by_length"].values() for row in r]
        assert max(map(max, every)) > record["cnn"]


def test_near_is_from_then_on() -> None:
    assert near([90.0, 80.0, 90.0, 89.95], 90.0) == 3
    assert near([90.0, 89.96], 90.0) == 1
    assert near([90.0, 89.94], 90.0) is None


@pytest.mark.parametrize("name", NETWORKS)
def test_emitted_c_is_the_golden_model(name: str, require) -> None:
    require("cc")
    network = NETWORKS[name]
    graph = read_model(network.path)
    images = synthetic(graph.input.shape, 8)
    net = build(
        Ann(graph, network.normalisation.preprocess(1)),
        images,
        Options("channel-max", "if", timesteps=8),
    )
    assert verify(net, images, full_trace_images=4).is_equal


def test_images_lost_and_won_are_the_difference(require) -> None:
    require("cc")
    network = NETWORKS["MNIST"]
    graph = read_model(network.path)
    ann = Ann(graph, network.normalisation.preprocess(1))
    images = synthetic(graph.input.shape, 40)
    labels = np.random.default_rng(1).integers(0, 10, 40)
    labels[:20] = ann.classes(images[:20])
    subject = Subject(ann, images[:CALIBRATION], Samples(images, labels, "here"))
    found = subject.measure(Options("channel-max", "if", timesteps=2))
    assert len(found["top1"]) == 2
    gained = (found["top1"][-1] - subject.cnn()) / 100 * len(images)
    assert round(gained) == found["won"] - found["lost"]
