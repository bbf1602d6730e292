"""What is proven, at which size, and the bug that each proof finds."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from snngen_hdl.counts import Count
from snngen_hdl.crossbar import Crossbar
from snngen_hdl.emit import Search, Serialise
from snngen_hdl.neurons import (
    Unit,
    _FireUnit,
    _GrowthUnit,
    _LevelUnit,
    _OutputUnit,
    _WireUnit,
)
from snngen_hdl.raster import Raster
from snngen_hdl.routes import Ints, Routes, Tap
from snngen_hdl.scatter import Scatter
from snngen_hdl.streams import Fork, Queue, Skid, Stutter

from hdl.proofs.engine import Bug, Claims, Engine
from hdl.proofs.events import Counts, Scatters, Searches, Serialises
from hdl.proofs.layers import Computes, plan
from hdl.proofs.neurons import Accumulates, Classifies, Conducts, Fires, Grows, Looks
from hdl.proofs.streams import TOKEN, Forks, Passes


@dataclass(frozen=True)
class Proof:
    """`make` says the same in Amaranth as `claim` in words. `depth`: of `engine` in cycles; with
    pdr, those in which what must be possible has to happen. `quick`: proven with every test run.
    """

    name: str
    claim: str
    size: str
    make: Callable[[], Claims]
    engine: Engine
    depth: int
    bug: Bug
    quick: bool = False


PASSES = "hands on every token once, in order, and keeps it until it is taken"
AT_ONCE = f"{PASSES}; takes one wherever it has room, and offers it within {{}}"
SPIKES = (
    "keeps, shows and sends what section 3 of arithmetic.md says, for all states and parameters"
)


def _tables(lo: int, hi: int, count: int) -> Ints:
    """Every sorted table of `count` thresholds in lo..hi."""
    return np.array(list(itertools.combinations_with_replacement(range(lo, hi + 1), count)))


def _routes(channels: int, size: int, words: int) -> Routes:
    """A convolution of 3 x 3 that keeps its size, one lane."""
    taps = tuple(
        tuple(Tap(k, at + 1 - k) for k in range(3) if 0 <= at + 1 - k < size) for at in range(size)
    )
    weights = np.zeros((3, 3, words, 1), np.int64)
    return Routes((channels, size, size), taps, taps, None, weights, 2)


STREAMS = [
    Proof(
        "Skid", AT_ONCE.format("a cycle"), "any tokens",
        lambda: Passes(lambda: Skid(TOKEN), most=2, least=2, latency=1), "pdr", 40,
        Bug(Skid, "elaborate", "i.ready.eq(~waiting)", "i.ready.eq(1)",
            "the right token, in order"),
        quick=True,
    ),
    Proof(
        "Queue of 4", AT_ONCE.format("two cycles"), "any tokens",
        lambda: Passes(lambda: Queue(TOKEN, 4), most=5, least=4, latency=2), "pdr", 40,
        Bug(Queue, "elaborate", "depth=self.depth + 1", "depth=self.depth - 1",
            "it takes what it has room for"),
        quick=True,
    ),
    Proof(
        "Queue of 7", AT_ONCE.format("two cycles"), "any tokens",
        lambda: Passes(lambda: Queue(TOKEN, 7), most=8, least=7, latency=2), "pdr", 40,
        Bug(Queue, "elaborate", "queue.w_en.eq(self.i.valid)",
            "queue.w_en.eq(self.i.valid & self.o.ready)", "nothing is lost"),
    ),
    Proof(
        "Fork", "hands every token once to each reader, and lets none wait for another",
        "3 readers, any tokens",
        lambda: Forks(3), "pdr", 40,
        Bug(Fork, "elaborate", "Mux(served.all(), 0, served)", "served",
            "o0: no token comes twice"),
        quick=True,
    ),
    Proof(
        "Stutter", PASSES, "any tokens",
        lambda: Passes(lambda: Stutter(TOKEN, 1), most=0), "pdr", 40,
        Bug(Stutter, "elaborate", "~is_open | (self.i.valid & self.o.ready)", "Value.cast(1)",
            "o: a token stays until it is taken"),
    ),
]  # fmt: skip
EVENTS = [
    Proof(
        "Serialise", "sends the events of every word, lane after lane, then its marker",
        "3 lanes of 2 bits, 5 channels, 2 x 2 places, any words",
        lambda: Serialises((5, 2, 2), 3), "pdr", 40,
        Bug(Serialise, "elaborate", "(left == 0) | (advance & is_last)", "(left == 0) | is_last",
            "the right event, in order"),
        quick=True,
    ),
    Proof(
        "Count", "an event leaves with what its neuron has sent since the image began",
        "3 neurons that send 0 or 1, up to 3; any tokens",
        lambda: Counts((1, 1, 3), 3), "pdr", 40,
        Bug(Count, "elaborate", "event.kind == Kind.END", "event.kind != Kind.EVENT",
            "the right token, in order"),
        quick=True,
    ),
    Proof(
        "Search, 1 threshold", "a sum leaves as the number of thresholds that it has reached",
        "sums of 3 bits, all thresholds in -4..4, any tokens",
        lambda: Searches(3, _tables(-4, 4, 1), 0), "pdr", 40,
        Bug(Search, "elaborate", "event.value >= port.data", "event.value > port.data",
            "the right token, in order"),
    ),
    Proof(
        "Search, 2 thresholds", "a sum leaves as the number of thresholds that it has reached",
        "sums of 3 bits, all 45 tables of thresholds in -4..4, any tokens",
        lambda: Searches(3, _tables(-4, 4, 2), -1), "pdr", 40,
        Bug(Search, "elaborate", "port.en.eq(advance)", "port.en.eq(1)",
            "the right token, in order"),
    ),
    Proof(
        "Search, 3 thresholds", "a sum leaves as the number of thresholds that it has reached",
        "sums of 3 bits, all 165 tables of thresholds in -4..4, any tokens",
        lambda: Searches(3, _tables(-4, 4, 3), -1), "bmc", 16,
        Bug(Search, "elaborate", "Cat(found, event.c)", "Cat(found ^ 1, event.c)",
            "the right token, in order"),
    ),
    Proof(
        "Scatter, 1 bank", "an event leaves as the additions to all neurons that it reaches",
        "3 x 3 kernel on 2 x 2 places, 2 channels to 2 groups, any tokens",
        lambda: Scatters(_routes(2, 2, 4), width=2, groups=2, banks=1, depth=8), "pdr", 40,
        Bug(Scatter, "elaborate", "~busy | (step & last)", "~busy | last",
            "the right operation, in order"),
    ),
    Proof(
        "Scatter, 2 banks", "an event leaves as the additions to all neurons that it reaches",
        "3 x 3 kernel on 2 x 2 places, 2 channels to 2 groups, any tokens",
        lambda: Scatters(_routes(2, 2, 4), width=2, groups=2, banks=2, depth=4), "pdr", 40,
        Bug(Scatter, "elaborate", "Mux(loop.is_last, 0, loop.count + 1)",
            "Mux(loop.is_last, loop.count, loop.count + 1)",
            "the right operation, in order"),
    ),
    Proof(
        "Scatter, 2 x 2 banks", "an event leaves as the additions to all neurons that it reaches",
        "3 x 3 kernel on 2 x 2 places, 2 channels to 2 groups, any tokens",
        lambda: Scatters(_routes(2, 2, 4), width=2, groups=2, banks=2, bank_rows=2, depth=2),
        "pdr", 40,
        Bug(Scatter, "elaborate", "rows.eq(row.rows)", "rows.eq(0)",
            "the right operation, in order"),
    ),
]  # fmt: skip
FIRES = {  # of each form, the bug that is planted in it
    (False, False, 1, False): ('w >= late["threshold"]', 'w > late["threshold"]', "v"),
    (True, False, 1, False): ("Mux(s > 0, 0,", "Mux(s > 0, 1,", "v"),
    (False, True, 1, False): ('late["v_min"], late["v_min"]', 'late["v_min"], clamped', "v"),
    (True, True, 1, False): ('clamped > late["v_max"], late["v_max"]',
                             'clamped > late["v_max"], late["v_min"]', "v"),
    (False, False, 3, False): ("theta * j", "theta", "v"),
    (True, True, 3, False): ("(j + 1) for j", "(j | 1) for j", "value"),
    (False, False, 1, True): ("(w < 0) & (balance != 0)", "(w < 0)", "v"),
    (True, False, 1, True): ("Mux(s < 0, held + theta, held)", "held", "v"),
    (False, True, 3, True): ("self.state[k].balance, 2", "self.state[k].balance, 1", "v"),
    (True, True, 3, True): ("_later(m, balance) + s", "balance + s", "balance"),
}  # fmt: skip


def _fires(hard: bool, clamps: bool, most: int, signed: bool) -> Proof:
    old, new, breaks = FIRES[hard, clamps, most, signed]
    reset = "hard" if hard else "soft"
    extras = [f"{most} spikes"] * (most > 1) + ["clamps"] * clamps + ["signed"] * signed
    return Proof(
        "IntegrateAndFire, " + ", ".join([f"{reset} reset", *extras]),
        SPIKES,
        "v of 5 bits, threshold up to 31" + ", balance of 3 bits" * signed,
        lambda: Fires(hard=hard, clamps=clamps, most=most, signed=signed),
        "window",
        _FireUnit.latency + 3,
        Bug(_FireUnit, "elaborate", old, new, breaks),
        quick=(hard, most, signed) in ((False, 1, False), (True, 1, True)) and not clamps,
    )


UNITS = [
    *(_fires(*form) for form in FIRES),
    Proof(
        "Unit's parameters", "every neuron has its channel's parameters, padding sends nothing",
        "5 channels in 3 groups of 2 lanes, v of 5 bits",
        lambda: Looks(5, 2), "window", _FireUnit.latency + 4,
        Bug(Unit, "parameters", "port.addr.eq(self.group)", "port.addr.eq(0)", "v of lane 0"),
    ),
    *(
        Proof(
            f"Levels, {count} thresholds, lowest {lowest}",
            "sends the sum where its level is not 0, for all sums and thresholds",
            "sums of 5 bits, thresholds of 6",
            lambda count=count, lowest=lowest: Classifies(count, lowest),
            "window", _LevelUnit.latency + 3,
            Bug(_LevelUnit, "elaborate", *bug, "sends"),
        )
        for count, lowest, bug in (
            (3, 0, ('z >= late["first"]', 'z > late["first"]')),
            (3, -1, ('z < late["least"]', 'z <= late["least"]')),
        )
    ),
    Proof(
        "Outputs", "accumulates within its limits, and shows its membrane",
        "v of 5 bits, limit 9",
        Accumulates, "window", _OutputUnit.latency + 3,
        Bug(_OutputUnit, "elaborate", "-n.limit, v)", "n.limit, v)", "v"),
    ),
    Proof(
        "Maxima", "sends by how much the largest count has grown",
        "counts of 4 bits",
        Grows, "window", _GrowthUnit.latency + 3,
        Bug(_GrowthUnit, "elaborate", "keeps[k].passed.eq(Mux(self.is_end, 0, v))",
            "keeps[k].passed.eq(v)", "passed"),
    ),
    Proof(
        "Wires", "sends its current where that is not 0",
        "currents of 5 bits",
        Conducts, "window", _WireUnit.latency + 3,
        Bug(_WireUnit, "elaborate", "(v != 0)", "(v > 0)", "sends"),
    ),
]  # fmt: skip
EXACT = "sends what its neurons' sums say, for all events and pauses on all sides"
LAYERS = [
    Proof(
        "Layer, 1 neuron", EXACT, "2 timesteps",
        lambda: Computes(plan((1, 1, 1), [1], lanes=1, banks=1), 2), "bmc", 33,
        Bug(Crossbar, "_grants", " & ~clash", "", "a marker ends the timestep when all have sent"),
    ),
    Proof(
        "Layer, 2 sources", EXACT, "1 neuron, 2 timesteps",
        lambda: Computes(plan((1, 1, 1), [1, 1], lanes=1, banks=1), 2), "bmc", 33,
        Bug(Crossbar, "_grants", "wants[k] & ~wants[:k].any() if k else wants[k]", "wants[k]",
            "a marker ends the timestep when all have sent"),
    ),
    Proof(
        "Layer, 2 groups", EXACT, "2 channels of one lane, 2 timesteps",
        lambda: Computes(plan((2, 1, 1), [1], lanes=1, banks=1), 2), "bmc", 36,
        Bug(Crossbar, "_grants", "grants, ~before.any()", "grants, ~before[0]",
            "a marker ends the timestep when all have sent"),
    ),
    Proof(
        "Layer, 2 banks", EXACT, "2 columns, 2 timesteps",
        lambda: Computes(plan((1, 1, 2), [1], lanes=1, banks=2), 2), "bmc", 38,
        Bug(Raster, "elaborate", "(width - 1) % self.banks", "0",
            "a marker ends the timestep when all have sent"),
    ),
    Proof(
        "Layer, 2 rows of banks", EXACT, "2 rows, 2 timesteps",
        lambda: Computes(plan((1, 2, 1), [1], lanes=1, banks=1, bank_rows=2), 2), "bmc", 38,
        Bug(Raster, "elaborate", "(height - 1) % self.bank_rows", "0",
            "a marker ends the timestep when all have sent"),
    ),
    Proof(
        "Layer, 2 lanes and 2 banks", EXACT, "2 channels, 2 columns, 1 timestep",
        lambda: Computes(plan((2, 1, 2), [1], lanes=2, banks=2), 1), "bmc", 32,
        Bug(Crossbar, "elaborate", "choose(bank[-1], held)",
            "choose(bank[-2], held)", "a marker ends the timestep when all have sent"),
    ),
]  # fmt: skip
PROOFS = (*STREAMS, *EVENTS, *UNITS, *LAYERS)
