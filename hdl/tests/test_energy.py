"""The estimate of energy, beside a count by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from snngen.neurons import Accumulate, Level
from snngen.ops import Conv, Linear, Window
from snngen.simulate import simulate
from snngen.spiking import INPUT
from snngen.targets.hdl.emit import emit
from snngen.targets.hdl.energy import Activity, activity
from snngen.targets.hdl.plan import Fold, plan_layer
from tests.networks import Builder, fixed_input, random_images


def network():
    """A convolution of 3 channels and a dense layer of 4."""
    rng = np.random.default_rng(4)
    builder = Builder(fixed_input(rng, (2, 6, 5), "CHW", 0, 40), 1)
    conv = Conv(rng.integers(-7, 8, (3, 2, 3, 3)), Window((3, 3), pads=(1, 1, 1, 1)))
    builder.add("conv", [(INPUT, conv)], None, Level(np.array([[40, 90, 200]] * 3)))
    dense = Linear(rng.integers(-7, 8, (4, 3, 6, 5)))
    builder.add("dense", [("conv", dense)], rng.integers(-9, 10, 4), Accumulate())
    return builder.finish()


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_operations_are_those_of_the_events(lanes: int) -> None:
    """Every event times the weights that it reaches, in words of `lanes`."""
    net = network()
    image = random_images(net, 1)
    trace = simulate(net, image, trace=True).trace
    assert trace is not None
    given = net.input.table[np.arange(2)[:, None, None], image[0]] != 0
    sent = trace["conv"].output[0, 0] != 0
    plans = {layer.name: plan_layer(net, layer, Fold(lanes), 4) for layer in net.layers}
    words = {"conv": -(-3 // lanes), "dense": -(-4 // lanes)}
    padded = np.pad(np.ones((6, 5), int), 1)
    places = sum(padded[y : y + 6, x : x + 5] for y in range(3) for x in range(3))
    synapses = lanes * (words["conv"] * (given * places).sum() + words["dense"] * sent.sum())
    neurons = lanes * (words["conv"] * 30 + words["dense"])
    found = activity(net, plans, {INPUT: given.astype(float), "conv": sent.astype(float)})
    assert found.additions == synapses + 2 * neurons
    assert found.products == synapses


def test_energies_are_those_of_the_source() -> None:
    """Of 32 bits, and of 64 bits of memory."""
    found = Activity(1, 32, 1, 32 * 32, 64).picojoules
    assert found == {"additions": 0.1, "multiplications": pytest.approx(3.1), "memory": 10}
    assert Activity(1, 32, 1, 32 * 32, 64) + Activity(2, 1) == Activity(3, 33, 1, 1024, 64)


def test_without_events_only_neurons_work() -> None:
    net = network()
    plans = {layer.name: plan_layer(net, layer, Fold(), 4) for layer in net.layers}
    no_input = {INPUT: np.zeros((2, 6, 5)), "conv": np.zeros((3, 6, 5))}
    idle = activity(net, plans, no_input)
    assert idle.products == 0 and idle.additions == 2 * (90 + 4)


def test_the_report_says_what_it_is() -> None:
    energy = json.loads(emit(network())["report.json"])["energy_of_an_image"]
    assert "nothing was measured" in energy["is"] and "not of an FPGA" in energy["energies"]
    assert energy["picojoules_in_all"] == pytest.approx(sum(energy["picojoules"].values()), abs=2)
