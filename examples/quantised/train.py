"""Trains LeNets with quantised activations on MNIST, read from its files below $SNNGEN_DATA.

    python train.py scatter-gather OUT.onnx [EPOCHS]
    python train.py qcfs OUT.onnx [EPOCHS]

`scatter-gather` (Zou et al. 2021, Frontiers in Neuroscience 15:694170): ternary weights but in the
first and the last layer, activations of N = 4 levels, (k, B) = (1, 2), learned strided pooling.
`qcfs` (Bu et al. 2022): clip(floor(z L / lambda + 1/2) / L, 0, 1) lambda, L = 4, lambda learned.

Prints the accuracy on the 10,000 test images. Seeded and single-threaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from snngen import data

SEED = 1
EPOCHS = {"scatter-gather": 3, "qcfs": 4}
BATCH = 64
SHIFT = 2  # pixels by which training images are moved at most


class Ternary(nn.Conv2d):
    """sign(W) where |W| > 0.7 mean |W|, else 0; the gradient passes straight through."""

    def ternary(self) -> Tensor:
        delta = 0.7 * self.weight.abs().mean()
        return self.weight.sign() * (self.weight.abs() > delta)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight + (self.ternary() - self.weight).detach()
        return nn.functional.conv2d(x, weight, None, self.stride, self.padding)


class Levels(nn.Module):
    """clip(relu(x), 0, B) in steps of 2**-k, rounded, straight through."""

    def __init__(self, k: int, bound: int) -> None:
        super().__init__()
        self.k, self.bound = k, bound

    def forward(self, x: Tensor) -> Tensor:
        a = x.relu().clamp(0, self.bound)
        if not self.training:
            return torch.round(a * 2**self.k + 1e-5) / 2**self.k
        return a + (torch.round(a.detach() * 2**self.k + 1e-5) / 2**self.k - a.detach())


class Qcfs(nn.Module):
    """The quantised clip-floor-shift activation with a learned lambda."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.bound = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        scaled = x / self.bound * self.levels + 0.5
        floor = torch.floor(scaled)
        if self.training:
            floor = scaled + (floor - scaled).detach()
        return torch.clamp(floor / self.levels, 0, 1) * self.bound


def scatter_gather() -> nn.Sequential:
    def block(conv: nn.Conv2d) -> list[nn.Module]:
        return [conv, nn.BatchNorm2d(conv.out_channels), Levels(k=1, bound=2)]

    return nn.Sequential(
        *block(nn.Conv2d(1, 16, 5, padding=2, bias=False)),
        *block(Ternary(16, 16, 5, bias=False)),
        *block(Ternary(16, 16, 2, stride=2, bias=False)),
        *block(Ternary(16, 32, 5, bias=False)),
        *block(Ternary(32, 32, 2, stride=2, bias=False)),
        *block(Ternary(32, 256, 4, bias=False)),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


def qcfs() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2, bias=False),
        nn.BatchNorm2d(6),
        Qcfs(4),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5, bias=False),
        nn.BatchNorm2d(16),
        Qcfs(4),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 84),
        Qcfs(4),
        nn.Linear(84, 10),
    )


NETWORKS = {"scatter-gather": scatter_gather, "qcfs": qcfs}


def tensors(split: data.Split) -> tuple[Tensor, Tensor]:
    """What the model reads, byte / 255, and the labels."""
    samples = data.load("mnist", (1, 28, 28), split=split)
    return torch.from_numpy(samples.images).float().div(255), torch.from_numpy(samples.labels)


def train(model: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    steps = epochs * (len(images) // BATCH + 1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    model.train()
    for epoch in range(epochs):
        right = 0
        for batch in torch.randperm(len(images)).split(BATCH):
            dy, dx = torch.randint(-SHIFT, SHIFT + 1, (2,)).tolist()
            scores = model(images[batch].roll((dy, dx), (2, 3)))
            right += int((scores.argmax(1) == labels[batch]).sum())
            optimiser.zero_grad()
            nn.functional.cross_entropy(scores, labels[batch]).backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}: {100 * right / len(images):.2f} % while training", flush=True)
    model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    right = [
        (model(x).argmax(1) == y).sum()
        for x, y in zip(images.split(500), labels.split(500), strict=True)
    ]
    return float(sum(right)) / len(labels)


def exportable(model: nn.Sequential) -> nn.Sequential:
    """With plain convolutions that hold the ternary weights."""
    layers: list[nn.Module] = []
    for layer in model:
        if isinstance(layer, Ternary):
            plain = nn.Conv2d(
                layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, bias=False
            )
            plain.weight = nn.Parameter(layer.ternary().detach())
            layer = plain
        layers.append(layer)
    return nn.Sequential(*layers).eval()


def store_ternary_weights_as_bytes(model: onnx.ModelProto) -> None:
    """int8 and a Cast in place of float32, a quarter of the size."""
    for tensor in list(model.graph.initializer):
        values = onnx.numpy_helper.to_array(tensor)
        if values.ndim == 4 and set(np.unique(values)) <= {-1.0, 0.0, 1.0}:
            model.graph.initializer.remove(tensor)
            narrow = onnx.numpy_helper.from_array(values.astype(np.int8), f"{tensor.name}.int8")
            model.graph.initializer.append(narrow)
            cast = onnx.helper.make_node("Cast", [narrow.name], [tensor.name], to=1)
            model.graph.node.insert(0, cast)


def main(kind: str, out: Path, epochs: int) -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    model = NETWORKS[kind]()
    train(model, *tensors("train"), epochs)
    print(f"{100 * accuracy(model, *tensors('test')):.2f} % of the 10,000 test images right")
    torch.onnx.export(
        exportable(model),
        (torch.zeros(1, 1, 28, 28),),
        str(out),
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
        opset_version=17,
        training=torch.onnx.TrainingMode.PRESERVE,  # batch norms stay nodes of their own
        do_constant_folding=False,
        dynamo=False,
    )
    exported = onnx.load(out)
    store_ternary_weights_as_bytes(exported)
    onnx.checker.check_model(exported)
    onnx.save(exported, out)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in NETWORKS:
        raise SystemExit(__doc__)
    kind = sys.argv[1]
    main(kind, Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else EPOCHS[kind])
