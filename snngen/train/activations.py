"""Activations that are counts of spikes: relu(x) in steps, straight through.

    a = step * clip(floor(x / step + offset), 0, levels)

What one sends is the integer a / step. `snngen convert --method quantized` takes it over as it is:
as level neurons exactly, as IF neurons over T = levels timesteps.
"""

from __future__ import annotations

from math import inf
from typing import Literal, Self, get_args

import torch
from torch import Tensor, nn

from snngen.train.rules import require
from snngen.train.straight import through

MOST_LEVELS = 255  # that can be converted
Rounding = Literal["nearest", "down", "stochastic", "none"]


class Quantised(nn.Module):
    """An activation whose values are counts of spikes times `step`, a tensor of one number; at most
    `levels` of them.

    Within `over_time` it is IF neurons instead (`timesteps` is their number then): it reads the
    currents of all timesteps, one after the other along the batch, and returns `levels` steps for
    every spike.
    """

    timesteps = 0
    offset = 0.5  # at which a membrane starts, in thresholds; by which levels are rounded

    @property
    def step(self) -> Tensor:
        raise NotImplementedError

    @property
    def levels(self) -> int:
        raise NotImplementedError

    @property
    def rounds(self) -> bool:
        """Whether its values are whole counts as it is now."""
        return True

    def forward(self, x: Tensor) -> Tensor:
        if self.timesteps:
            most = self.levels * self.step
            return _fired(x / most, self.timesteps, self.offset) * most
        return self.quantise(x)

    def quantise(self, x: Tensor) -> Tensor:
        """The levels of `x`, times `step`."""
        raise NotImplementedError


class QuantisedReLU(Quantised):
    """relu(x) in steps of 2**-k, `bound` at most: in 2**k * bound levels.

    "nearest" rounds halves up, as Zou et al. 2021 do ("A Scatter-and-Gather Spiking Convolutional
    Neural Network on a Reconfigurable Neuromorphic Hardware", Frontiers in Neuroscience 15:694170),
    (k, bound) = (0, 1), (0, 2), (1, 2); "down" without a bound is what Sorbaro et al. 2020 train
    (see `snngen.train.synops`). "stochastic" rounds up with the probability of the fraction while
    training, else to the nearest. "none" rounds down too, but not while training: a spike then is
    any fraction of one, as in a network that was not trained to spike.

    Without `bound` there is none while training. After that there is: the largest value since the
    module was last put into training mode. Conversion needs one, and so what is evaluated is what
    is exported.
    """

    seen: Tensor  # levels, at most; 0 where none was

    def __init__(
        self, k: int = 0, bound: int | None = None, rounding: Rounding = "nearest"
    ) -> None:
        super().__init__()
        most = MOST_LEVELS >> k if 0 <= k <= 7 else 0
        require(most > 0, "k", "must be 0..7", k)
        require(bound is None or 0 < bound <= most, "bound", f"must be 1..{most} or None", bound)
        kinds = get_args(Rounding)
        require(rounding in kinds, "rounding", f"must be one of {', '.join(kinds)}", rounding)
        self.k, self.bound, self.rounding = k, bound, rounding
        self.offset = 0.0 if rounding in ("down", "none") else 0.5
        self.register_buffer("seen", torch.zeros(()))

    @property
    def step(self) -> Tensor:
        return torch.full_like(self.seen, 2.0**-self.k)

    @property
    def rounds(self) -> bool:
        return not (self.training and self.rounding == "none")

    @property
    def levels(self) -> int:
        """The most spikes that are sent, training without `bound` aside."""
        if self.bound is not None:
            return self.bound << self.k
        return min(int(self.seen) or MOST_LEVELS, MOST_LEVELS)

    def train(self, mode: bool = True) -> Self:
        if mode and not self.training:
            self.seen.zero_()
        return super().train(mode)

    def quantise(self, x: Tensor) -> Tensor:
        grows = self.training and self.bound is None
        dithers = self.training and self.rounding == "stochastic"
        offset = torch.rand_like(x) if dithers else self.offset
        rising = x * 2**self.k + offset
        most = inf if grows else self.levels
        count = _steps(rising, most) if self.rounds else rising.clamp(0, most)
        if grows:
            self.seen = torch.maximum(self.seen, count.detach().max())
        return count * 2.0**-self.k

    def extra_repr(self) -> str:
        return f"k={self.k}, bound={self.bound}, rounding={self.rounding!r}"


class QCFS(Quantised):
    """bound / L * clip(floor(x L / bound + 1/2), 0, L), L = `levels`, whose `bound` is learned.

    Bu et al. 2022, "Optimal ANN-SNN Conversion for High-accuracy and Ultra-low-latency Spiking
    Neural Networks": quantised clip-floor-shift. As IF neurons over T = L timesteps, theta = bound
    and v(0) = theta / 2.
    """

    def __init__(self, levels: int, bound: float = 2.0) -> None:
        super().__init__()
        require(0 < levels <= MOST_LEVELS, "levels", f"must be 1..{MOST_LEVELS}", levels)
        require(bound > 0, "bound", "must be above 0", bound)
        self._levels = levels
        self.bound = nn.Parameter(torch.tensor(float(bound)))

    @property
    def step(self) -> Tensor:
        return self.bound / self.levels

    @property
    def levels(self) -> int:
        return self._levels

    def quantise(self, x: Tensor) -> Tensor:
        return _steps(x / self.step + self.offset, self.levels) * self.step

    def extra_repr(self) -> str:
        return f"levels={self.levels}"


def _steps(rising: Tensor, most: float) -> Tensor:
    """Whole steps from 0 to `most`; the gradient is 1, and 0 where they are clipped."""
    return through(rising, rising.floor()).clamp(0, most)


def _fired(current: Tensor, timesteps: int, start: float) -> Tensor:
    """The spikes (T * N, ...) of IF neurons with threshold 1 and soft reset for their `current`,
    all of whose timesteps follow each other along the first axis.

    Every spike has the gradient of its current where the neuron's mean current is one that a rate
    can be, to half a spike: straight through, as the levels are.
    """
    currents = current.unflatten(0, (timesteps, -1))
    with torch.no_grad():
        v = torch.full_like(currents[0], start)
        spikes = []
        for now in currents:
            v = v + now
            spikes.append((v >= 1).to(v.dtype))
            v = v - spikes[-1]
        mean, half = currents.mean(0), 0.5 / timesteps
        is_rate = ((mean > -half) & (mean < 1 + half)).to(v.dtype)
    return through(currents * is_rate, torch.stack(spikes)).flatten(0, 1)
