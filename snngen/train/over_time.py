"""A model as IF neurons compute it over time."""

from __future__ import annotations

from torch import Tensor, nn

from snngen.train.activations import Quantised
from snngen.train.rules import require


def over_time(model: nn.Module, x: Tensor) -> Tensor:
    """The outputs for `x` (N, ...), (N, K), of the network that `--method quantized --neuron if`
    makes of `model`, over as many timesteps as its activations have levels.

    Spikes arrive unevenly over time, which levels know nothing of: training on these outputs for a
    while makes up for what the network loses by it. Takes so many times the time and memory. All
    gradients are straight-through; `SynOps` counts the spikes that are really sent.

    Raises ConversionError where activations differ in their number of levels.
    """
    spiking = [m for m in model.modules() if isinstance(m, Quantised)]
    levels = sorted({m.levels for m in spiking})
    require(len(levels) == 1, "the model", "must have activations, all of as many levels", levels)
    timesteps = levels[0]
    for module in spiking:
        module.timesteps = timesteps
    try:
        scores = model(x.repeat(timesteps, *[1] * (x.dim() - 1)))
    finally:
        for module in spiking:
            module.timesteps = 0
    return scores.unflatten(0, (timesteps, -1)).mean(0)
