"""`snngen train`: what a recipe trains converts without loss, and is the same whatever happened on
the way.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from snngen.cli import run
from snngen.train import QuantisedReLU
from snngen.train.distillation import relative_error
from snngen.train.recipes import Training, parse
from snngen.train.recipes.watched import watched
from tests.train.recipe_data import write_images

CHECKOUT = Path(__file__).parents[2]
KEPT = ("log.csv", "model.onnx", "recipe.toml", "result.json")
Said = Callable[[str], tuple[int, str, str]]

SMALL = """\
data = "images.npz"
model = "small"
output = "out"
epochs = 3
batch = 30
[optimiser]
rate = 5e-3
"""
EVERYTHING = f"""limit = 150
{SMALL}weight_decay = 1e-4
[augmentation]
shift = 1
flip = true
crop = 7
[quantisation]
activation = "steps"
k = 1
bound = 0
rounding = "stochastic"
weights = 5
[loss]
synops_price = 1e-7
[schedule]
warm_up = 0.5
"""
SCATTER_GATHER = """\
data = "images.npz"
model = "resnet8"
output = "out"
epochs = 2
batch = 30
limit = 120
[quantisation]
activation = "steps"
k = 1
bound = 2
weights = "ternary"
[optimiser]
rate = 5e-3
"""
FLOAT = SMALL.replace('"out"', '"teacher"') + '[quantisation]\nactivation = "relu"\n'


@pytest.fixture
def said(tmp_path: Path, monkeypatch, capfd) -> Said:
    """Runs `snngen train` on a recipe; exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "images.npz")

    def train(recipe: str, *options: str) -> tuple[int, str, str]:
        Path("recipe.toml").write_text(recipe)
        code = run(["train", "recipe.toml", *options])
        return code, *capfd.readouterr()

    return train


def kept(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in KEPT}


def result(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_a_recipe_trains_and_what_it_writes_converts_without_loss(said, tmp_path, capfd) -> None:
    code, out, err = said(SMALL)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "model small: 300 training images, 100 test images, 4 classes, on cpu"
    assert [line.split(":")[0] for line in lines[1:4]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert {*KEPT, "checkpoint.pt"} == {p.name for p in (tmp_path / "out").iterdir()}
    found = result(tmp_path / "out")
    assert found["network"]["method"] == "quantized"
    assert found["agreement_with_cnn"] == [1.0]
    assert found["accuracy"] == [found["cnn_accuracy"]] and found["cnn_accuracy"] > 0.9
    *_, last = (tmp_path / "out" / "log.csv").read_text().splitlines()
    assert float(last.split(",")[4]) == found["cnn_accuracy"], "torch counts as snngen does"
    assert run(["convert", "out/model.onnx", "-o", "alone.snn"]) == 0
    assert "warning" not in capfd.readouterr().err


def test_a_ternary_residual_network_is_one_for_scatter_and_gather(said, tmp_path) -> None:
    code, *_ = said(SCATTER_GATHER, "--limit", "20")
    found = result(tmp_path / "out")
    assert code == 0 and found["images"] == 20 and found["agreement_with_cnn"] == [1.0]
    assert run(["convert", "out/model.onnx", "--method", "scatter-gather", "-o", "a.snn"]) == 0


def test_killed_again_and_again_it_ends_with_the_same_bytes(said, tmp_path) -> None:
    assert said(EVERYTHING)[0] == 0
    undisturbed = kept(tmp_path / "out")
    other = tmp_path / "killed"
    other.mkdir()
    write_images(other / "images.npz")
    (other / "recipe.toml").write_text(EVERYTHING)
    done = subprocess.run(
        [sys.executable, "-m", "tests.train.killed", other],
        cwd=CHECKOUT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) > 6, "it was to die now and then"
    assert kept(other / "out") == undisturbed
    assert not [p for p in (other / "out").iterdir() if p.name.startswith(".")]


def test_the_bound_that_an_epoch_found_is_not_the_next_ones(said, tmp_path) -> None:
    """Neither where it goes on at once, nor where it goes on from a checkpoint."""
    text = f'{SMALL}[quantisation]\nactivation = "steps"\nbound = 0\n'.encode()
    (tmp_path / "out").mkdir()
    training = Training(parse(text, ""), text, "cpu")
    training.epoch()
    again = Training(parse(text, ""), text, "cpu")
    for each in (training, again):
        bounds = [m for m in each.model.modules() if isinstance(m, QuantisedReLU)]
        assert bounds
        for activation in bounds:
            activation.seen.fill_(200)
        each.epoch()
        assert all(0 < activation.seen < 200 for activation in bounds)


@pytest.mark.parametrize("name", ("adam", "adamw", "sgd"))
def test_every_optimiser_goes_on_as_it_was(said, tmp_path, name: str) -> None:
    text = SMALL.replace("rate", f'weight_decay = 1e-3\nname = "{name}"\nrate').encode()
    (tmp_path / "out").mkdir()
    undisturbed = Training(parse(text, ""), text, "cpu")
    undisturbed.epoch()
    again = Training(parse(text, ""), text, "cpu")
    assert again.epoch() == undisturbed.epoch()
    weights = again.model.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in undisturbed.model.state_dict().items())


def test_a_finished_recipe_trains_no_more_and_the_seed_counts(said, tmp_path) -> None:
    said(SMALL)
    before = kept(tmp_path / "out")
    code, out, _ = said(SMALL)
    assert code == 0 and "on cpu, going on after epoch 3" in out and "epoch 1/3" not in out
    assert kept(tmp_path / "out") == before
    said(SMALL.replace('"out"', '"again"').replace("batch", "seed = 2\nbatch"))
    assert kept(tmp_path / "again")["model.onnx"] != before["model.onnx"]


def test_a_price_makes_spikes_fewer_and_so_does_a_target(said, tmp_path) -> None:
    said(SMALL)
    free = result(tmp_path / "out")["synops"]
    for name, loss in (("price", "synops_price = 1e-4"), ("target", f"synops_target = {free:.0f}")):
        said(SMALL.replace('"out"', f'"{name}"') + f"[loss]\n{loss}\n")
        log = (tmp_path / name / "log.csv").read_text().splitlines()
        assert float(log[-1].split(",")[-1]) > 0
    assert result(tmp_path / "price")["synops"] < 0.8 * free


def test_a_student_learns_from_a_float_teacher(said, tmp_path) -> None:
    student = f'{SMALL}[loss]\nteacher = "teacher"\nlabels = 0.25\n'
    assert said(student) == (2, "", (
        "error: [loss] teacher: teacher: no recipe was trained in this folder\n"
        "  hint:  train its recipe first\n"
    ))  # fmt: skip
    assert said(FLOAT)[0] == 0
    assert result(tmp_path / "teacher")["network"]["method"] == "channel-max"
    assert said(student)[0] == 0
    assert result(tmp_path / "out")["accuracy"][0] > 0.5
    other = FLOAT.replace("epochs = 3", "epochs = 4").replace('"teacher"', '"other"')
    assert said(other)[0] == 0
    code, _, err = said(student.replace('"teacher"', '"other"'))
    assert code == 2 and "the training in this folder was begun with another one" in err


def test_a_teacher_may_be_an_onnx_file(said, tmp_path) -> None:
    """Its outputs are those of the recipe that wrote it."""
    assert said(FLOAT)[0] == 0
    for name, teacher in (("by_recipe", "teacher"), ("by_file", "teacher/model.onnx")):
        text = SMALL.replace('"out"', f'"{name}"') + f'[loss]\nteacher = "{teacher}"\n'
        assert said(text)[0] == 0
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("by_recipe", "by_file")]
    assert logs[0] == logs[1]
    code, out, err = said(text.replace("teacher/model", "teacher/none"))
    assert (code, out) == (2, "") and "file 'teacher/none.onnx': cannot be read" in err
    text = text.replace('"by_file"', '"other"').replace('"small"', '"resnet8"')
    code, out, err = said(text)
    assert (code, out) == (2, "")
    assert "error: [loss] teacher: teacher/model.onnx: must have the model's 10" in err


def test_a_student_learns_what_its_teachers_activations_send(said, tmp_path) -> None:
    assert said(FLOAT)[0] == 0
    errors = []
    for weight in (0, 100):
        text = SMALL.replace('"out"', f'"by_{weight}"').replace("epochs = 3", "epochs = 2")
        text += f'[loss]\nteacher = "teacher/model.onnx"\nactivations = {weight}\n'
        assert said(text)[0] == 0
        training = Training(parse(text.encode(), ""), text.encode(), "cpu")
        assert not any(m._forward_hooks for m in training.model.modules())
        x = training.test.images.float() / 255
        with torch.no_grad(), watched(training.model) as sent:
            training.model(x)
        with torch.no_grad(), watched(training._teacher) as wanted:
            training._teacher(x)
        assert list(sent) == list(wanted) == ["1", "4"]
        errors.append(sum(float(relative_error(v, wanted[k])) for k, v in sent.items()))
    assert errors[0] > 1.2 * errors[1]
    code, out, err = said(text.replace('"small"', '"resnet8"').replace("/model.onnx", ""))
    assert (code, out) == (2, "")
    assert "error: [loss] activations: needs a teacher of the same model\n" in err


def test_teachers_that_do_not_fit_are_refused(said, tmp_path) -> None:
    assert said(FLOAT)[0] == 0
    student = f'{SMALL}[loss]\nteacher = "teacher"\n'
    rule = "was trained on other windows\n  found: crop 0, here 6\n  hint:  make [augmentation]"
    assert rule in said(f"{student}[augmentation]\ncrop = 6\n")[2]
    write_images(tmp_path / "images.npz", classes=3)
    assert "was trained on images of another shape, or other classes" in said(student)[2]
    recipe = tmp_path / "teacher" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("epochs = 3", "epochs = 9"))
    assert "is not trained to its end\n  found: 3 of 9 epochs" in said(student)[2]


def test_what_was_begun_otherwise_is_refused_and_all_of_it_named(said, tmp_path) -> None:
    said(SMALL)
    before = kept(tmp_path / "out")
    write_images(tmp_path / "images.npz", seed=9)
    code, _, err = said(SMALL.replace("5e-3", "6e-3").replace("epochs = 3", "epochs = 4"))
    assert code == 2 and err.count("error:") == 3
    assert "error: out: epochs: the training in this folder was begun with another one\n" in err
    assert "  found: 3, now 4\n  hint:  choose another output, or remove out\n" in err
    assert "error: out: [optimiser] rate:" in err and "  found: 0.005, now 0.006\n" in err
    assert "error: out: data's content:" in err
    assert kept(tmp_path / "out") == before


def test_nobody_elses_folder_is_written_to(said, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.onnx").write_text("precious")
    code, _, err = said(SMALL)
    assert code == 2 and "out: holds files, and no training that could go on" in err
    assert "  found: model.onnx\n  hint:  choose another output\n" in err
    assert (tmp_path / "out" / "model.onnx").read_text() == "precious"


def test_one_process_at_a_time(said, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    descriptor = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    code, _, err = said(SMALL)
    os.close(descriptor)
    assert code == 2 and "error: out: is in use by another snngen train" in err


@pytest.mark.parametrize("at", (0, 1000, -1))
def test_a_changed_bit_of_the_checkpoint_is_found(said, tmp_path, at: int) -> None:
    said(SMALL)
    path = tmp_path / "out" / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    code, _, err = said(SMALL)
    assert code == 2 and "checkpoint.pt: the checkpoint is damaged\n  hint:  remove" in err


def test_a_loss_that_is_no_number_stops_it(said, tmp_path) -> None:
    wild = SMALL.replace("rate = 5e-3", 'name = "sgd"\nrate = 1e38')
    code, _, err = said(wild)
    assert code == 2 and "error: epoch 1: the loss is no number any more\n  found: nan" in err
    assert "hint:  make rate smaller, or warm_up longer" in err
    assert not (tmp_path / "out" / "model.onnx").exists()


def broken_data(folder: Path) -> dict[str, tuple[str, str]]:
    """Recipes whose data do not fit them, and what is said."""
    images, labels = np.zeros((40, 8, 8), np.uint8), np.arange(40) % 4
    np.savez(folder / "one.npz", x=images, y=labels)
    np.savez(folder / "no_labels.npz", x_train=images, x_test=images)
    np.savez(folder / "more.npz", x_train=images, x_test=images, y_train=labels, y_test=labels + 1)
    np.savez(folder / "flat.npz", x_train=labels, x_test=labels, y_train=labels, y_test=labels)
    both = SMALL.replace("images.npz", "{}")
    return {
        "one part": (both.format("one.npz"), "does not tell training from test images"),
        "no labels": (both.format("no_labels.npz"), "training needs labels"),
        "more classes": (both.format("more.npz"), "labels must be 0..3"),
        "no images": (both.format("flat.npz"), "must hold images\n  found: samples of single"),
        "a split": (both.format("mnist:train"), "must be a published data set, whole, or an .npz"),
        "no file": (both.format("none.npz"), "none.npz: cannot be read"),
        "batch": (SMALL.replace("= 30", "= 301"), "must be at most the 300 training images"),
        "crop": (SMALL + "[augmentation]\ncrop = 9\n", "crop: must lie within the image"),
        "size": (SMALL.replace('"small"', '"vgg16"'), "images of 1x8x8 (channels, height, width) "
                 "do not fit 'vgg16'"),
    }  # fmt: skip


def test_data_that_do_not_fit_are_refused(said, tmp_path) -> None:
    for name, (recipe, rule) in broken_data(tmp_path).items():
        code, out, err = said(recipe)
        assert (code, out) == (2, "") and rule in err, name
        assert not list((tmp_path / "out").glob("*")), name


def test_all_in_which_a_recipe_does_not_fit_its_data_is_said_at_once(said) -> None:
    recipe = SMALL.replace("= 30", "= 301").replace('"small"', '"vgg16"')
    code, _, err = said(recipe + '[loss]\nteacher = "nobody"\n')
    places = [line.split(":")[1] for line in err.splitlines() if line.startswith("error")]
    assert (code, places) == (2, [" batch", " model", " [loss] teacher"])


def test_options_that_are_none(said) -> None:
    assert "option --engine: must be golden or c\n  found: gpu" in said(SMALL, "--engine", "gpu")[2]
    code, _, err = said(SMALL, "--device", "tpu")
    assert code == 2 and "option --device: must be one of auto, cpu" in err


def test_without_torch_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(SMALL)
    code = (
        "import sys; sys.modules['torch'] = None; from snngen.cli import run; "
        "sys.exit(run(['train', 'recipe.toml']))"
    )
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: snngen.train: needs PyTorch\n  hint:  pip install snngen[train]\n"
    )
