"""Method scatter-gather: ternary networks of level neurons, in one timestep.

Zou et al. 2021, "A Scatter-and-Gather Spiking Convolutional Neural Network on a Reconfigurable
Neuromorphic Hardware", Frontiers in Neuroscience 15:694170. An activation of N levels becomes N
stateless copies of a binary neuron, which share inputs and weights and differ in threshold. All
spikes are scattered at once and gathered as Z = sum of w n, and copy i fires where

    Z >= V_i,   V_i = 2^k [((2i + 1) / 2^(k+1) - beta) sqrt(var + eps) / gamma + mu],   N = 2^k B

Z is an integer, so that the ceilings of V_i are exact. A copy of its own for every level is
`snngen.expand`; counts, which this makes, are the same numbers.

What it asks for beyond method quantized is what the hardware does: weights w of -1, 0 and 1 in all
layers but those that read the input and the output. Batch norm is part of w' = w gamma / sqrt(var +
eps) here, which is ternary up to a factor per channel; where gamma is below 0 it turns the weights'
signs, and the test remains >=. (The published code leaves gamma's sign out.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from snngen import grid
from snngen.convert.options import Converted, Options
from snngen.convert.quantized import quantized
from snngen.convert.structure import Population
from snngen.errors import ConversionError, Problem
from snngen.graph import Staircase
from snngen.ops import WEIGHTED
from snngen.spiking import INPUT

TERNARY_BITS = 2


def scatter_gather(
    populations: tuple[Population, ...], images: NDArray[np.floating], options: Options
) -> Converted:
    """Level neurons; ConversionError, naming every layer, where the network is not one that the
    paper's hardware runs.
    """
    problems, pixels = [], {INPUT}
    if options.neuron == "if":
        rule = "must be level: scatter-and-gather networks take one timestep"
        problems.append(Problem("option --neuron", rule, options.neuron))
    for p in populations[:-1]:
        if isinstance(p.activation, Staircase) and p.activation.lowest != 0:
            rule = "spikes cannot stand for levels below 0"
            found = f"its lowest level is {p.activation.lowest}"
            problems.append(Problem(f"layer '{p.name}'", rule, found, "use method quantized"))
        if any(synapse.source in pixels for synapse in p.synapses):
            weighted = any(isinstance(s.op, WEIGHTED) for s in p.synapses)
            wiring = p.activation is None and not weighted
            pixels |= {p.name} if wiring else set()  # cut out of the image, say
            continue
        magnitudes = [_magnitudes(s.op.weight) for s in p.synapses if isinstance(s.op, WEIGHTED)]
        if max(magnitudes, default=1) > 1:
            rule = "method scatter-gather needs weights of -1, 0 and 1, up to a factor per channel"
            found = f"a channel with {max(magnitudes)} different magnitudes above 0"
            hint = "train with ternary weights, or use method quantized"
            problems.append(Problem(f"layer '{p.name}'", rule, found, hint))
    if problems:
        raise ConversionError(*problems)
    return quantized(populations, images, options)


def _magnitudes(weight: NDArray[np.floating]) -> int:
    """The most magnitudes above 0 that the weights (O, ...) of an output channel have."""
    rows = weight.reshape(len(weight), -1).astype(np.float64)
    odd = rows[grid.peaks(rows, TERNARY_BITS) != 1]
    return max((len(np.unique(np.abs(row[row != 0]))) for row in odd), default=1)
