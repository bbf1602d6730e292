"""Trains the network of `snngen demo`: a small CNN on scikit-learn's 8x8 digits.

    python train.py OUT

writes OUT/digits.onnx and OUT/digits.npz (x_train, y_train, x_test, y_test; pixels as bytes) and
prints the accuracy. Seeded and single-threaded: the same files on every run on one machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

SEED = 1
HELD_OUT = 400
EPOCHS = 40
BATCH = 32


def digits() -> dict[str, np.ndarray]:
    """Bytes (N, 8, 8) and labels; a seeded shuffle keeps 400 images for the test."""
    data = load_digits()
    images = np.rint(data.images * 255 / 16).astype(np.uint8)
    order = np.random.default_rng(SEED).permutation(len(images))
    train, test = order[HELD_OUT:], order[:HELD_OUT]
    return {
        "x_train": images[train],
        "y_train": data.target[train].astype(np.uint8),
        "x_test": images[test],
        "y_test": data.target[test].astype(np.uint8),
    }


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def tensors(data: dict[str, np.ndarray], split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model reads, byte / 255, and the labels."""
    images = torch.from_numpy(data[f"x_{split}"]).float().div(255).unsqueeze(1)
    return images, torch.from_numpy(data[f"y_{split}"]).long()


def moved(images: torch.Tensor) -> torch.Tensor:
    """Each image a little shifted, turned and stretched, so that positions are not learnt."""
    noise = torch.randn(len(images), 2, 3) * torch.tensor([0.025, 0.025, 0.05])
    grid = nn.functional.affine_grid(
        torch.eye(2, 3) + noise, list(images.shape), align_corners=False
    )
    return nn.functional.grid_sample(images, grid, align_corners=False)


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=4e-3)
    steps = EPOCHS * (len(images) // BATCH + 1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(moved(images[batch])), labels[batch]).backward()
            optimiser.step()
            schedule.step()


def main(out: Path) -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data, model = digits(), network()
    train(model, *tensors(data, "train"))
    model.eval()
    images, labels = tensors(data, "test")
    right = int((model(images).argmax(1) == labels).sum())
    print(f"{right} of {len(labels)} held-out images right ({100 * right / len(labels):.2f} %)")
    out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(out / "digits.npz", **data)
    torch.onnx.export(
        model,
        (images[:1],),
        str(out / "digits.onnx"),
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
