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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from snngen.data.raw import spread
from snngen.errors import Problem, RecipeError
from snngen.fold import fold
from snngen.graph import Graph
from snngen.onnx_import import load
from snngen.ops import Conv, Linear
from snngen.train.activations import QCFS

SEEN = 1000  # training images, at most
PERCENTILE = 99.9  # of the values that reach an activation; its bound


@dataclass(frozen=True, eq=False)
class Given:
    """A layer of the file: its weight as torch has it, and its bias (O,)."""

    name: str
    weight: Tensor
    bias: Tensor


def begin_with(path: Path, model: nn.Sequential, images: Tensor, scale: float) -> None:
    """Give `model` the weights of the ONNX file `path`; `images` are training images, bytes
    (N, C, H, W), of which the model sees byte / scale. RecipeError with all in which the file does
    not fit the model; FileError and ModelError where it cannot be read.
    """
    graph = fold(load(path))
    few = images[torch.from_numpy(spread(len(images), SEEN))].float() / scale
    order = _order(model, few[:1])
    places = [k for k, m in enumerate(order) if isinstance(m, nn.Conv2d | nn.Linear)]
    layers = _given(graph)
    problems = _own_normalisation(graph)
    if len(layers) != len(places):
        rule = f"must have the model's {len(places)} convolutions and dense layers"
        problems.append(Problem("", rule, f"{len(layers)} of them", "choose another model"))
    taking = [
        (order[k], given, _norm_at(order, k + 1)) for k, given in zip(places, layers, strict=False)
    ]
    for layer, given, norm in taking:
        problems += _unlike(layer, given, norm is not None)
    if problems:
        raise RecipeError(*(replace(p, where=f"start: {path}{p.where}") for p in problems))
    for layer, given, _ in taking:
        _take(layer, given)
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


def _order(model: nn.Sequential, image: Tensor) -> list[nn.Module]:
    """The modules that have no others within, parametrisations aside, in the order in which they
    run.
    """
    order: list[nn.Module] = []
    kinds = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
    watched = [m for m in model.modules() if isinstance(m, kinds)]
    hooks = [m.register_forward_pre_hook(lambda m, _: order.append(m)) for m in watched]
    _evaluate(model, image)
    for hook in hooks:
        hook.remove()
    return order


def _norm_at(order: list[nn.Module], k: int) -> nn.BatchNorm2d | None:
    found = order[k] if k < len(order) else None
    return found if isinstance(found, nn.BatchNorm2d) else None


def _unlike(layer: nn.Module, given: Given, has_norm: bool) -> list[Problem]:
    """In what `given` does not fit the model's `layer`."""
    shape, wanted = tuple(given.weight.shape), tuple(layer.weight.shape)
    problems = []
    if shape != wanted:
        rule = f"its weight must be {_sizes(wanted)}, as the model's layer in this place"
        problems.append(Problem(f": node '{given.name}'", rule, _sizes(shape)))
    if layer.bias is None and not has_norm and bool(given.bias.any()):
        rule = "must have no bias, which the model's layer has not"
        problems.append(Problem(f": node '{given.name}'", rule, "", "choose another model"))
    return problems


def _sizes(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _take(layer: Any, given: Given) -> None:
    """Give a convolution or dense layer its weight, and its bias where it has one."""
    grid = is_parametrized(layer, "weight")
    weight = layer.parametrizations.weight.original if grid else layer.weight
    with torch.no_grad():
        weight.copy_(given.weight)
        if layer.bias is not None:
            layer.bias.copy_(given.bias)


def _settle(
    model: nn.Sequential, taken: list[tuple[nn.Module, Given, nn.BatchNorm2d | None]], few: Tensor
) -> None:
    """Set batch norms and bounds, each to what reaches it once all before it are set."""
    hooks = [m.register_forward_pre_hook(_set_bound) for m in model.modules() if type(m) is QCFS]
    for layer, given, norm in taken:
        if norm is not None:
            hooks.append(layer.register_forward_hook(partial(_set_norm, norm=norm, given=given)))
    _evaluate(model, few)
    for hook in hooks:
        hook.remove()


def _set_norm(
    layer: Any, read: tuple[Tensor], sums: Tensor, norm: nn.BatchNorm2d, given: Given
) -> None:
    """From the spread of `sums`, as the layer rounds its weights, to that of the file's weights."""
    wanted = layer._conv_forward(read[0], given.weight, None)
    for buffer, value in zip((norm.running_mean, norm.running_var), _spread(sums), strict=True):
        assert buffer is not None
        buffer.copy_(value)
    mean, variance = _spread(wanted)
    norm.bias.copy_(mean + given.bias)
    norm.weight.copy_((variance + norm.eps).sqrt())


def _spread(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of every channel of (N, C, H, W)."""
    return values.mean((0, 2, 3)), values.var((0, 2, 3), correction=0)


def _set_bound(activation: QCFS, read: tuple[Tensor]) -> None:
    values = np.maximum(read[0].numpy().ravel(), 0)
    bound = float(np.percentile(values, PERCENTILE)) or float(values.max())
    if bound > 0:
        activation.bound.fill_(bound)


def _evaluate(model: nn.Module, images: Tensor) -> None:
    was_training = model.training
    model.eval()
    with torch.no_grad():
        model(images)
    model.train(was_training)
