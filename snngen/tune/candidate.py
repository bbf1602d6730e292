"""A configuration under trial: what is known of it so far, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.convert import Options

# Energy of an 8-bit multiplication and a 32-bit addition over that of the addition: 0.2 pJ and
# 0.1 pJ in 45 nm (Horowitz 2014, ISSCC, "Computing's Energy Problem").
MAC_ADDITIONS = 3


@dataclass(frozen=True)
class Network:
    """What a conversion made: `digest` names the network, `ram` and `flash` are bytes of its C.
    `updates`: comparisons of a sum with a threshold, per image.
    """

    digest: str
    timesteps: int
    ram: int
    flash: int
    updates: int


@dataclass(frozen=True, eq=False)
class Candidate:
    """`options` and the network that they made; `wrong` (n,): on which of the first n held-out
    images its class was not the one wanted; `synops`: in all, on these images; `macs`: per image.
    """

    options: Options
    network: Network
    wrong: NDArray[np.bool_]
    synops: int = 0
    macs: int = 0

    @property
    def judged(self) -> int:
        return len(self.wrong)

    @property
    def errors(self) -> int:
        return int(self.wrong.sum())

    @property
    def additions(self) -> float:
        """Per image: synaptic operations, and multiply-accumulates as so many additions; before any
        image was judged, what it is at least.
        """
        return self._synops + MAC_ADDITIONS * self.macs

    @property
    def instructions(self) -> float:
        """Per image, a model of latency: one for every synaptic operation, multiply-accumulate and
        neuron update; before any image was judged, what it is at least.
        """
        return self._synops + self.macs + self.network.updates

    @property
    def _synops(self) -> float:
        return self.synops / max(1, self.judged)


Cost = Callable[[Candidate], float]

GOALS: Mapping[str, Cost] = {
    "accuracy": lambda c: c.additions,  # among the most accurate
    "synops": lambda c: c.additions,
    "latency": lambda c: c.instructions,
    "flash": lambda c: c.network.flash,
    "ram": lambda c: c.network.ram,
}
