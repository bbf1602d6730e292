"""How many cycles the cores take, to the cycle and by a formula.

Time goes in ticks, in step on all cores. In a tick a core reads the spikes that came in the tick
before, slot after slot: one cycle for each slot and for each active axon, all columns in parallel,
and one for its neurons; then it sends its spikes, one each cycle, once for each layer that reads
them. The tick ends when the last packet has arrived. A layer of depth d is d ticks behind the host,
which is the first stage of this pipeline: one image, or one timestep of it, follows the other.
Spikes that a later layer needs, past others, wait in its axons.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from snngen.mapping.chip import Run
from snngen.mapping.links import HOST, Mesh, Packets, arrivals
from snngen.mapping.mapping import Mapping
from snngen.mapping.wires import Ints

FIRE = 1  # cycles that the neurons of a core take together


@dataclass(frozen=True)
class Timing:
    """Cycles of one image. `interval`: from one image to the next, where they follow each other.
    `latency`: of one image alone, from its first packet to the last one of its result.
    """

    interval: int
    latency: int


@dataclass(frozen=True, eq=False)
class Traffic:
    """Who reads what on a mapping, core by core."""

    mapping: Mapping

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """By layer those that read its spikes."""
        found: dict[str, list[str]] = {}
        for population in self.mapping.populations:
            if not population.on_host:
                for source in dict.fromkeys(path.source for path in population.paths):
                    found.setdefault(source, []).append(population.name)
        return found

    @cached_property
    def sender(self) -> dict[str, Ints]:
        """By layer the core of each neuron."""
        found = {
            population.name: np.full(population.neurons, HOST, np.int64)
            for population in self.mapping.populations
        }
        for number, core in enumerate(self.mapping.cores):
            for group in core.groups:
                found[group.layer][group.neurons] = number
        return found

    def axons(self, reader: str, source: str) -> list[tuple[int, NDArray[np.int32]]]:
        """The cores of `reader` with the spikes of `source` that they read."""
        cores = self.mapping.cores
        return [
            (number, cores[number].axons[reader][source, False])
            for number in self.mapping.cores_of[reader]
            if (source, False) in cores[number].axons[reader]
        ]


def simulate_cycles(mapping: Mapping, run: Run, image: int = 0) -> Timing:
    """The cycles of image number `image` of a run, packet by packet."""
    traffic = Traffic(mapping)
    depth = {population.name: population.depth for population in mapping.populations}
    steps = next(iter(run.membranes.values())).shape[1]
    last = max(depth.values())
    spikes = {name: sent[image].astype(bool) for name, sent in run.spikes.items()}

    def tick(active: dict[str, int]) -> int:
        return _tick(traffic, spikes, active, steps)

    interval = sum(tick({n: (k - d) % steps for n, d in depth.items()}) for k in range(steps))
    latency = sum(
        tick({n: k - d for n, d in depth.items() if 0 <= k - d < steps})
        for k in range(steps + last)
    )
    return Timing(interval, latency)


def _tick(
    traffic: Traffic, spikes: Dict[str, NDArray[np.bool_]], active: Dict[str, int], steps: int
) -> int:
    """The cycles of a tick in which `active` layers are at these timesteps."""
    mapping = traffic.mapping
    done = np.zeros(len(mapping.cores) + 1, np.int64)  # the last is the host
    output = mapping.populations[-1].name
    for number, core in enumerate(mapping.cores):
        axons = [
            spikes[source][active[reader]][numbers]
            for reader, sources in core.axons.items()
            if reader in active
            for (source, _), numbers in sources.items()
        ]
        if axons:
            done[number] = sum(map(np.count_nonzero, axons)) + 2**core.extension + FIRE
    parts: list[tuple[Ints, Ints, Ints]] = []  # senders, places among these, readers
    for source, step in active.items():
        for reader in traffic.readers.get(source, []):
            parts.append(_multicast(traffic, source, reader, spikes[source][step]))
    if active.get(output) == steps - 1:
        senders = traffic.sender[output]
        parts.append((senders, np.arange(len(senders)), np.full(len(senders), HOST)))
    offsets = np.cumsum([0, *(len(senders) for senders, _, _ in parts)])
    sender = np.concatenate([senders for senders, _, _ in parts])
    packet = np.concatenate([p + offset for (_, p, _), offset in zip(parts, offsets, strict=False)])
    reader_ = np.concatenate([readers for _, _, readers in parts])
    packets = Packets(sender, done[sender], packet, reader_)
    arrived = arrivals(Mesh(mapping.device, mapping.chips), packets)
    return int(max(done.max(), arrived.max(initial=0)))


def _multicast(
    traffic: Traffic, source: str, reader: str, fired: NDArray[np.bool_]
) -> tuple[Ints, Ints, Ints]:
    """The packets of `source` to `reader`: the sender of each; of each copy its packet, and the
    core that it goes to.
    """
    neurons = np.flatnonzero(fired)
    number = np.zeros(len(fired), np.int64)
    number[neurons] = np.arange(len(neurons))
    packets, cores = [], []
    known: dict[int, Ints] = {}
    for core, axons in traffic.axons(reader, source):
        if id(axons) not in known:
            known[id(axons)] = number[axons[fired[axons]]]
        packets.append(known[id(axons)])
        cores.append(np.full(len(packets[-1]), core))
    if not packets:
        return traffic.sender[source][neurons], np.empty(0, np.int64), np.empty(0, np.int64)
    return traffic.sender[source][neurons], np.concatenate(packets), np.concatenate(cores)
