"""Cycles by a formula, from how many of its neurons each layer lets fire.

A stage, which is a layer in a tick, takes what its busiest core computes, then as many cycles as
its busiest link has packets, and the longest way. Packets are as many as fire on average, on the
same tree as in `links`. An image takes one tick for each timestep: the longest stage or, where that
is more, the packets of all stages on the busiest link. At the end the result is sent.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from snngen.mapping.cycles import FIRE, Timing, Traffic
from snngen.mapping.links import HOST, Mesh
from snngen.mapping.mapping import Mapping
from snngen.simulate import Simulation

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """`stages`: the cycles of each layer in a tick. `busiest`: the packets of all of them on the
    busiest link.
    """

    timing: Timing
    stages: dict[str, float]
    busiest: float


def rates(mapping: Mapping, found: Simulation, steps: int) -> dict[str, float]:
    """By layer, how many of its neurons, copies each by itself, fire at a timestep."""
    return {
        population.name: float(found.counts[population.name].mean() / population.copies / steps)
        for population in mapping.populations
        if population.name in found.counts
    }


def estimate_cycles(mapping: Mapping, rate: Dict[str, float], steps: int) -> Estimate:
    """The cycles of an image in which layers fire at these rates."""
    traffic, mesh = Traffic(mapping), Mesh(mapping.device, mapping.chips)
    together, result = _Loads(mesh), _Loads(mesh)
    stages: dict[str, float] = {}
    for population in mapping.populations:
        own = _Loads(mesh)
        for reader in traffic.readers.get(population.name, []):
            own.add(traffic, population.name, reader, rate[population.name])
        together.merge(own)
        stages[population.name] = _compute(mapping, population.name, rate) + own.cycles
    result.add_result(traffic, mapping.populations[-1].name)
    tick = max(*stages.values(), together.busiest)
    last = max(tick, stages[mapping.populations[-1].name] + result.cycles)
    by_depth = [0.0] * (1 + max(population.depth for population in mapping.populations))
    for population in mapping.populations:
        depth = population.depth
        by_depth[depth] = max(by_depth[depth], stages[population.name])
    alone = sum(  # depths k - steps + 1 to k are at work in tick k
        max(by_depth[max(0, k - steps + 1) : k + 1]) for k in range(steps + len(by_depth) - 1)
    )
    timing = Timing(round((steps - 1) * tick + last), round(alone + result.cycles))
    return Estimate(timing, stages, together.busiest)


def _compute(mapping: Mapping, layer: str, rate: Dict[str, float]) -> float:
    """The cycles of the busiest core of `layer`, before it sends; 0 on the host."""
    cores = (mapping.cores[number] for number in mapping.cores_of.get(layer, []))
    return max(
        (
            sum(
                rate[source] * len(spikes)
                for read in core.axons.values()
                for (source, _), spikes in read.items()
            )
            + 2**core.extension
            + FIRE
            for core in cores
        ),
        default=0.0,
    )


class _Loads:
    """Packets on each link: `right`[x + 1, y] from column x on, `left`[x, y] back to x, `down`[x,
    y] from row y on, `up`[x, y] back to y, `out`[core] and `into`[core]. `way`: the longest.
    """

    def __init__(self, mesh: Mesh) -> None:
        self.mesh, self.way = mesh, 0
        across = (mesh.columns + 1, mesh.device.rows)
        self.right, self.left, self.down, self.up = (np.zeros(across) for _ in range(4))
        cores = mesh.columns * mesh.device.rows
        self.out, self.into = np.zeros(cores), np.zeros(cores)

    def add(self, traffic: Traffic, source: str, reader: str, rate: float) -> None:
        """The packets of `source` to `reader`, `rate` of each neuron."""
        mesh = self.mesh
        senders = traffic.sender[source]
        sx, sy = mesh.senders(senders)
        from_core = senders != HOST
        np.add.at(self.out, senders[from_core], rate)
        leftmost, rightmost = sx.copy(), sx.copy()
        axons = traffic.axons(reader, source)
        for x, cores in groupby(axons, lambda item: item[0] // mesh.device.rows):
            top, bottom = sy.copy(), sy.copy()
            read = np.zeros(len(senders), bool)
            for core, spikes in cores:
                self.into[core] += rate * len(spikes)
                y = core % mesh.device.rows
                read[spikes] = True
                top[spikes] = np.minimum(top[spikes], y)
                bottom[spikes] = np.maximum(bottom[spikes], y)
            leftmost[read] = np.minimum(leftmost[read], x)
            rightmost[read] = np.maximum(rightmost[read], x)
            self.down[x] += rate * _covered(sy[read], bottom[read], mesh.device.rows)
            self.up[x] += rate * _covered(top[read], sy[read], mesh.device.rows)
            far = np.abs(x - sx) + np.maximum(bottom - sy, sy - top)
            self.way = max(self.way, int(far[read].max(initial=0)))
        for y in range(mesh.device.rows):
            row = sy == y
            self.right[:, y] += rate * _covered(sx[row] + 1, rightmost[row] + 1, mesh.columns + 1)
            self.left[:, y] += rate * _covered(
                leftmost[row].clip(0), sx[row].clip(0), mesh.columns + 1
            )

    def add_result(self, traffic: Traffic, output: str) -> None:
        """The membranes of `output`, to the host."""
        mesh, senders = self.mesh, traffic.sender[output]
        sx, sy = mesh.place(senders)
        np.add.at(self.out, senders, 1.0)
        for y in range(mesh.device.rows):
            first = sx[sy == y] + 1
            end = np.full_like(first, mesh.columns + 1)
            self.right[:, y] += _covered(first, end, mesh.columns + 1)
        self.way = max(self.way, int((mesh.columns - sx).max()))

    def merge(self, other: _Loads) -> None:
        for name in ("right", "left", "down", "up", "out", "into"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def cycles(self) -> float:
        """Until all packets have arrived."""
        return self.busiest + self.way

    @property
    def busiest(self) -> float:
        """Packets on the busiest link."""
        links = [self.down, self.up, self.out, self.into]
        for along, offset in ((self.right, -1), (self.left, 0)):
            shared = np.array(
                [self.mesh.is_shared(x + offset) for x in range(self.mesh.columns + 1)]
            )
            links += [along[~shared], along[shared].sum(1)]
        return max(float(link.max(initial=0)) for link in links)


def _covered(first: NDArray[np.int64], end: NDArray[np.int64], size: int) -> Floats:
    """How many of the ranges first..end - 1 hold each of 0..size - 1."""
    starts = np.bincount(first, minlength=size + 1)[: size + 1]
    stops = np.bincount(end, minlength=size + 1)[: size + 1]
    covered: Floats = np.cumsum(starts - stops)[:size].astype(np.float64)
    return covered
