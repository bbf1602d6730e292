"""Pooling that is learned."""

from __future__ import annotations

from torch import nn

from snngen.train.activations import Quantised
from snngen.train.weights import ternary


class LearnedPool(nn.Sequential):
    """A ternary convolution whose windows of `size` x `size` tile the image, batch norm, and
    `activation`: (N, C, H, W) -> (N, C, H / size, W / size).

    It stands where other networks have an average pool: Zou et al. 2021 (see `QuantisedReLU`).
    """

    def __init__(self, channels: int, activation: Quantised, size: int = 2) -> None:
        conv = ternary(nn.Conv2d(channels, channels, size, stride=size, bias=False))
        super().__init__(conv, nn.BatchNorm2d(channels), activation)
