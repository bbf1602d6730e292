"""Cycles: packets on the mesh one by one against all at once, ticks by hand, the formula beside the
simulation.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snngen.mapping import DEVICES, Crossbar, Mapping, map_network
from snngen.mapping.chip import run
from snngen.mapping.cycles import FIRE, simulate_cycles
from snngen.mapping.estimate import estimate_cycles, rates
from snngen.mapping.links import HOST, Mesh, Packets, arrivals, serve
from snngen.mapping.trial import try_on
from snngen.neurons import IF, Accumulate
from snngen.ops import Conv, Linear, Window
from snngen.simulate import simulate
from snngen.spiking import INPUT
from tests.mapping.networks import TINY, residual_net
from tests.networks import Builder, fixed_input, random_images

SMALL = Crossbar("small", 3, 4, 24, 96, 3, 6, 32)
CORES = 2 * SMALL.cores


def one_by_one(mesh: Mesh, packets: Packets) -> list[int]:
    """The same in the words of `links`: a packet at a time, in the order in which they come."""
    free: dict[object, int] = defaultdict(int)
    arrived: dict[tuple[int, int], int] = {}
    readers = defaultdict(list)
    for packet, reader in zip(packets.packet.tolist(), packets.reader.tolist(), strict=True):
        readers[packet].append(reader)

    def column(core: int) -> int:
        return mesh.columns if core == HOST else core // mesh.device.rows

    events: list[tuple] = []
    for p, (core, ready) in enumerate(
        zip(packets.sender.tolist(), packets.ready.tolist(), strict=True)
    ):
        at = (-1, mesh.middle) if core == HOST else divmod(core, mesh.device.rows)
        heapq.heappush(events, (ready, p, "out", core, at, tuple(readers[p])))

    def pass_link(link: object, time: int) -> int:
        free[link] = max(free[link], time) + 1
        return free[link]

    def turn(time: int, p: int, at: tuple[int, int], goals: tuple[int, ...]) -> None:
        """The packet is in the column of its readers, `goals`."""
        for core in goals:
            if core == HOST:
                arrived[p, core] = time
        rows = [core for core in goals if core != HOST]
        for sign in (1, -1, 0):
            part = tuple(c for c in rows if np.sign(c % mesh.device.rows - at[1]) == sign)
            if part:
                heapq.heappush(events, (time, p, "down" if sign else "in", sign, at, part))

    while events:
        time, p, what, detail, (x, y), goals = heapq.heappop(events)
        if what == "out":
            time = time if detail == HOST else pass_link(("out", detail), time)
            for sign in (1, -1):
                part = tuple(c for c in goals if np.sign(column(c) - x) == sign)
                if part:
                    heapq.heappush(events, (time, p, "across", sign, (x, y), part))
            turn(time, p, (x, y), tuple(c for c in goals if column(c) == x))
        elif what == "across":
            left = min(x, x + detail)
            row = "all" if (left + 1) % mesh.device.columns == 0 else y
            time = pass_link(("across", detail, left, row), time)
            there = (x + detail, y)
            on = tuple(c for c in goals if column(c) != there[0])
            if on:
                heapq.heappush(events, (time, p, "across", detail, there, on))
            turn(time, p, there, tuple(c for c in goals if column(c) == there[0]))
        elif what == "down":
            time = pass_link(("down", detail, x, y), time)
            there = (x, y + detail)
            on = tuple(c for c in goals if c % mesh.device.rows != there[1])
            if on:
                heapq.heappush(events, (time, p, "down", detail, there, on))
            for core in goals:
                if core % mesh.device.rows == there[1]:
                    heapq.heappush(events, (time, p, "in", 0, there, (core,)))
        else:
            (core,) = goals
            arrived[p, core] = pass_link(("in", core), time)
    return [
        arrived[p, r] for p, r in zip(packets.packet.tolist(), packets.reader.tolist(), strict=True)
    ]


@st.composite
def traffic(draw: st.DrawFn) -> Packets:
    senders = draw(st.lists(st.integers(-1, CORES - 1), min_size=1, max_size=40))
    ready = {core: draw(st.integers(0, 9)) for core in set(senders)}
    pairs = [
        (p, reader)
        for p, sender in enumerate(senders)
        for reader in sorted(draw(st.sets(st.integers(-1, CORES - 1), min_size=1, max_size=6)))
        if not (sender == HOST == reader)
    ]
    packet, reader = np.array(pairs, np.int64).reshape(-1, 2).T
    return Packets(np.array(senders), np.array([ready[core] for core in senders]), packet, reader)


@settings(deadline=None, max_examples=200)
@given(traffic())
def test_all_packets_at_once_are_as_fast_as_one_by_one(packets: Packets) -> None:
    mesh = Mesh(SMALL, 2)
    assert arrivals(mesh, packets).tolist() == one_by_one(mesh, packets)


@pytest.mark.parametrize("fault", ["links that are not shared", "queues that never form"])
def test_another_mesh_is_noticed(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """From both sides: what is compared above does differ where the mesh does."""
    mesh = Mesh(SMALL, 2)
    senders = np.arange(12)
    readers = 12 + senders
    busy = Packets(senders, np.zeros(12, np.int64), senders, readers)
    expected = one_by_one(mesh, busy)
    assert arrivals(mesh, busy).tolist() == expected
    if fault == "links that are not shared":
        monkeypatch.setattr(Mesh, "is_shared", lambda self, x: False)
    else:
        monkeypatch.setattr("snngen.mapping.links.serve", lambda server, arrival: arrival + 1)
    assert arrivals(mesh, busy).tolist() != expected


def test_a_server_takes_one_customer_each_cycle() -> None:
    server = np.array([0, 1, 0, 0, 1, 0])
    arrival = np.array([3, 0, 3, 2, 7, 9])
    assert serve(server, arrival).tolist() == [4, 1, 5, 3, 8, 10]


def packets(*parts: tuple[int, int, list[int]]) -> Packets:
    """Each: sender, ready, readers."""
    pairs = [(p, reader) for p, (_, _, readers) in enumerate(parts) for reader in readers]
    packet, reader = np.array(pairs).T
    senders, ready, _ = zip(*parts, strict=True)
    return Packets(np.array(senders), np.array(ready), packet, reader)


def test_ways_are_counted_link_by_link() -> None:
    mesh = Mesh(SMALL, 2)
    # core 5 is in column 1, row 1; core 10 in column 2, row 2: out, right, down, in
    assert arrivals(mesh, packets((5, 10, [10]))).tolist() == [14]
    # from the host, whose row is 2, to column 0, row 2: its link and into the core
    assert arrivals(mesh, packets((HOST, 0, [2]))).tolist() == [2]
    # to the host, right of the last column: out and six links
    assert arrivals(mesh, packets((0, 0, [HOST]))).tolist() == [7]
    # two rows share the link between the chips, columns 2 and 3
    assert sorted(arrivals(mesh, packets((8, 0, [12]), (9, 0, [13]))).tolist()) == [3, 4]


def dense(timesteps: int = 1) -> Mapping:
    """Two layers on one core each."""
    rng = np.random.default_rng(0)
    builder = Builder(fixed_input(rng, (1, 4, 4), "CHW", 0, 9), timesteps)
    one = Conv(np.full((2, 1, 1, 1), 3), Window((1, 1)))
    neuron = IF(np.full(2, 9), np.zeros(2, int))
    builder.add("first", [(INPUT, one)], None, neuron)
    weight = rng.integers(-1, 2, (5, 2, 4, 4))
    builder.add("second", [("first", Linear(weight))], None, IF(np.full(5, 2), np.zeros(5, int)))
    builder.add("output", [("second", Linear(np.full((3, 5, 1, 1), 100)))], None, Accumulate())
    return map_network(builder.finish(), DEVICES["paicore-like"])


def test_a_tick_by_hand() -> None:
    mapping = dense()
    images = random_images(mapping.net, 1, seed=3)
    ran = run(mapping, images)
    assert [g.layer for core in mapping.cores for g in core.groups] == ["second", "output"]
    sent = {name: int(ran.spikes[name].sum()) for name in ("first", "second")}
    axons = mapping.cores[0].axons["second"]["first", False]
    into_first = int(ran.spikes["first"][0, 0, axons].sum())
    assert into_first and sent["second"]
    # the host sends one spike each cycle to core 0, through its link, up 16 rows, and in
    host = sent["first"] + 16 + 1
    # core 0: its active axons, one slot, its neurons, then its spikes down one row and in
    second = into_first + 1 + FIRE + sent["second"] + 2
    # core 1: the same, and its three membranes right through 32 columns
    output = sent["second"] + 1 + FIRE + 3 + 32
    timing = simulate_cycles(mapping, ran)
    assert timing.latency == host + second + output
    assert timing.interval == max(host, second, output)


def test_timesteps_follow_each_other() -> None:
    one, four = dense(), dense(timesteps=4)
    images = random_images(one.net, 1, seed=3)
    timing = simulate_cycles(four, run(four, images))
    single = simulate_cycles(one, run(one, images))
    assert timing.interval > 2 * single.interval
    assert timing.interval < timing.latency


@pytest.mark.parametrize("device", [TINY, DEVICES["paicore-like"]])
def test_the_formula_is_near_the_simulation(device: Crossbar) -> None:
    net = residual_net()
    trial = try_on(map_network(net, device, chips=None), random_images(net, 6))
    assert trial.difference is None
    assert abs(trial.estimate.timing.interval / trial.mean.interval - 1) < 0.25
    assert abs(trial.estimate.timing.latency / trial.mean.latency - 1) < 0.25


def test_nothing_that_fires_takes_only_what_cores_need() -> None:
    mapping = dense()
    silent = {"first": 0.0, "second": 0.0}
    timing = estimate_cycles(mapping, silent, 1).timing
    assert timing.latency < 150
    assert timing.interval < 50


def test_rates_are_those_of_copies() -> None:
    net = residual_net()
    mapping = map_network(net, TINY, chips=None)
    images = random_images(net, 3)
    found = rates(mapping, simulate(net, images), 1)
    ran = run(mapping, images)
    for name, rate in found.items():
        assert rate == pytest.approx(ran.spikes[name].mean())
