"""Parametrised weights, learned pools, and the loss of distillation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from snngen.errors import ConversionError
from snngen.train import LearnedPool, QuantisedReLU, distillation, integer, ternary


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
