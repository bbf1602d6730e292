"""Accuracy at every timestep, spike rates and synaptic operations of a FixedNet on a stream of
images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snngen.convert import likeness
from snngen.fixed import FixedLayer, FixedNet
from snngen.graph import Graph, forward, in_layout, shapes
from snngen.neurons import IF, Level
from snngen.ops import WEIGHTED, MaxPool, SumPool
from snngen.parallel import over_batch
from snngen.simulate import Simulation, stream
from snngen.spiking import Preprocess

BATCH = 64  # images simulated at once; results do not depend on it

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class LayerActivity:
    """Means per image of one layer.

    `spikes` sent, of `neurons`; `rate` = spikes per neuron and timestep. `synops`: a spike arriving
    over one synapse; `macs`: a multiplication with a value that is no spike (the directly coded
    input, once; graded currents, every timestep). Both count what arrives at the layer, by exact
    fan-out, borders included.
    """

    name: str
    neuron: str
    neurons: int
    spikes: float
    rate: float
    synops: float
    macs: int


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a network did on `images` images: its final `classes` (N,), and how many were `correct`
    at each timestep (T,), None without labels.

    `agreement` (T,): images where its class is the CNN's; `likeness`: the mean correlation of its
    final outputs with the CNN's; `ann_correct`: images where the CNN is right; None without the
    CNN.
    """

    images: int
    classes: NDArray[np.int64]
    correct: NDArray[np.int64] | None
    agreement: NDArray[np.int64] | None
    likeness: float | None
    ann_correct: int | None
    layers: tuple[LayerActivity, ...]

    @property
    def synops(self) -> float:
        return sum(layer.synops for layer in self.layers)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)


def evaluate(
    net: FixedNet,
    images: Images,
    labels: NDArray[np.int64] | None = None,
    *,
    ann: Ann | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Run `net` over `images` (N, C, H, W) in constant memory; `progress` hears how many images are
    done.
    """
    tally = np.zeros((2, net.timesteps), np.int64)
    ann_correct, done, alike = 0, 0, 0.0
    sent = {layer.name: np.zeros(layer.shape, np.int64) for layer in net.layers}
    final = np.zeros(len(images), np.int64)
    for result in stream(net, _batches(images)):
        part = slice(done, done + len(result.outputs))
        classes = net.classes(result.outputs)
        final[part] = classes[:, -1]
        if labels is not None:
            tally[0] += (classes == labels[part, None]).sum(0)
        if ann is not None:
            wanted = ann.outputs(images[part])
            ann_classes = ann.classes_of(wanted)
            alike += likeness(result.outputs[:, -1] * net.output_scale, wanted) * len(wanted)
            tally[1] += (classes == ann_classes[:, None]).sum(0)
            ann_correct += 0 if labels is None else int((ann_classes == labels[part]).sum())
        _add_spikes(sent, result)
        done = part.stop
        progress(done)
    arriving = spikes_passed_on(net, sent)
    return Evaluation(
        done,
        final,
        tally[0] if labels is not None else None,
        tally[1] if ann is not None else None,
        alike / done if ann is not None else None,
        ann_correct if ann is not None and labels is not None else None,
        tuple(_activity(net, layer, sent, arriving, done) for layer in net.layers),
    )


@dataclass(frozen=True, eq=False)
class Ann:
    """The CNN that a network came from, on raw bytes: `preprocess` takes them to what the model
    reads.
    """

    graph: Graph
    preprocess: Preprocess

    def outputs(self, images: Images) -> NDArray[np.floating]:
        """The model's outputs, canonical and flattened: (N, K) float32."""
        return over_batch(self._outputs, images)

    def _outputs(self, images: Images) -> NDArray[np.floating]:
        with np.errstate(over="ignore", invalid="ignore"):  # whoever needs finite ones checks
            values = forward(self.graph, self.preprocess.apply(images))[self.graph.output]
        return values.reshape(len(images), -1)

    def classes(self, images: Images) -> NDArray[np.int64]:
        """The index of the largest output in the model's own order: (N,)."""
        return self.classes_of(self.outputs(images))

    def classes_of(self, outputs: NDArray[np.floating]) -> NDArray[np.int64]:
        """The same for what `outputs` returned."""
        shape = shapes(self.graph)[self.graph.output]
        ordered = in_layout(outputs, shape, self.graph.output_layout)
        best: NDArray[np.int64] = ordered.argmax(1)
        return best


def _batches(images: Images) -> Iterator[Images]:
    return (images[k : k + BATCH] for k in range(0, len(images), BATCH))


def _add_spikes(sent: dict[str, NDArray[np.int64]], result: Simulation) -> None:
    for name, spikes in result.spikes.items():
        sent[name] += spikes.sum(0)


def _activity(
    net: FixedNet,
    layer: FixedLayer,
    sent: dict[str, NDArray[np.int64]],
    arriving: dict[str, NDArray[np.int64]],
    images: int,
) -> LayerActivity:
    synops, macs = 0, 0
    for synapse in layer.synapses:
        if not isinstance(synapse.op, WEIGHTED):
            continue
        fan_out = synapse.op.fan_out(net.source_shape(synapse.source))
        if synapse.source in arriving:
            synops += int((arriving[synapse.source] * fan_out).sum())
        else:
            macs += int(fan_out.sum()) * (1 if net.is_constant(synapse.source) else net.timesteps)
    neurons = int(np.prod(layer.shape))
    fires = isinstance(layer.neuron, IF | Level)
    spikes = float(sent[layer.name].sum()) / images if fires else 0.0
    return LayerActivity(
        layer.name,
        type(layer.neuron).__name__.lower() if layer.neuron else "",
        neurons if layer.neuron else 0,
        spikes,
        spikes / neurons / net.timesteps,
        synops / images,
        macs,
    )


def spikes_passed_on(
    net: FixedNet, sent: dict[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    """How many spikes reach the readers of each layer, (C, H, W), given what the layers `sent`.

    Layers that send pixels or graded currents are left out. Wiring passes spikes on; the factors by
    which a pool brings unequal windows to one divisor make no more of them.
    """
    passed: dict[str, NDArray[np.int64]] = {}
    for layer in net.layers:
        sources = [s.source for s in layer.synapses]
        if layer.neuron is not None:
            passed[layer.name] = sent[layer.name]
        elif layer.is_wiring and all(name in passed for name in sources):
            passed[layer.name] = np.zeros(layer.shape, np.int64)
            for synapse in layer.synapses:
                match synapse.op:
                    case MaxPool():
                        passed[layer.name] += sent[layer.name]
                    case SumPool() as pool:
                        plain = replace(pool, multiplier=None)
                        passed[layer.name] += plain.forward(passed[synapse.source][None])[0]
                    case op:
                        passed[layer.name] += op.forward(passed[synapse.source][None])[0]
    return passed
