"""Synaptic operations of a network, counted while it runs, with a gradient.

A synaptic operation is a spike that arrives over one synapse. A quantised activation sends n
spikes, its value in steps, so that

    S = sum over neurons of n * fan-out, mean over the batch

is the number that `snngen evaluate` counts for level neurons, borders included, and that of IF
neurons as far as their rates are the levels. Pools, reshapes, slices and concatenations pass spikes
on; an addition reads them over one synapse each. What is no spike, such as the input's pixels and
the currents of a convolution without activation, costs nothing here; nor does a factor, which
becomes part of the weights that read the product.

Sorbaro, Liu, Bortone and Sheik 2020, "Optimizing the Energy Consumption of Spiking Neural Networks
for Neuromorphic Applications", Frontiers in Neuroscience 14:662.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakIdKeyDictionary

from snngen.ops.window import Window
from snngen.train.activations import Quantised
from snngen.train.rules import require
from snngen.train.straight import through

Sizes = int | tuple[int, ...]


class SynOps(TorchFunctionMode):
    """Counts what `model` does between `with` and its end:

        with SynOps(model) as synops:
            scores = model(images)
        loss = cross_entropy(scores, labels) + 1e-7 * synops.total()

    `layers`: per image, by the module that the spikes reach; an addition, or a layer that is called
    as a function, by the module that calls it and the function's name.

    Raises ConversionError where spikes reach a function that is not in the tables at the end of
    this file: what they cost there is not known.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.layers: dict[str, Tensor] = {}

    def total(self, weights: Mapping[str, float] | None = None) -> Tensor:
        """S, each layer times its weight, 1 where `weights` does not name it."""
        hint = "run it inside `with SynOps(model)`, with activations of snngen.train"
        require(bool(self.layers), "the model", "sends no spikes to any layer", hint=hint)
        given = weights or {}
        unknown = ", ".join(name for name in given if name not in self.layers)
        require(not unknown, "weights", f"may name {', '.join(self.layers)}", unknown)
        return torch.stack([given.get(k, 1.0) * cost for k, cost in self.layers.items()]).sum()

    def off_target(self, target: float, weights: Mapping[str, float] | None = None) -> Tensor:
        """((S - target) / target)^2, the loss that Sorbaro et al. train with."""
        require(target > 0, "target", "must be above 0", target)
        return ((self.total(weights) - target) / target) ** 2

    def __enter__(self) -> Self:
        self.layers = {}
        self._spikes: Any = WeakIdKeyDictionary()  # by value: how many spikes stand for it
        self._running: list[tuple[str, nn.Module]] = []
        self._hooks: list[RemovableHandle] = []
        for name, module in self.model.named_modules():
            entered = module.register_forward_pre_hook(self._entered(name))
            self._hooks += [entered, module.register_forward_hook(self._left)]
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for hook in self._hooks:
            hook.remove()
        self._spikes.clear()

    def _entered(self, name: str) -> Callable[[nn.Module, Any], None]:
        return lambda module, _: self._running.append((name, module))

    def _left(self, module: nn.Module, _: Any, result: Tensor) -> None:
        if isinstance(module, Quantised):
            count = result / module.step
            self._spikes[result] = through(count, count.round()) if module.rounds else count
        self._running.pop()

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        result = function(*args, **given)
        if isinstance(result, Tensor) and result.is_floating_point() and self._watches():
            self._follow(function, args, given, result)
        return result

    def _watches(self) -> bool:
        """Whether it is the model that runs, but no activation."""
        inside = any(isinstance(module, Quantised) for _, module in self._running)
        return bool(self._running) and not inside

    def _follow(self, function: Any, args: Any, given: dict[str, Any], result: Tensor) -> None:
        """What becomes of the spikes that the arguments of `function` stand for."""
        operands = [v for v in tree_leaves((args, given)) if isinstance(v, Tensor)]
        arriving = [self._spikes[v] for v in operands if v in self._spikes]
        args, given = tree_map(self._in_spikes, (args, given))
        self._spikes.pop(result, None)  # `result` may be an operand, overwritten or as it was
        if not arriving:
            return
        name = function.__name__
        where = f"function '{name}', called in module '{self._running[-1][0]}'"
        functions = {*READS, *ADDS, *SCALES, *PASSES}
        known = name in functions and (name not in SCALES or len(arriving) == 1)
        hint = f"spikes may reach {', '.join(sorted(functions))}"
        require(known, where, "what spikes cost that reach it is not known", hint=hint)
        if name in READS:
            self._count(name, READS[name](*args, **given) / len(result))
        elif name in ADDS:
            for spikes in arriving:
                self._count(name, _sum(spikes) / len(result))
        elif name in SCALES:
            self._spikes[result] = arriving[0].expand_as(result)
        elif len(arriving) == len(operands):  # else not all of it are spikes, and so none of it
            self._spikes[result] = PASSES[name](function, *args, **given)

    def _in_spikes(self, value: Any) -> Any:
        return self._spikes.get(value, value) if isinstance(value, Tensor) else value

    def _count(self, function: str, cost: Tensor) -> None:
        name, module = self._running[-1]
        is_layer = isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear)
        layer = name if is_layer else f"{name}.{function}".lstrip(".")
        self.layers[layer] = self.layers[layer] + cost if layer in self.layers else cost


def _sum(spikes: Tensor) -> Tensor:
    return spikes.sum(dtype=torch.float64)  # exact where they are integers


def _convolution(
    spikes: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Every spike times the windows that it lies in, times the channels that each of them makes."""
    axes = weight.dim() - 2
    kernel, apart = _both(weight.shape[2:], axes, 1), _both(dilation, axes, 1)
    if isinstance(padding, str):
        around = [d * (k - 1) * (padding == "same") for k, d in zip(kernel, apart, strict=True)]
        before, after = [n // 2 for n in around], [n - n // 2 for n in around]
    else:
        before = after = list(_both(padding, axes, 0))
    (top, left), (bottom, right) = before, after
    window = Window(kernel, _both(stride, axes, 1), (top, left, bottom, right), apart)
    windows = window.coverage(spikes.shape[-2] if axes == 2 else 1, spikes.shape[-1])
    return _sum(spikes * torch.from_numpy(windows).to(spikes)) * (len(weight) // groups)


def _both(sizes: Sizes, axes: int, of_none: int) -> tuple[int, int]:
    """Height and width, of a signal `of_none` and its length."""
    given = [sizes] if isinstance(sizes, int) else list(sizes)
    height, width = [of_none, *given * (axes // len(given))][-2:]
    return height, width


def _linear(spikes: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return _sum(spikes) * len(weight)


def _alike(function: Callable[..., Tensor], *args: Any, **given: Any) -> Tensor:
    return function(*args, **given)


def _kept(function: Callable[..., Tensor], spikes: Tensor, *args: Any, **given: Any) -> Tensor:
    return spikes


def _windows(function: Callable[..., Tensor], *args: Any, **given: Any) -> Tensor:
    """The sums of windows in place of their means."""
    names = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    return function(**dict(zip(names, args, strict=False)) | given | {"divisor_override": 1})


def _areas(function: Callable[..., Tensor], spikes: Tensor, *args: Any, **given: Any) -> Tensor:
    """The sums of equal parts in place of their means."""
    means = function(spikes, *args, **given)
    same_axes = zip(spikes.shape, means.shape, strict=False) if means.dim() == spikes.dim() else ()
    tiles = all(whole % parts == 0 for whole, parts in same_axes)
    require(tiles, f"function '{function.__name__}'", "must divide the image into equal parts",
            f"{tuple(spikes.shape)} to {tuple(means.shape)}")  # fmt: skip
    return means * (spikes.numel() // means.numel())


# How many synaptic operations it makes of spikes; what reads each spike once; what makes each spike
# worth something else; what passes spikes on, and how.
READS = {"conv1d": _convolution, "conv2d": _convolution, "linear": _linear}
ADDS = ("add", "add_", "sub", "sub_")
SCALES = ("mul",)
WIRING = ("cat", "contiguous", "detach", "flatten", "__getitem__", "max_pool2d", "pad", "permute",
          "reshape", "squeeze", "transpose", "unsqueeze", "view")  # fmt: skip
PASSES = {
    **dict.fromkeys(WIRING, _alike),
    "dropout": _kept,
    "avg_pool2d": _windows,
    "adaptive_avg_pool2d": _areas,
    "mean": _areas,
}
