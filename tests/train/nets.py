"""Small models of every wiring, with random weights on a grid, and what they are as networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from snngen.convert import Options
from snngen.evaluate import Ann
from snngen.fixed import FixedNet
from snngen.pipeline import Normalisation, build, read_model
from snngen.train import QCFS, LearnedPool, QuantisedReLU, export_onnx, integer, ternary
from snngen.train.activations import Quantised

MakeModel = Callable[[], nn.Module]


class Residual(nn.Module):
    """Additions of a convolution and a shortcut, and of two convolutions, one strided with padding:
    all of one unit, or conversion would have to round. A concatenation, a mean over the image.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = integer(nn.Conv2d(2, 4, 3, padding=1), 8)
        self.same = ternary(nn.Conv2d(4, 4, 3, padding=1))
        self.down = ternary(nn.Conv2d(4, 6, 3, stride=2, padding=1))
        self.past = ternary(nn.Conv2d(4, 6, 1, stride=2))
        self.head = integer(nn.Linear(10, 5), 6)  # times 4, of the pool's windows, are 8 bits
        self.first, self.second, self.third = (QuantisedReLU(2, 4) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.stem(x))
        x = self.second(self.same(x) + x)
        y = self.third(self.down(x) + self.past(x))
        x = functional.avg_pool2d(x, 2)
        return self.head(torch.cat([x, y], 1).mean((2, 3)))


def lenet() -> nn.Module:
    """Average pools behind padded and plain convolutions."""
    return nn.Sequential(
        integer(nn.Conv2d(2, 4, 5, padding=2), 8),
        QCFS(7, 1.3),
        nn.AvgPool2d(2),
        integer(nn.Conv2d(4, 6, 3), 3),
        QCFS(3, 0.4),
        nn.AvgPool2d(2),
        nn.Flatten(),
        integer(nn.Linear(24, 12), 7),
        QCFS(15, 0.9),
        nn.Dropout(0.5),
        integer(nn.Linear(12, 5), 8),
    )


def strided() -> nn.Module:
    """Strides, unequal pads, dilation, groups, a max pool, an average pool with padding."""
    return nn.Sequential(
        integer(nn.Conv2d(2, 6, (3, 5), stride=(1, 2), padding=(0, 2)), 8),
        QuantisedReLU(3, 2),
        integer(nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=3), 6),
        QuantisedReLU(3, 1),
        nn.MaxPool2d(2, padding=1),
        integer(nn.Conv2d(6, 4, 3, padding="same"), 8),
        QuantisedReLU(4, 1),
        nn.AvgPool2d(3, stride=2, padding=1),
        nn.Flatten(),
        integer(nn.Linear(24, 5), 8),
    )


def scatter_gather() -> nn.Module:
    """Batch norms, a third of their factors below 0, ternary weights and pools."""
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        QuantisedReLU(1, 2),
        LearnedPool(6, QuantisedReLU(1, 2)),
        ternary(nn.Conv2d(6, 8, 3, bias=False)),
        nn.BatchNorm2d(8),
        QuantisedReLU(0, 2),
        nn.Flatten(),
        nn.Linear(128, 5),
    )
    with torch.no_grad():
        model[0].weight.copy_((model[0].weight * 64).round() / 64)  # integers: rounded by nobody
        model[-1].weight.copy_((model[-1].weight * 512).round() / 512)
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.weight.copy_(torch.randn(norm.num_features) + 0.5)
            norm.bias.copy_(torch.rand(norm.num_features))
            norm.running_mean.copy_(torch.randn(norm.num_features))
            norm.running_var.copy_(torch.rand(norm.num_features) * 4 + 1)
    return model


MODELS: dict[str, tuple[MakeModel, str]] = {
    "lenet": (lenet, "quantized"),
    "strided": (strided, "quantized"),
    "residual": (Residual, "quantized"),
    "scatter-gather": (scatter_gather, "scatter-gather"),
}


@dataclass(frozen=True, eq=False)
class Case:
    """A model that evaluates, and images (N, 2, 12, 12) in bytes."""

    model: nn.Module
    images: np.ndarray

    @staticmethod
    def of(make: MakeModel) -> Case:
        torch.manual_seed(3)
        images = np.random.default_rng(4).integers(0, 256, (6, 2, 12, 12), np.uint8)
        return Case(make().eval(), images)

    @property
    def inputs(self) -> Tensor:
        return torch.from_numpy(self.images).float() / 255

    def converted(self, method: str, folder: Path) -> FixedNet:
        """By way of a file."""
        export_onnx(self.model, self.inputs, folder / "model.onnx")
        graph = read_model(folder / "model.onnx")
        ann = Ann(graph, Normalisation().preprocess(graph.input.shape[0]))
        return build(ann, self.images[:1], Options(method, "level"))

    def levels(self) -> list[np.ndarray]:
        """What each activation sends, (N, ...), in the order in which they run; then the
        outputs.
        """
        found: list[np.ndarray] = []

        def keep(module: Quantised, _: object, result: Tensor) -> None:
            found.append((result / module.step).round().int().numpy())

        hooks = [
            m.register_forward_hook(keep) for m in self.model.modules() if isinstance(m, Quantised)
        ]
        with torch.no_grad():
            scores = self.model(self.inputs).numpy()
        for hook in hooks:
            hook.remove()
        return [*found, scores]
