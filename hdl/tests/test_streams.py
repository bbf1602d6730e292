"""Streams lose, invent and reorder nothing, at whatever pace their ends go."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import unsigned
from driving import Bench
from snngen_hdl.streams import Fork, Queue, Skid, Stutter

DATA = [int(v) for v in np.random.default_rng(1).integers(0, 256, 60)]
PACES = [0.0, 0.3, 0.7]


@pytest.mark.parametrize("gaps", PACES)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Skid(unsigned(8)),
        lambda: Queue(unsigned(8), 2),
        lambda: Queue(unsigned(8), 5),
        lambda: Stutter(unsigned(8), 3),
    ],
)
def test_tokens_pass_in_order(make, gaps: float) -> None:
    component = make()
    bench = Bench(component, gaps=gaps)
    bench.give(component.i, DATA)
    found = bench.take(component.o, len(DATA))
    bench.run()
    assert found == DATA


@pytest.mark.parametrize("gaps", PACES)
def test_a_fork_hands_everything_to_everyone(gaps: float) -> None:
    fork = Fork(unsigned(8), 3)
    bench = Bench(fork, gaps=gaps)
    bench.give(fork.i, DATA)
    found = [bench.take(o, len(DATA)) for o in fork.o]
    bench.run()
    assert found == [DATA] * 3


def test_a_skid_takes_a_token_each_cycle() -> None:
    skid = Skid(unsigned(8))
    bench = Bench(skid)
    bench.give(skid.i, DATA)
    found = bench.take(skid.o, len(DATA), cycles=len(DATA) + 2)
    bench.run()
    assert found == DATA
