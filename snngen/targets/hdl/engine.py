"""The emitted chip, simulated: runs images as compiled C does, and shows what every neuron did."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from snngen_hdl.chip import ChipPlan

from snngen.fixed import FixedNet
from snngen.golden import Trace
from snngen.neurons import Accumulate
from snngen.simulate import Simulation
from snngen.targets.c.engine import Run
from snngen.targets.hdl.boards import GENERIC, board_named
from snngen.targets.hdl.layout import lay_out
from snngen.targets.hdl.simulation import Answers
from snngen.targets.hdl.simulation import Simulation as Simulated
from snngen.targets.timing import Spread, Timing


class ChipEngine:
    """The chip of `net` by `plan`, compiled by Verilator; used like the engine of emitted C. The
    clock is of `hertz`. `pauses`: as `Simulation.run` says.

    ToolError without Verilator. Close it, or use it in a `with`, to remove its folder.
    """

    def __init__(self, net: FixedNet, plan: ChipPlan, *, hertz: int = 0, pauses: int = 0) -> None:
        self.net = net
        self._chip = Simulated(net, plan)
        self._hertz, self._pauses = hertz, pauses
        self._latencies: list[int] = []
        self._intervals: list[int] = []

    def __enter__(self) -> ChipEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._chip.close()

    def selftest(self) -> int:
        """0: the chip has none."""
        return 0

    @property
    def timing(self) -> Timing:
        """Of all that has been run."""
        return Timing(Spread.of(self._latencies), Spread.of(self._intervals), self._hertz)

    def run(self, images: NDArray[np.uint8], *, trace: bool = False) -> Run:
        """Run images (batch, C, H, W), with everything traced; `trace` says whether to keep it."""
        answers, seen = self._chip.run(images, traced=len(images), pauses=self._pauses)
        if len(images) == 1:
            self._latencies += answers.cycles.tolist()
        self._intervals += np.diff(answers.at).tolist()
        counts = _totals(self.net, seen, magnitudes=False)
        spikes = _totals(self.net, seen, magnitudes=True)
        last = seen[self.net.layers[-1].name].output
        outputs = last.reshape(*last.shape[:2], -1)
        kept = Simulation(outputs, counts, spikes, seen if trace else None)
        return Run(kept, answers.outputs.astype(np.int32), answers.classes.astype(np.int32))

    def alone(self, images: NDArray[np.uint8]) -> Answers:
        """Answers for images (batch, C, H, W), each of which waits for the one before."""
        answers, _ = self._chip.run(images, is_alone=True, pauses=self._pauses)
        self._latencies += answers.cycles.tolist()
        return answers


def engine_for(net: FixedNet, name: str | None = None) -> ChipEngine:
    """`net` laid out for the board called `name`, or for none. ConversionError where the cores do
    not compute all of it, it does not fit or the board is unknown.
    """
    board = board_named(GENERIC if name is None else name)
    return ChipEngine(net, lay_out(net, board).plan, hertz=board.hertz)


def waves(net: FixedNet, image: NDArray[np.uint8], name: str | None = None) -> bytes:
    """All signals of the chip for that board while it runs one image (1, C, H, W), as VCD. Errors
    are those of `engine_for`.
    """
    plan = lay_out(net, board_named(GENERIC if name is None else name)).plan
    with Simulated(net, plan, options=["--trace"]) as chip:
        return chip.waves(image)


def _totals(net: FixedNet, seen: Trace, *, magnitudes: bool) -> dict[str, NDArray[np.int64]]:
    """What each layer but the last sent, summed over time: (batch, C, H, W)."""
    sent = {
        layer.name: seen[layer.name].output.astype(np.int64)
        for layer in net.layers
        if not isinstance(layer.neuron, Accumulate)
    }
    return {name: (abs(values) if magnitudes else values).sum(1) for name, values in sent.items()}
