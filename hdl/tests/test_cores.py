"""Cores beside their twins."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import signed, unsigned
from driving import Bench, fields
from snngen_hdl.counts import Count
from snngen_hdl.emit import Search
from snngen_hdl.routes import Routes, Tap
from snngen_hdl.scatter import Scatter
from snngen_hdl.source import ImageSource, SourcePlan
from snngen_hdl.streams import Kind

RANDOM = np.random.default_rng(7)


def same_convolution(kernel: int, size: int, words: int, lanes: int) -> Routes:
    """Rows and columns of a convolution of stride 1 that keeps its size; random weights."""
    pad = kernel // 2
    taps = tuple(
        tuple(Tap(k, at + pad - k) for k in range(kernel) if 0 <= at + pad - k < size)
        for at in range(size)
    )
    weights = RANDOM.integers(-8, 8, (kernel, kernel, words, lanes))
    return Routes((3, size, size), taps, taps, None, weights, 4)


@pytest.mark.parametrize("banks", [1, 2, 3, 4])
@pytest.mark.parametrize("bank_rows", [1, 2, 3])
@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_scatter_walks_all_taps(banks: int, bank_rows: int, gaps: float) -> None:
    groups, size = 2, 6
    routes = same_convolution(3, size, 3 * groups, 4)
    depth = -(-size // bank_rows) * -(-size // banks) * groups
    scatter = Scatter(
        routes,
        unsigned(3),
        width=size,
        groups=groups,
        banks=banks,
        bank_rows=bank_rows,
        depth=depth,
    )
    places = [tuple(int(v) for v in RANDOM.integers(0, (3, size, size))) for _ in range(12)]
    given = [{"kind": Kind.EVENT, "value": 5, "c": c, "y": y, "x": x} for c, y, x in places]
    expected = [operation for place in places for operation in scatter.compute(*place)]
    bench = Bench(scatter, gaps=gaps)
    bench.give(scatter.i, given)
    found = bench.take(scatter.o, len(expected))
    bench.run()
    for have, want in zip(found, expected, strict=True):
        assert (have.line, have.weight) == (want["line"], want["weight"])
        for name in want.keys() & {"banks", "rows"}:
            told = [{n: int(getattr(b, n)) for n in ("valid", "block", "tap")} for b in have[name]]
            assert told == want[name]
        assert have.value == 5


@pytest.mark.parametrize("levels", [1, 2, 4, 7, 15])
def test_search_finds_levels(levels: int) -> None:
    thresholds = np.sort(RANDOM.integers(-100, 100, (5, levels)), 1)
    search = Search((5, 4, 4), signed(9), thresholds, -1)
    sums = [int(v) for v in RANDOM.integers(-120, 120, 50)]
    given = [
        {"kind": Kind.EVENT, "value": v, "c": k % 5, "y": 1, "x": 2} for k, v in enumerate(sums)
    ]
    bench = Bench(search, gaps=0.3)
    bench.give(search.i, given)
    found = bench.take(search.o, len(given))
    bench.run()
    assert [t.value for t in found] == [search.compute(k % 5, v) for k, v in enumerate(sums)]


@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_counts_run_until_the_image_ends(gaps: float) -> None:
    count = Count((2, 2, 3), unsigned(2), 40)
    given = []
    for kind in (Kind.STEP, Kind.STEP, Kind.END) * 2:
        for place in RANDOM.permutation(12)[:7]:
            c, y, x = (int(v) for v in np.unravel_index(place, (2, 2, 3)))
            value = int(RANDOM.integers(1, 4))
            given.append({"kind": Kind.EVENT, "value": value, "c": c, "y": y, "x": x})
        given.append({"kind": kind, "value": 0, "c": 0, "y": 0, "x": 0})
    bench = Bench(count, gaps=gaps)
    bench.give(count.i, given)
    found = bench.take(count.o, len(given))
    bench.run()
    for have, want in zip(found, count.compute(given), strict=True):
        assert have.kind == want["kind"]
        if want["kind"] == Kind.EVENT:
            assert {n: int(getattr(have, n)) for n in ("value", "c", "y", "x")} == {
                n: want[n] for n in ("value", "c", "y", "x")
            }


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("timesteps", [1, 3])
def test_source_sends_what_bytes_stand_for(channels_last: bool, timesteps: int) -> None:
    table = RANDOM.integers(-20, 20, (2, 256))
    plan = SourcePlan((2, 4, 3), channels_last, table, timesteps)
    source = ImageSource(plan)
    images = RANDOM.integers(0, 256, (3, *plan.shape))
    order = (0, 2, 3, 1) if channels_last else (0, 1, 2, 3)
    expected = [token for image in images for token in source.compute(image)]
    bench = Bench(source, gaps=0.3)
    bench.give(source.i, [int(b) for b in images.transpose(order).ravel()])
    bench.hold(source.may_start, 1)
    found = bench.take(source.o, len(expected))
    bench.run()
    for have, want in zip(found, expected, strict=True):
        names = ("kind", "value", "y", "x", "c") if want["kind"] == Kind.EVENT else ("kind",)
        have_fields = fields(have)
        want_fields = want | {"kind": want["kind"].value}
        assert {n: have_fields[n] for n in names} == {n: want_fields[n] for n in names}
