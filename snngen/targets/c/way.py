"""How a weighted layer reads one of its sources, where an operator's own function is not taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.ops import Window
from snngen.targets.c.storage import I32, Element

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Way:
    """`add` and `prepare` are the runtime's functions, chosen for `reason`; `weights` the elements
    in order, (n,), or what is to become elements by the macro `word`, (n, 2); `parameters` the
    numbers that follow the window in the struct; `prepared_bytes` are needed for a timestep.
    """

    add: str
    reason: str
    struct: str
    order: str
    weights: Integers
    window: Window
    parameters: tuple[tuple[str, int], ...]
    prepare: str = "NULL"
    prepared_bytes: int = 0
    element: Element = I32
    word: str = ""


Ways = Mapping[tuple[str, int], Way | str]  # by layer and place among its synapses, or why none
