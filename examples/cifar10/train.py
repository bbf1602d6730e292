"""Trains a small DenseNet or VGG on CIFAR-10, read from its published files below $SNNGEN_DATA.

    python train.py densenet|vgg OUT.onnx

prints loss and time of every epoch, and at the end the accuracy on the 10,000 test images, which
nothing before looks at. The ONNX file keeps its BatchNormalization nodes. Seeded and
single-threaded; about half an hour.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch import nn

from snngen import data

SEED = 1
EPOCHS = {"densenet": 15, "vgg": 16}
BATCH = 128
RATE = {"densenet": 0.2, "vgg": 0.1}
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
PAD = 4


class DenseLayer(nn.Module):
    """What a dense block adds: `growth` channels computed from all channels before them."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.conv(torch.relu(self.norm(x)))], 1)


def densenet(layers: int = 5, growth: int = 12) -> nn.Sequential:
    """Three dense blocks in the order batch norm, ReLU, convolution, as published (Huang et al.
    2017), after a stem that halves the image.
    """
    channels = 2 * growth
    made: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.MaxPool2d(2)]
    for block in range(3):
        if block:
            half = channels // 2
            made += [nn.BatchNorm2d(channels), nn.ReLU()]
            made += [nn.Conv2d(channels, half, 1, bias=False), nn.AvgPool2d(2)]
            channels = half
        for _ in range(layers):
            made.append(DenseLayer(channels, growth))
            channels += growth
    made += [nn.BatchNorm2d(channels), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten()]
    return nn.Sequential(*made, nn.Linear(channels, 10))


def vgg() -> nn.Sequential:
    """Seven convolutions with batch norm, max pooling between the stages."""
    made: list[nn.Module] = []
    channels = 3
    for stage in ((16,), (32, 32), (64, 64), (96, 96)):
        for width in stage:
            made += [nn.Conv2d(channels, width, 3, padding=1, bias=False)]
            made += [nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        made.append(nn.MaxPool2d(2))
    return nn.Sequential(*made, nn.Flatten(), nn.Linear(4 * channels, 10))


NETWORKS = {"densenet": densenet, "vgg": vgg}


def tensors(split: data.Split) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model reads, (byte / 255 - mean) / std, and the labels."""
    samples = data.load("cifar10", (3, 32, 32), split=split)
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (MEAN, STD))
    images = (torch.from_numpy(samples.images).float() / 255 - mean) / std
    return images.contiguous(memory_format=torch.channels_last), torch.from_numpy(samples.labels)


def moved(images: torch.Tensor) -> torch.Tensor:
    """Half of the images mirrored, each shifted by up to four pixels, zeros moving in."""
    count = len(images)
    padded = nn.functional.pad(images, (PAD,) * 4)
    rows, columns = (torch.randint(0, 2 * PAD + 1, (count, 1)) + torch.arange(32) for _ in "yx")
    columns = torch.where(torch.rand(count, 1) < 0.5, columns, columns.flip(1))
    at = torch.arange(count)[:, None, None]
    picked = padded.permute(0, 2, 3, 1)[at, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def train(model: nn.Module, epochs: int, rate: float) -> None:
    images, labels = tensors("train")
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": decayed, "weight_decay": 5e-4}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True)
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=epochs * steps, pct_start=0.25
    )
    for epoch in range(epochs):
        began, total = time.process_time(), 0.0
        for batch in torch.randperm(len(images))[: steps * BATCH].split(BATCH):
            optimiser.zero_grad()
            loss = nn.functional.cross_entropy(model(moved(images[batch])), labels[batch])
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        seconds = time.process_time() - began
        print(f"epoch {epoch + 1}: loss {total / steps:.4f}, {seconds:.0f} s", flush=True)


@torch.no_grad()
def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    right = [
        (model(x).argmax(1) == y).sum()
        for x, y in zip(images.split(1000), labels.split(1000), strict=True)
    ]
    return float(sum(right)) / len(labels)


def main(name: str, out: Path) -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    model = NETWORKS[name]().to(memory_format=torch.channels_last)
    train(model, EPOCHS[name], RATE[name])
    model.eval()
    print(f"{100 * accuracy(model, *tensors('test')):.2f} % of the 10,000 test images right")
    torch.onnx.export(
        model,
        (torch.zeros(1, 3, 32, 32),),
        str(out),
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
        opset_version=17,
        dynamo=False,
        do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE,
    )


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in NETWORKS:
        raise SystemExit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
