"""Weights that are small integers times one unit, as parametrisations of any module.

    conv = ternary(nn.Conv2d(16, 32, 3))
    head = integer(nn.Linear(256, 10), bits=4)
    past = beside(nn.Conv2d(8, 32, 1), conv, ratio, bits=8)

Training changes the real weights that lie behind; the gradient passes straight through. What the
module computes with is what `export_onnx` writes, as bytes, and what conversion takes without
rounding where `--bits` is no smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from snngen.train.rules import require
from snngen.train.straight import through

Module = TypeVar("Module", bound=nn.Module)


class Grid(nn.Module):
    """The parametrisation: weights (O, ...) on their way to integers of `bits` bits times units."""

    bits: int

    def split(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Integers of the shape of `weight`, and the unit of each output channel, (O,)."""
        raise NotImplementedError

    def forward(self, weight: Tensor) -> Tensor:
        with torch.no_grad():
            integers, unit = self.split(weight)
            value = integers * _as_rows(unit, weight)
        return through(weight, value)


class Ternary(Grid):
    """sign(W) where |W| > 0.7 mean |W|, else 0.

    Zou et al. 2021, after Li, Zhang and Liu 2016, "Ternary Weight Networks". A batch norm behind
    the layer gives the weights a scale.
    """

    bits = 2

    def split(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        large = weight.abs() > 0.7 * weight.abs().mean()
        return weight.sign() * large, weight.new_ones(len(weight))


class ScaledTernary(Grid):
    """The same per output channel, times the mean of its weights that are not 0: where no batch
    norm could make good for a unit of 1, as beside a shortcut.
    """

    bits = 2

    def split(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        size = weight.abs().reshape(len(weight), -1)
        large = size > 0.7 * size.mean(1, keepdim=True)
        unit = (size * large).sum(1) / large.sum(1).clamp(min=1)
        unit = torch.where(unit > 0, unit, 1.0)
        return weight.sign() * large.reshape(weight.shape), unit


class Integer(Grid):
    """The nearest of 2**(bits-1) - 1 steps to either side, per output channel; the largest weight
    of the channel is the last.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        require(2 <= bits <= 8, "bits", "must be 2..8", bits)
        self.bits = bits

    def split(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        largest = weight.abs().reshape(len(weight), -1).amax(1)
        unit = torch.where(largest > 0, largest, 1.0) / (2 ** (self.bits - 1) - 1)
        return (weight / _as_rows(unit, weight)).round(), unit


class Beside(Grid):
    """The nearest of 2**(bits-1) - 1 multiples to either side of what makes this layer's outputs
    multiples of the same as those of `main`, to which they are added.
    """

    def __init__(self, main: nn.Module, ratio: Callable[[], Tensor], bits: int) -> None:
        super().__init__()
        require(2 <= bits <= 16, "bits", "must be 2..16", bits)
        self.bits = bits
        self._main = (main, ratio)  # in a tuple, since it is no part of this module

    def split(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        main, ratio = self._main
        (grid,) = main.parametrizations.weight
        _, unit = grid.split(main.parametrizations.weight.original.detach())
        unit, most = unit * ratio(), 2 ** (self.bits - 1) - 1
        return (weight / _as_rows(unit, weight)).round().clamp(-most, most), unit


def ternary(module: Module, scaled: bool = False) -> Module:
    """`module` with a weight of -1, 0 and 1; `scaled`, times a unit per output channel."""
    parametrize.register_parametrization(module, "weight", ScaledTernary() if scaled else Ternary())
    return module


def integer(module: Module, bits: int = 8) -> Module:
    """`module` with a weight of integers of `bits` bits, 2..8, times a unit per output channel."""
    parametrize.register_parametrization(module, "weight", Integer(bits))
    return module


def beside(module: Module, main: nn.Module, ratio: Callable[[], Tensor], bits: int = 8) -> Module:
    """`module`, whose outputs are added to those of `main`, with a weight of integers of `bits`
    bits, 2..16, such that the sum is one of integers. `main` has an integer or ternary weight;
    `ratio` is that of the steps in which what they read counts, `main`'s divided by `module`'s.
    """
    parametrize.register_parametrization(module, "weight", Beside(main, ratio, bits))
    return module


def _as_rows(unit: Tensor, weight: Tensor) -> Tensor:
    return unit.reshape(-1, *[1] * (weight.dim() - 1))
