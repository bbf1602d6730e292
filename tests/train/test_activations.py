"""Values, gradients and limits of the quantised activations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from snngen.errors import ConversionError
from snngen.train import QCFS, QuantisedReLU
from snngen.train.activations import MOST_LEVELS

X = torch.linspace(-1.503, 4.497, 601)  # on no threshold


def gradient(module: torch.nn.Module, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    module(x).sum().backward()
    assert x.grad is not None
    return x.grad


@pytest.mark.parametrize(("k", "bound"), [(0, 1), (0, 2), (1, 2), (3, 1)])
def test_bounded_is_as_published(k: int, bound: int) -> None:
    """round(2^k clip(relu(x), 0, B) + 1e-5) / 2^k, whose 1e-5 turns halves up."""
    module = QuantisedReLU(k, bound)
    wanted = torch.round(X.double().relu().clamp(0, bound) * 2**k + 1e-5) / 2**k
    assert torch.equal(module(X).double(), wanted)
    assert module.levels == 2**k * bound
    assert float(module.step) == 2.0**-k


def test_the_gradient_passes_where_nothing_is_clipped() -> None:
    module = QuantisedReLU(1, 2)
    inside = (X > -0.25 + 1e-4) & (X < 2.25 - 1e-4)
    outside = (X < -0.25 - 1e-4) | (X > 2.25 + 1e-4)
    assert torch.all(gradient(module, X)[inside] == 1)
    assert torch.all(gradient(module, X)[outside] == 0)


def test_unbounded_rounds_down_and_knows_its_bound_after_training() -> None:
    """floor(relu(x)), as Sorbaro et al. have it."""
    module = QuantisedReLU(rounding="down")
    assert module.levels == MOST_LEVELS
    assert torch.equal(module(X), X.relu().floor())
    assert torch.equal(module(X * 100), (X * 100).relu().floor())
    assert torch.all(gradient(module, X + 3) [X + 3 > 0] == 1)  # fmt: skip
    module.train()  # it is already: nothing is forgotten
    assert module.levels == MOST_LEVELS
    module.eval()
    module.train()
    module(X)
    module.eval()
    assert module.levels == 4
    assert torch.equal(module(X * 100), (X * 100).relu().floor().clamp(max=4))


def test_stochastic_rounding_has_the_right_mean_and_none_when_evaluated() -> None:
    torch.manual_seed(1)
    module = QuantisedReLU(2, 2, "stochastic")
    found = module(torch.full((40000,), 0.85))
    assert sorted(found.unique().tolist()) == [0.75, 1.0]
    assert float(found.mean()) == pytest.approx(0.85, abs=0.003)
    assert torch.all(gradient(module, torch.full((100,), 0.85)) == 1)
    module.eval()
    assert torch.equal(module(X), QuantisedReLU(2, 2)(X))


def test_without_rounding_spikes_have_fractions_until_it_is_trained() -> None:
    module = QuantisedReLU(rounding="none")
    module.eval().train()
    assert torch.equal(module(X), X.relu())
    assert torch.all(gradient(module, X + 3)[X + 3 > 0] == 1)
    assert not module.rounds
    module.eval()
    assert module.rounds
    assert torch.equal(module(X), QuantisedReLU(rounding="down")(X).clamp(max=module.levels))


def test_qcfs_and_both_its_gradients() -> None:
    """lambda clip(floor(x L / lambda + 1/2) / L, 0, 1); by lambda: h / lambda - x / lambda inside,
    1 above, 0 below.
    """
    module = QCFS(4, 1.6)
    wanted = 1.6 * torch.clamp(torch.floor(X.double() * 4 / module.bound.double() + 0.5) / 4, 0, 1)
    assert torch.allclose(module(X).double(), wanted, atol=1e-6)
    for x, by_x, by_bound in ((0.9, 1, 0.8 / 1.6 - 0.9 / 1.6), (3.0, 0, 1), (-0.5, 0, 0)):
        module.bound.grad = None
        assert float(gradient(module, torch.tensor([x]))) == by_x
        assert float(module.bound.grad) == pytest.approx(by_bound, abs=1e-6)


def test_qcfs_learns_its_bound() -> None:
    torch.manual_seed(1)
    module, x = QCFS(8, 4.0), torch.rand(1000)
    optimiser = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(300):
        optimiser.zero_grad()
        ((module(x) - x) ** 2).mean().backward()
        optimiser.step()
    assert float(module.bound.detach()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QuantisedReLU(8), r"k: must be 0..7\n  found: 8"),
        (lambda: QuantisedReLU(3, 32), r"bound: must be 1..31 or None\n  found: 32"),
        (lambda: QuantisedReLU(rounding="up"), r"rounding: must be one of nearest, down, stoch"),
        (lambda: QCFS(0), r"levels: must be 1..255\n  found: 0"),
        (lambda: QCFS(4, -1.0), r"bound: must be above 0\n  found: -1.0"),
    ],
)
def test_what_cannot_be_is_refused(make, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        make()
