"""The weights that a network will really have: rounded as `snngen.quantise` rounds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snngen.convert.structure import Population
from snngen.ops import Conv, Linear
from snngen.spiking import Floats, Synapse


def rounded(
    population: Population, amplitude: Mapping[str, Floats], bits: int, *, is_output: bool
) -> Population:
    """`population` with the weights of its convolutions and dense layers rounded to integers of
    `bits` bits: times the `amplitude` (C,) of what they read, in units of the channel's largest
    over 2**(bits-1) - 1, an output's in units of the largest of all channels.

    Weights that are multiples of a coarser unit already, which `quantise` leaves exact, may move
    here by half a unit.
    """
    effective = {
        k: s.op.scale_inputs(amplitude[s.source])
        for k, s in enumerate(population.synapses)
        if isinstance(s.op, Conv | Linear)
    }
    if not effective:
        return population
    peak = np.max([np.abs(_rows(op)).max(1) for op in effective.values()], axis=0)
    if is_output:
        peak = np.full_like(peak, peak.max())
    unit = (np.where(peak > 0, peak, 1.0) / (2 ** (bits - 1) - 1))[:, None]
    synapses = list(population.synapses)
    for k, op in effective.items():
        source = synapses[k].source
        weight = (np.rint(_rows(op) / unit) * unit).reshape(op.weight.shape)
        real = replace(op, weight=weight).scale_inputs(1 / amplitude[source])
        synapses[k] = Synapse(source, real)
    return replace(population, synapses=tuple(synapses))


def _rows(op: Conv | Linear) -> NDArray[np.floating]:
    return op.weight.reshape(len(op.weight), -1)
