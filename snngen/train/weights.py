"""Weights that are small integers times one unit, as parametrisations of any module.

    conv = ternary(nn.Conv2d(16, 32, 3))
    head = integer(nn.Linear(256, 10), bits=4)

Training changes the real weights that lie behind; the gradient passes straight through. What the
module computes with is what `export_onnx` writes, as bytes, and what conversion takes without
rounding where `--bits` is no smaller.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from snngen.train.rules import require
from snngen.train.straight import through

Module = TypeVar("Module", bound=nn.Module)


class Grid(nn.Module):
    """The parametrisation: weights (O, ...) on their way to integers times units."""

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

    def split(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        large = weight.abs() > 0.7 * weight.abs().mean()
        return weight.sign() * large, weight.new_ones(len(weight))


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


def ternary(module: Module) -> Module:
    """`module` with a weight of -1, 0 and 1."""
    parametrize.register_parametrization(module, "weight", Ternary())
    return module


def integer(module: Module, bits: int = 8) -> Module:
    """`module` with a weight of integers of `bits` bits, 2..8, times a unit per output channel."""
    parametrize.register_parametrization(module, "weight", Integer(bits))
    return module


def _as_rows(unit: Tensor, weight: Tensor) -> Tensor:
    return unit.reshape(-1, *[1] * (weight.dim() - 1))
