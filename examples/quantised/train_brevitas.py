"""Trains a convolutional network of 4 bits on MNIST with brevitas, and exports it in both of its
formats: OUT_qcdq.onnx, in operators of the ONNX standard, and OUT_qonnx.onnx.

    pip install brevitas==0.13.4 qonnx==1.0.0 onnxoptimizer==0.4.2
    python train_brevitas.py OUT [EPOCHS]

Prints the accuracy on the 10,000 test images, read from MNIST's files below $SNNGEN_DATA. Seeded
and single-threaded; two minutes.
"""

from __future__ import annotations

import sys

import torch
from brevitas.export import export_onnx_qcdq, export_qonnx
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import Int8ActPerTensorFloat, Uint8ActPerTensorFloat
from torch import Tensor, nn

from snngen import data

SEED = 1
EPOCHS = 3
BATCH = 64
BITS = 4


def network() -> nn.Sequential:
    """Weights of 4 bits, one scale per channel; of 8 bits in the last layer, one scale in all."""
    return nn.Sequential(
        QuantIdentity(act_quant=Uint8ActPerTensorFloat),
        QuantConv2d(1, 8, 5, padding=2, bias=False, weight_bit_width=BITS,
                    weight_scaling_per_output_channel=True),
        nn.BatchNorm2d(8),
        QuantReLU(bit_width=BITS),
        nn.MaxPool2d(2),
        QuantConv2d(8, 16, 5, bias=False, weight_bit_width=BITS,
                    weight_scaling_per_output_channel=True),
        nn.BatchNorm2d(16),
        QuantReLU(bit_width=BITS),
        nn.MaxPool2d(2),
        nn.Flatten(),
        QuantLinear(400, 10, bias=False, output_quant=Int8ActPerTensorFloat),
    )  # fmt: skip


def tensors(split: data.Split) -> tuple[Tensor, Tensor]:
    """What the model reads, byte / 255, and the labels."""
    samples = data.load("mnist", (1, 28, 28), split=split)
    return torch.from_numpy(samples.images).float().div(255), torch.from_numpy(samples.labels)


def train(model: nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, epochs * (len(images) // BATCH + 1)
    )
    model.train()
    for epoch in range(epochs):
        right = 0
        for batch in torch.randperm(len(images)).split(BATCH):
            scores = model(images[batch])
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


def main(out: str, epochs: int) -> None:
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    model = network()
    train(model, *tensors("train"), epochs)
    print(f"{100 * accuracy(model, *tensors('test')):.2f} % of the 10,000 test images right")
    for export, name in ((export_onnx_qcdq, "qcdq"), (export_qonnx, "qonnx")):
        export(
            model,
            args=torch.zeros(1, 1, 28, 28),
            export_path=f"{out}_{name}.onnx",
            opset_version=17,
            dynamo=False,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
        )


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else EPOCHS)
