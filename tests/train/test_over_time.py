"""A model over time is the network of IF neurons that conversion makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from snngen import golden
from snngen.convert import Options
from snngen.errors import ConversionError
from snngen.evaluate import Ann, evaluate
from snngen.fixed import FixedNet
from snngen.pipeline import Normalisation, build, read_model
from snngen.train import (
    QCFS,
    QuantisedReLU,
    SynOps,
    activations,
    export_onnx,
    integer,
    over_time,
    ternary,
)
from tests.train.nets import Case

T = 8
SCALE = 256.0  # of a byte


def lenet() -> nn.Module:
    """Thresholds that are integers in the network, where bytes stand for multiples of 1/256:
    nothing is rounded, neither by conversion nor by floats.
    """
    return nn.Sequential(
        ternary(nn.Conv2d(2, 4, 5, padding=2, bias=False)), QCFS(T, 2.0), nn.AvgPool2d(2),
        ternary(nn.Conv2d(4, 6, 3, bias=False)), QCFS(T, 4.0), nn.Flatten(),
        ternary(nn.Linear(96, 12, bias=False)), QuantisedReLU(0, T, "down"),
        integer(nn.Linear(12, 5), 8),
    )  # fmt: skip


def inputs(case: Case) -> Tensor:
    return torch.from_numpy(case.images) / SCALE


def network(case: Case, folder: Path) -> FixedNet:
    export_onnx(case.model, case.inputs, folder / "model.onnx")
    ann = Ann(read_model(folder / "model.onnx"), Normalisation(SCALE).preprocess(2))
    return build(ann, case.images[:1], Options("quantized", "if", timesteps=T))


def differences(case: Case, net: FixedNet) -> tuple[int, float]:
    """Spikes, one by one, that are not the model's; and the furthest output of all, of their
    range.
    """
    sent: list[np.ndarray] = []

    def keep(module: activations.Quantised, _: object, result: Tensor) -> None:
        spikes = (result / module.step / module.levels).unflatten(0, (T, -1))
        sent.append(spikes.round().int().numpy())

    spiking = [m for m in case.model.modules() if isinstance(m, activations.Quantised)]
    hooks = [m.register_forward_hook(keep) for m in spiking]
    with torch.no_grad():
        scores = over_time(case.model, inputs(case)).numpy()
    for hook in hooks:
        hook.remove()
    trace = golden.trace(net, case.images)
    neurons = [layer.name for layer in net.layers if layer.neuron][:-1]
    wrong = 0
    for name, want in zip(neurons, sent, strict=True):
        wrong += int((trace[name].output.swapaxes(0, 1).reshape(want.shape) != want).sum())
    outputs = trace[net.layers[-1].name].output[:, -1].reshape(scores.shape) * net.output_scale
    return wrong, float(np.abs(outputs - scores).max() / np.ptp(scores))


def test_every_spike_at_every_timestep_is_the_networks(tmp_path, monkeypatch) -> None:
    case = Case.of(lenet)
    net = network(case, tmp_path)
    wrong, off = differences(case, net)
    assert wrong == 0
    assert off < 1e-3
    assert not any(m.timesteps for m in case.model.modules() if hasattr(m, "timesteps"))

    monkeypatch.setattr(QCFS, "offset", 0.3)
    assert differences(case, net)[0] > 0


def test_its_synaptic_operations_are_those_of_its_spikes(tmp_path) -> None:
    case = Case.of(lenet)
    with torch.no_grad(), SynOps(case.model) as found:
        over_time(case.model, inputs(case))
    wanted = evaluate(network(case, tmp_path), case.images).synops
    assert float(found.total()) == pytest.approx(wanted, rel=1e-12)


def test_it_can_be_trained_on() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 16), QCFS(T, 1.0), nn.Linear(16, 3))
    x = torch.rand(60, 6)
    labels = x[:, :3].argmax(1)
    optimiser = torch.optim.Adam(model.parameters(), 0.02)
    losses = []
    for _ in range(60):
        loss = nn.functional.cross_entropy(over_time(model, x), labels)
        losses.append(float(loss.detach()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < losses[0] / 3


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (nn.Sequential(QCFS(8), nn.Linear(2, 2), QCFS(4)), r"\[4, 8\]"),
        (nn.Linear(2, 2), r"\[\]"),
    ],
)
def test_one_number_of_timesteps_must_do(model: nn.Module, found: str) -> None:
    message = rf"the model: must have activations, all of as many levels\n  found: {found}"
    with pytest.raises(ConversionError, match=message):
        over_time(model, torch.zeros(1, 2))
