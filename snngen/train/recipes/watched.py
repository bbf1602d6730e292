"""What the activations of a model send while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from snngen.train.activations import Quantised


def activations_of(model: nn.Module) -> dict[str, nn.Module]:
    """By their names."""
    return {n: m for n, m in model.named_modules() if isinstance(m, Quantised | nn.ReLU)}


@contextmanager
def watched(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """The tensor that each activation has sent, by its name, once `model` has run."""
    sent: dict[str, Tensor] = {}

    def keep(_: nn.Module, given: Any, result: Tensor, name: str) -> None:
        sent[name] = result

    found = activations_of(model).items()
    hooks = [m.register_forward_hook(partial(keep, name=name)) for name, m in found]
    try:
        yield sent
    finally:
        for hook in hooks:
            hook.remove()
