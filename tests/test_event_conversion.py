"""From a CNN of accumulated events to a network that reads them bin by bin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snngen import data
from snngen.cli import run
from snngen.convert import Options
from snngen.data import over_time
from snngen.errors import ConversionError, DataError
from snngen.evaluate import Ann, evaluate
from snngen.graph import Staircase, forward
from snngen.neurons import IF, Accumulate
from snngen.pipeline import build
from snngen.simulate import simulate
from snngen.spiking import Preprocess
from snngen.verify import verify
from tests import graphs

STEPS = 12
EVENTS = Options("channel-max", timesteps=STEPS, coding="events")


def streams(count: int = 24) -> tuple[Ann, np.ndarray]:
    """A CNN, and what its images are as events."""
    g = graphs.lenet()
    return graphs.ann(g), over_time(graphs.images(g, count), STEPS)


def test_events_of_images_add_up_to_them() -> None:
    images = data.synthetic((2, 5, 4), 3)
    for steps in (1, 7, 300):
        bins = over_time(images, steps)
        assert bins.shape == (3, steps, 2, 5, 4)
        np.testing.assert_array_equal(bins.sum(1), images)
        assert bins.max() <= -(-int(images.max()) // steps)


@pytest.mark.parametrize("method", ["channel-max", "layer-max"])
def test_a_stream_does_what_the_cnn_does_with_all_events(method: str) -> None:
    ann, bins = streams()
    net = build(ann, bins, replace(EVENTS, method=method))
    assert net.is_stream and net.timesteps == STEPS
    found = evaluate(net, bins, ann=ann)
    assert found.agreement is not None and found.likeness is not None
    assert found.agreement[-1] >= 20 and found.likeness > 0.9
    assert found.macs == 0 and found.synops > 0
    outputs = simulate(net, bins).outputs[:, -1] * net.output_scale
    assert abs(outputs - ann.outputs(bins)).mean() < 0.3 * abs(ann.outputs(bins)).mean()


def test_engines_agree_on_streams_of_any_length() -> None:
    ann, bins = streams(5)
    net = build(ann, bins, EVENTS)
    longer = np.concatenate([bins, bins[::-1]], axis=1)
    golden, c = (evaluate(net, longer, np.arange(5) % 3, engine=e) for e in ("golden", "c"))
    np.testing.assert_array_equal(golden.classes, c.classes)
    assert golden.correct is not None and golden.correct.shape == (2 * STEPS,)
    np.testing.assert_array_equal(golden.correct, c.correct)
    assert golden.layers == c.layers


def test_every_state_has_its_clamp() -> None:
    ann, bins = streams()
    for layer in build(ann, bins, EVENTS).layers:
        match layer.neuron:
            case IF() as neuron:
                assert neuron.v_min is not None and neuron.v_max is not None
                np.testing.assert_allclose(neuron.v_max, STEPS * neuron.threshold, rtol=0.1)
                np.testing.assert_array_equal(neuron.v_min, -neuron.v_max)
            case Accumulate(limit):
                assert limit == 2**30


def test_thresholds_do_not_depend_on_how_events_bunch() -> None:
    """All of a recording in one timestep is the same rate."""
    ann, bins = streams()
    bunched = np.zeros_like(bins)
    bunched[:, 3] = bins.sum(1)
    first, second = (build(ann, b, replace(EVENTS, percentile=100.0)) for b in (bins, bunched))
    a, b = first.layers[0].neuron, second.layers[0].neuron
    assert isinstance(a, IF) and isinstance(b, IF)
    np.testing.assert_allclose(a.threshold, b.threshold, rtol=1e-3, atol=1)


def excited(steps: int, first: float) -> Ann:
    """A layer of whole weights of at least 0 and so many steps of 0.73, and a dense layer."""
    rng = np.random.default_rng(2)
    conv, linear = graphs.conv(3, 2, 3, 0), graphs.linear(4, (3, 4, 3), 1)
    stairs = Staircase(0.73 * (np.arange(steps) + first)[None], np.array([0.73]))
    g = graphs.graph(
        (2, 6, 5),
        ("conv", replace(conv, weight=0.1 * rng.integers(0, 4, conv.weight.shape)), ["input"]),
        ("quant", stairs, ["conv"]),
        ("fc", replace(linear, weight=0.3 * rng.integers(-9, 9, linear.weight.shape)), ["quant"]),
        bias=False,
    )
    return Ann(g, Preprocess(np.ones(2), np.zeros(2)))


@pytest.mark.parametrize("first", [1.0, 0.5], ids=["down", "nearest"])
@pytest.mark.parametrize("steps", [9, STEPS, 40])
def test_quantised_neurons_send_their_activation(steps: int, first: float) -> None:
    """Once a recording is over and they had the time, where nothing inhibits them."""
    ann = excited(steps, first)
    rng = np.random.default_rng(1)
    bins = (rng.random((20, STEPS, 2, 6, 5)) < rng.random((20, 1, 1, 1, 1)) / 8).astype(np.uint8)
    quiet = np.concatenate([bins, np.zeros((20, 3 * steps, 2, 6, 5), np.uint8)], axis=1)
    net = build(ann, bins, replace(EVENTS, method="quantized"))
    neuron = net.layers[0].neuron
    assert isinstance(neuron, IF) and neuron.v_max is not None
    np.testing.assert_allclose(neuron.v_max, STEPS * neuron.threshold, rtol=0.01)
    seen = ann.preprocess.apply(bins.sum(1))
    levels = np.rint(forward(replace(ann.graph, output="quant"), seen)["quant"] / 0.73)
    assert levels.max() < steps and len(np.unique(levels)) > 4, "below the bound they are exact"
    done = simulate(net, quiet)
    if steps <= STEPS:
        np.testing.assert_array_equal(done.spikes["conv"], levels)
        outputs = done.outputs[:, -1] * net.output_scale
        np.testing.assert_allclose(outputs, ann.outputs(bins), rtol=0.01, atol=0.05)
    else:
        worth = steps / STEPS
        np.testing.assert_allclose(done.spikes["conv"] * worth, levels, atol=worth)


def test_a_quantised_stream_is_equal_in_c() -> None:
    ann = excited(6, 0.5)
    bins = data.noisy_streams((4, 30, 2, 6, 5))
    net = build(ann, bins[:, :STEPS], replace(EVENTS, method="quantized", neuron="auto"))
    assert net.is_stream and verify(net, bins).is_equal


def test_quantisers_that_no_stream_can_have() -> None:
    ann, some = excited(6, 0.5), data.noisy_streams((2, STEPS, 2, 6, 5))
    signed = Staircase(0.7 * np.arange(-3.5, 4)[None], np.array([0.7]), -4)
    cases = {"conv": ("quant", "steps that count from 0"), "input": ("in", "quantises the input")}
    for source, (name, message) in cases.items():
        nodes = [("quant" if n.name == name else n.name, n.op, n.inputs) for n in ann.graph.nodes]
        if source == "input":
            nodes = [("in", signed, ("input",)), ("conv", nodes[0][1], ("in",)), *nodes[1:]]
        else:
            nodes[1] = ("quant", signed, ("conv",))
        g = graphs.graph((2, 6, 5), *nodes, bias=False)
        with pytest.raises(ConversionError, match=message):
            build(Ann(g, ann.preprocess), some, replace(EVENTS, method="quantized"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (replace(EVENTS, neuron="level"), "--neuron: must be if for streams"),
        (replace(EVENTS, method="calibrated"), "--coding: is not read by method calibrated"),
        (replace(EVENTS, method="ecc"), "--coding: is not read by method ecc"),
        (replace(EVENTS, coding="bins"), "--coding: must be direct or events"),
    ],
)
def test_what_streams_cannot_have_is_refused(options: Options, message: str) -> None:
    ann, bins = streams(2)
    with pytest.raises(ConversionError, match=message):
        build(ann, bins, options)


def test_a_model_that_sees_something_where_no_event_is_is_refused() -> None:
    ann, bins = streams(2)
    shifted = replace(ann, preprocess=replace(ann.preprocess, offset=np.ones(1)))
    with pytest.raises(ConversionError, match="where no event is, the model must see 0"):
        build(shifted, bins, EVENTS)


def test_streams_are_read_from_arrays(tmp_path: Path) -> None:
    bins = over_time(data.synthetic((2, 6, 5), 4), 3)
    for name, values in (("chw", bins), ("hwc", np.moveaxis(bins, 2, -1))):
        np.savez(tmp_path / f"{name}.npz", x=values, y=np.arange(4))
        read = data.load(str(tmp_path / f"{name}.npz"), (2, 6, 5), coding="events")
        np.testing.assert_array_equal(read.images, bins)
    np.savez(tmp_path / "flat.npz", x=bins.reshape(12, 2, 6, 5))
    with pytest.raises(DataError, match="a stream has the axes timesteps, channels"):
        data.load(str(tmp_path / "flat.npz"), (2, 6, 5), coding="events")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("convert digits.onnx --data events.npz --coding events", "add --timesteps 5"),
        ("convert digits.onnx --data digits.npz --coding events", "a stream has the axes"),
        (
            "convert digits.onnx --data events.npz --coding events --timesteps 5 --mean 0.5",
            "leave out --mean",
        ),
        ("doctor digits.onnx --data events.npz --coding events", "compared on images"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    arguments: str, message: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    demo = Path(__file__).parent.parent / "snngen" / "demo_data"
    for name in ("digits.onnx", "digits.npz"):
        (tmp_path / name).write_bytes((demo / name).read_bytes())
    with np.load(demo / "digits.npz") as digits:
        events = {k: over_time(v[:9, None], 5) for k, v in digits.items() if k.startswith("x")}
    np.savez(tmp_path / "events.npz", **events)
    monkeypatch.chdir(tmp_path)
    assert run(arguments.split()) == 2
    assert message in capsys.readouterr().err
