"""Cores against the network: every spike and every membrane, and the first that differs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.golden import Trace
from snngen.mapping.chip import Run, as_spikes
from snngen.mapping.mapping import Mapping
from snngen.mapping.wires import Ints


@dataclass(frozen=True)
class Difference:
    """The first neuron, in the order of cores, that does something else. `neuron` is (channel, row,
    column, copy), `what` "spikes" or "membrane".
    """

    core: int
    layer: str
    neuron: tuple[int, int, int, int]
    image: int
    timestep: int
    what: str
    expected: int
    got: int

    def __str__(self) -> str:
        return (
            f"core {self.core}, layer '{self.layer}', neuron {self.neuron}, image {self.image}, "
            f"timestep {self.timestep}: {self.what} expected {self.expected}, got {self.got}"
        )


def first_difference(
    mapping: Mapping, run: Run, trace: Trace, *, image: int = 0
) -> Difference | None:
    """Where `run` departs from the `trace` of the network on the same images, if anywhere.

    Layers before others, so that what is named is the fault and not what follows from it. `image`:
    the number of the first one.
    """
    for population in mapping.populations:
        if population.on_host:
            continue
        layer, copies = trace[population.name], population.copies
        held = layer.membrane
        pairs: list[tuple[str, Ints | NDArray[np.uint8], Ints | NDArray[np.uint8]]] = []
        if held is not None:
            flat = held.reshape(*held.shape[:2], -1)
            pairs.append(("membrane", np.repeat(flat, copies, -1), run.membranes[population.name]))
        if population is not mapping.populations[-1]:
            wanted = as_spikes(population, layer.output)
            pairs.append(("spikes", wanted, run.spikes[population.name]))
        for what, expected, got in pairs:
            wrong = np.argwhere(expected != got)
            if not len(wrong):
                continue
            numbers = set(wrong[:, 2].tolist())
            core = next(
                k
                for k in mapping.cores_of[population.name]
                for group in mapping.cores[k].groups
                if group.layer == population.name and not numbers.isdisjoint(group.neurons.tolist())
            )
            held_there = np.concatenate(
                [g.neurons for g in mapping.cores[core].groups if g.layer == population.name]
            )
            row, t, neuron = (int(n) for n in wrong[np.isin(wrong[:, 2], held_there)][0])
            place = np.unravel_index(neuron, (*population.shape, copies))
            c, y, x, copy = (int(n) for n in place)
            return Difference(
                core,
                population.name,
                (c, y, x, copy),
                image + row,
                t,
                what,
                int(expected[row, t, neuron]),
                int(got[row, t, neuron]),
            )
    return None
