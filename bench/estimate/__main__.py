"""Fits the estimate that `snngen cost --estimate` prints, and says how far it is off.

    python -m bench.estimate [BOARD ...]

Measures the networks of bench/estimate/networks.py layer by layer on emulated boards, in the forms
for speed and for size, with -O2; fits what a turn of every piece of the runtime takes, and writes
snngen/targets/c/estimated/BOARD.json. Then estimates networks that it was not fitted on, on a few
images each, compares with what their layers take, and writes bench/results/estimate.json and
docs/benchmarks/estimate.md, where what is known of other boards stays. To be run after a change of
kernels. Needs the boards' tools, SNNGEN_DATA and SNNGEN_MODELS; a minute or two for each board,
but an AVR.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from bench.accuracy import Subject
from bench.boards import DIGITS
from bench.estimate.fitting import Sample, fitted, samples_of
from bench.estimate.networks import KINDS, fitted_on
from bench.estimate.page import FOR_SIZE, PAGE, RESULTS, Row, page
from bench.networks import NETWORKS, QUANTISED
from snngen.convert import Options
from snngen.data.raw import spread
from snngen.errors import ConversionError
from snngen.fixed import FixedNet
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.boards.sections import compiler_of
from snngen.targets.c.estimate import FORMS, TABLES, Errors, Table, cost_of, table_of, table_text
from snngen.targets.c.schedule import Optimise
from snngen.targets.c.work.layers import board_is_8_bit
from snngen.targets.c.work.pieces import pieces
from tests.drawn import drawn
from tests.networks import random_images

FITTED = (  # by default: each kind of code once
    *(f"cortex-{core}" for core in ("m0", "m3", "m4", "m7", "m33")),
    *("rv32imac", "powerpc", "atmega2560"),
)
LEFT_OUT = {1, 5, 9, 11}
IMAGES, RANDOM = 2, 5
LEAST = 0.01  # of a network's count, for a layer to be looked at
DIGITS_KEPT = 3  # of a turn's cost, behind the point
LEVELS = Options("channel-max", "level", levels=15)


@dataclass(frozen=True, eq=False)
class Case:
    """A network, images for it, and whether it is emitted in both forms."""

    label: str
    net: FixedNet
    images: np.ndarray
    forms: tuple[Optimise, ...] = FORMS


def _trained(label: str, name: str, options: Options, forms: tuple[Optimise, ...] = FORMS) -> Case:
    subject = Subject(name, (NETWORKS | QUANTISED | DIGITS)[name])
    images = subject.test.images[spread(len(subject.test.images), IMAGES)]
    return Case(label, subject.convert(options), images, forms)


def held_out() -> Iterator[Case]:
    """Networks that nothing is fitted on."""
    yield _trained("digits, N=15", "digits", LEVELS)
    yield _trained("digits, `if` T=16", "digits", Options("channel-max", "if", timesteps=16))
    yield _trained("lenet_ref_q4, N=4", "lenet_ref_q4", Options("quantized", "level"))
    spikes = Options("quantized", "if", timesteps=4)
    yield _trained("lenet_ref_q4, `if` T=4", "lenet_ref_q4", spikes, ("speed",))
    yield _trained("kws, N=15", "kws", LEVELS)
    yield _trained("ic_resnet8, N=15", "ic_resnet8", LEVELS)
    for number in range(RANDOM):
        net = drawn(number)
        yield Case(f"random {number}", net, random_images(net, IMAGES))


def fit(board: str) -> Table:
    """The table, without its errors."""
    samples: list[Sample] = []
    slow = BOARDS[board].unit == "cycles"  # simavr takes minutes for all of them
    for number in set(range(len(KINDS))) - (LEFT_OUT if slow else set()):
        net, images = fitted_on(number)
        images = images[:1] if slow else images
        for form in FORMS:
            samples += samples_of(net, images, board, form)
    names = pieces(is_8_bit=board_is_8_bit(board))
    costs = fitted(samples, names).round(DIGITS_KEPT).tolist()
    turns = dict(zip(names, map(tuple, costs), strict=True))
    return Table(compiler_of(board), Errors(0, 0, 0, 0), turns)


def check(board: str, table: Table, cases: list[Case]) -> tuple[Errors, dict[str, Row]]:
    """The errors on networks that it was not fitted on, all and each."""
    rows: dict[str, Row] = {}
    layers: list[float] = []
    for case in cases:
        for form in case.forms:
            try:
                samples = samples_of(case.net, case.images, board, form)
            except ConversionError:  # it does not fit the board
                continue
            guesses, units = _guessed(samples, table)
            off = 100 * abs(guesses / units - 1)[units >= LEAST * units.sum() / IMAGES]
            network = 100 * (guesses.sum() / units.sum() - 1)
            numbers = (network, np.median(off), off.max())
            count = round(float(units.sum()) / IMAGES)
            label = f"{case.label}{FOR_SIZE if form == 'size' else ''}"
            rows[label] = Row(count, *(round(float(number), 1) for number in numbers))
            layers += off.tolist()
    networks = [abs(row.network) for row in rows.values()]
    numbers = (np.median(networks), max(networks), np.median(layers), max(layers))
    return Errors(*(round(float(number), 1) for number in numbers)), rows


def _guessed(samples: list[Sample], table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Units of each sample as they are estimated, and as they are."""
    turns = [{p: np.array([n]) for p, n in sample.turns.items()} for sample in samples]
    guesses = [cost_of(each, table)[0, 0] for each in turns]
    return np.array(guesses), np.array([sample.counts[0] for sample in samples], float)


def main(boards: list[str]) -> None:
    cases = list(held_out())
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for board in boards or FITTED:
        table = fit(board)
        errors, rows = check(board, table, cases)
        TABLES.mkdir(exist_ok=True)
        (TABLES / f"{board}.json").write_text(table_text(replace(table, errors=errors)), "ascii")
        results[board] = {label: vars(row) for label, row in rows.items()}
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
        table_of.cache_clear()
        PAGE.write_text(page(results))
        print(board, errors, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
