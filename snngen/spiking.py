"""The float spiking network: the CNN's weights in the CNN's own units, with neurons in place of
activations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snngen.graph import GraphInput, Layout, Staircase
from snngen.neurons import Neuron
from snngen.ops import Op, Shape

Floats = NDArray[np.float64]

Coding = Literal["direct", "events"]
INPUT = "input"  # the name by which layers read the network's input; no layer has it


@dataclass(frozen=True, eq=False)
class Synapse:
    """One incoming connection: operator `op` applied to what layer `source` sends."""

    source: str
    op: Op


@dataclass(frozen=True, eq=False)
class SpikingLayer:
    """I(t) = sum of `synapses` + `bias`, then the neuron; without a neuron the current itself is
    sent on.

    Weights are those of the CNN, in its units. What the layer sends is an integer (a spike, a
    count, a sum of either) and stands for `amplitude` (C,) times as much in the CNN's units. A
    layer is either weighted (all its operators carry weights) or wiring (none does; no bias, no
    neuron).
    """

    name: str
    shape: Shape
    synapses: tuple[Synapse, ...]
    bias: Floats | None
    neuron: Neuron | None
    amplitude: Floats


@dataclass(frozen=True, eq=False)
class Preprocess:
    """What the network sees of a raw byte in channel c: gain[c] * byte + offset[c], both (C,), or
    what a `quantiser` makes of it.
    """

    gain: Floats
    offset: Floats
    quantiser: Staircase | None = None

    def apply(
        self, raw: NDArray[np.uint8], dtype: type[np.floating[Any]] = np.float32
    ) -> NDArray[np.floating]:
        """Bytes (N, C, H, W) to the values that the float network reads."""
        scaled = raw * self.gain[:, None, None] + self.offset[:, None, None]
        values: NDArray[np.floating] = scaled.astype(dtype)
        return values if self.quantiser is None else self.quantiser.forward(values)


@dataclass(frozen=True, eq=False)
class SpikingNet:
    """A float spiking network in topological order; the last layer is the output and accumulates.

    `preprocess` takes raw bytes to the values that layers read, the model's own normalisation
    included. `timesteps` is T, 1 for a network of level neurons; of a stream, which is `coding`
    "events", those of a recording that the CNN sees as one image.
    """

    name: str
    input: GraphInput
    preprocess: Preprocess
    layers: tuple[SpikingLayer, ...]
    timesteps: int
    output_layout: Layout
    method: str
    notes: tuple[str, ...] = ()
    coding: Coding = "direct"
