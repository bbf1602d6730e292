"""What a network can be emitted as: one entry per target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from snngen.targets.c.budget import Budget, budget
from snngen.targets.c.emit import emit


@dataclass(frozen=True)
class Target:
    """`emit(net, **options)` makes files by relative path, `budget(net, **options)` says what they
    will cost.
    """

    summary: str
    emit: Callable[..., Mapping[str, bytes]]
    budget: Callable[..., Budget]


TARGETS: Mapping[str, Target] = {
    "c": Target("C99 for microcontrollers and PCs: no heap, no float, no globals", emit, budget),
}
