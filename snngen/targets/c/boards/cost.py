"""What an inference costs on a board, measured: exact counts, and bytes as they were linked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.errors import Problem, ToolError
from snngen.fixed import FixedNet
from snngen.simulate import simulate
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.boards.engine import BoardEngine
from snngen.targets.c.boards.firmware import FLAGS, Footprint
from snngen.targets.c.budget import Budget, budget
from snngen.targets.c.emit import emit


@dataclass(frozen=True, eq=False)
class Cost:
    """`counts`: int64 (n,), one per image, in `unit` ("instructions" or "cycles"), the call of the
    emitted function included. `stack_bytes`: the deepest stack. `budget`: what was predicted.
    """

    board: str
    unit: str
    counts: NDArray[np.int64]
    stack_bytes: int
    footprint: Footprint
    budget: Budget


def measure(
    net: FixedNet,
    board: str,
    images: NDArray[np.uint8],
    *,
    flags: tuple[str, ...] = FLAGS,
) -> Cost:
    """The cost of `net` on each of `images` (n, C, H, W) on one of BOARDS, compiled with `flags`.

    ToolError also where the board's classes are not those of the network.
    """
    with BoardEngine(net, emit(net), board, flags=flags) as engine:
        measured = engine.measure(images)
        footprint = engine.footprint
    expected = net.classes(simulate(net, images).outputs[:, -1])
    wrong = np.flatnonzero(measured.classes != expected)
    if len(wrong):
        rule = f"must give the network's class of image {wrong[0]}, {expected[wrong[0]]}"
        got = str(measured.classes[wrong[0]])
        hint = f"snngen verify --on {board} says where they differ"
        raise ToolError(Problem(f"the program on board {board}", rule, got, hint))
    predicted = budget(net)
    unit = BOARDS[board].unit
    return Cost(board, unit, measured.counts, measured.stack_bytes, footprint, predicted)
