"""Trains digits_sparse.onnx, a network for 8x8 digits whose spikes have a price."""

import numpy as np
import torch
from torch import nn

from snngen.train import QCFS, SynOps, export_onnx, integer

torch.manual_seed(1)
torch.set_num_threads(1)
digits = np.load("snngen/demo_data/digits.npz")
images = torch.from_numpy(digits["x_train"])[:, None] / 255
labels = torch.from_numpy(digits["y_train"]).long()
model = nn.Sequential(
    integer(nn.Conv2d(1, 16, 3, padding=1), bits=8),
    QCFS(levels=8),
    nn.AvgPool2d(2),
    integer(nn.Conv2d(16, 32, 3, padding=1), bits=8),
    QCFS(levels=8),
    nn.AvgPool2d(2),
    nn.Flatten(),
    integer(nn.Linear(128, 10), bits=8),
)
optimiser = torch.optim.Adam(model.parameters(), 3e-3)
for _ in range(15):
    for batch in torch.randperm(len(images)).split(32):
        with SynOps(model) as synops:
            scores = model(images[batch])
        loss = nn.functional.cross_entropy(scores, labels[batch]) + 1e-6 * synops.total()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
print(f"{synops.total():,.0f} synaptic operations per image")
export_onnx(model, images[:1], "digits_sparse.onnx")
