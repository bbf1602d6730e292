"""Method ecc: explicit current control.

Wu, Yi and Huang 2022, "A Little Energy Goes a Long Way: Build an Energy-Efficient, Accurate Spiking
Neural Network From Convolutional Neural Network", Frontiers in Neuroscience 16:759900. Three
techniques, each of which `without` switches off:

- **cn**, current normalisation. lambda_l is the largest activation of layer l of the CNN over all
  calibration images, one number per layer; neurons of layer l fire at lambda_l, and a spike stands
  for that much:

      W_l <- W_l lambda_(l-1) / lambda_l,   b_l <- b_l / lambda_l,   theta = 1

  An average pool is a layer of neurons of its own. What meets in an Add shares one lambda. Off:
  lambda = 1 everywhere.
- **tre**, thresholding for residual elimination. What a neuron sends in T timesteps is rounded, not
  rounded down, eta = `v_init` = 0.5:

      n_l = clip(floor((max(W_l n_(l-1) + T b_l, 0) + eta theta) / theta), 0, T)

  Off: eta = 0. Level neurons with N = T levels compute this closed form exactly. IF neurons start
  at eta theta and arrive at the same count where their current does not change over time.
- **cmb**, consistency of batch norm: its own epsilon is kept where it is folded into the weights,
  which `snngen.pipeline.read_model` does, or, with this off, does not.

Where this differs from the paper: docs/decisions/0015-ecc.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snngen.convert.balance import make_neuron
from snngen.convert.options import Converted, Options
from snngen.convert.propagate import Propagation, wiring_amplitude
from snngen.convert.structure import Population
from snngen.graph import Relu
from snngen.neurons import Accumulate
from snngen.ops import WEIGHTED, Scale, SumPool
from snngen.spiking import INPUT, Floats, SpikingLayer, Synapse

BATCH = 64  # images whose activations are held at once


def ecc(
    populations: tuple[Population, ...], images: NDArray[np.floating], options: Options
) -> Converted:
    """Neurons that fire at the largest activation of their layer."""
    parts = with_firing_pools(populations)
    lambdas = shared(parts, activation_maxima(parts, images))
    if "cn" in options.without:
        lambdas = dict.fromkeys(lambdas, 1.0)
    chosen = replace(options, v_init=0.0) if "tre" in options.without else options
    amplitude: dict[str, Floats] = {INPUT: np.ones(images.shape[1])}
    layers = []
    for p in parts[:-1]:
        neuron, worth = None, np.ones(p.shape[0])
        if isinstance(p.activation, Relu):
            fires_at = min(lambdas[p.name], p.activation.maximum)  # where an Add has raised it
            neuron, worth = make_neuron(np.full(p.shape[0], fires_at), chosen)
        elif _is_wiring(p):
            worth = wiring_amplitude(p.synapses, amplitude)
        amplitude[p.name] = worth
        layers.append(SpikingLayer(p.name, p.shape, p.synapses, p.bias, neuron, worth))
    last = parts[-1]
    one = np.ones(last.shape[0])
    layers.append(SpikingLayer(last.name, last.shape, last.synapses, last.bias, Accumulate(), one))
    return Converted(tuple(layers))


def with_firing_pools(populations: tuple[Population, ...]) -> tuple[Population, ...]:
    """Every average pool of what neurons send becomes neurons that read the pool's sums.

    They take the pool's name, the sums that name and "_sum". A pool of pixels, or of currents that
    may be negative, stays what it is: a neuron would rectify them.
    """
    taken = {p.name for p in populations}
    rates: set[str] = set()  # what sends spikes, or passes them on
    parts: list[Population] = []
    for p in populations:
        if p.activation is not None or (_is_wiring(p) and rates.issuperset(_sources(p))):
            rates.add(p.name)
        if p.name in rates and isinstance(p.synapses[0].op, SumPool):
            sums = f"{p.name}_sum"
            while sums in taken:
                sums += "_"
            taken.add(sums)
            parts.append(replace(p, name=sums))
            pass_on = Synapse(sums, Scale(np.ones(p.shape[0])))
            parts.append(Population(p.name, p.shape, (pass_on,), None, Relu()))
        else:
            parts.append(p)
    return tuple(parts)


def activation_maxima(
    populations: tuple[Population, ...], images: NDArray[np.floating]
) -> dict[str, float]:
    """The largest activation of the CNN in each population of neurons, over all `images`.

    1 where there is none above 0: such neurons stay silent.
    """
    largest = {p.name: 0.0 for p in populations if p.activation is not None}
    for batch in _batches(images):
        cnn = Propagation(batch, 1, [s.source for p in populations for s in p.synapses])
        for p in populations:
            value = cnn.current(p.synapses, p.bias)
            worth = np.ones(p.shape[0])
            if isinstance(p.activation, Relu):
                value = np.clip(value, 0, p.activation.maximum)
                largest[p.name] = max(largest[p.name], float(value.max()))
            elif _is_wiring(p):
                worth = wiring_amplitude(p.synapses, cnn.amplitude)
            cnn.send(p.name, value, worth)
    return {name: value or 1.0 for name, value in largest.items()}


def shared(populations: tuple[Population, ...], lambdas: dict[str, float]) -> dict[str, float]:
    """`lambdas` with one value for all that meets in an Add: the largest of them.

    Neurons meet where what they send is added unweighted, so that a spike of either branch and of
    the sum stand for the same; a branch that ends in a convolution has no neurons of its own.
    """
    senders: dict[str, set[str]] = {INPUT: set()}  # whose spikes a population sends or passes on
    groups = {name: {name} for name in lambdas}
    for p in populations:
        senders[p.name] = {p.name} if p.activation is not None else set()
        if _is_wiring(p):
            senders[p.name] = set().union(*(senders[s] for s in _sources(p)))
        if p.activation is not None and len(p.synapses) > 1:
            group = set(groups[p.name])
            for synapse in p.synapses:
                if isinstance(synapse.op, Scale) and np.all(synapse.op.weight == 1):
                    group.update(*(groups[name] for name in senders[synapse.source]))
            groups |= dict.fromkeys(group, group)
    return {name: max(lambdas[member] for member in groups[name]) for name in lambdas}


def _is_wiring(p: Population) -> bool:
    return not isinstance(p.synapses[0].op, WEIGHTED)


def _sources(p: Population) -> list[str]:
    return [synapse.source for synapse in p.synapses]


def _batches(images: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    return (images[k : k + BATCH] for k in range(0, len(images), BATCH))
