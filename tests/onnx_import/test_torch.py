"""What PyTorch's exporters write, the old and the new one, for small networks of many kinds."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import onnx
import pytest

from tests.conftest import Require
from tests.onnx_import.build import agrees

Network = tuple[Any, tuple[int, ...]]


@pytest.fixture
def torch(require: Require) -> Any:
    require("python:torch")
    require("python:onnxscript")
    import torch

    torch.manual_seed(0)
    return torch


def plain(torch: Any) -> Network:
    nn = torch.nn
    layers = nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU6(),
        nn.Dropout(0.1),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(6 * 4 * 4, 10),
    )
    return layers, (3, 16, 16)


def depthwise(torch: Any) -> Network:
    nn = torch.nn
    layers = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding="same", groups=4),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 8, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(1),
        nn.Linear(8, 3),
        nn.Softmax(dim=1),
    )
    return layers, (4, 9, 7)


def signal(torch: Any) -> Network:
    nn = torch.nn
    layers = nn.Sequential(
        nn.Conv1d(2, 5, 5, padding=4, dilation=2),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True),
        nn.Flatten(),
        nn.LazyLinear(4),
    )
    return layers, (2, 20)


def residual(torch: Any) -> Network:
    nn = torch.nn

    class Residual(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 4, 3, padding=1)
            self.second = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
            self.last = nn.Linear(4, 5)

        def forward(self, x: Any) -> Any:
            x = self.first(x).relu()
            x = (self.second(x) + x).relu()
            return self.last(x.mean(dim=(2, 3)))

    return Residual(), (3, 8, 8)


def branches(torch: Any) -> Network:
    nn = torch.nn

    class Branches(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 5, 3, padding=1)
            self.last = nn.Linear(8 * 3 * 3, 4)

        def forward(self, x: Any) -> Any:
            x = torch.cat([self.a(x).relu(), self.b(x).relu()], dim=1)
            x = nn.functional.max_pool2d(x, 2)
            return self.last(x.view(x.size(0), -1))

    return Branches(), (2, 6, 6)


@pytest.mark.parametrize("dynamo", [False, True], ids=["old", "dynamo"])
@pytest.mark.parametrize("network", [plain, depthwise, signal, residual, branches])
def test_export(torch: Any, network: Callable[[Any], Network], dynamo: bool) -> None:
    module, shape = network(torch)
    x = torch.zeros(2, *shape)
    module.eval()(x)  # gives lazy layers their size
    for norm in module.modules():
        if hasattr(norm, "running_var"):
            norm.running_mean.uniform_(-1, 1)
            norm.running_var.uniform_(0.5, 2)
    proto = export(torch, module, x, dynamo)
    last = proto.graph.node[-1]
    agrees(proto, tensor=last.input[0] if last.op_type == "Softmax" else None)


def export(torch: Any, module: Any, x: Any, dynamo: bool) -> onnx.ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        if dynamo:
            batch = {0: torch.export.Dim("batch")}
            program = torch.onnx.export(
                module, (x,), dynamo=True, dynamic_shapes=(batch,), verbose=False
            )
            return program.model_proto
        buffer = io.BytesIO()
        axes = {"x": {0: "batch"}}
        torch.onnx.export(module, x, buffer, input_names=["x"], dynamic_axes=axes, dynamo=False)
        return onnx.load_from_string(buffer.getvalue())
