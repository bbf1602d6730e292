"""Trains a LeNet for MNIST, read from its files below $SNNGEN_DATA, that hardly spikes.

    pip install snngen[train]
    python train.py OUT.onnx

QCFS activations of 8 levels, weights of 7 bits, and PENALTY for every synaptic operation of an
image as part of the loss. At the end it is trained as what it will be, IF neurons over 8 timesteps.
Prints the accuracy on the 10,000 test images and the synaptic operations per image, by the layer
that they reach.

Seeded, one thread: the same processor writes the same file. Six minutes where nothing else runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from snngen import data
from snngen.train import QCFS, SynOps, export_onnx, integer, over_time

SEED = 1
LEVELS, BITS = 8, 7
EPOCHS, BATCH, RATE = 6, 128, 3e-3
PENALTY = 2e-7  # grows to this during the first epoch: features come first
SHIFT = 2  # pixels by which training images are moved at most
TUNING_STEPS, TUNING_BATCH, TUNING_RATE = 1000, 64, 5e-4


def network() -> nn.Sequential:
    return nn.Sequential(
        integer(nn.Conv2d(1, 8, 5, padding=2), BITS),
        QCFS(LEVELS),
        nn.AvgPool2d(2),
        integer(nn.Conv2d(8, 16, 5), BITS),
        QCFS(LEVELS),
        nn.AvgPool2d(2),
        nn.Flatten(),
        integer(nn.Linear(400, 64), BITS),
        QCFS(LEVELS),
        integer(nn.Linear(64, 10), BITS),
    )


def tensors(split: data.Split) -> tuple[Tensor, Tensor]:
    """What the model reads, byte / 255, and the labels."""
    samples = data.load("mnist", (1, 28, 28), split=split)
    return torch.from_numpy(samples.images).float().div(255), torch.from_numpy(samples.labels)


def loss_of(
    model: nn.Module, scores_of: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, penalty: float
) -> Tensor:
    dy, dx = torch.randint(-SHIFT, SHIFT + 1, (2,)).tolist()
    with SynOps(model) as synops:
        scores = scores_of(x.roll((dy, dx), (2, 3)))
    return nn.functional.cross_entropy(scores, y) + penalty * synops.total()


def train(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    steps = len(images) // BATCH
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=EPOCHS * steps)
    for epoch in range(EPOCHS):
        batches = torch.randperm(len(images))[: steps * BATCH].split(BATCH)
        for step, batch in enumerate(batches, epoch * steps):
            penalty = PENALTY * min(step / steps, 1)
            loss = loss_of(model, model, images[batch], labels[batch], penalty)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}: {judged(model, model)}", flush=True)


def tune_over_time(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    optimiser = torch.optim.Adam(model.parameters(), TUNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, TUNING_STEPS)
    spiking = lambda x: over_time(model, x)  # noqa: E731
    print(f"over time: {judged(model, spiking)}", flush=True)
    for batch in torch.randint(len(images), (TUNING_STEPS, TUNING_BATCH)):
        loss = loss_of(model, spiking, images[batch], labels[batch], PENALTY)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    print(f"over time, tuned: {judged(model, spiking)}", flush=True)


def judged(model: nn.Module, scores_of: Callable[[Tensor], Tensor]) -> str:
    images, labels = tensors("test")
    right, layers = 0, dict.fromkeys(("3", "7", "9"), 0.0)
    with torch.no_grad():
        for k in range(0, len(labels), 500):
            with SynOps(model) as synops:
                scores = scores_of(images[k : k + 500])
            right += int((scores.argmax(1) == labels[k : k + 500]).sum())
            for name, cost in synops.layers.items():
                layers[name] += float(cost) * 500 / len(labels)
    by_layer = ", ".join(f"{name}: {cost:,.0f}" for name, cost in layers.items())
    return f"{100 * right / len(labels):.2f} % right, synops {by_layer}"


def main(out: Path) -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    model = network()
    images, labels = tensors("train")
    train(model, images, labels)
    tune_over_time(model, images, labels)
    export_onnx(model, images[:1], out)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
