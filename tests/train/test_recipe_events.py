"""Recipes whose data are recordings of events."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from snngen.cli import run
from snngen.train.recipes import parse
from snngen.train.recipes.assembly import parts_of
from snngen.train.recipes.material import read_material
from snngen.train.recipes.models import build
from snngen.train.recipes.schema import Quantisation

SENSOR = (20, 18)
RECIPE = """\
data = "events.npz"
model = "small"
output = "out"
epochs = 3
batch = 30
scale = 1
[events]
bins = "2x50ms"
crop = 16
shrink = 2
[optimiser]
rate = 5e-3
"""
NMNIST = """\
data = "nmnist"
model = "sorbaro-events"
output = "out"
epochs = 3
batch = 20
scale = 1
[events]
bins = "1x100ms"
polarities = 1
[quantisation]
activation = "steps"
bound = 0
rounding = "down"
[loss]
synops_target = 200_000
[optimiser]
rate = 5e-3
"""


def write_recordings(path: Path, count: int = 200, **more: object) -> dict[str, np.ndarray]:
    """Each has 60 events in one of four quarters, and 20 anywhere, in 100 ms; every fourth is for
    testing.
    """
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, count)
    height, width = SENSOR
    there = np.arange(80) < 60
    top, left = labels // 2 * height // 2, labels % 2 * width // 2
    y = np.where(there, top[:, None] + rng.integers(0, 10, (count, 80)), rng.integers(0, 20, 80))
    x = np.where(there, left[:, None] + rng.integers(0, 9, (count, 80)), rng.integers(0, 18, 80))
    t = np.sort(rng.integers(0, 10**5, (count, 80)))
    arrays = {
        "x": x.ravel(),
        "y": y.ravel(),
        "p": rng.integers(0, 2, count * 80),
        "t": t.ravel(),
        "offset": np.arange(count + 1) * 80,
        "label": labels,
        "is_test": np.arange(count) % 4 == 0,
        "sensor": np.array(SENSOR),
    }
    np.savez(path, **(arrays | more))
    return arrays


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(folder: Path, recipe: str) -> dict:
    """What came of a recipe that trains."""
    (folder / "recipe.toml").write_text(recipe)
    assert run(["train", "recipe.toml"]) == 0
    return json.loads((folder / "out" / "result.json").read_text())


def test_bins_are_images(here: Path) -> None:
    """Counted one by one."""
    made = write_recordings(here / "events.npz")
    material = read_material(parse(RECIPE.encode(), ""))
    assert material.shape == (2, 8, 8) and material.classes == 4
    assert (len(material.train), len(material.test)) == (300, 100)
    expected = np.zeros((2, 2, 8, 8), int)
    for k in range(80):  # of the first test recording
        y, x = made["y"][k] - 2, made["x"][k] - 1
        step = (made["t"][k] - made["t"][0]) // 50_000
        if 0 <= y < 16 and 0 <= x < 16:
            expected[step, made["p"][k], y // 2, x // 2] += 1
    np.testing.assert_array_equal(material.test.images[:2].numpy(), expected)
    assert material.test.labels[:2].tolist() == [made["label"][0]] * 2


def test_what_is_trained_on_events_converts_without_loss(here: Path) -> None:
    write_recordings(here / "events.npz")
    found = trained(here, RECIPE)
    assert found["images"] == 100 and found["agreement_with_cnn"] == [1.0]
    assert found["accuracy"][0] == found["cnn_accuracy"] > 0.9
    words = "--data events.npz --bins 2x50ms --crop 16 --shrink 2 --scale 1 --json"
    assert run(["evaluate", "out/model.onnx", *words.split()]) == 0


def test_a_short_training_on_nmnist(here: Path, data_dir: Path) -> None:
    """Ten digits; chance is 10 %."""
    found = trained(here, NMNIST)
    assert found["images"] == 100 and found["agreement_with_cnn"] == [1.0]
    assert found["accuracy"][0] == found["cnn_accuracy"] > 0.3


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        (("", ""), {"is_test": None}, "does not tell training from test images"),
        (("", ""), {"sensor": None}, "does not say how large the sensor is"),
        (("crop = 16", "crop = 19"), {}, "smaller than the 19 x 19"),
        (("shrink = 2", "shrink = 3"), {}, "must be multiples of 3"),
        (("2x50ms", "2x50min"), {}, "[events] bins: must be bins as of --bins"),
        (("events.npz", "images.npz"), {}, "[events]: applies to recordings of events only"),
    ],
)
def test_what_does_not_fit_is_said(here: Path, change, more: dict, message: str, capsys) -> None:
    made = write_recordings(here / "all.npz")
    kept = {name: values for name, values in made.items() if name not in more}
    np.savez(here / "events.npz", **kept)
    images = np.zeros((40, 8, 8), np.uint8)
    np.savez(here / "images.npz", x_train=images, y_train=np.arange(40) % 4,
             x_test=images, y_test=np.arange(40) % 4)  # fmt: skip
    (here / "recipe.toml").write_text(RECIPE.replace(*change))
    assert run(["train", "recipe.toml"]) == 2
    assert message in capsys.readouterr().err


def test_the_network_for_events_is_the_papers() -> None:
    """432 values of a frame of 64x64 reach the dense layer; nothing has a bias."""
    model = build("sorbaro-events", parts_of(Quantisation(weights=8, ends=8)), (1, 64, 64), 10)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == [
        (8, 1, 3, 3), (12, 8, 3, 3), (12, 12, 3, 3), (10, 432)
    ]  # fmt: skip
    assert all(layer.bias is None for layer in layers)
    assert model.eval()(torch.zeros(1, 1, 64, 64)).abs().sum() == 0
