"""Method refined: closer to the CNN than calibrated, right gradients, the same on every machine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snngen.convert import Options, convert, populations
from snngen.convert.calibrated import calibrated
from snngen.convert.refined import BATCH, OWN, _ClosedForm, _Key, _parameters
from snngen.graph import Relu, forward
from snngen.ops import Scale
from snngen.parallel import alone
from snngen.pipeline import build, calibration_size
from snngen.verify import verify
from tests import graphs
from tests.test_calibrated import squared_error


@pytest.mark.parametrize("make", [graphs.lenet, graphs.residual])
@pytest.mark.parametrize("bits", [8, 4])
def test_outputs_are_closer_to_the_cnn_than_those_of_calibrated(make, bits) -> None:
    g = make()
    ann, images = graphs.ann(g), graphs.images(g, 640)
    calibration, unseen = images[:512], images[512:]
    wanted = forward(g, ann.preprocess.apply(unseen))[g.output]
    options = Options("refined", "level", levels=3, bits=bits)
    ours = convert(g, ann.preprocess, calibration, options)
    theirs = convert(g, ann.preprocess, calibration, replace(options, method="calibrated"))
    found, known = (squared_error(net, unseen, wanted, bits) for net in (ours, theirs))
    assert found < known


def loss(net: _ClosedForm, parameters, images: np.ndarray, wanted: np.ndarray) -> float:
    values = {"input": images}
    for p in net.populations(parameters):
        z = sum(s.op.forward(values[s.source]) for s in p.synapses) + p.bias[:, None, None]
        values[p.name] = z if p.activation is None else p.activation.forward(z)
    scale = OWN * wanted.var((1, 2, 3)) + (1 - OWN) * wanted.var()
    return float((np.square(values[p.name] - wanted).mean((1, 2, 3)) / scale).sum())


def test_gradients_are_those_of_the_loss() -> None:
    """Where there is one: by the output's weights, of so many bits that their rounding is lost in
    the difference, by its biases, and by the threshold of a neuron that always sends it.
    """
    g = graphs.graph(
        (3, 2, 2),
        ("fc1", graphs.linear(4, (3, 2, 2), 0), ["input"]),
        ("relu", Relu(), ["fc1"]),
        ("fc2", graphs.linear(3, (4, 1, 1), 1), ["relu"]),
    )
    parts = populations(g)
    images = np.random.default_rng(0).uniform(0.5, 1, (BATCH, *g.input.shape)).astype(np.float32)
    layers = calibrated(parts, images, Options("calibrated", "level", levels=3)).layers
    parameters, net = _parameters(parts, layers), _ClosedForm(parts, 3, 3, bits=24)
    hidden, output = parts[0].name, parts[-1].name
    parameters[_Key(hidden, "bias")][0] = 100.0  # far above its threshold, whatever it reads
    wanted = net._cnn(images)
    found = net._gradient(parameters, images, float(wanted.var()))
    for key, at in (
        (_Key(output, "bias"), 1),
        (_Key(output, 0), (1, 0, 0, 0)),
        (_Key(hidden, "threshold"), 0),
    ):
        losses = []
        for move in (-1e-3, 1e-3):
            moved = {k: v.astype(np.float64) for k, v in parameters.items()}
            moved[key][at] += move
            losses.append(loss(net, moved, images.astype(np.float64), wanted))
        assert found[key][at] == pytest.approx((losses[1] - losses[0]) / 2e-3, rel=1e-3)
    assert found[_Key(hidden, "bias")][0] == 0  # a saturated neuron does not learn by its input


def test_shortcuts_stay_exact() -> None:
    g = graphs.residual()
    net = convert(g, graphs.ann(g).preprocess, graphs.images(g, 48), Options("refined", "level"))
    before = [s.op.weight for p in populations(g) for s in p.synapses if isinstance(s.op, Scale)]
    after = [s.op.weight for x in net.layers for s in x.synapses if isinstance(s.op, Scale)]
    assert before
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_result_does_not_depend_on_the_number_of_cores() -> None:
    g = graphs.residual()
    ann, images, options = (
        graphs.ann(g),
        graphs.images(g, 60),
        Options("refined", "level", levels=4),
    )
    together = convert(g, ann.preprocess, images, options)
    with alone():
        by_itself = convert(g, ann.preprocess, images, options)
    for a, b in zip(together.layers, by_itself.layers, strict=True):
        assert a.bias is None or np.array_equal(a.bias, b.bias)
        for s, t in zip(a.synapses, b.synapses, strict=True):
            assert not hasattr(s.op, "weight") or np.array_equal(s.op.weight, t.op.weight)


def test_more_timesteps_than_images() -> None:
    g = graphs.lenet()
    options = Options("refined", "if", timesteps=300)
    net = convert(g, graphs.ann(g).preprocess, graphs.images(g, 20), options)
    assert all(np.isfinite(layer.amplitude).all() for layer in net.layers)


def test_wants_more_images() -> None:
    g = graphs.lenet()
    assert calibration_size(g, Options("refined")) > calibration_size(g, Options("calibrated"))


@pytest.mark.parametrize("neuron", ["if", "level"])
def test_the_c_is_the_golden_model(neuron) -> None:
    g = graphs.residual()
    images = graphs.images(g, 48)
    net = build(graphs.ann(g), images, Options("refined", neuron, timesteps=6, levels=4))
    assert verify(net, images[:12]).is_equal
