"""The models that recipes name, each an entry of MODELS: from what layers are made of, the shape of
an image and the number of classes to a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from snngen.errors import Problem, RecipeError
from snngen.ops import Shape

Wrap = Callable[[nn.Module], nn.Module]


@dataclass(frozen=True)
class Reader:
    """A layer and the activation that it reads."""

    layer: nn.Module
    source: nn.Module


@dataclass(frozen=True)
class Parts:
    """What layers are made of: an activation; the weights of the first and last layer, and of those
    between. `add` gives a convolution and a shortcut, whose outputs are added, weights of one unit.
    """

    activation: Callable[[], nn.Module]
    end: Wrap
    inner: Wrap
    add: Callable[[Reader, Reader], None]

    def normed(
        self, i: int, o: int, size: int, stride: int = 1, padding: int = 0, first: bool = False
    ) -> list[nn.Module]:
        """A convolution from `i` to `o` channels, batch norm, activation."""
        conv = nn.Conv2d(i, o, size, stride, padding, bias=False)
        wrap = self.end if first else self.inner
        return [wrap(conv), nn.BatchNorm2d(o), self.activation()]


class Sum(nn.Module):
    """An addition of two activations, and an activation of the sum: where both count in the same
    steps the sum is a count too, and conversion has nothing to round.

    Fang et al. 2021, "Deep Residual Learning in Spiking Neural Networks", add spikes so.
    """

    def __init__(self, parts: Parts, i: int, o: int, stride: int) -> None:
        super().__init__()
        body = parts.normed(i, o, 3, stride, 1) + parts.normed(o, o, 3, 1, 1)
        same = i == o and stride == 1
        self.body = nn.Sequential(*body)
        self.past = nn.Identity() if same else nn.Sequential(*parts.normed(i, o, 1, stride))
        self.sum = parts.activation()

    def forward(self, x: Tensor) -> Tensor:
        return self.sum(self.body(x) + self.past(x))


class Joined(nn.Module):
    """A shortcut that is added to what a convolution makes, then batch norm and an activation: He
    et al. 2016, "Deep Residual Learning for Image Recognition"; but the batch norm is behind the
    addition, where it leaves both in one unit. `before` is the activation that the block reads.

    Strides pad on the right and below only, as TensorFlow does.
    """

    def __init__(self, parts: Parts, i: int, o: int, stride: int, before: nn.Module) -> None:
        super().__init__()
        same = i == o and stride == 1
        self.past = Factors(o) if same else nn.Conv2d(i, o, 1, stride, bias=False)
        pad = [nn.ZeroPad2d((0, 1, 0, 1))] if stride == 2 else []
        self.body = nn.Sequential(*pad, *parts.normed(i, o, 3, stride, 2 - stride))
        self.conv = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        parts.add(Reader(self.conv, self.body[-1]), Reader(self.past, before))
        self.norm = nn.BatchNorm2d(o)
        self.activation = parts.activation()

    def forward(self, x: Tensor) -> Tensor:
        past = self.past(x)
        return self.activation(self.norm(self.conv(self.body(x)) + past))


class Factors(nn.Module):
    """Each channel times a factor that is learned."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class Mean(nn.Module):
    """The mean over the image, (N, C, H, W) -> (N, C), whose gradient is deterministic."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


Layers = list[nn.Module]


def _small(parts: Parts, shape: Shape, classes: int) -> nn.Sequential:
    features: Layers = []
    before, wrap = shape[0], parts.end
    for channels in (16, 32):
        features += [wrap(nn.Conv2d(before, channels, 3, padding=1)), parts.activation()]
        features += [nn.AvgPool2d(2)]
        before, wrap = channels, parts.inner
    return _headed(parts, features, shape, classes)


def _lenet(parts: Parts, shape: Shape, classes: int) -> nn.Sequential:
    features: Layers = [
        parts.end(nn.Conv2d(shape[0], 8, 5, padding=2)), parts.activation(), nn.AvgPool2d(2),
        parts.inner(nn.Conv2d(8, 16, 5)), parts.activation(), nn.AvgPool2d(2), nn.Flatten(),
    ]  # fmt: skip
    hidden = parts.inner(nn.Linear(_width(features, shape), 64))
    return _headed(parts, [*features, hidden, parts.activation()], shape, classes)


def _paper2_mnist(parts: Parts, shape: Shape, classes: int) -> nn.Sequential:
    features: Layers = [
        parts.end(nn.Conv2d(shape[0], 12, 5, bias=False)), parts.activation(), nn.AvgPool2d(2),
        parts.inner(nn.Conv2d(12, 64, 5, bias=False)), parts.activation(), nn.AvgPool2d(2),
        nn.Dropout(0.5),
    ]  # fmt: skip
    return _headed(parts, features, shape, classes, bias=False)


def _sorbaro_events(parts: Parts, shape: Shape, classes: int) -> nn.Sequential:
    features: Layers = []
    before, wrap = shape[0], parts.end
    for channels in (8, 12, 12):
        features += [wrap(nn.Conv2d(before, channels, 3, bias=False)), parts.activation()]
        features += [nn.AvgPool2d(2)]
        before, wrap = channels, parts.inner
    return _headed(parts, [*features, nn.Dropout(0.5)], shape, classes, bias=False)


def _sorbaro_cifar10(parts: Parts, shape: Shape, classes: int) -> nn.Sequential:
    features: Layers = [nn.Dropout(0.2)]
    before, wrap = shape[0], parts.end
    for channels, size, stride in (
        (96, 3, 1), (96, 3, 1), (192, 3, 2), (192, 3, 1), (192, 3, 1), (192, 3, 2), (192, 3, 1),
        (192, 1, 1), (classes, 1, 1),
    ):  # fmt: skip
        conv = nn.Conv2d(before, channels, size, stride, padding=size // 2, bias=False)
        nn.init.kaiming_normal_(conv.weight)  # without batch norms spikes would die out
        features += [wrap(conv), parts.activation()]
        if stride == 2:
            features.append(nn.Dropout(0.1))
        before, wrap = channels, parts.end if channels == 192 and size == 1 else parts.inner
    return nn.Sequential(*features, Mean())


def _scatter_gather_lenet(parts: Parts, shape: Shape, classes: int) -> nn.Sequential:
    features = [
        *parts.normed(shape[0], 16, 5, padding=2, first=True),
        *parts.normed(16, 16, 5),
        *parts.normed(16, 16, 2, stride=2),
        *parts.normed(16, 32, 5),
        *parts.normed(32, 32, 2, stride=2),
        *parts.normed(32, 256, 4),
    ]
    return _headed(parts, features, shape, classes)


def _scatter_gather_vgg(width: int) -> Callable[[Parts, Shape, int], nn.Sequential]:
    """Of so many channels in the first layer, and 2, 4 and 8 times as many further on."""

    def build(parts: Parts, shape: Shape, classes: int) -> nn.Sequential:
        features: Layers = []
        before = shape[0]
        for channels, convolutions in ((width, 3), (2 * width, 2), (4 * width, 2)):
            for _ in range(convolutions):
                features += parts.normed(before, channels, 3, padding=1, first=not features)
                before = channels
            features += parts.normed(channels, channels, 2, stride=2)
        features += parts.normed(before, 8 * width, 3, padding=1)
        features += parts.normed(8 * width, 8 * width, 3)
        return _headed(parts, features, shape, classes)

    return build


def _vgg16(parts: Parts, shape: Shape, classes: int) -> nn.Sequential:
    features: Layers = []
    before = shape[0]
    for channels, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            features += parts.normed(before, channels, 3, padding=1, first=not features)
            before = channels
        features += [nn.AvgPool2d(2)]
    return _headed(parts, features, shape, classes)


def _resnet(blocks: int) -> Callable[[Parts, Shape, int], nn.Sequential]:
    """Three stages of so many blocks, of 16, 32 and 64 channels."""

    def build(parts: Parts, shape: Shape, classes: int) -> nn.Sequential:
        features = parts.normed(shape[0], 16, 3, padding=1, first=True)
        before = 16
        for channels in (16, 32, 64):
            for _ in range(blocks):
                features.append(Sum(parts, before, channels, channels // before))
                before = channels
        return _headed(parts, [*features, Mean()], shape, classes)

    return build


def _mlperf_resnet8(parts: Parts, shape: Shape, classes: int) -> nn.Sequential:
    features = parts.normed(shape[0], 16, 3, padding=1, first=True)
    before, activation = 16, features[-1]
    for channels in (16, 32, 64):
        block = Joined(parts, before, channels, channels // before, activation)
        features.append(block)
        before, activation = channels, block.activation
    return _headed(parts, [*features, Mean()], shape, classes)


@dataclass(frozen=True)
class Model:
    """How a model is built, whether its convolutions have batch norms, which ternary weights need,
    and what it is.
    """

    build: Callable[[Parts, Shape, int], nn.Sequential]
    normed: bool
    what: str


MODELS = {
    "small": Model(_small, False, "16C3-P2-32C3-P2-FC, padded: for 8x8 digits"),
    "lenet": Model(_lenet, False, "8C5 padded-P2-16C5-P2-FC64-FC"),
    "paper2-mnist": Model(
        _paper2_mnist,
        False,
        "12C5-P2-64C5-P2-dropout-FC without biases: Nguyen Huynh and Lee 2022",
    ),
    "sorbaro-events": Model(
        _sorbaro_events,
        False,
        "8C3-P2-12C3-P2-12C3-P2-dropout-FC without biases, for events: Sorbaro et al. 2020",
    ),
    "sorbaro-cifar10": Model(
        _sorbaro_cifar10,
        False,
        "96C3 x2-192C3s2-192C3 x2-192C3s2-192C3-192C1-10C1-mean with dropout, without biases: "
        "Sorbaro et al. 2020",
    ),
    "scatter-gather-lenet": Model(
        _scatter_gather_lenet,
        True,
        "16C5 padded-16C5-16C2s2-32C5-32C2s2-256C4-FC, for 28x28: Zou et al. 2021",
    ),
    "scatter-gather-vgg": Model(
        _scatter_gather_vgg(64),
        True,
        "64C3 x3-64C2s2-128C3 x2-128C2s2-256C3 x2-256C2s2-512C3 padded-512C3-FC, for 24x24: "
        "Zou et al. 2021",
    ),
    "scatter-gather-vgg-half": Model(
        _scatter_gather_vgg(32), True, "the same with half as many channels in every layer"
    ),
    "vgg16": Model(_vgg16, True, "the 13 convolutions of VGG-16, average pools, one dense layer"),
    "resnet8": Model(_resnet(1), True, "3 blocks of 16, 32, 64 channels, which add activations"),
    "resnet20": Model(_resnet(3), True, "9 blocks of 16, 32, 64 channels, which add activations"),
    "mlperf-resnet8": Model(
        _mlperf_resnet8,
        True,
        "3 blocks of 16, 32, 64 channels, which add to sums: that of MLPerf Tiny",
    ),
}


def build(name: str, parts: Parts, shape: Shape, classes: int, crop: int = 0) -> nn.Sequential:
    """The model `name` for images of `shape` (C, H, W), of which it reads the middle `crop` pixels
    square, where that is not 0. RecipeError where such images are too small for it.
    """
    seen = (shape[0], crop, crop) if crop else shape
    if crop > min(shape[1:]):
        found = f"{crop}, of images of {shape[1]}x{shape[2]}"
        raise RecipeError(Problem("[augmentation] crop", "must lie within the image", found))
    try:
        model = MODELS[name].build(parts, seen, classes)
    except (RuntimeError, ValueError) as error:
        rule = f"images of {'x'.join(map(str, seen))} (channels, height, width) do not fit '{name}'"
        raise RecipeError(Problem("model", rule, str(error), "choose another model")) from error
    return nn.Sequential(Middle(crop), *model) if crop else model


class Middle(nn.Module):
    """The middle of the image, `size` pixels square."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        top, left = (x.shape[2] - self.size) // 2, (x.shape[3] - self.size) // 2
        return x[:, :, top : top + self.size, left : left + self.size]


def _headed(
    parts: Parts, features: Layers, shape: Shape, classes: int, bias: bool = True
) -> nn.Sequential:
    """With a dense layer for the classes behind."""
    flat = [*features, nn.Flatten()]
    last = nn.Linear(_width(flat, shape), classes, bias=bias)
    return nn.Sequential(*flat, parts.end(last))


def _width(flat: Layers, shape: Shape) -> int:
    """How many values the layers make of an image of that shape."""
    model = nn.Sequential(*flat).eval()
    with torch.no_grad():
        wide = int(model(torch.zeros(1, *shape)).shape[1])
    model.train()
    return wide
