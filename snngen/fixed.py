"""FixedNet: the integer spiking network, the only thing that a target reads. What it computes:
docs/arithmetic.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.graph import Layout, in_layout
from snngen.neurons import Neuron
from snngen.ops import WEIGHTED, Interval, Shape
from snngen.spiking import INPUT, Coding, Synapse

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FixedInput:
    """Raw bytes (C, H, W), held by the user as `layout`; byte b of channel c enters the network as
    table[c, b].

    `coding` "direct": the same bytes at every timestep, those of an image. "events": others at
    every timestep, counts of events (a polarity is a channel), for any number of timesteps.

    `table` is int16 (C, 256); 0 is what padding reads. `gain`, `offset` (C,): the model value that
    a byte stands for, gain * byte + offset, for users whose data are real numbers.
    """

    shape: Shape
    layout: Layout
    table: NDArray[np.int16]
    gain: Floats
    offset: Floats
    coding: Coding = "direct"

    @property
    def interval(self) -> Interval:
        table = self.table.astype(np.int64)
        return Interval(table.min(1), table.max(1))


@dataclass(frozen=True, eq=False)
class FixedLayer:
    """I(t) = sum of `synapses` + `bias` (C,), then the neuron; without a neuron the current itself
    is sent on.

    `current` bounds every partial sum of I, `membrane` (None without IF or Accumulate) every value
    that the membrane takes, before clamps as well as after reset, at every t <= T, of a stream at
    any t; `output` what is sent. All proven by `snngen.bounds` and re-proven on load.
    """

    name: str
    shape: Shape
    synapses: tuple[Synapse, ...]
    bias: Ints | None
    neuron: Neuron | None
    current: Interval
    membrane: Interval | None
    output: Interval

    @property
    def is_wiring(self) -> bool:
        return not isinstance(self.synapses[0].op, WEIGHTED)


@dataclass(frozen=True, eq=False)
class FixedNet:
    """An integer spiking network in topological order; the last layer accumulates and is the
    output.

    One unit of the output membrane is `output_scale` in the units of the CNN's output, summed over
    `timesteps`; a stream may have any number of them. `method` says how it was converted; `digest`
    (SHA-256, hex) names the network's exact content.
    """

    name: str
    input: FixedInput
    layers: tuple[FixedLayer, ...]
    timesteps: int
    output_layout: Layout
    output_scale: float
    method: str
    _index: dict[str, FixedLayer] = field(init=False, repr=False)
    _constant: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", {layer.name: layer for layer in self.layers})
        constant = set() if self.is_stream else {INPUT}
        for layer in self.layers:
            if layer.neuron is None and all(s.source in constant for s in layer.synapses):
                constant.add(layer.name)
        object.__setattr__(self, "_constant", frozenset(constant))

    def __getitem__(self, name: str) -> FixedLayer:
        return self._index[name]

    @property
    def is_stream(self) -> bool:
        """Whether every timestep has an input of its own: event coding."""
        return self.input.coding == "events"

    @property
    def longest(self) -> int | None:
        """The timesteps that a run has at most; None where there may be any number."""
        return None if self.is_stream else self.timesteps

    def steps_of(self, images: NDArray[Any]) -> int:
        """The timesteps that a run takes of raw bytes `images`: (batch, C, H, W), of a stream
        (batch, T, C, H, W).
        """
        return images.shape[1] if self.is_stream else self.timesteps

    def source_shape(self, source: str) -> Shape:
        return self.input.shape if source == INPUT else self[source].shape

    def source_interval(self, source: str) -> Interval:
        return self.input.interval if source == INPUT else self[source].output

    def classes(self, outputs: Ints) -> Ints:
        """The index in the model's own order of the largest of `outputs` (..., K), which are
        canonical; the lowest where several are equal: (...).
        """
        best: Ints = in_layout(outputs, self.layers[-1].shape, self.output_layout).argmax(-1)
        return best

    def is_constant(self, source: str) -> bool:
        """Whether `source` sends the same value at every timestep: the directly coded input, and
        wiring of it.
        """
        return source in self._constant
