"""Coefficients of pieces from measured layers: least squares of relative errors, none below 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snngen.fixed import FixedNet
from snngen.targets.c.boards.engine import BoardEngine
from snngen.targets.c.boards.firmware import FLAGS
from snngen.targets.c.emit import emit
from snngen.targets.c.schedule import Optimise
from snngen.targets.c.work.layers import turns_of

FLOOR = 200.0  # instructions, below which errors are not relative
RIDGE, TOLERANCE = 1e-9, 1e-9
LIKE = {"widen.bits": "put.bits", "add_row.any": "add_row.i8"}  # pieces that networks hardly run


@dataclass(frozen=True, eq=False)
class Sample:
    """A layer of one run, or with an empty name what is not of layers: the `turns` of each piece,
    and what was counted, fields of Count.
    """

    layer: str
    turns: dict[str, float]
    counts: np.ndarray


def samples_of(net: FixedNet, images: np.ndarray, board: str, optimise: Optimise) -> list[Sample]:
    """Of every run and layer, measured on an emulated board."""
    parts = measured(net, images, board, optimise)
    turns = turns_of(net, images, board, optimise)
    return [
        Sample(name, {piece: float(each[run]) for piece, each in found.items()}, parts[run, place])
        for place, (name, found) in enumerate(turns.items())
        for run in range(len(parts))
    ]


def measured(net: FixedNet, images: np.ndarray, board: str, optimise: Optimise) -> np.ndarray:
    """The counts (runs, 1 + layers, fields of Count)."""
    with BoardEngine(net, emit(net, optimise=optimise), board, flags=FLAGS) as engine:
        return engine.measure(images).parts


def fitted(samples: Sequence[Sample], pieces: tuple[str, ...]) -> np.ndarray:
    """Coefficients (pieces, fields of Count). AssertionError for a piece that never runs and is
    not one of LIKE.
    """
    turns = np.array([[sample.turns.get(piece, 0.0) for piece in pieces] for sample in samples])
    counts = np.array([sample.counts for sample in samples], float)
    found = np.stack([_weighted(turns, each) for each in counts.T], axis=1)
    for place, piece in enumerate(pieces):
        if not turns[:, place].any():
            assert piece in LIKE, f"no network runs {piece}"
            found[place] = found[pieces.index(LIKE[piece])]
    return found


def _weighted(turns: np.ndarray, counts: np.ndarray) -> np.ndarray:
    if not counts.any():
        return np.zeros(turns.shape[1])
    weight = 1 / (counts + FLOOR)
    weighted = turns * weight[:, None]
    size = np.maximum(np.linalg.norm(weighted, axis=0), TOLERANCE)
    return not_below_0(weighted / size, counts * weight) / size


def not_below_0(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The x >= 0 with the least |a x - b|, by C. Lawson and R. Hanson, "Solving Least Squares
    Problems", 1974, chapter 23, on the normal equations.
    """
    count = a.shape[1]
    gram, right = a.T @ a + RIDGE * np.eye(count), a.T @ b
    x, taken = np.zeros(count), np.zeros(count, bool)
    for _ in range(10 * count):
        gradient = np.where(taken, -np.inf, right - gram @ x)
        if gradient.max() <= TOLERANCE:
            break
        taken[gradient.argmax()] = True
        while True:
            trial = np.zeros(count)
            trial[taken] = np.linalg.solve(gram[np.ix_(taken, taken)], right[taken])
            below = taken & (trial <= 0)
            if not below.any():
                break
            x = x + (x[below] / (x[below] - trial[below])).min() * (trial - x)
            taken &= x > TOLERANCE
            x[~taken] = 0
        x = trial
    return x
