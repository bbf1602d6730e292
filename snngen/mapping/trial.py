"""A mapping tried on images: whether its cores compute what the network does, and in how many
cycles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.mapping.chip import run
from snngen.mapping.compare import Difference, first_difference
from snngen.mapping.cycles import Timing, simulate_cycles
from snngen.mapping.estimate import Estimate, estimate_cycles, rates
from snngen.mapping.mapping import Mapping
from snngen.simulate import simulate


@dataclass(frozen=True)
class Trial:
    """`difference`: the first one, or None. `timings`: of each image, as simulated. `estimate`: by
    the formula, from the mean rates of all images.
    """

    difference: Difference | None
    timings: tuple[Timing, ...]
    estimate: Estimate

    @property
    def mean(self) -> Timing:
        """Of the timings."""
        return Timing(
            round(float(np.mean([timing.interval for timing in self.timings]))),
            round(float(np.mean([timing.latency for timing in self.timings]))),
        )


def try_on(
    mapping: Mapping,
    images: NDArray[np.uint8],
    progress: Callable[[int], None] = lambda done: None,
) -> Trial:
    """Run raw bytes `images` (batch, C, H, W), of a stream (batch, T, C, H, W), one by one on the
    cores; `progress` hears how many are done.
    """
    timings: list[Timing] = []
    difference = None
    for number, image in enumerate(images):
        ran = run(mapping, image[None])
        expected = simulate(mapping.net, image[None], trace=True).trace
        assert expected is not None
        if difference is None:
            difference = first_difference(mapping, ran, expected, image=number)
        timings.append(simulate_cycles(mapping, ran))
        progress(number + 1)
    steps = mapping.net.steps_of(images)
    found = rates(mapping, simulate(mapping.net, images), steps)
    return Trial(difference, tuple(timings), estimate_cycles(mapping, found, steps))
