"""The benchmarks' own code, on the demo's network and a few images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.accuracy import FEW, Results, Setting, Subject, run, settings
from bench.accuracy_page import page
from bench.networks import SYNTHETIC, Network
from snngen.convert import METHODS
from snngen.data import Samples
from snngen.pipeline import Normalisation

DEMO = Path(__file__).parents[1] / "snngen/demo_data"


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks are found without a folder of given ones."""
    monkeypatch.setenv("SNNGEN_MODELS", str(DEMO))


@pytest.fixture
def subject() -> Subject:
    """Test images are 100 of the 400."""
    network = Network("digits.onnx", str(DEMO / "digits.npz"), Normalisation(), 98.0)
    made = Subject("digits", network)
    made.test = few(made.test)
    return made


def few(samples: Samples) -> Samples:
    assert samples.labels is not None
    return replace(samples, images=samples.images[:100], labels=samples.labels[:100])


WANTED = [
    Setting("digits", "channel-max", "level", 3),
    Setting("digits", "channel-max", "if", 4),
]


def test_measures_only_what_is_missing(subject: Subject, tmp_path: Path) -> None:
    results = Results.read(tmp_path / "accuracy.json")
    first, second = run({"digits": subject}, WANTED, results)
    assert (first["neuron"], second["neuron"]) == ("level", "if")  # by increasing cost
    for row in (first, second):
        assert row["correct"] > 85
        assert row["equal"]
        assert 0 < row["spikes"] < row["neurons"] * row["length"]
    again = Results.read(tmp_path / "accuracy.json")
    assert again == results
    assert list(run({"digits": subject}, WANTED, again)) == []


def test_measures_anew_what_has_changed(subject: Subject, tmp_path: Path) -> None:
    results = Results.read(tmp_path / "accuracy.json")
    wanted = WANTED[:1]
    (honest,) = run({"digits": subject}, wanted, results)
    key = wanted[0].key
    results.records[key] = honest | {"correct": 0}  # the network is the same: its record stays
    assert list(run({"digits": subject}, wanted, results, again=True)) == [honest | {"correct": 0}]
    results.records[key] = honest | {"correct": 0, "outputs": "those of another network"}
    assert list(run({"digits": subject}, wanted, results, again=True)) == [honest]
    results.records[key] = honest | {"correct": 0, "model": "another"}
    assert list(run({"digits": subject}, wanted, results)) == [honest]


def test_page(subject: Subject, tmp_path: Path) -> None:
    results = Results.read(tmp_path / "accuracy.json")
    (row,) = run({"digits": subject}, WANTED[:1], results)
    refused = row | {"length": 7, "refused": "layer 'x': too large"}
    del refused["correct"], refused["equal"]
    results.add(("digits", "channel-max", "level", 7), refused)
    text = page(results.networks, results.records, ["other", "digits"], ["channel-max"])
    assert f"| channel-max | `level` | {row['correct']:.2f} | - |" in text
    assert "- channel-max, `level` 7: layer 'x': too large" in text
    assert "C = golden: 1 of 1 networks." in text


def test_without_data_the_error_of_the_outputs(tmp_path: Path) -> None:
    network = Network("digits.onnx", SYNTHETIC, Normalisation(), None)
    subject = Subject("digits", network)
    results = Results.read(tmp_path / "accuracy.json")
    wanted = [Setting("digits", "channel-max", "level", n) for n in (3, 255)]
    coarse, fine = run({"digits": subject}, wanted, results)
    assert 0 < fine["error"] < 0.05 < coarse["error"] < 1
    text = page(results.networks, results.records, ["digits"], ["channel-max"])
    assert "1,000 synthetic images" in text
    assert f"| {100 * coarse['error']:.2f} | {100 * fine['error']:.2f} |" in text


def test_what_cannot_be_converted_is_a_record(subject: Subject, tmp_path: Path) -> None:
    results = Results.read(tmp_path / "accuracy.json")
    wanted = [Setting("digits", "channel-max", "level", 0)]
    (row,) = run({"digits": subject}, wanted, results)
    assert "must be 1..255" in row["refused"]


def test_settings_cover_methods_and_neurons(subject: Subject) -> None:
    found = settings({"digits": subject}, METHODS, ["level", "if"])
    methods = {name for name, method in METHODS.items() if not method.quantised}
    assert {setting.method for setting in found} == methods
    few = sum(map(len, FEW["refined"].values()))
    assert len(set(found)) == len(found) == (len(methods) - 1) * (10 + 7) + few
    subject.levels = 5  # as if its activations were quantised
    found = settings({"digits": subject}, METHODS, ["level"])
    quantised = {name for name, method in METHODS.items() if method.quantised}
    assert {(setting.method, setting.length) for setting in found} == {(m, 5) for m in quantised}
