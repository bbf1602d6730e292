"""What an inference will cost on a board, without compiler or emulator: an estimate.

The turns of every piece of the runtime (`work`), counted from what the layers send, times what a
turn was fitted to take. `python -m bench.estimate` fits the tables, `estimated/BOARD.json`, and
measures how far the estimates are off on networks that they were not fitted on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedNet
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.schedule import Optimise
from snngen.targets.c.work.layers import Turns, turns_of

TABLES = Path(__file__).parent / "estimated"
FORMS: tuple[Optimise, ...] = ("speed", "size")  # that microcontrollers have a choice of
LIKE = {"microbit": "cortex-m0", "atmega1284": "atmega2560"}  # the others run the same code
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Errors:
    """How far estimates were off, in % of what was measured: the median and the largest of whole
    networks, and of layers that take at least a hundredth of theirs.
    """

    network: float
    worst_network: float
    layer: float
    worst_layer: float


@dataclass(frozen=True)
class Table:
    """`turns`: what a turn of each piece takes, by fields of emulator.Count. `compiler`: name and
    version. `errors`: on networks that it was not fitted on.
    """

    compiler: str
    errors: Errors
    turns: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True, eq=False)
class Estimate:
    """`counts`: float64 (n,), one per image, of streams (n, T), one per timestep, in `unit`
    ("instructions" or "cycles"); `cycles`, of the same shape, as the board's timing has them, or
    None where it has none. `layers`: the mean count by layer, of what is not of layers by "".
    `errors`: of such estimates for the board.
    """

    board: str
    unit: str
    counts: Counts
    cycles: Counts | None
    layers: Mapping[str, float]
    errors: Errors


def estimated_boards() -> tuple[str, ...]:
    """Those of BOARDS with a table, or one of their like."""
    return tuple(b for b in BOARDS if (TABLES / f"{LIKE.get(b, b)}.json").exists())


def estimate(
    net: FixedNet, board: str, images: NDArray[np.uint8], *, optimise: Optimise = "speed"
) -> Estimate:
    """Of `net` on each of `images` (n, C, H, W), or streams (n, T, C, H, W), on one of BOARDS,
    emitted for "speed" or "size" and compiled with -O2. ConversionError for other boards than
    estimated_boards().
    """
    table = table_of(board)
    layers = {
        name: cost_of(turns, table)
        for name, turns in turns_of(net, images, board, optimise).items()
    }
    shape = images.shape[: 2 if net.is_stream else 1]
    units, accesses, jumps = sum(layers.values(), np.zeros(3)).T.reshape(3, *shape)
    timing = BOARDS[board].timing
    cycles = None if timing is None else units + timing.access * accesses + timing.jump * jumps
    means = {name: float(costs[:, 0].mean()) for name, costs in layers.items()}
    return Estimate(board, BOARDS[board].unit, units, cycles, means, table.errors)


def cost_of(turns: Turns, table: Table) -> Counts:
    """Of a layer, (runs, fields of emulator.Count)."""
    pieces = sorted(turns)
    each = np.array([table.turns[piece] for piece in pieces])
    costs: Counts = np.stack([turns[piece] for piece in pieces], axis=1) @ each
    return costs


@cache
def table_of(board: str) -> Table:
    """The committed table of a board; ConversionError where there is none."""
    if board not in estimated_boards():
        rule = f"can be estimated for {', '.join(estimated_boards())}"
        hint = "without --estimate it is measured"
        raise ConversionError(Problem("the cost", rule, board, hint))
    held = json.loads((TABLES / f"{LIKE.get(board, board)}.json").read_text("ascii"))
    turns = {piece: tuple(costs) for piece, costs in held["turns"].items()}
    return Table(held["compiler"], Errors(**held["errors"]), turns)


def table_text(table: Table) -> str:
    """As `table_of` reads it, a piece on a line."""
    turns = ",\n".join(f'"{name}": {json.dumps(costs)}' for name, costs in table.turns.items())
    head = f'"compiler": "{table.compiler}",\n"errors": {json.dumps(vars(table.errors))}'
    return f'{{\n{head},\n"turns": {{\n{turns}\n}}\n}}\n'
