"""Parametrised weights, learned pools, and the loss of distillation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snngen.errors import ConversionError
from snngen.train import LearnedPool, QuantisedReLU, beside, distillation, integer, ternary
from snngen.train.distillation import relative_error


def test_ternary_is_as_published() -> None:
    torch.manual_seed(1)
    real = nn.Conv2d(4, 6, 3)
    weight = real.weight.detach().clone()
    delta = 0.7 * weight.abs().mean()
    wanted = torch.where(weight.abs() > delta, weight.sign(), 0.0)
    assert torch.equal(ternary(real).weight, wanted)


@pytest.mark.parametrize("bits", range(2, 9))
def test_integers_of_so_many_bits_and_the_nearest(bits: int) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(50, 6)
    nn.init.zeros_(layer.weight[3])
    weight, most = layer.weight.detach().clone(), 2 ** (bits - 1) - 1
    integer(layer, bits)
    unit = weight.abs().amax(1, keepdim=True) / most
    rounded = layer.weight / torch.where(unit > 0, unit, 1.0)
    assert torch.allclose(rounded, rounded.round(), atol=1e-5)
    assert rounded.abs().round().amax(1).tolist() == [most, most, most, 0, most, most]
    assert torch.all((layer.weight - weight).abs() <= unit / 2 + 1e-7)


def test_scaled_ternary_is_closest_to_each_channel() -> None:
    """Its unit is the mean of what it keeps, which is what least squares gives."""
    torch.manual_seed(1)
    real = nn.Conv2d(4, 6, 3)
    with torch.no_grad():
        real.weight[2] *= 100
        real.weight[3] = 0
    weight = real.weight.detach().clone()
    made = ternary(real, scaled=True).weight.detach()
    for row, got in zip(weight.flatten(1), made.flatten(1), strict=True):
        kept = row.abs() > 0.7 * row.abs().mean()
        unit = row[kept].abs().mean() if kept.any() else 1.0
        assert torch.allclose(got, row.sign() * kept * unit)


def test_what_is_added_has_one_unit() -> None:
    """Spikes of 0.5 and of 0.3 each, and weights of which one is far too large for 5 bits."""
    torch.manual_seed(1)
    main, past = integer(nn.Linear(9, 6), 4), nn.Linear(5, 6)
    with torch.no_grad():
        past.weight[1, 2] = 1000
    weight = past.weight.detach().clone()
    beside(past, main, lambda: torch.tensor(0.5 / 0.3), 5)
    unit = main.parametrizations.weight.original.detach().abs().amax(1, keepdim=True) / 7 * 0.5
    integers = past.weight.detach() * 0.3 / unit
    assert torch.allclose(integers, integers.round(), atol=1e-4)
    assert integers[1, 2].round() == 15
    wanted = (weight * 0.3 / unit).round().clamp(-15, 15)
    assert torch.equal(integers.round(), wanted)
    past(torch.randn(7, 5)).sum().backward()
    assert past.parametrizations.weight.original.grad.any()
    assert main.parametrizations.weight.original.grad is None


@pytest.mark.parametrize("make", [ternary, integer])
def test_the_gradient_reaches_the_real_weights(make) -> None:
    """As if the weights that are used were they."""
    torch.manual_seed(1)
    layer = make(nn.Linear(5, 3))
    x = torch.randn(7, 5)
    layer(x).square().sum().backward()
    used = layer.weight.detach().requires_grad_()
    (x @ used.T + layer.bias).square().sum().backward()
    assert torch.allclose(layer.parametrizations.weight.original.grad, used.grad)


def test_wrong_bits_are_refused() -> None:
    with pytest.raises(ConversionError, match=r"bits: must be 2..8\n  found: 9"):
        integer(nn.Linear(2, 2), 9)
    with pytest.raises(ConversionError, match=r"bits: must be 2..16\n  found: 17"):
        beside(nn.Linear(2, 2), integer(nn.Linear(2, 2)), lambda: torch.ones(()), 17)


def test_a_learned_pool_tiles_the_image() -> None:
    pool = LearnedPool(6, QuantisedReLU(1, 2), size=3)
    assert pool(torch.zeros(2, 6, 9, 6)).shape == (2, 6, 3, 2)
    assert set(pool[0].weight.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert pool[0].bias is None


def test_distillation_is_the_divergence_and_teaches_classes() -> None:
    torch.manual_seed(1)
    scores, teacher = torch.randn(6, 5, requires_grad=True), torch.randn(6, 5, requires_grad=True)
    p, q = (torch.softmax(v.double() / 3, 1) for v in (teacher, scores))
    wanted = 9 * (p * (p / q).log()).sum(1).mean()
    loss = distillation(scores, teacher, temperature=3.0)
    assert float(loss) == pytest.approx(float(wanted), rel=1e-5)
    loss.backward()
    assert teacher.grad is None
    assert float(distillation(teacher, teacher)) == pytest.approx(0, abs=1e-6)
    for _ in range(300):
        gradient = torch.autograd.grad(distillation(scores, teacher), scores)[0]
        scores = (scores - 5 * gradient).detach().requires_grad_()
    assert torch.equal(scores.argmax(1), teacher.argmax(1))


def test_an_error_is_relative_to_the_teacher() -> None:
    values = torch.tensor([1.0, 2.0, 5.0], requires_grad=True)
    teacher = torch.tensor([1.0, 4.0, 3.0], requires_grad=True)
    loss = relative_error(values, teacher)
    assert loss.item() == pytest.approx((0 + 4 + 4) / (1 + 16 + 9))
    loss.backward()
    assert teacher.grad is None
    assert torch.allclose(values.grad, 2 * torch.tensor([0.0, -2.0, 2.0]) / 26)
    assert relative_error(torch.zeros(3), torch.zeros(3)) == 0, "of one that is silent"
