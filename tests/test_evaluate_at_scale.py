"""One result, byte for byte, from any number of processes, and from a cluster that loses one."""

from __future__ import annotations

import os
import shlex
import signal
import tracemalloc
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from snngen import data
from snngen.cli import run as run_command
from snngen.convert import Options
from snngen.errors import DataError
from snngen.evaluate import Evaluation, evaluate_samples
from snngen.pipeline import build
from tests import graphs

pytestmark = pytest.mark.xdist_group("workers")
DEMO = files("snngen") / "demo_data"
COUNT = 500  # 8 shards, the last one smaller


@dataclass(frozen=True)
class Mortal:
    """Samples that kill their reader once, in the middle."""

    samples: data.Samples
    marker: Path

    def __len__(self) -> int:
        return len(self.samples)

    def read(self, start: int, stop: int) -> data.Samples:
        if start == 192 and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.samples.read(start, stop)


def flat(found: Evaluation) -> list[object]:
    assert found.correct is not None and found.agreement is not None
    assert found.likeness is not None
    likeness = found.likeness.hex()
    return [found.images, found.correct.tolist(), found.agreement.tolist(), likeness,
            found.ann_correct, found.layers]  # fmt: skip


def test_whoever_computes_and_whoever_dies(cluster: str, tmp_path: Path) -> None:
    g = graphs.lenet()
    ann = graphs.ann(g)
    net = build(ann, graphs.images(g, 16), Options(timesteps=8))
    images = graphs.images(g, COUNT, seed=2)
    samples = data.Samples(images, ann.classes(images), "drawn")
    expected = flat(evaluate_samples(net, samples, ann=ann, workers=1))
    assert expected[0] == COUNT
    assert flat(evaluate_samples(net, samples, ann=ann)) == expected
    assert flat(evaluate_samples(net, samples, ann=ann, engine="c")) == expected
    assert flat(evaluate_samples(net, samples, ann=ann, engine="c", workers=2)) == expected
    for name, how in {"2": {"workers": 2}, "3": {"workers": 3}, "c": {"cluster": cluster}}.items():
        seen: list[int] = []
        mortal = Mortal(samples, tmp_path / name)
        found = evaluate_samples(net, mortal, ann=ann, progress=seen.append, **how)
        assert flat(found) == expected and mortal.marker.exists(), name
        assert seen == [64, 128, 192, 256, 320, 384, 448, 500]


@dataclass(frozen=True)
class Endless:
    """Samples that are made when they are read: of any number, none of them is held."""

    images: np.ndarray
    count: int

    def __len__(self) -> int:
        return self.count

    def read(self, start: int, stop: int) -> data.Samples:
        images = self.images[np.arange(start, stop) % len(self.images)]
        return data.Samples(images, np.zeros(len(images), np.int64), "endless")


@pytest.mark.parametrize("workers", [None, 1])
def test_memory_does_not_grow_with_the_number_of_samples(workers: int | None) -> None:
    """20 times the samples, the same peak, but for the class of each, a byte, and for how many
    shards threads happen to hold at once; the images alone would take 11 MB.
    """
    g = graphs.lenet()
    net = build(graphs.ann(g), graphs.images(g, 16), Options(neuron="level", levels=3))
    images = graphs.images(g, 100)
    peaks = []
    for count in (4_000, 80_000):
        tracemalloc.start()
        found = evaluate_samples(net, Endless(images, count), workers=workers)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.images == count
    assert peaks[1] - peaks[0] < 2e6 < 76_000 * images[0].nbytes / 5, peaks


def test_a_label_that_names_no_output_is_refused() -> None:
    g = graphs.lenet()
    net = build(graphs.ann(g), graphs.images(g, 16), Options(timesteps=4))
    labels = np.zeros(100, np.int64)
    labels[80] = 5
    samples = data.Samples(graphs.images(g, 100), labels, "drawn")
    with pytest.raises(DataError, match=r"labels must be 0\.\.4"):
        evaluate_samples(net, samples)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("digits.onnx", "digits.npz"):
        (tmp_path / name).write_bytes((DEMO / name).read_bytes())
    return tmp_path


def said(words: str, capsys) -> tuple[int, str, str]:
    code = run_command(shlex.split(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_same_json(folder: Path, capsys, cluster: str) -> None:
    words = "evaluate digits.onnx --data digits.npz --json"
    expected = said(words, capsys)
    assert expected[0] == 0 and expected[2] == ""
    for how in ("--workers 1", "--workers 2", "--workers 3", f"--cluster {cluster}"):
        assert said(f"{words} {how}", capsys) == expected, how


def test_damage_in_the_middle_of_a_source(folder: Path, capsys) -> None:
    with np.load("digits.npz") as digits:
        images = np.concatenate([digits["x_test"]] * 4).astype(np.float32)
    images[300] += 0.5
    np.savez("half.npz", x=images)
    for how in ("", "--workers 2"):
        code, out, err = said(
            f"evaluate digits.onnx --calibrate digits.npz --data half.npz {how}", capsys
        )
        assert (code, out) == (2, "") and "must be whole numbers 0..255" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--workers 0", "option --workers: must be at least 1"),
        ("--workers 2 --cluster tcp://x:1", "option --workers: is for this machine alone"),
        ("--cluster nonsense", "no Dask scheduler answers"),
        ("--resize 0", "option --resize: must be at least 1"),
        ("--crop 1,2,3", "option --crop: must be a number of pixels"),
        ("--crop 5", "--resize and --crop are for image files"),
    ],
)
def test_what_cannot_be_used_is_said(folder: Path, capsys, words: str, message: str) -> None:
    code, out, err = said(f"evaluate digits.onnx --data digits.npz {words}", capsys)
    assert (code, out) == (2, "") and message in err and "Traceback" not in err


def test_without_the_extra_the_way_out_is_said(folder: Path, capsys, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "snngen.workers.dask", None)
    code, out, err = said("evaluate digits.onnx --data digits.npz --cluster tcp://x:1", capsys)
    assert (code, out) == (2, "") and "pip install 'snngen[cluster]'" in err


def test_a_converted_network_reads_resized_images(folder: Path, capsys) -> None:
    from PIL import Image

    said("convert digits.onnx --data digits.npz -o digits.snn", capsys)
    with np.load("digits.npz") as digits:
        for k in range(20):
            Path(f"images/{digits['y_test'][k]}").mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(digits["x_test"][k].reshape(8, 8).astype(np.uint8))
            enlarged = image.resize((16, 24), Image.Resampling.NEAREST)
            enlarged.save(f"images/{digits['y_test'][k]}/{k:02}.png")
    code, out, err = said("evaluate digits.snn --data images --resize 8,8", capsys)
    assert (code, err) == (0, "") and "images   20" in out
    code, out, err = said("evaluate digits.snn --data images --resize 9 --crop 8", capsys)
    assert (code, err) == (0, "") and "images   20" in out
    assert said("evaluate digits.snn --data images", capsys)[0] == 2
