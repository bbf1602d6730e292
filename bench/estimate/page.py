"""docs/benchmarks/estimate.md from what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.networks import ROOT
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.estimate import table_of

PAGE = ROOT / "docs/benchmarks/estimate.md"
RESULTS = ROOT / "bench/results/estimate.json"
FOR_SIZE = " (size)"
HEADER = """# Costs estimated without a toolchain

How far `snngen cost --estimate` is off. Printed by `python -m bench.estimate`, which also fits what
is estimated with; the top of that file says how. None of the networks here is among those that it
was fitted on, which are random (bench/estimate/networks.py). Errors in % of what the emulator
counts, instructions or AVR cycles, on two images of each network, compiled with -O2. Of layers,
those are meant that take at least 1 % of their network.

| board | networks | typical | worst | layers, typical | worst |
|---|---|---|---|---|---|
"""
EACH = """
Typical is the median. Each network: thousands of instructions or cycles, in brackets how much more
(or less) was estimated, in %, and the error of the worst of its layers. (size): emitted with
`--optimise size`. Where there is none, the network does not fit the board.

"""


@dataclass(frozen=True)
class Row:
    """A network on a board: what was `counted` for an image, how far the estimate was off in %,
    with its sign, and the median and the largest error of layers.
    """

    counted: int
    network: float
    layer: float
    worst_layer: float


def page(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The whole page, of the records by board and network."""
    boards = [board for board in BOARDS if board in results]
    labels = sorted({label for board in boards for label in results[board]})
    lines = []
    for board in boards:
        errors = table_of(board).errors
        numbers = (errors.network, errors.worst_network, errors.layer, errors.worst_layer)
        shown = " | ".join(f"{number:.1f}" for number in numbers)
        lines.append(f"| `{board}` | {len(results[board])} | {shown} |")
    columns = [f"| | {' | '.join(boards)} |", f"|---{'|---' * len(boards)}|"]
    for label in labels:
        cells = [_cell(results[board].get(label)) for board in boards]
        columns.append(f"| {label} | {' | '.join(cells)} |")
    return HEADER + "\n".join(lines) + "\n" + EACH + "\n".join(columns) + "\n"


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "-"
    return f"{row['counted'] / 1000:,.0f} ({row['network']:+.1f}), {row['worst_layer']:.1f}"
