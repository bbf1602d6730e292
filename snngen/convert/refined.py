"""Method refined: what `calibrated` makes, its weights, biases and thresholds then trained.

Without labels: the network learns to give the CNN's own outputs y on the calibration images.
Neurons are their closed form over T timesteps or N levels (Bu et al. 2022, equation 8), L being
either:

    sent = theta / L * clip(floor(z * L / theta + 1/2), 0, L)

whose derivative by z is 1 where 0 <= z <= theta, else 0, and whose derivative by log theta is that
of the rounding error alone between them (Esser et al. 2020, equation 3). Adam descends, for outputs
o of each image,

    mean((o - y)^2) / (OWN var(y of this image) + (1 - OWN) var(y of all images))

so that an image of which the CNN is unsure, whose outputs differ little, counts as much as others.
Steps shrink as a cosine; a weight's is relative to the size of its layer's weights. So many images
are seen as a few minutes allow, if possible each of them once. Rounding errors do not merely cancel
on average afterwards, as the means that `calibrated` corrects: the weights come to read activations
that are rounded (docs/decisions/0018-refinement.md). IF neurons are then started from the closed
form and centred on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snngen.convert.calibrated import calibrated
from snngen.convert.options import Converted, Options
from snngen.convert.propagate import wiring_amplitude
from snngen.convert.rounding import rounded
from snngen.convert.structure import Population
from snngen.graph import Staircase
from snngen.neurons import Level
from snngen.ops import WEIGHTED, Conv, Linear, MaxPool, Op, Scale, Select, SumPool, WeightedOp
from snngen.parallel import ordered_map
from snngen.spiking import INPUT, Floats, SpikingLayer, Synapse

Batch = NDArray[np.float32]  # (images, C, H, W)

TRAINING_MACS = 1248 * 10**9
STEP_MACS = 10 * 10**6  # what an image costs beside its multiply-accumulates
LEAST_VISITS, MOST_VISITS = 6144, 98_304
MOST_PASSES = 12
BLEND = 0.5  # most of another image that is mixed into every second one
BATCH, SHARE = 16, 8  # images in a step, and those that one core takes of them
FIRST = 256  # images that `calibrated` starts from
OWN = 0.9  # of what outputs are measured by: how far apart those of the same image are
WEIGHT_STEP, BIAS_STEP, THRESHOLD_STEP = 3e-3, 2e-3, 5e-3


@dataclass(frozen=True)
class _Key:
    """What a parameter belongs to: the weight of a synapse of `layer`, its bias or its log
    threshold.
    """

    layer: str
    what: int | Literal["bias", "threshold"]


Parameters = dict[_Key, NDArray[np.floating]]  # float32


def visits(macs: int) -> int:
    """How many images training looks at, counted as often as it does, where a CNN takes so many
    multiply-accumulates for one.
    """
    return min(max(TRAINING_MACS // (macs + STEP_MACS), LEAST_VISITS), MOST_VISITS)


def refined(
    populations: tuple[Population, ...], images: NDArray[np.floating], options: Options
) -> Converted:
    """Weights, biases and thresholds that make the outputs the CNN's."""
    length = options.timesteps if options.neuron == "if" else options.levels
    start = replace(options, neuron="level", levels=length)
    layers = calibrated(populations, images[:FIRST], start).layers
    closed = _ClosedForm(populations, images.shape[1], length, options.bits)
    parameters = closed.descend(_parameters(populations, layers), images.astype(np.float32))
    few = images[: -(-FIRST // options.steps)]
    return calibrated(closed.populations(parameters), few, options)


def _parameters(
    populations: tuple[Population, ...], layers: tuple[SpikingLayer, ...]
) -> Parameters:
    """What can be trained: scales stay, so that a shortcut of a residual block stays exact."""
    found: Parameters = {}
    for p, layer in zip(populations, layers, strict=True):
        for k, synapse in enumerate(layer.synapses):
            if isinstance(synapse.op, Conv | Linear):
                found[_Key(p.name, k)] = synapse.op.weight.astype(np.float32)
        if layer.bias is not None:
            found[_Key(p.name, "bias")] = layer.bias.astype(np.float32)
        if isinstance(layer.neuron, Level):
            peak = layer.amplitude * layer.neuron.thresholds.shape[1]
            found[_Key(p.name, "threshold")] = np.log(peak).astype(np.float32)
    return found


class _ClosedForm:
    """The network of `populations`, which reads `channels`, with neurons in closed form over
    `length` steps and weights of `bits` bits, and its gradients; rounding lets those of weights
    pass.
    """

    def __init__(
        self, populations: tuple[Population, ...], channels: int, length: int, bits: int
    ) -> None:
        self._populations, self._channels = populations, channels
        self._length, self._bits = length, bits

    def populations(self, parameters: Parameters) -> tuple[Population, ...]:
        """Those with `parameters`, rounded, for their own, and stairs for activations."""
        made, amplitude = [], {INPUT: np.ones(self._channels)}
        for p in self._populations:
            made.append(self._with(p, parameters, amplitude))
            if not isinstance(p.synapses[0].op, WEIGHTED):
                amplitude[p.name] = wiring_amplitude(p.synapses, amplitude)
            elif isinstance(stairs := made[-1].activation, Staircase):
                amplitude[p.name] = stairs.step
            else:
                amplitude[p.name] = np.ones(p.shape[0])
        return tuple(made)

    def descend(self, parameters: Parameters, images: Batch) -> Parameters:
        """`parameters` after all steps."""
        variance = float(np.concatenate(list(ordered_map(self._cnn, _shares(images)))).var()) or 1.0
        rates = {key: self._rate(key, value, parameters) for key, value in parameters.items()}
        first = {key: np.zeros_like(value) for key, value in parameters.items()}
        second = {key: np.zeros_like(value) for key, value in parameters.items()}
        rng = np.random.default_rng(0)
        batches = [
            chosen
            for _ in range(min(max(round(visits(self._macs()) / len(images)), 1), MOST_PASSES))
            for chosen in np.array_split(rng.permutation(len(images)), -(-len(images) // BATCH))
        ]
        for step, chosen in enumerate(batches):
            other = rng.permutation(len(images))[: len(chosen)]
            share = rng.uniform(0, BLEND, (len(chosen), 1, 1, 1)).astype(np.float32)
            share[::2] = 0  # the rest is as it will be
            blended = images[chosen] + share * (images[other] - images[chosen])
            gradient = self._gradient(parameters, blended, variance)
            progress = (1 + np.cos(np.pi * step / len(batches))) / 2
            unbiased = progress * np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
            for key, g in gradient.items():
                first[key] += np.float32(0.1) * (g - first[key])
                second[key] += np.float32(0.001) * (np.square(g) - second[key])
                move = first[key] / (np.sqrt(second[key]) + np.float32(1e-8))
                parameters[key] = parameters[key] - np.float32(rates[key] * unbiased) * move
        return parameters

    def _macs(self) -> int:
        return sum(
            synapse.op.fan_in * int(np.prod(p.shape))
            for p in self._populations
            for synapse in p.synapses
            if isinstance(synapse.op, WEIGHTED)
        )

    def _rate(self, key: _Key, value: NDArray[np.float32], parameters: Parameters) -> float:
        """How far a step moves a parameter."""
        if key.what == "threshold":
            return THRESHOLD_STEP
        if key.what == "bias":
            threshold = parameters.get(_Key(key.layer, "threshold"))
            return BIAS_STEP * (1.0 if threshold is None else float(np.exp(threshold).mean()))
        return WEIGHT_STEP * float(np.sqrt(np.square(value).mean()))

    def _cnn(self, images: Batch) -> Batch:
        """The CNN's outputs."""
        values = {INPUT: images}
        for p in self._populations:
            z = _current(p, values)
            values[p.name] = z if p.activation is None else p.activation.forward(z)
        return values[self._populations[-1].name]

    def _gradient(self, parameters: Parameters, images: Batch, variance: float) -> Parameters:
        """Of the loss on a batch. Shares are added in their order, whatever core has which."""
        populations = self.populations(parameters)

        def of_share(share: Batch) -> Parameters:
            return self._backward(populations, share, variance)

        first, *others = ordered_map(of_share, _shares(images))
        return {key: sum((g[key] for g in others), start=first[key]) for key in first}

    def _backward(
        self, populations: tuple[Population, ...], images: Batch, variance: float
    ) -> Parameters:
        values, currents = {INPUT: images}, {}
        for p in populations:
            z = _current(p, values)
            values[p.name] = z
            if isinstance(p.activation, Staircase):
                currents[p.name], values[p.name] = z, self._sent(z, p.activation)
        output = populations[-1].name
        arriving = {output: _slope(values[output], self._cnn(images), variance)}
        found: Parameters = {}
        for p in reversed(populations):
            gradient = arriving.pop(p.name)
            if isinstance(p.activation, Staircase):
                z, peak = currents[p.name], _spread(p.activation.step * self._length)
                inside = (z >= 0) & (z <= peak)
                stretch = gradient * (values[p.name] - z * inside)
                found[_Key(p.name, "threshold")] = stretch.sum((0, 2, 3))
                gradient = gradient * inside
            if p.bias is not None:
                found[_Key(p.name, "bias")] = gradient.sum((0, 2, 3))
            for k, synapse in enumerate(p.synapses):
                op, source = synapse.op, values[synapse.source]
                if isinstance(op, SumPool | MaxPool | Select):
                    part = op.backward(source, gradient / _divisor(op))
                else:
                    part, by_weight = _in_float32(op).backward(source, gradient)
                    if not isinstance(op, Scale):
                        found[_Key(p.name, k)] = by_weight
                known = arriving.get(synapse.source)
                arriving[synapse.source] = part if known is None else known + part
        return found

    def _sent(self, z: Batch, stairs: Staircase) -> Batch:
        """`stairs` of `z`, without a comparison for each of them."""
        step = _spread(stairs.step)
        level: Batch = np.floor(z / step + np.float32(0.5))
        return np.clip(level, 0, self._length, out=level) * step

    def _with(
        self, p: Population, parameters: Parameters, amplitude: dict[str, Floats]
    ) -> Population:
        trained: dict[int, Conv | Linear] = {
            k: replace(s.op, weight=parameters[_Key(p.name, k)])
            for k, s in enumerate(p.synapses)
            if isinstance(s.op, Conv | Linear)
        }
        synapses = tuple(Synapse(s.source, trained.get(k, s.op)) for k, s in enumerate(p.synapses))
        key = _Key(p.name, "bias")
        bias = parameters[key].astype(np.float64) if key in parameters else None
        activation = p.activation
        if activation is not None:
            step = np.exp(parameters[_Key(p.name, "threshold")].astype(np.float64)) / self._length
            stairs = step[:, None] * (np.arange(1, self._length + 1) - 0.5)
            activation = Staircase(stairs, step)
        made = replace(p, synapses=synapses, bias=bias, activation=activation)
        return rounded(made, amplitude, self._bits, is_output=p is self._populations[-1])


def _slope(outputs: Batch, wanted: Batch, variance: float) -> Batch:
    """Of the loss of each image, by its outputs."""
    scale = OWN * wanted.var((1, 2, 3), keepdims=True) + (1 - OWN) * variance
    slope: Batch = (outputs - wanted) * (2 / (scale * wanted[0].size))
    return slope


def _current(p: Population, values: dict[str, Batch]) -> Batch:
    """The sum of its synapses and bias, averages of pools divided."""
    first, *others = (_through(s, values[s.source]) for s in p.synapses)
    total = sum(others, start=first)
    return total if p.bias is None else total + _spread(p.bias)


def _through(synapse: Synapse, source: Batch) -> Batch:
    op = synapse.op
    if isinstance(op, WEIGHTED):
        return _in_float32(op).forward(source)
    return (op.forward(source) / _divisor(op)).astype(np.float32)


def _in_float32(op: WeightedOp) -> WeightedOp:
    return replace(op, weight=op.weight.astype(np.float32))


def _divisor(op: Op) -> np.float32:
    return np.float32(op.divisor if isinstance(op, SumPool) else 1)


def _shares(values: Batch) -> Iterator[Batch]:
    return (values[k : k + SHARE] for k in range(0, len(values), SHARE))


def _spread(values: NDArray[np.floating]) -> Batch:
    return values[:, None, None].astype(np.float32)
