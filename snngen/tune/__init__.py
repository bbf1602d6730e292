"""The configuration that serves a goal best: the cheapest within an allowed loss, or the most
accurate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import floor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snngen.errors import ConversionError, Problem
from snngen.targets.c.budget import PROCESSOR
from snngen.tune.candidate import GOALS, MAC_ADDITIONS, Candidate, Cost
from snngen.tune.journal import Journal
from snngen.tune.race import Bar, Race
from snngen.tune.space import Ladder, Space, ladders
from snngen.tune.trials import Material, Spent, Trials, divide

ACCURACY = "accuracy"  # the goal that has no bar


@dataclass(frozen=True, eq=False)
class Tuning:
    """What a search found: all `candidates` that were judged, the one `chosen` and its `network` as
    an .snn file, both None where none is good enough.

    `reference` (M,): the held-out images on which the CNN is wrong. `spent`: what the search took,
    `spent_now`: without what was found before; `networks` there are in all, and `whole` is what it
    takes to judge them on all held-out images. `refusals`: why configurations could not be made.
    """

    candidates: tuple[Candidate, ...]
    chosen: Candidate | None
    network: bytes | None
    reference: NDArray[np.bool_]
    spent: Spent
    spent_now: Spent
    networks: int
    whole: int
    refusals: tuple[Problem, ...]

    @property
    def images(self) -> int:
        return len(self.reference)

    @property
    def cnn_errors(self) -> int:
        return int(self.reference.sum())

    @property
    def evaluations(self) -> float:
        """How many networks could have been judged on all images instead."""
        return sum(c.judged for c in self.candidates) / self.images

    def finished(self) -> list[Candidate]:
        """Those judged on all images: of the others nobody knows the accuracy, since the hardest
        images come first.
        """
        return [c for c in self.candidates if c.judged == self.images]

    def least_errors(self, c: Candidate) -> int:
        """The errors of `c`, if it is as good as the CNN on the images that it has not seen."""
        return c.errors + int(self.reference[c.judged :].sum())


def tune(
    material: Material,
    space: Space,
    goal: str,
    drop: float,
    folder: Path,
    *,
    samples: int | None = None,
    on: str = PROCESSOR,
    workers: int | None = None,
    cluster: str | None = None,
    heard: Callable[[str], None] = lambda text: None,
) -> Tuning:
    """Search `space` for `goal`, one of GOALS, where the network may lose `drop` points of
    accuracy against the CNN on the held-out images; the goal accuracy reads no `drop`.

    Findings are kept in `folder`. `samples`, `on`: see `Trials`; `workers`, `cluster`: see
    `snngen.workers`. The result does not depend on them, nor on interruptions. Raises
    ConversionError, FileError, ToolError.
    """
    climbed, left_out = ladders(space, material.ann.graph)
    reference = material.cnn != material.wanted
    allowed = int(reference.sum()) + floor(len(reference) * drop / 100)
    bar = None if goal == ACCURACY else Bar(reference, allowed)
    with Journal(folder) as journal:
        trials = Trials(material, journal, samples=samples, on=on, workers=workers, cluster=cluster)
        race = Race(trials, climbed, GOALS[goal], bar, heard)
        chosen = race.run()
        if not race.candidates:
            raise ConversionError(*left_out, *trials.refusals)
        return Tuning(
            tuple(c for c in race.candidates.values() if c.judged),
            chosen,
            None if chosen is None else trials.content(chosen.network),
            reference,
            trials.spent,
            trials.spent_now,
            sum(ladder.networks for ladder in climbed),
            len(reference) * sum(r.steps * len(x.bits) for x in climbed for r in x.rungs),
            (*left_out, *trials.refusals),
        )


def front(candidates: Iterable[Candidate], cost: Cost) -> list[Candidate]:
    """Of candidates that were judged on the same images those that none beats in both cost and
    errors, cheapest first.
    """
    best: list[Candidate] = []
    for c in sorted(candidates, key=lambda c: (cost(c), c.errors)):
        if not best or c.errors < best[-1].errors:
            best.append(c)
    return best


__all__ = [
    "ACCURACY",
    "GOALS",
    "MAC_ADDITIONS",
    "Candidate",
    "Ladder",
    "Material",
    "Space",
    "Spent",
    "Tuning",
    "divide",
    "front",
    "ladders",
    "tune",
]
