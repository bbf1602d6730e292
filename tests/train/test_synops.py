"""What is counted while torch runs is what `evaluate` counts of the converted network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from snngen.errors import ConversionError
from snngen.evaluate import evaluate
from snngen.train import QuantisedReLU, SynOps, integer, synops, ternary
from snngen.train.recipes.assembly import parts_of
from snngen.train.recipes.models import build
from snngen.train.recipes.schema import Quantisation
from tests.train.nets import MODELS, Case


def counted(case: Case) -> SynOps:
    with torch.no_grad(), SynOps(case.model) as found:
        case.model(case.inputs)
    return found


def of_network(case: Case, method: str, folder) -> list[float]:
    """Per image, of the layers that spikes reach."""
    net = case.converted(method, folder)
    found = evaluate(net, case.images)
    return [layer.synops for layer in found.layers if layer.synops]


@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_number_that_evaluate_counts(name: str, tmp_path, monkeypatch) -> None:
    make, method = MODELS[name]
    case = Case.of(make)
    wanted = of_network(case, method, tmp_path)
    found = counted(case)
    assert float(found.total()) == pytest.approx(sum(wanted), rel=1e-12)
    if name != "residual":  # there several synapses make one layer of the network
        assert [float(v) for v in found.layers.values()] == pytest.approx(wanted, rel=1e-12)

    def without_borders(spikes: Tensor, weight: Tensor, *args: object, **given: object) -> Tensor:
        return spikes.sum() * weight[:, 0].numel()

    monkeypatch.setitem(synops.READS, "conv2d", without_borders)
    assert float(counted(case).total()) != pytest.approx(sum(wanted), rel=1e-3)


def test_a_shortcut_that_scales_its_channels_costs_a_synapse(tmp_path) -> None:
    """As ResNet-8's first block has."""
    torch.manual_seed(2)
    how = parts_of(Quantisation(levels=4, weights=4, ends=8))
    model = build("mlperf-resnet8", how, (2, 12, 12), 5)
    case = Case(model, Case.of(MODELS["residual"][0]).images)
    with torch.no_grad():
        for _ in range(5):
            model.train()(case.inputs)
    model.eval()
    wanted, found = of_network(case, "quantized", tmp_path), counted(case)
    assert float(found.total()) == pytest.approx(sum(wanted), rel=1e-12)
    assert "3.add" in found.layers


def test_fractions_of_spikes_cost_fractions_while_nothing_is_rounded() -> None:
    model = nn.Sequential(QuantisedReLU(rounding="none"), nn.Linear(3, 5))
    x = torch.tensor([[0.25, 1.5, -1.0]])
    for mode, wanted in ((True, 1.75 * 5), (False, 1.0 * 5)):
        model.train(mode)
        with SynOps(model) as found:
            model(x)
        assert float(found.total()) == wanted


def test_fan_out_at_borders_is_a_transposed_convolution_of_ones() -> None:
    """Its derivative by each activation, against the definition; signals and images."""
    cases = [
        (nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=False), (2, 7, 9)),
        (nn.Conv2d(4, 6, (2, 3), padding=(0, 2), dilation=(2, 1), groups=2, bias=False), (4, 6, 5)),
        (nn.Conv2d(2, 3, 4, padding="same", bias=False), (2, 6, 6)),
        (nn.Conv1d(2, 5, 3, stride=2, padding=2, bias=False), (2, 11)),
        (nn.Linear(7, 3, bias=False), (7,)),
    ]
    for layer, shape in cases:
        spikes = torch.ones(1, *shape, requires_grad=True)
        nn.init.ones_(layer.weight)
        layer(spikes).sum().backward()
        x = torch.ones(1, *shape, requires_grad=True)
        model = nn.Sequential(QuantisedReLU(0, 3), layer)
        with SynOps(model) as found:
            model(x)
        found.total().backward()
        assert torch.equal(x.grad, spikes.grad), layer


def test_the_gradient_drives_the_operations_down() -> None:
    case = Case.of(MODELS["lenet"][0])
    case.model.train()
    optimiser = torch.optim.Adam(case.model.parameters(), 3e-3)
    totals = []
    for _ in range(30):
        with SynOps(case.model) as found:
            case.model(case.inputs)
        totals.append(float(found.total()))
        optimiser.zero_grad()
        found.off_target(totals[0] / 4).backward()
        optimiser.step()
    assert totals[-1] == pytest.approx(totals[0] / 4, rel=0.2)


def test_both_losses_weigh_layers() -> None:
    found = counted(Case.of(MODELS["lenet"][0]))
    layers = {name: float(cost) for name, cost in found.layers.items()}
    assert list(layers) == ["3", "7", "10"]
    weighed = layers["3"] / 2 + layers["7"] + 9 * layers["10"]
    assert float(found.total({"3": 0.5, "10": 9})) == pytest.approx(weighed)
    off = float(found.off_target(1000.0, {"3": 0.5, "10": 9}))
    assert off == pytest.approx((weighed / 1000 - 1) ** 2)


class Functions(nn.Module):
    """What has no module of its own; an addition in place; an input that is read again."""

    def __init__(self) -> None:
        super().__init__()
        self.act = QuantisedReLU(0, 3)
        self.weight = nn.Parameter(torch.ones(2, 2, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(x)
        y = functional.dropout(y.transpose(2, 3).contiguous().view(len(x), 2, 16, 1), 0.9)
        y = functional.pad(y.reshape(x.shape), (1, 1, 1, 1))
        z = functional.conv2d(y, self.weight)
        z += x + self.act(x)
        return functional.conv2d(z, self.weight)


def test_functions_are_counted_where_they_are_called() -> None:
    model = Functions().train()
    with SynOps(model) as found:
        model(torch.full((3, 2, 4, 4), 2.0))
    layers = {name: float(cost) for name, cost in found.layers.items()}
    assert layers == {"conv2d": 2.0 * 2 * 100 * 2, "add": 2.0 * 32}


def test_nothing_is_left_behind() -> None:
    case = Case.of(MODELS["lenet"][0])
    for _ in range(2):
        counted(case)
        with pytest.raises(RuntimeError), SynOps(case.model):
            case.model(case.inputs[:, :1])
    modules = list(case.model.modules())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in modules)


def raised(model: nn.Module, x: Tensor) -> str:
    with pytest.raises(ConversionError) as error, SynOps(model) as found:
        model(x)
        found.total()
    return str(error.value)


def test_what_cannot_be_counted_is_named() -> None:
    x = torch.zeros(1, 2, 4, 4)
    model = nn.Sequential(QuantisedReLU(0, 3), nn.Upsample(scale_factor=2), nn.Conv2d(2, 2, 3))
    text = raised(model, x)
    assert "function 'interpolate', called in module '1': what spikes cost" in text
    assert "avg_pool2d" in text

    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * x

    text = raised(nn.Sequential(QuantisedReLU(0, 3), Square(), nn.Conv2d(2, 2, 3)), x)
    assert "function 'mul', called in module '1': what spikes cost" in text
    assert "the model: sends no spikes to any layer" in raised(nn.Conv2d(2, 2, 3), x)


def test_wrong_weights_and_targets_are_refused() -> None:
    found = counted(Case.of(MODELS["lenet"][0]))
    with pytest.raises(ConversionError, match=r"weights: may name 3, 7, 10\n  found: conv1"):
        found.total({"conv1": 2.0})
    with pytest.raises(ConversionError, match=r"target: must be above 0"):
        found.off_target(0)


def test_adaptive_pools_and_means_pass_sums_on() -> None:
    x = torch.full((2, 3, 4, 6), 2.0)
    head = integer(nn.Linear(3, 5), 8)
    for pool in (nn.AdaptiveAvgPool2d(1), nn.AvgPool2d((4, 6), count_include_pad=False)):
        model = nn.Sequential(QuantisedReLU(0, 3), pool, nn.Flatten(), head)
        with SynOps(model) as found:
            model(x)
        assert float(found.total()) == 2 * 3 * 24 * 5
    unequal = nn.Sequential(
        QuantisedReLU(0, 3), nn.AdaptiveAvgPool2d(5), ternary(nn.Conv2d(3, 3, 1))
    )
    assert "adaptive_avg_pool2d" in raised(unequal, x)
