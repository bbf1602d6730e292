"""A model that begins with the weights of a given network, an ONNX file: to teach it fewer levels,
fewer bits or fewer spikes.

Convolutions and dense layers take the weights of those of the file, in the order in which they run.
What the file does between them is not compared: how right the model is before it trains says how
alike the two are. Learned bounds of activations are set to what the training images show, and so
are batch norms: one gives each channel the mean and the spread that it has with the file's own
weights, so that it changes nothing where weights are not quantised.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from snngen.data.raw import spread
from snngen.errors import Problem, RecipeError
from snngen.fold import fold
from snngen.graph import Add, Affine, Graph
from snngen.onnx_import import load
from snngen.ops import Conv, Linear
from snngen.train.activations import QCFS
from snngen.train.recipes.models import Factors, Joined

SEEN = 1000  # training images, at most
PERCENTILE = 99.9  # of the values that reach an activation; what bounds are shares of
SHARES = np.linspace(0.2, 1.0, 17)  # that are tried
VALUES = 10**5  # that they are tried on


@dataclass(frozen=True, eq=False)
class Given:
    """A layer of the file: its weight as torch has it, and its bias (O,)."""

    name: str
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class Taking:
    """A layer of the model, what it is given, and the batch norm behind it."""

    layer: Any
    given: Given
    norm: nn.BatchNorm2d | None


def begin_with(
    path: Path, model: nn.Sequential, images: Tensor, scale: float, key: str = "start"
) -> None:
    """Give `model` the weights of the ONNX file `path`; `images` are training images, bytes
    (N, C, H, W), of which the model sees byte / scale. RecipeError with all in which the file, that
    of the recipe's `key`, does not fit the model; FileError and ModelError where it cannot be read.
    """
    graph = fold(load(path))
    few = images[torch.from_numpy(spread(len(images), SEEN))].float() / scale
    layers, norms = _layers(model, few[:1])
    given = _given(graph)
    problems = _own_normalisation(graph)
    if len(given) != len(layers):
        rule = f"must have the model's {len(layers)} convolutions and dense layers"
        problems.append(Problem("", rule, f"{len(given)} of them", "choose another model"))
    taking = [
        Taking(layer, each, norms.get(layer)) for layer, each in zip(layers, given, strict=False)
    ]
    for taken in taking:
        problems += _unlike(taken)
    if problems:
        raise RecipeError(*(replace(p, where=f"{key}: {path}{p.where}") for p in problems))
    factors = [m for m in model.modules() if isinstance(m, Factors)]
    for layer, each in zip(factors, _given_factors(graph, factors), strict=True):
        taking.append(Taking(layer, each, norms[layer]))
    sizes = _sizes_of(model, taking)
    for taken in taking:
        _take(taken, sizes.get(taken.norm))
    _settle(model, taking, few)


def _given(graph: Graph) -> list[Given]:
    """The convolutions and dense layers of a folded graph, in its order."""
    found = []
    for node in graph.nodes:
        if isinstance(node.op, Conv | Linear):
            weight = torch.tensor(node.op.weight, dtype=torch.float32)
            bias = np.zeros(len(weight)) if node.bias is None else node.bias
            as_torch = weight.flatten(1) if isinstance(node.op, Linear) else weight
            found.append(Given(node.name, as_torch, torch.tensor(bias, dtype=torch.float32)))
    return found


def _own_normalisation(graph: Graph) -> list[Problem]:
    """The model of a recipe sees byte / scale and nothing else."""
    if (graph.input.scale == 1).all() and (graph.input.shift == 0).all():
        return []
    rule, hint = "must read its input as it is", "set scale to what the file divides by"
    return [Problem(": its input", rule, "it is normalised by the model itself", hint)]


def _layers(
    model: nn.Sequential, image: Tensor
) -> tuple[list[nn.Module], dict[nn.Module, nn.BatchNorm2d]]:
    """The convolutions and dense layers in the order in which they run, and by layer the batch norm
    that normalises its sums.
    """
    order: list[nn.Module] = []
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    watched = [m for m in model.modules() if isinstance(m, kinds)]
    hooks = [m.register_forward_pre_hook(lambda m, _: order.append(m)) for m in watched]
    _evaluate(model, image)
    for hook in hooks:
        hook.remove()
    norms = {a: b for a, b in pairwise(order) if isinstance(b, nn.BatchNorm2d)}
    norms |= {m.past: m.norm for m in model.modules() if isinstance(m, Joined)}
    return [m for m in order if not isinstance(m, nn.BatchNorm2d)], norms


def _given_factors(graph: Graph, factors: list[Factors]) -> list[Given]:
    """What the file's shortcuts do to their channels; nothing where it does not say."""
    found = []
    for node in graph.nodes:
        adds = any(isinstance(reader.op, Add) for reader in graph.consumers(node.name))
        if isinstance(node.op, Affine) and adds:
            scale, shift = (torch.tensor(v, dtype=torch.float32) for v in vars(node.op).values())
            found.append(Given(node.name, scale.reshape(-1, 1, 1), shift.flatten()))
    if [len(each.bias) for each in found] == [len(each.weight) for each in factors]:
        return found
    return [Given("", torch.ones_like(f.weight), torch.zeros(len(f.weight))) for f in factors]


def _unlike(taken: Taking) -> list[Problem]:
    """In what `given` does not fit the model's layer."""
    layer, given = taken.layer, taken.given
    shape, wanted = tuple(given.weight.shape), tuple(layer.weight.shape)
    problems = []
    if shape != wanted:
        rule = f"its weight must be {_sizes(wanted)}, as the model's layer in this place"
        problems.append(Problem(f": node '{given.name}'", rule, _sizes(shape)))
    if layer.bias is None and taken.norm is None and bool(given.bias.any()):
        rule = "must have no bias, which the model's layer has not"
        problems.append(Problem(f": node '{given.name}'", rule, "", "choose another model"))
    return problems


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _sizes_of(model: nn.Sequential, taking: list[Taking]) -> dict[nn.BatchNorm2d | None, Tensor]:
    """By batch norm the factors (O,) that give each channel's weights the spread of new ones, so
    that a rate of learning means the same in all layers: files have batch norms in their weights.
    """
    shortcuts = {m.past for m in model.modules() if isinstance(m, Joined)}
    found = {}
    for taken in taking:
        if taken.norm is not None and taken.layer not in shortcuts:
            rows = taken.given.weight.flatten(1)
            size = rows.square().mean(1).sqrt()
            new = (3 * rows.shape[1]) ** -0.5  # of torch's Conv2d and Linear
            found[taken.norm] = torch.where(size > 0, new / size, 1.0)
    return found


def _take(taken: Taking, factors: Tensor | None) -> None:
    """Give a layer its weight, times `factors` (O,), and its bias where it has one."""
    layer, given = taken.layer, taken.given
    grid = is_parametrized(layer, "weight")
    weight = layer.parametrizations.weight.original if grid else layer.weight
    with torch.no_grad():
        weight.copy_(given.weight if factors is None else _by_rows(given.weight, factors))
        if getattr(layer, "bias", None) is not None:
            layer.bias.copy_(given.bias)


def _by_rows(weight: Tensor, factors: Tensor) -> Tensor:
    return weight * factors.reshape(-1, *[1] * (weight.dim() - 1))


def _settle(model: nn.Sequential, taking: list[Taking], few: Tensor) -> None:
    """Set batch norms and bounds, each to what reaches it once all before it are set."""
    wanted: dict[nn.BatchNorm2d, list[Tensor]] = {}
    biases: dict[nn.BatchNorm2d, Tensor] = {}

    def made(layer: Any, read: tuple[Tensor], _: Tensor, taken: Taking) -> None:
        wanted.setdefault(taken.norm, []).append(_with(layer, read[0], taken.given.weight))

    def settled(norm: nn.BatchNorm2d, read: tuple[Tensor]) -> None:
        _set_norm(norm, read[0], sum(wanted.pop(norm)), biases[norm])

    hooks = [m.register_forward_pre_hook(_set_bound) for m in model.modules() if type(m) is QCFS]
    for taken in taking:
        norm = taken.norm
        if norm is not None:
            hooks.append(taken.layer.register_forward_hook(partial(made, taken=taken)))
            if norm not in biases:
                hooks.append(norm.register_forward_pre_hook(settled))
            biases[norm] = biases.get(norm, 0.0) + taken.given.bias
    _evaluate(model, few)
    for hook in hooks:
        hook.remove()


def _with(layer: Any, read: Tensor, weight: Tensor) -> Tensor:
    """What the layer makes with other weights, without a bias."""
    made: Tensor = (
        read * weight if isinstance(layer, Factors) else layer._conv_forward(read, weight, None)
    )
    return made


def _set_norm(norm: nn.BatchNorm2d, sums: Tensor, wanted: Tensor, bias: Tensor) -> None:
    """From the spread of `sums`, as rounded weights make them, to that of what the file's make."""
    (mean, variance), (wanted_mean, wanted_variance) = _spread(sums), _spread(wanted)
    assert norm.running_mean is not None and norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.bias.copy_(wanted_mean + bias)
    without_eps = (variance + norm.eps) / variance.clamp(min=norm.eps)
    norm.weight.copy_((wanted_variance * without_eps).sqrt())


def _spread(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of every channel of (N, C, H, W)."""
    return values.mean((0, 2, 3)), values.var((0, 2, 3), correction=0)


def _set_bound(activation: QCFS, read: tuple[Tensor]) -> None:
    """To the bound whose levels are closest to the values, rectified."""
    values = read[0].flatten()
    values = values[:: -(-len(values) // VALUES)].relu()
    largest = float(np.percentile(values.numpy(), PERCENTILE)) or float(values.max())
    errors = {}
    for share in SHARES:
        if largest > 0:
            activation.bound.fill_(share * largest)
            errors[float((activation.quantise(values) - values).square().mean())] = share
    if errors:
        activation.bound.fill_(errors[min(errors)] * largest)


def _evaluate(model: nn.Module, images: Tensor) -> None:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        model(images)
    model.train(was_training)
