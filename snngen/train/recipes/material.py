"""The images that a recipe trains and tests on, and how training images are changed."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from snngen import data
from snngen.data.published import SPLITS
from snngen.data.raw import spread
from snngen.errors import Problem, RecipeError
from snngen.ops import Shape
from snngen.train.recipes.schema import Augmentation, Events, Recipe


@dataclass(frozen=True, eq=False)
class Part:
    """Images, bytes (N, C, H, W), and their labels (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: str) -> Part:
        return Part(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, eq=False)
class Material:
    """What to train on and what to test on, the shape of an image, and how many classes the labels
    of `train` tell apart. `digest` is that of all bytes.
    """

    train: Part
    test: Part
    shape: Shape
    classes: int
    digest: str


def read_material(recipe: Recipe) -> Material:
    """The data of a recipe; RecipeError and DataError where they do not fit it."""
    source = recipe.data
    if source not in SPLITS and not source.endswith(".npz"):
        rule = "must be a published data set, whole, or an .npz file"
        raise RecipeError(Problem("data", rule, source, f"one of {', '.join(SPLITS)}"))
    if source not in SPLITS and not data.has_parts(Path(source)):
        hint = "it needs arrays x_train, y_train, x_test and y_test; of recordings, is_test"
        raise RecipeError(Problem(source, "does not tell training from test images", hint=hint))
    if recipe.events != Events() and not data.has_recordings(source):
        rule = "applies to recordings of events only"
        raise RecipeError(Problem("[events]", rule, source, "leave it out"))
    fitting = recipe.events.fitting
    shape = data.shape_of(source, fitting, recipe.events.polarities)
    train = data.load(source, shape, split="train", fitting=fitting)
    test = data.load(source, shape, split="test", fitting=fitting)
    if train.labels is None or test.labels is None:
        raise RecipeError(Problem(source, "training needs labels"))
    classes = int(train.labels.max()) + 1
    data.check_labels(test, classes)
    chosen = spread(len(train), recipe.limit)
    content = sha256(repr((shape, len(chosen))).encode())
    arrays = (train.images[chosen], train.labels[chosen], test.images, test.labels)
    for array in arrays:
        content.update(np.ascontiguousarray(array).data)
    images, labels, test_images, test_labels = map(torch.tensor, arrays)
    parts = Part(images, labels), Part(test_images, test_labels)
    return Material(*parts, shape, classes, content.hexdigest())


def augmented(images: Tensor, how: Augmentation) -> Tensor:
    """`images` (N, C, H, W), each shifted, flipped and cropped as the global generator of the CPU
    draws it.
    """
    count, _, height, width = images.shape
    tall, wide = (how.crop, how.crop) if how.crop else (height, width)
    pad = how.shift
    top = torch.randint(height - tall + 2 * pad + 1, (count,))
    left = torch.randint(width - wide + 2 * pad + 1, (count,))
    flipped = torch.rand(count) < (0.5 if how.flip else 0.0)
    rows = top[:, None] + torch.arange(tall)
    forwards, backwards = torch.arange(wide), torch.arange(wide).flip(0)
    columns = left[:, None] + torch.where(flipped[:, None], backwards, forwards)
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    sample = torch.arange(count)[:, None, None]
    picked = (sample, slice(None), rows[:, :, None], columns[:, None, :])
    return padded[picked].permute(0, 3, 1, 2).contiguous()
