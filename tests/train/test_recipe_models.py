"""The parts that a recipe is made of: models, augmentation, the rate over the epochs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from snngen.train.recipes import models
from snngen.train.recipes.assembly import parts_of
from snngen.train.recipes.material import augmented
from snngen.train.recipes.schema import Augmentation, Quantisation, Schedule
from snngen.train.recipes.training import rate_at
from tests.train.nets import Case
from tests.train.test_export import differences

TERNARY = Quantisation("steps", k=1, bound=2, weights="ternary", ends=8)
QCFS = Quantisation(weights=8, ends=8)
FEW = Quantisation(levels=4, weights=4, ends=4)
MIXED = Quantisation(levels=4, weights="ternary", ends=8)
FINE = Quantisation("steps", k=5, bound=4, weights=8, ends=8)
CASES = [  # model, quantisation, image, crop
    ("small", QCFS, (1, 8, 8), 0),
    ("lenet", QCFS, (1, 20, 20), 0),
    ("paper2-mnist", QCFS, (1, 20, 20), 0),
    ("sorbaro-events", FINE, (2, 34, 34), 0),
    ("resnet8", QCFS, (3, 9, 8), 0),
    ("resnet8", TERNARY, (3, 12, 12), 9),
    ("mlperf-resnet8", FEW, (3, 12, 12), 0),
    ("mlperf-resnet8", MIXED, (3, 8, 12), 0),
    pytest.param("sorbaro-cifar10", FINE, (3, 12, 12), 0, marks=pytest.mark.slow),
    pytest.param("scatter-gather-lenet", TERNARY, (1, 28, 28), 0, marks=pytest.mark.slow),
    pytest.param("resnet20", TERNARY, (3, 9, 8), 0, marks=pytest.mark.slow),
    pytest.param("resnet20", QCFS, (3, 9, 8), 0, marks=pytest.mark.slow),
    pytest.param("vgg16", TERNARY, (3, 32, 32), 0, marks=pytest.mark.slow),
    pytest.param("scatter-gather-vgg", TERNARY, (3, 32, 32), 24, marks=pytest.mark.slow),
]


def built(name: str, how: Quantisation, shape: tuple[int, ...], crop: int) -> nn.Module:
    torch.manual_seed(2)
    return models.build(name, parts_of(how), shape, 10, crop)


@pytest.mark.parametrize(("name", "how", "shape", "crop"), CASES)
def test_no_level_of_any_layer_differs(name, how, shape, crop, tmp_path) -> None:
    """From what torch computes."""
    model = built(name, how, shape, crop)
    images = np.random.default_rng(1).integers(0, 256, (8, *shape), np.uint8)
    for _ in range(20):
        with torch.no_grad():
            model.train()(Case(model, images).inputs)  # batch norms get to know what is usual
    case = Case(model.eval(), images[:2])
    assert all(level.any() for level in case.levels()[:-1]), "a dead layer shows nothing"
    method = "scatter-gather" if how is TERNARY else "quantized"
    assert differences(case, case.converted(method, tmp_path)) == 0


def sizes(name: str, shape: tuple[int, ...], crop: int) -> list[tuple[int, int]]:
    """Neurons and multiply-accumulates of each layer with weights."""
    found: list[tuple[int, int]] = []

    def count(layer: nn.Conv2d | nn.Linear, _: object, out: torch.Tensor) -> None:
        found.append((out.numel(), out.numel() * layer.weight[0].numel()))

    model = built(name, TERNARY, shape, crop).eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, *shape))
    return found


def test_the_published_lenet_has_the_published_size() -> None:
    layers = sizes("scatter-gather-lenet", (1, 28, 28), 0)
    assert sum(neurons for neurons, _ in layers[:-1]) == 26_880
    assert 4_845_000 < sum(macs for _, macs in layers[1:-1]) < 4_855_000  # "4.85 M"


def test_the_published_vgg_has_the_published_size() -> None:
    """They count no neurons of the first layer, which encodes the image."""
    layers = sizes("scatter-gather-vgg", (3, 32, 32), 24)
    assert sum(neurons for neurons, _ in layers[1:-1]) == 150_272
    assert sum(macs for _, macs in layers[1:-1]) == 126_222_336
    half = sizes("scatter-gather-vgg-half", (3, 32, 32), 24)
    assert sum(neurons for neurons, _ in half[1:-1]) == 150_272 // 2
    assert sum(macs for _, macs in half[1:-1]) == 126_222_336 // 4


def test_every_window_is_drawn_and_nothing_else() -> None:
    torch.manual_seed(1)
    image = torch.arange(1, 25, dtype=torch.uint8).reshape(1, 2, 3, 4)
    how = Augmentation(shift=1, flip=True, crop=2)
    found = {tuple(x.flatten().tolist()) for x in augmented(image.repeat(2000, 1, 1, 1), how)}
    padded = nn.functional.pad(image, (1, 1, 1, 1))[0]
    windows = [padded[:, y : y + 2, x : x + 2] for y in range(4) for x in range(5)]
    wanted = {tuple(w.flatten().tolist()) for v in windows for w in (v, v.flip(2))}
    assert found == wanted


def test_without_augmentation_images_stay_as_they_are() -> None:
    images = torch.randint(0, 256, (5, 3, 6, 7), dtype=torch.uint8)
    assert torch.equal(augmented(images, Augmentation()), images)


def test_the_rate() -> None:
    cosine = Schedule(warm_up=2.0)
    assert [rate_at(e, 10, cosine) for e in (0, 1, 2, 6, 10)] == pytest.approx([0, 0.5, 1, 0.5, 0])
    steps = Schedule("steps", at=(3.0, 6.0), factor=0.1)
    assert [rate_at(e, 9, steps) for e in (0, 2.9, 3, 6)] == pytest.approx([1, 1, 0.1, 0.01])
    assert rate_at(5, 9, Schedule("constant")) == 1
