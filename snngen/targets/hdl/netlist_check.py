"""A chip's netlist beside the network and the chip itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedNet
from snngen.graph import in_layout
from snngen.simulate import simulate
from snngen.targets.hdl.boards import GENERIC, board_named
from snngen.targets.hdl.layout import lay_out
from snngen.targets.hdl.netlist import SYNTHESISED, check_stage, netlist_of
from snngen.targets.hdl.simulation import CYCLES, Answers, Ints, Simulation

BATCH = 256
SLACK = 10_000  # cycles that a netlist gets beyond twice those of the chip


@dataclass(frozen=True)
class NetlistResult:
    """Of `images` images class and outputs were compared with the network, cycles with the chip.
    `difference`: the first one, or None. `cells`: how many of each kind there are.
    """

    stage: str
    board: str
    images: int
    cells: Mapping[str, int]
    difference: str | None

    @property
    def is_equal(self) -> bool:
        return self.difference is None

    def __str__(self) -> str:
        cells = ", ".join(f"{self.cells[kind]:,} {kind}" for kind in sorted(self.cells))
        made = f"netlist {self.stage} for {self.board}"
        if self.difference is not None:
            return f"{made}: differs: {self.difference}"
        return (
            f"{made}: class, outputs and cycles equal on {self.images} images, which followed each "
            f"other at once\ncells: {cells}"
        )


def verify_netlist(
    net: FixedNet, images: NDArray[np.uint8], *, on: str | None, stage: str = SYNTHESISED
) -> NetlistResult:
    """Simulate what one of STAGES makes of the chip for board `on`, on `images` (n, C, H, W).

    Classes and outputs must be those of the network, and the cycle of each answer that of the chip
    before synthesis. ConversionError as for `netlist_of` and where the chip cannot be laid out,
    ToolError where a tool is missing or fails.
    """
    board = board_named(GENERIC if on is None else on)
    check_stage(board, stage)
    plan = lay_out(net, board).plan
    netlist = netlist_of(plan, board, stage)
    before = answers_of(net, images, {"top.v": netlist.design}, netlist.options)
    limit = 2 * int(before.at[-1]) + SLACK
    after = answers_of(net, images, netlist.files, netlist.options, limit)
    found = first_difference(_outputs(net, images), before, after)
    return NetlistResult(stage, board.name, len(images), netlist.cells, found)


def answers_of(
    net: FixedNet,
    images: NDArray[np.uint8],
    files: Mapping[str, bytes],
    options: Sequence[str] = (),
    cycles: int = CYCLES,
) -> Answers:
    """What a chip in Verilog answers within so many cycles."""
    with Simulation(net, files, options=options) as simulation:
        return simulation.answers(images, cycles=cycles)


def _outputs(net: FixedNet, images: NDArray[np.uint8]) -> Ints:
    """What the network gives: (images, outputs), in the layout of the model."""
    parts = [
        in_layout(
            simulate(net, images[k : k + BATCH]).outputs[:, -1],
            net.layers[-1].shape,
            net.output_layout,
        )
        for k in range(0, len(images), BATCH)
    ]
    return np.concatenate(parts).astype(np.int64)


def first_difference(outputs: Ints, before: Answers, after: Answers) -> str | None:
    """In the order of images; of one, outputs before class before cycles."""
    for k, expected in enumerate(outputs):
        if k >= len(after):
            return f"image {k}: no answer"
        for what, want, got in _compared(expected, before, after, k):
            if want != got:
                return f"image {k}: {what} expected {want}, got {got}"
    return None


def _compared(
    expected: Ints, before: Answers, after: Answers, image: int
) -> Iterator[tuple[str, int, int]]:
    for k, value in enumerate(expected):
        yield f"output {k}", int(value), int(after.outputs[image, k])
    yield "class", int(expected.argmax()), int(after.classes[image])
    yield "cycles", int(before.cycles[image]), int(after.cycles[image])
    yield "cycle of the answer", int(before.at[image]), int(after.at[image])
