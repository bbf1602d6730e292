"""Knowledge distillation: a network learns another one's outputs, and what lies before them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def distillation(scores: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """How far the classes of `scores` (N, K) are from those of the `teacher` (N, K), softened:

        T^2 KL(softmax(teacher / T) || softmax(scores / T)), mean over the batch

    The teacher gets no gradient. Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a
    Neural Network".
    """
    wanted = functional.log_softmax(teacher.detach() / temperature, 1)
    found = functional.log_softmax(scores / temperature, 1)
    divergence = functional.kl_div(found, wanted, reduction="batchmean", log_target=True)
    return divergence * temperature**2


def relative_error(values: Tensor, teacher: Tensor) -> Tensor:
    """The mean squared error of `values`, relative to the mean square of the `teacher`'s.

    Romero et al. 2015, "FitNets: Hints for Thin Deep Nets", learn a teacher's inner values so.
    """
    wanted = teacher.detach()
    return (values - wanted).square().mean() / wanted.square().mean().clamp(min=1e-12)
