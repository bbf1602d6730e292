"""Accuracy at every timestep, spike rates and synaptic operations of a FixedNet on a stream of
images.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.convert import likeness
from snngen.data import Readable, Samples, check_labels
from snngen.fixed import FixedLayer, FixedNet
from snngen.graph import Graph, forward, in_layout, shapes
from snngen.neurons import IF, Level
from snngen.ops import WEIGHTED, MaxPool, SumPool
from snngen.parallel import over_batch
from snngen.simulate import simulate
from snngen.spiking import INPUT, Preprocess
from snngen.targets.c.engine import compiled
from snngen.workers import run

ENGINES = ("golden", "c")
BATCH = 64  # images of a shard: floats are added up shard by shard

Images = NDArray[np.uint8]
Classes = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class LayerActivity:
    """Means per image, or stream, of one layer.

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
    classes: Classes
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
    engine: str = "golden",
) -> Evaluation:
    """Run `net` over `images` (N, C, H, W), or streams (N, T, C, H, W), on all cores."""
    return evaluate_samples(net, Samples(images, labels, "the images"), ann=ann, engine=engine)


def evaluate_samples(
    net: FixedNet,
    samples: Readable,
    *,
    ann: Ann | None = None,
    engine: str = "golden",
    workers: int | None = None,
    cluster: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Run `net` over any number of `samples`, on `workers` or a `cluster` (see
    `snngen.workers.run`); `progress` hears how many are done. Of a sample nothing is kept but its
    class, a byte or two. `engine`: the golden model, or the emitted C, compiled wherever it runs;
    both give the same result.

    The result does not depend on who computes: integers are added up, and floats in the order of
    the samples. (The CNN's own outputs are as its machine's BLAS rounds them.)

    Raises DataError where samples are damaged, or a label names no output of `net`; ToolError
    where C is to be compiled and there is no compiler.
    """
    count = len(samples)
    shards = [(k, min(k + BATCH, count)) for k in range(0, count, BATCH)]
    total: _Tally | None = None
    classes = np.zeros(count, _class_type(net))
    found = run(_tally, (net, engine, ann, samples), shards, workers=workers, cluster=cluster)
    for (begin, end), (tally, final) in zip(shards, found, strict=True):
        total, classes[begin:end] = tally if total is None else total + tally, final
        progress(end)
    assert total is not None, "there is at least one sample"
    steps = len(total.correct)
    spiking = spikes_passed_on(net, _nothing(net)).keys()
    has_labels, has_ann = total.labelled > 0, ann is not None
    return Evaluation(
        count,
        classes,
        total.correct if has_labels else None,
        total.agreement if has_ann else None,
        total.likeness / count if has_ann else None,
        total.ann_correct if has_ann and has_labels else None,
        tuple(
            _activity(
                layer, int(spikes), int(synops), _macs(net, layer, spiking, steps), count, steps
            )
            for layer, spikes, synops in zip(net.layers, total.spikes, total.synops, strict=True)
        ),
    )


@dataclass(frozen=True, eq=False)
class _Tally:
    """What is counted over a shard: `correct` and `agreement` (T,); `spikes` and `synops` (L,), one
    for each layer; `likeness` is a sum over images.
    """

    labelled: int
    correct: NDArray[np.int64]
    agreement: NDArray[np.int64]
    ann_correct: int
    likeness: float
    spikes: NDArray[np.int64]
    synops: NDArray[np.int64]

    def __add__(self, other: _Tally) -> _Tally:
        return _Tally(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(_Tally)))


def _tally(
    shared: tuple[FixedNet, str, Ann | None, Readable], shard: tuple[int, int]
) -> tuple[_Tally, Classes]:
    """What is counted over the samples of `shard`, and their final classes."""
    net, engine, ann, stored = shared
    samples = stored.read(*shard)
    images, labels = samples.images, samples.labels
    check_labels(samples, int(np.prod(net.layers[-1].shape)))
    outputs, sent = _run(net, engine, images)
    classes = net.classes(outputs)
    correct, agreement = np.zeros((2, net.steps_of(images)), np.int64)
    ann_correct, alike = 0, 0.0
    if labels is not None:
        correct = (classes == labels[:, None]).sum(0)
    if ann is not None:
        wanted = ann.outputs(images)
        ann_classes = ann.classes_of(wanted)
        agreement = (classes == ann_classes[:, None]).sum(0)
        ann_correct = 0 if labels is None else int((ann_classes == labels).sum())
        alike = likeness(outputs[:, -1] * net.output_scale, wanted) * len(images)
    tally = _Tally(
        0 if labels is None else len(labels),
        correct,
        agreement,
        ann_correct,
        alike,
        np.array([sent[layer.name].sum() if _fires(layer) else 0 for layer in net.layers]),
        _synops(net, sent),
    )
    return tally, classes[:, -1].astype(_class_type(net))


def _run(
    net: FixedNet, engine: str, images: Images
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    """The output membranes (batch, T, K), and the spikes that every neuron sends to all of
    `images`, (C, H, W) of each layer, and of a stream's input.
    """
    if engine == "c":
        outputs, sent = compiled(net).totals(images)
    else:
        done = simulate(net, images)
        outputs, sent = done.outputs, {name: k.sum(0) for name, k in done.spikes.items()}
    if net.is_stream:
        channel = np.arange(net.input.shape[0])[:, None, None]
        values = np.abs(net.input.table[channel, images].astype(np.int64))
        sent = {INPUT: values.sum((0, 1)), **sent}
    return outputs, _nothing(net) | sent


def _class_type(net: FixedNet) -> np.dtype[Any]:
    """The smallest that holds every class: classes are the only thing kept of every sample."""
    return np.min_scalar_type(int(np.prod(net.layers[-1].shape)) - 1)


@dataclass(frozen=True, eq=False)
class Ann:
    """The CNN that a network came from, on raw bytes: `preprocess` takes them to what the model
    reads.
    """

    graph: Graph
    preprocess: Preprocess

    def outputs(self, images: Images) -> NDArray[np.floating]:
        """The model's outputs on `images` (N, C, H, W), or on all events of streams
        (N, T, C, H, W), canonical and flattened: (N, K) float32.
        """
        return over_batch(self._outputs, images if images.ndim == 4 else images.sum(1))

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


def _nothing(net: FixedNet) -> dict[str, NDArray[np.int64]]:
    """What the layers of `net` send where nothing comes in, the output layer included."""
    sizes = {layer.name: layer.shape for layer in net.layers}
    sizes |= {INPUT: net.input.shape} if net.is_stream else {}
    return {name: np.zeros(shape, np.int64) for name, shape in sizes.items()}


def _fires(layer: FixedLayer) -> bool:
    return isinstance(layer.neuron, IF | Level)


def _synops(net: FixedNet, sent: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """The spikes that arrive over the synapses of every layer (L,), given what the layers `sent`,
    (C, H, W).
    """
    arriving = spikes_passed_on(net, sent)
    synops = np.zeros(len(net.layers), np.int64)
    for k, layer in enumerate(net.layers):
        for synapse in layer.synapses:
            if isinstance(synapse.op, WEIGHTED) and synapse.source in arriving:
                fan_out = synapse.op.fan_out(net.source_shape(synapse.source))
                synops[k] += (arriving[synapse.source] * fan_out).sum()
    return synops


def _macs(net: FixedNet, layer: FixedLayer, spiking: Container[str], steps: int) -> int:
    """The multiplications of what is no spike, per image."""
    macs = 0
    for synapse in layer.synapses:
        if isinstance(synapse.op, WEIGHTED) and synapse.source not in spiking:
            fan_out = synapse.op.fan_out(net.source_shape(synapse.source))
            macs += int(fan_out.sum()) * (1 if net.is_constant(synapse.source) else steps)
    return macs


def _activity(
    layer: FixedLayer, spikes: int, synops: int, macs: int, images: int, steps: int
) -> LayerActivity:
    neurons = int(np.prod(layer.shape))
    return LayerActivity(
        layer.name,
        type(layer.neuron).__name__.lower() if layer.neuron else "",
        neurons if layer.neuron else 0,
        spikes / images,
        spikes / images / neurons / steps,
        synops / images,
        macs,
    )


def spikes_passed_on(
    net: FixedNet, sent: dict[str, NDArray[np.int64]]
) -> dict[str, NDArray[np.int64]]:
    """How many spikes reach the readers of each layer, (C, H, W), given what the layers `sent`.

    Layers that send pixels or graded currents are left out; events of a stream are spikes. Wiring
    passes spikes on; the factors by which a pool brings unequal windows to one divisor make no more
    of them.
    """
    passed = {INPUT: sent[INPUT]} if net.is_stream else {}
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
