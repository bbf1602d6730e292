"""What an inference costs on a board, measured: exact counts, and bytes as they were linked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.errors import Problem, ToolError
from snngen.fixed import FixedNet
from snngen.simulate import simulate
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.boards.engine import BoardEngine
from snngen.targets.c.budget import Footprint, budget_for
from snngen.targets.c.emit import emit
from snngen.targets.c.linking import FAST
from snngen.targets.c.schedule import Optimise, plan


@dataclass(frozen=True, eq=False)
class Cost:
    """`counts`: int64 (n,), one per image, of streams (n, T), one per timestep, in `unit`
    ("instructions" or "cycles"), the call of the emitted function included; `cycles`, float64 of
    the same shape, as the board's timing estimates them, or None where it has none. `layers`: the
    mean count by layer, of what is not of layers by "". Layers that pool another as it comes count
    with that. `flash_bytes`, `ram_bytes`: of the network linked alone, and the arena.
    `stack_bytes`: the deepest stack. `predicted`: what they should be, None on boards whose
    processor nothing is known of.
    """

    board: str
    unit: str
    counts: NDArray[np.int64]
    cycles: NDArray[np.float64] | None
    layers: Mapping[str, float]
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    predicted: Footprint | None


def measure(
    net: FixedNet,
    board: str,
    images: NDArray[np.uint8],
    *,
    optimise: Optimise = "speed",
    optimisation: str = FAST,
) -> Cost:
    """The cost of `net` on each of `images` (n, C, H, W), or streams (n, T, C, H, W), on one of
    BOARDS, emitted for `optimise` and compiled with one of OPTIMISATIONS.

    ToolError also where the board's classes are not those of the network.
    """
    with BoardEngine(net, emit(net, optimise=optimise), board, flags=(optimisation,)) as engine:
        measured = engine.measure(images)
        flash, ram = engine.placed()
    outputs = simulate(net, images).outputs
    expected = net.classes(outputs if net.is_stream else outputs[:, -1]).ravel()
    wrong = np.flatnonzero(measured.classes != expected)
    if len(wrong):
        one = "timestep" if net.is_stream else "image"
        rule = f"must give the network's class of {one} {wrong[0]}, {expected[wrong[0]]}"
        got = str(measured.classes[wrong[0]])
        hint = f"snngen verify --on {board} says where they differ"
        raise ToolError(Problem(f"the program on board {board}", rule, got, hint))
    order = plan(net, optimise=optimise).order
    names = ["", *(net.layers[number].name for number in order)]
    layers = dict(zip(names, measured.parts[..., 0].mean(0).tolist(), strict=True))
    runs = outputs.shape[: 2 if net.is_stream else 1]
    units, accesses, jumps = (part.reshape(runs) for part in measured.counts.T)
    unit, timing = BOARDS[board].unit, BOARDS[board].timing
    cycles = None
    if timing is not None:
        cycles = (units + timing.access * accesses + timing.jump * jumps).astype(np.float64)
    known = not BOARDS[board].is_hosted
    predicted = budget_for(net, optimise=optimise, on=board).builds[optimisation] if known else None
    stack = measured.stack_bytes
    return Cost(board, unit, units, cycles, layers, flash, ram, stack, predicted)
