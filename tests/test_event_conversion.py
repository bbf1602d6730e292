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
from snngen.neurons import IF, Accumulate
from snngen.pipeline import build
from snngen.simulate import simulate
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
