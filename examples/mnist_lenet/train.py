"""Trains a LeNet on MNIST, read from its published files below $SNNGEN_DATA.

    python train.py OUT.onnx

prints the accuracy on the 10,000 test images. Seeded and single-threaded; two minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

from snngen import data

SEED = 1
EPOCHS = 4
BATCH = 64


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def tensors(split: data.Split) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model reads, byte / 255, and the labels."""
    samples = data.load("mnist", (1, 28, 28), split=split)
    return torch.from_numpy(samples.images).float().div(255), torch.from_numpy(samples.labels)


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    steps = EPOCHS * (len(images) // BATCH + 1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimiser.step()
            schedule.step()


@torch.no_grad()
def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    right = [
        (model(x).argmax(1) == y).sum()
        for x, y in zip(images.split(1000), labels.split(1000), strict=True)
    ]
    return float(sum(right)) / len(labels)


def main(out: Path) -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    model = network()
    train(model, *tensors("train"))
    model.eval()
    print(f"{100 * accuracy(model, *tensors('test')):.2f} % of the 10,000 test images right")
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, 28, 28),),
        str(out),
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
        opset_version=17,
        dynamo=False,
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
