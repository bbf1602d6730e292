"""Which configuration is cheapest among those that are good enough, found with few simulations.

Decisions fall at barriers, from everything known by then and in a fixed order: they do not depend
on which result came first. Every ladder is climbed from its smallest size, one column per number
of weight bits, and a configuration is out

- surely, when it has made more errors than it may make in all, or costs as much as one that passed;
- probably, when the errors that it has in excess of the reference, on the same images, exceed what
  is allowed by more than some standard deviations;
- by experience, when one on its ladder with no fewer bits and no smaller size was clearly refuted.
  Likewise a column ends where its cost reaches that of one that passed: cost grows with size.

What is simulated quickest goes first: what passes there limits the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, inf, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snngen.convert import Options
from snngen.tune.candidate import Candidate, Cost, Network
from snngen.tune.space import Ladder

FIRST = 8  # images of the first round; each later round doubles what a network has seen
ENOUGH = 64  # images that tell how many spikes a network sends
CONFIDENCE = 2.0  # standard deviations
CONFIDENCE_FOR_ACCURACY = 1.0  # many are about as accurate as the best: less is lost by a mistake
WIDTH = 4  # networks, the cheapest, that go into a later round together
SURVIVORS = 2  # for accuracy, one of so many goes on, to so many times the images
ABOUT = 1.05  # costs grow with size but for so much: kernels differ in code
ALIKE = 0.9  # of the spikes seen, on few images or with more weight bits: those sent at least

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Judgement:
    """Of a network on some images: where its class was wrong (n,), its synaptic operations in all,
    its multiply-accumulates per image.
    """

    wrong: Flags
    synops: int
    macs: int


class Jury(Protocol):
    """Who converts and simulates; both methods answer in the order of what they are asked."""

    @property
    def images(self) -> int:
        """Held out for judging, those first that networks are most likely to get wrong."""

    def convert(
        self, wanted: Sequence[tuple[Options, tuple[int, ...]]]
    ) -> list[dict[int, Network]]:
        """The network of each configuration with each number of weight bits; without those that
        cannot be made.
        """

    def judge(self, wanted: Sequence[tuple[Network, int, int]]) -> list[Judgement]:
        """Each network on the held-out images from..to."""


@dataclass(frozen=True, eq=False)
class Bar:
    """What must be reached: at most `errors` on all images. `reference` (M,): the errors of what a
    network is compared with, image by image; `confidence`, in standard deviations, that it makes
    more.
    """

    reference: Flags
    errors: int
    confidence: float = CONFIDENCE

    def refutes(self, candidate: Candidate) -> bool:
        """Whether `candidate` makes more errors, for sure or probably."""
        return candidate.errors > self.errors or self.refutes_coarser(candidate)

    def refutes_coarser(self, candidate: Candidate) -> bool:
        """Whether networks that are no more precise than `candidate` probably make more errors."""
        seen = self.reference[: candidate.judged]
        lost = int((candidate.wrong & ~seen).sum())
        won = int((seen & ~candidate.wrong).sum())
        allowed = self.errors - int(self.reference.sum())
        return least_excess(lost, won, self.confidence) > allowed


def least_excess(lost: int, won: int, confidence: float) -> float:
    """How many errors more than the reference a network makes, at least, where on the images seen
    it made `lost` that the reference does not, and avoided `won`.

    Only images on which the two differ tell anything, and either sign is as likely where they are
    equally good: lost - won has the variance lost + won (McNemar 1947, Psychometrika 12). Images
    come hardest first, so that those not seen yet hold no more differences, and they would have to
    make up for the excess.
    """
    return lost - won - confidence * sqrt(lost + won + 1)


class Race:
    """The networks made so far and what is known of them, for one goal.

    `bar` None stands for the goal accuracy: what must be reached is then the most accurate network
    found so far. `heard` is told at every barrier what is done next.
    """

    def __init__(
        self,
        jury: Jury,
        ladders: Sequence[Ladder],
        cost: Cost,
        bar: Bar | None,
        heard: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.candidates: dict[Options, Candidate] = {}  # in order of making
        self._converted: set[Options] = set()
        self._jury, self._ladders, self._cost, self._bar = jury, ladders, cost, bar
        self._heard = heard

    def run(self) -> Candidate | None:
        """The cheapest network that reaches the bar on all images; None where none does."""
        if self._bar is None:
            self._find_most_accurate()
        while self._go_on():
            pass
        return self._best()

    def _find_most_accurate(self) -> None:
        """Judge every rung with the most bits on a few images, and ever fewer on ever more images:
        the best, of equals what is simulated sooner, then what is more precise.
        """
        self._convert([rung for ladder in self._ladders for rung in ladder.rungs])
        finest = {replace(o, bits=0): o for o in reversed(self.candidates)}
        field, images = list(reversed(finest.values())), FIRST
        while field:
            self._judge([(self.candidates[options], images) for options in field])
            if images >= self._jury.images:
                return
            ranked = sorted((self.candidates[options] for options in field), key=_promise)
            field = [c.options for c in ranked[: ceil(len(ranked) / SURVIVORS)]]
            images *= SURVIVORS

    def _go_on(self) -> bool:
        """Pass one barrier; whether there was anything left to do."""
        limit = self._limit()
        pending = [item for ladder in self._ladders for item in self._pending(ladder, limit)]
        if not pending:
            return False
        soonest = min(map(_steps, pending))
        now = [item for item in pending if _steps(item) == soonest]
        unmade = [item for item in now if isinstance(item, Options)]
        made = [item for item in now if isinstance(item, Candidate)]
        new = [c for c in made if not c.judged]
        if unmade:
            self._convert(unmade)
        if new:
            self._judge([(c, FIRST) for c in new])
        if not (unmade or new):
            cheapest = sorted(made, key=lambda c: (self._cost(c), c.errors))[:WIDTH]
            self._judge([(c, 2 * c.judged) for c in cheapest])
        return True

    def _pending(self, ladder: Ladder, limit: float) -> list[Options | Candidate]:
        """What the columns of `ladder` need next. Of networks of one rung that nobody has judged,
        the one with the most bits goes first.
        """
        found: list[Options | Candidate] = []
        begun: set[Options] = set()
        for bits in ladder.bits:
            item = self._next(ladder, bits, limit)
            if isinstance(item, Options) and item not in found:
                found.append(item)
            if isinstance(item, Candidate):
                rung = _rung(item, ladder)
                if item.judged or rung not in begun:
                    found.append(item)
                if not item.judged:
                    begun.add(rung)
        return found

    def _next(self, ladder: Ladder, bits: int, limit: float) -> Options | Candidate | None:
        """What the column of `bits` needs: a rung to be converted, a network to be judged further,
        or nothing.
        """
        for rung in ladder.rungs:
            if rung not in self._converted:
                return rung
            candidate = self.candidates.get(replace(rung, bits=bits))
            if candidate is None or self._least_cost(candidate, ladder) >= ABOUT * limit:
                return None
            if not self._is_refuted(candidate, ladder):
                return candidate if candidate.judged < self._jury.images else None
        return None

    def _least_cost(self, candidate: Candidate, ladder: Ladder) -> float:
        """Its cost; while few images were judged, what that will hardly fall below."""
        if candidate.judged >= ENOUGH:
            return self._cost(candidate)
        finer = self._of_rung(_rung(candidate, ladder), ladder, candidate.options.bits)
        known = [candidate] if candidate.judged else [candidate, *finer]
        return max(
            self._cost(replace(c, network=candidate.network, synops=round(ALIKE * c.synops)))
            for c in known
        )

    def _is_refuted(self, candidate: Candidate, ladder: Ladder) -> bool:
        """By its own errors, or by those of one that is no less precise in any respect."""
        bar = self._current_bar()
        if bar is None:
            return False
        first = ladder.rungs.index(_rung(candidate, ladder))
        return bar.refutes(candidate) or any(
            bar.refutes_coarser(c)
            for rung in ladder.rungs[first:]
            for c in self._of_rung(rung, ladder, candidate.options.bits)
        )

    def _of_rung(self, rung: Options, ladder: Ladder, bits: int) -> list[Candidate]:
        """Those judged of a rung, with so many bits or more."""
        options = (replace(rung, bits=b) for b in ladder.bits if b >= bits)
        return [c for o in options if (c := self.candidates.get(o)) is not None and c.judged]

    def _current_bar(self) -> Bar | None:
        if self._bar is not None:
            return self._bar
        best = min(self._finished(), key=lambda c: (c.errors, self._cost(c)), default=None)
        return None if best is None else Bar(best.wrong, best.errors, CONFIDENCE_FOR_ACCURACY)

    def _finished(self) -> list[Candidate]:
        return [c for c in self.candidates.values() if c.judged == self._jury.images]

    def _best(self) -> Candidate | None:
        bar = self._current_bar()
        reached = [c for c in self._finished() if bar is not None and c.errors <= bar.errors]
        return min(reached, key=lambda c: (self._cost(c), c.errors, c.additions), default=None)

    def _limit(self) -> float:
        best = self._best()
        return inf if best is None else self._cost(best)

    def _convert(self, rungs: list[Options]) -> None:
        bits = {rung: ladder.bits for ladder in self._ladders for rung in ladder.rungs}
        self._heard(f"converting {len(rungs)}, {_extent(rungs)}")
        made = self._jury.convert([(rung, bits[rung]) for rung in rungs])
        self._converted |= set(rungs)
        for rung, networks in zip(rungs, made, strict=True):
            for b in sorted(networks, reverse=True):
                options, network = replace(rung, bits=b), networks[b]
                self.candidates[options] = Candidate(options, network, np.zeros(0, bool))

    def _judge(self, wanted: list[tuple[Candidate, int]]) -> None:
        """Have each judged on the first so many held-out images, as far as there are so many."""
        to = [min(images, self._jury.images) for _, images in wanted]
        left = [(c, n) for (c, _), n in zip(wanted, to, strict=True) if c.judged < n]
        self._heard(f"simulating {len(left)}, {_extent([c.options for c, _ in left])}")
        judgements = self._jury.judge([(c.network, c.judged, n) for c, n in left])
        for (c, _), found in zip(left, judgements, strict=True):
            self.candidates[c.options] = replace(
                c,
                wrong=np.append(c.wrong, found.wrong),
                synops=c.synops + found.synops,
                macs=found.macs,
            )


def _steps(item: Options | Candidate) -> int:
    return item.steps if isinstance(item, Options) else item.options.steps


def _rung(candidate: Candidate, ladder: Ladder) -> Options:
    return replace(candidate.options, bits=ladder.bits[0])


def _promise(candidate: Candidate) -> tuple[int, int, int]:
    return candidate.errors, candidate.options.steps, -candidate.options.levels


def _extent(options: Sequence[Options]) -> str:
    steps = sorted({o.steps for o in options})
    return f"T={steps[0]}" if len(steps) == 1 else f"T={steps[0]}..{steps[-1]}"
