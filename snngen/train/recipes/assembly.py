"""What a training begins with: the model, its teacher, the optimiser, and a name for all of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from snngen.errors import Problem, RecipeError
from snngen.files import read_file
from snngen.train.activations import QCFS, Quantised, QuantisedReLU
from snngen.train.recipes import checkpoint as store
from snngen.train.recipes.checkpoint import RECIPE
from snngen.train.recipes.material import Material
from snngen.train.recipes.models import Factors, Parts, Reader, Wrap, build
from snngen.train.recipes.schema import MAX_BYTES, Optimiser, Quantisation, Recipe, parse
from snngen.train.recipes.start import begin_with
from snngen.train.recipes.watched import activations_of
from snngen.train.weights import beside, integer, ternary


def models_of(recipe: Recipe, material: Material) -> tuple[nn.Module, nn.Module | None]:
    """The untrained model, and the teacher where there is one; RecipeError with all in which the
    recipe does not fit the data.
    """
    problems: list[Problem] = []
    found: list[nn.Module | None] = []
    if recipe.batch > len(material.train):
        rule = f"must be at most the {len(material.train)} training images"
        problems.append(Problem("batch", rule, str(recipe.batch)))
    seed_epoch(recipe, 0)
    for make in (_student, _teacher):
        try:
            found.append(make(recipe, material))
        except RecipeError as error:
            problems += error.problems
    if problems:
        raise RecipeError(*problems)
    model, teacher = found
    assert model is not None
    if recipe.loss.activations and teacher is not None:
        _check_alike(recipe, model, teacher)
    return model, teacher


def _check_alike(recipe: Recipe, model: nn.Module, teacher: nn.Module) -> None:
    """RecipeError where the activations of the teacher cannot be what the model's should be."""
    if activations_of(model).keys() != activations_of(teacher).keys():
        rule, hint = "needs a teacher of the same model", "leave it out, or choose another teacher"
        found = f"teacher {recipe.loss.teacher}, model {recipe.model}"
        raise RecipeError(Problem("[loss] activations", rule, found, hint))


def _student(recipe: Recipe, material: Material) -> nn.Sequential:
    """The model before its first epoch."""
    model = model_of(recipe, material)
    if recipe.start is not None:
        begin_with(Path(recipe.start), model, material.train.images, recipe.scale)
    return model


def model_of(recipe: Recipe, material: Material) -> nn.Sequential:
    """The untrained model of a recipe."""
    parts = parts_of(recipe.quantisation)
    crop = recipe.augmentation.crop
    return build(recipe.model, parts, material.shape, material.classes, crop)


def _teacher(student: Recipe, material: Material) -> nn.Module | None:
    """The model that another recipe trained, or that of the student with the weights of an ONNX
    file, not quantised; RecipeError where there is none that is ready, or it does not fit the data.
    """
    if student.loss.teacher is None:
        return None
    folder = Path(student.loss.teacher)
    if folder.suffix == ".onnx":
        real = replace(student, quantisation=Quantisation("relu", weights="real", ends=8))
        model = model_of(real, material)
        begin_with(folder, model, material.train.images, student.scale, "[loss] teacher")
        return model.eval().requires_grad_(False)
    where, hint = f"[loss] teacher: {folder}", "train its recipe first"
    found = store.load(folder)
    if found is None:
        raise RecipeError(Problem(where, "no recipe was trained in this folder", hint=hint))
    recipe = parse(read_file(folder / RECIPE, MAX_BYTES), str(folder / RECIPE))
    if len(found.rows) < recipe.epochs:
        rule = "is not trained to its end"
        done = f"{len(found.rows)} of {recipe.epochs} epochs"
        raise RecipeError(Problem(where, rule, done, hint))
    crop = student.augmentation.crop
    if recipe.augmentation.crop != crop:
        rule, seen = "was trained on other windows", f"crop {recipe.augmentation.crop}, here {crop}"
        raise RecipeError(Problem(where, rule, seen, "make [augmentation] crop the same"))
    model = model_of(recipe, material)
    try:
        model.load_state_dict(found.model)
    except RuntimeError as error:
        rule = "was trained on images of another shape, or other classes"
        raise RecipeError(Problem(where, rule, hint="choose another teacher")) from error
    return model.eval().requires_grad_(False)


def parts_of(q: Quantisation) -> Parts:
    """What the layers of a model are made of; `q` is resolved, as `parse` returns it."""

    def activation() -> nn.Module:
        if q.activation == "relu":
            return nn.ReLU()
        if q.activation == "qcfs":
            return QCFS(q.levels)
        return QuantisedReLU(q.k, q.bound or None, q.rounding)  # type: ignore[arg-type]

    assert q.weights is not None and q.ends is not None, "a recipe that was read has them"
    if q.weights == "real":
        return Parts(activation, _as_it_is, _as_it_is, lambda main, past: None)
    end = partial(integer, bits=q.ends)
    if isinstance(q.weights, int):
        inner = partial(integer, bits=q.weights)
        return Parts(activation, end, inner, partial(_add, inner, q.weights))
    return Parts(activation, end, ternary, partial(_add, partial(ternary, scaled=True), q.ends))


def _add(wrap: Wrap, bits: int, main: Reader, past: Reader) -> None:
    """A convolution of `wrap`, and a shortcut of `bits` bits in its unit; a factor per channel may
    have 16.
    """
    wrap(main.layer)
    sources = main.source, past.source

    def ratio() -> Tensor:
        main_step, step = (m.step if isinstance(m, Quantised) else 1.0 for m in sources)
        return torch.as_tensor(main_step / step).detach()

    beside(past.layer, main.layer, ratio, 16 if isinstance(past.layer, Factors) else bits)


def _as_it_is(layer: nn.Module) -> nn.Module:
    return layer


def optimiser_of(how: Optimiser, model: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of all parameters of `model`."""
    decay = how.weight_decay
    if how.name == "sgd":
        return torch.optim.SGD(model.parameters(), how.rate, how.momentum, weight_decay=decay)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[how.name]
    return kind(model.parameters(), how.rate, weight_decay=decay)


def digest_of(model: nn.Module) -> str:
    """The digest of all that `model` has learned."""
    content = sha256()
    for name, tensor in model.state_dict().items():
        content.update(name.encode() + tensor.cpu().numpy().tobytes())
    return content.hexdigest()


def facts_of(recipe: Recipe, material: Material, device: str) -> dict[str, str]:
    """All that the result depends on, by name."""
    flat: dict[str, Any] = {}
    for name, value in asdict(recipe).items():
        table = value if isinstance(value, dict) else None
        flat |= {f"[{name}] {k}": v for k, v in table.items()} if table else {name: value}
    del flat["output"]
    flat |= {"data's content": material.digest, "device": device, "torch": torch.__version__}
    return {name: str(value) for name, value in flat.items()}


def seed_epoch(recipe: Recipe, epoch: int) -> None:
    """Make what is drawn from now on a matter of the recipe's seed and the epoch."""
    state = np.random.SeedSequence((recipe.seed, epoch)).generate_state(1, np.uint64)
    torch.manual_seed(int(state[0]))
