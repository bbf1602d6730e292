"""What a recipe may say: everything that is wrong with it is named at once, with the way out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snngen.errors import RecipeError
from snngen.train.recipes.models import MODELS
from snngen.train.recipes.schema import Quantisation, Recipe, parse

NEEDED = 'data = "mnist"\nmodel = "resnet8"\noutput = "out"\nepochs = 10\n'

BROKEN = {  # what is added to NEEDED, and what is said of it, without "error: r.toml: "
    "batch = 0": "batch: must be a whole number, 1 to 65536\n  found: 0",
    "batch = 2.0": "batch: must be a whole number, 1 to 65536\n  found: 2.0",
    "batch = true": "batch: must be a whole number, 1 to 65536\n  found: True",
    "limit = 0": "limit: must be a whole number, 1 to 1000000000\n  found: 0",
    "seed = -1": "seed: must be a whole number, 0 to 9223372036854775807\n  found: -1",
    "threads = 0": "threads: must be a whole number, 1 to 256\n  found: 0",
    "bach = 3": "bach: there is no such key\n  hint:  did you mean batch?",
    "[optimizer]\nrate = 1": "optimizer: there is no such key\n  hint:  did you mean optimiser?",
    "loss = 3": "loss: must be a table: a line [loss] and keys below it\n  found: 3",
    "[optimiser]\nxyz = 1": "[optimiser] xyz: there is no such key\n"
    "  hint:  one of name, rate, weight_decay, momentum",
    '[optimiser]\nname = "lion"': '[optimiser] name: must be one of "adam", "adamw", "sgd"\n'
    "  found: 'lion'",
    "[optimiser]\nrate = 0": "[optimiser] rate: must be a number above 0\n  found: 0",
    "[optimiser]\nrate = nan": "[optimiser] rate: must be a number above 0\n  found: nan",
    "[optimiser]\nweight_decay = -1": "[optimiser] weight_decay: must be a number at least 0\n"
    "  found: -1",
    "[optimiser]\nmomentum = 0.9": "[optimiser] momentum: applies to name sgd only\n"
    "  found: name = 'adam'\n  hint:  set name = \"sgd\", or leave it out",
    '[augmentation]\nflip = "yes"': "[augmentation] flip: must be true or false\n  found: 'yes'",
    "[augmentation]\nshift = 65": "[augmentation] shift: must be a whole number, 0 to 64\n"
    "  found: 65",
    '[quantisation]\nweights = "binary"': '[quantisation] weights: must be "ternary", "real" or '
    "a whole number, 2 to 8\n  found: 'binary'",
    "[quantisation]\nweights = 9": '[quantisation] weights: must be "ternary", "real" or '
    "a whole number, 2 to 8\n  found: 9",
    "[quantisation]\nk = 1": "[quantisation] k: applies to activation steps only\n"
    "  found: activation = 'qcfs'\n  hint:  set activation = \"steps\", or leave it out",
    '[quantisation]\nactivation = "steps"\nlevels = 4': "[quantisation] levels: applies to "
    "activation qcfs only\n  found: activation = 'steps'\n"
    '  hint:  set activation = "qcfs", or leave it out',
    '[quantisation]\nactivation = "steps"\nk = 7\nbound = 2': "[quantisation] bound: there may be "
    "255 levels, 2^k * bound, at most\n  found: 256\n  hint:  make k or bound smaller",
    '[quantisation]\nweights = "real"\nends = 8': "[quantisation] ends: applies to quantised "
    "weights only\n  found: 8\n  hint:  leave it out, or weights",
    "[loss]\nsynops_price = 1\nsynops_target = 2": "[loss] synops_target: there is a price or a "
    "target, not both\n  found: 2\n  hint:  leave one out",
    "[loss]\nactivations = 2": "[loss] activations: applies beside a teacher only\n"
    "  found: 2.0\n  hint:  set teacher, or leave it out",
    "[loss]\nlabels = 0.5": "[loss] labels: applies beside a teacher only\n  found: 0.5\n"
    "  hint:  set teacher, or leave it out",
    '[loss]\nteacher = "./out"': "[loss] teacher: must not be the output itself\n  found: ./out\n"
    "  hint:  name the folder of another recipe",
    '[loss]\nteacher = "t"\nlabels = 1.5': "[loss] labels: must be a number at least 0, at most 1\n"
    "  found: 1.5",
    "[schedule]\nwarm_up = 10": "[schedule] warm_up: must be less than the 10 epochs\n"
    "  found: 10\n  hint:  make it shorter",
    '[schedule]\nname = "steps"': "[schedule] at: is missing\n"
    "  hint:  the epochs after which the rate falls",
    '[schedule]\nname = "steps"\nat = [5, 5]': "[schedule] at: must be a list of numbers above 0 "
    "that rise, for example [100, 150]\n  found: [5, 5]",
    '[schedule]\nname = "steps"\nat = [5, 10]': "[schedule] at: must be less than the 10 epochs\n"
    "  found: 10\n  hint:  leave it out",
    "[schedule]\nat = [5]": "[schedule] at: applies to name steps only\n  found: name = 'cosine'\n"
    '  hint:  set name = "steps", or leave it out',
}


def said(text: str) -> list[str]:
    """The problems of a recipe, each as it is printed."""
    with pytest.raises(RecipeError) as caught:
        parse(text.encode(), "r.toml")
    return [str(problem).removeprefix("r.toml: ") for problem in caught.value.problems]


@pytest.mark.parametrize("addition", BROKEN)
def test_what_is_said_of_a_broken_rule(addition: str) -> None:
    found = said(NEEDED + addition)
    assert BROKEN[addition] in found
    missing = [text for text in found if "at: is missing" in text]
    assert len(found) - len(missing) <= 1 or BROKEN[addition] in missing, "the rest is right"


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert said(
        'data = 3\nepoch = 5\nmodel = "lenet"\n'
        '[quantisation]\nweights = "ternary"\nactivation = "relu"\n[loss]\nsynops_price = 1e-6\n'
    ) == [
        "epoch: there is no such key\n  hint:  did you mean epochs?",
        "data: must be a published data set or an .npz file, in quotes\n  found: 3",
        "output: is missing; it must be a folder, in quotes\n  hint:  for what comes of it",
        "epochs: is missing; it must be a whole number, 1 to 100000\n"
        "  hint:  through the training images",
        "[quantisation] weights: ternary weights need a model with batch norms, which give them a "
        "scale\n  found: model lenet\n"
        "  hint:  one of scatter-gather-lenet, scatter-gather-vgg, scatter-gather-vgg-half, vgg16, "
        "resnet8, resnet20, mlperf-resnet8",
        "[loss] synops_price: counts spikes, which activation relu has none of\n"
        "  hint:  use activation qcfs or steps",
    ]


def test_an_unknown_model_is_answered_with_all_that_there_are() -> None:
    (text,) = said(NEEDED.replace("resnet8", "resnet18"))
    assert all(f'"{name}"' in text for name in MODELS) and "found: 'resnet18'" in text


@pytest.mark.parametrize(
    "content",
    (b"epochs = ", b"epochs = 1\nepochs = 2", b"\xff\xfe", b"a = " + b"[" * 30_000, b"\x00"),
)
def test_what_is_no_toml(content: bytes) -> None:
    with pytest.raises(RecipeError, match=r"^r\.toml: not a TOML file\n  found: "):
        parse(content, "r.toml")


def test_defaults_and_what_follows_from_what() -> None:
    recipe = parse(NEEDED.encode(), "r.toml")
    assert recipe == Recipe("mnist", "resnet8", "out", 10, quantisation=Quantisation(
        weights=8, ends=8
    ))  # fmt: skip
    for given, weights, ends in (
        ("weights = 5", 5, 5),
        ("weights = 5\nends = 7", 5, 7),
        ('weights = "ternary"', "ternary", 8),
        ('activation = "relu"', "real", 8),
        ('activation = "relu"\nweights = 4', 4, 4),
    ):
        found = parse(f"{NEEDED}[quantisation]\n{given}".encode(), "").quantisation
        assert (found.weights, found.ends) == (weights, ends)


def test_numbers_are_read_as_the_same_however_they_are_written() -> None:
    one, other = (
        parse(f"{NEEDED}[optimiser]\nrate = {rate}".encode(), "") for rate in ("1", "1.0")
    )
    assert str(one) == str(other) and replace(one) == other
