"""The error of every layer, split into components that add up to it.

Between the CNN's activation and what the network's spikes stand for lie intermediate values, each
with one more cause of error than the one before:

    the CNN's activation
      inherited    the CNN's layer, reading what the network's earlier layers really send
      correction   with the weights and biases that the conversion method put in place of the CNN's
      clipping     with nothing above the neuron's largest value or below its smallest
      weights      with integer weights and biases, and, of IF neurons, integer thresholds
      levels       rounded to the values that spikes can stand for: the count that the sum over time
                   of all currents makes
      unevenness   as simulated: what the timing of the spikes makes of that count
    what the spikes stand for

A component is the difference between neighbours, so that the components add up to the whole error,
element by element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.convert import populations
from snngen.convert.structure import Population
from snngen.fixed import FixedLayer, FixedNet
from snngen.graph import Graph, Relu, Staircase
from snngen.neurons import IF, Level
from snngen.ops import WEIGHTED, SumPool
from snngen.quantise import Units
from snngen.simulate import Simulation
from snngen.spiking import INPUT, Floats, SpikingLayer, SpikingNet, Synapse

COMPONENTS = ("inherited", "correction", "clipping", "weights", "levels", "unevenness")
OWN = COMPONENTS[1:]  # what a layer adds to the error that reaches it

Values = NDArray[np.float64]  # (batch, C, H, W)


@dataclass(frozen=True, eq=False)
class CnnLayer:
    """A layer of the network as the CNN has it: `activation` of the sum of `synapses` and
    `bias`.
    """

    name: str
    synapses: tuple[Synapse, ...]
    bias: Floats | None
    activation: Relu | Staircase | None

    def forward(self, values: Mapping[str, Values]) -> Values:
        """Of what its sources send, in the CNN's units."""
        return self.activate(current(self.synapses, self.bias, values))

    def activate(self, z: Values) -> Values:
        match self.activation:
            case None:
                return z
            case Relu(maximum):
                return np.clip(z, 0, maximum)
            case Staircase() as staircase:
                quantised: Values = staircase.forward(z)
                return quantised


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer in all its forms: the CNN's, the float network's, the integer one, and what the
    integers stand for.
    """

    cnn: CnnLayer
    real: SpikingLayer
    fixed: FixedLayer
    units: Units

    @property
    def name(self) -> str:
        return self.fixed.name

    @property
    def range(self) -> tuple[Floats, Floats] | None:
        """The least and the most that an output can stand for, both (C,); None where nothing bounds
        it.
        """
        match self.fixed.neuron:
            case IF(max_spikes=most):
                return self.units.amplitude * 0, self.units.amplitude * most
            case Level(thresholds, lowest):
                highest = lowest + thresholds.shape[1]
                return self.units.amplitude * lowest, self.units.amplitude * highest
            case _:
                return None


@dataclass(frozen=True, eq=False)
class Split:
    """A batch, layer by layer. `cnn` and `decoded`: the value of every layer in the CNN and in the
    network, in the CNN's units. `components` of all layers but wiring: (K, batch, C, H, W) in the
    order of COMPONENTS; their sum is `decoded` - `cnn`. `beyond`: where the current asks for more
    than the neuron's largest value.
    """

    cnn: dict[str, Values]
    decoded: dict[str, Values]
    components: dict[str, NDArray[np.float64]]
    beyond: dict[str, NDArray[np.bool_]]


def layers_of(
    graph: Graph, spiking: SpikingNet, net: FixedNet, units: Mapping[str, Units]
) -> tuple[Layer, ...]:
    """The layers of `net`, which quantisation made of `spiking`, which a method made of `graph`."""
    parts = {p.name: p for p in populations(graph)}
    return tuple(
        Layer(_cnn_layer(parts.get(real.name), real), real, fixed, units[real.name])
        for real, fixed in zip(spiking.layers, net.layers, strict=True)
    )


def _cnn_layer(part: Population | None, real: SpikingLayer) -> CnnLayer:
    """The CNN's weights and activation where the network reads its sources, which are others where
    a method put layers of its own between.
    """
    rectifies = Relu() if isinstance(real.neuron, IF | Level) else None
    if part is None or _kinds(part.synapses) != _kinds(real.synapses):
        # a layer of the method's own: nothing in the CNN to compare its numbers with
        return CnnLayer(real.name, real.synapses, real.bias, rectifies)
    synapses = tuple(
        Synapse(mine.source, theirs.op)
        for mine, theirs in zip(real.synapses, part.synapses, strict=True)
    )
    return CnnLayer(real.name, synapses, part.bias, part.activation or rectifies)


def _kinds(synapses: Sequence[Synapse]) -> list[object]:
    return [
        (type(s.op), s.op.weight.shape if isinstance(s.op, WEIGHTED) else None) for s in synapses
    ]


def current(
    synapses: Sequence[Synapse], bias: Floats | None, values: Mapping[str, Values]
) -> Values:
    """The sum of `synapses` and `bias`, averages divided."""
    total: Values | None = None
    for synapse in synapses:
        part = synapse.op.forward(values[synapse.source])
        if isinstance(synapse.op, SumPool):
            part = part / synapse.op.divisor
        total = part if total is None else total + part
    assert total is not None
    return total if bias is None else total + bias[:, None, None]


def split(
    layers: Sequence[Layer], spiking: SpikingNet, net: FixedNet, images: NDArray[np.uint8],
    simulated: Simulation,
) -> Split:  # fmt: skip
    """Of the bytes `images` (batch, C, H, W), on which `net` did what `simulated` says."""
    seen: Values = np.asarray(spiking.preprocess.apply(images, np.float64), np.float64)
    channel = np.arange(net.input.shape[0])[:, None, None]
    sent = {name: counts.astype(np.float64) for name, counts in simulated.counts.items()}
    sent[INPUT] = net.input.table[channel, images].astype(np.float64) * net.timesteps
    result = Split({INPUT: seen}, {INPUT: seen}, {}, {})
    for layer in layers:
        name = layer.name
        result.cnn[name] = layer.cnn.forward(result.cnn)
        if layer.fixed.is_wiring:
            result.decoded[name] = layer.cnn.forward(result.decoded)
            continue
        integer = current(layer.fixed.synapses, None, sent)
        if layer.fixed.bias is not None:
            integer += layer.fixed.bias[:, None, None] * net.timesteps
        steps = _steps(layer, result, integer, sent.get(name), net.timesteps)
        result.components[name] = np.diff(steps, axis=0)
        result.decoded[name] = steps[-1]
        if layer.range is not None:
            result.beyond[name] = _asks_for(layer, integer, net.timesteps) > _c(layer.range[1])
    return result


def _steps(
    layer: Layer, known: Split, integer: Values, counts: Values | None, timesteps: int
) -> list[Values]:
    """From the CNN's activation to what the spikes stand for, one cause of error at a time."""
    inherited = current(layer.cnn.synapses, layer.cnn.bias, known.decoded)
    corrected = current(layer.real.synapses, layer.real.bias, known.decoded)
    steps = [known.cnn[layer.name], layer.cnn.activate(inherited), layer.cnn.activate(corrected)]
    meant = _asks_for(layer, integer, timesteps)
    if layer.range is None:
        return [*steps, steps[-1], meant, meant, meant]
    assert counts is not None, "what has a range, has neurons"
    least, most = (_c(bound) for bound in layer.range)
    clipped = np.clip(_c(_gain(layer)) * steps[-1], least, most)
    ideal = _closed_form(layer.fixed.neuron, integer, timesteps)
    worth = _c(layer.units.amplitude) / timesteps
    rounded = ideal * worth
    if isinstance(layer.cnn.activation, Staircase) and isinstance(layer.fixed.neuron, Level):
        meant = rounded  # the levels are those of the CNN itself
    return [*steps, clipped, np.clip(meant, least, most), rounded, counts * worth]


def _asks_for(layer: Layer, integer: Values, timesteps: int) -> Values:
    """The activation of the mean integer current, in the CNN's units, unclipped and unrounded."""
    units, neuron = layer.units, layer.fixed.neuron
    mean = integer / timesteps
    if not isinstance(neuron, IF):
        return layer.cnn.activate(mean / _c(units.scale) + _c(units.offset))
    gain = _gain(layer)
    return _c(gain) * layer.cnn.activate(mean * _c(units.amplitude / gain / neuron.threshold))


def _gain(layer: Layer) -> Floats:
    """What a spike stands for, in thresholds: 1 but for literal scaling."""
    if isinstance(layer.real.neuron, IF):
        return layer.real.amplitude / layer.real.neuron.threshold
    return np.ones_like(layer.real.amplitude)


def _closed_form(neuron: object, integer: Values, timesteps: int) -> Values:
    """How many spikes the sum over time of a layer's current is worth."""
    if isinstance(neuron, IF):
        counts = np.floor_divide(integer + _c(neuron.v_init), _c(neuron.threshold))
        return np.clip(counts, 0, timesteps * neuron.max_spikes)
    assert isinstance(neuron, Level)
    reached = np.full_like(integer, neuron.lowest)
    for threshold in neuron.thresholds.T:
        reached += integer >= _c(threshold)
    return reached


def _c(values: Floats) -> Floats:
    """Numbers per channel (C,) beside values (batch, C, H, W)."""
    return values[:, None, None]
