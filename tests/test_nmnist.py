"""N-MNIST from its recordings to C: the network of the NIR paper, which others trained on event
counts of thirds of recordings.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from snngen import data, fixed_file, golden
from snngen.cli import run
from snngen.data import Binning, Fitting
from snngen.evaluate import evaluate
from snngen.fixed import FixedNet
from snngen.simulate import simulate
from snngen.verify import verify
from tests.traces import assert_same_traces

MODEL = "nmnist/nir_nmnist_ann.onnx"
BINS = "20x5ms"


def printed(capsys, *words: str) -> str:
    """What a command prints that succeeds."""
    capsys.readouterr()
    assert run(list(words)) == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def net(data_dir: Path, models_dir: Path, tmp_path_factory) -> FixedNet:
    """Converted for streams of the first 100 ms of recordings."""
    path = tmp_path_factory.mktemp("nmnist") / "n.snn"
    model = str(models_dir / MODEL)
    words = ["--coding", "events", "--data", "nmnist", "--bins", BINS, "--scale", "1"]
    assert run(["convert", model, *words, "-o", str(path)]) == 0
    return fixed_file.load(path)


def streams(limit: int, bins: Binning) -> data.Samples:
    fitting = Fitting(bins=bins)
    return data.load("nmnist", (2, 34, 34), limit=limit, coding="events", fitting=fitting)


def test_thirds_of_recordings(data_dir: Path, models_dir: Path, capsys) -> None:
    """97.67 % is what the CNN was measured at, 293 of 300 frames."""
    words = ["--data", "nmnist", "--bins", "3", "--scale", "1", "--engine", "c", "--json"]
    found = json.loads(printed(capsys, "evaluate", str(models_dir / MODEL), *words))
    assert (found["images"], round(300 * found["cnn_accuracy"])) == (300, 293)
    assert abs(round(300 * found["accuracy"][-1]) - 293) <= 2


def test_the_bins_are_the_timesteps(net: FixedNet) -> None:
    assert net.is_stream and net.timesteps == 20 and net.input.shape == (2, 34, 34)


def test_simulated_as_specified(net: FixedNet) -> None:
    bins = streams(1, Binning(4, events=60)).images
    assert_same_traces(golden.trace(net, bins), simulate(net, bins, trace=True).trace)


@pytest.mark.parametrize(
    "bins", [Binning(20, duration=5000), Binning(9), Binning(12, events=100)], ids=str
)
def test_compiled_it_is_equal(net: FixedNet, bins: Binning, require) -> None:
    require("cc")
    found = verify(net, streams(6, bins).images, full_trace_images=3)
    assert found.is_equal and found.traced_images == 3, str(found)


def test_the_classes_of_streams(net: FixedNet, require) -> None:
    require("cc")
    test = streams(100, Binning(20, duration=5000))
    found = evaluate(net, test.images, test.labels, engine="c")
    assert found.correct is not None and found.correct[-1] == 97
    same = evaluate(net, test.images[:8], test.labels[:8])
    np.testing.assert_array_equal(same.classes, found.classes[:8])
