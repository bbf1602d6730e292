"""From networks and images to a diagnosis, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.convert import likeness
from snngen.doctor.channels import Finding, findings
from snngen.doctor.split import COMPONENTS, OWN, Layer, Split, Values, layers_of, split
from snngen.doctor.substitute import Change, substitutions
from snngen.doctor.sums import LayerSums, sums_of
from snngen.evaluate import Ann
from snngen.parallel import ordered_map
from snngen.pipeline import Built
from snngen.simulate import Simulation, stream

BATCH_VALUES = 2**22  # of all layers together; some twenty times as many are held
MOST_AT_ONCE = 32  # images

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Component:
    """One component of a layer's error, in parts of the RMS of the CNN's activation: its `mean`,
    with its sign, and its `rms`. `share` is how much of the squared error it explains: its product
    with the whole error. Shares add up to 1; one below 0 makes good for others.
    """

    mean: float
    rms: float
    share: float


@dataclass(frozen=True)
class LayerErrors:
    """The whole error of a layer, `mean` and `rms`, and its `components`; `scale` is the RMS of the
    CNN's activation in the CNN's units.
    """

    name: str
    neuron: str
    channels: int
    scale: float
    mean: float
    rms: float
    components: dict[str, Component]


@dataclass(frozen=True)
class Answers:
    """On how many images the class is the CNN's, on how many the label's (None without labels), and
    the mean correlation of the outputs with the CNN's.
    """

    agreement: int
    correct: int | None
    likeness: float


@dataclass(frozen=True)
class Effect:
    """What an error does to the answers: added to the CNN by itself (`alone`), and taken out of the
    network (`without`). `what` names a layer, for all that it adds, or a component, in all layers.
    """

    what: str
    alone: Answers
    without: Answers


@dataclass(frozen=True)
class Diagnosis:
    """Of `images` images. `errors`: layer by layer. `causes`, `layers`: the effects of components
    and of layers that err at all. `findings`: channels that stand out.
    """

    images: int
    cnn: Answers
    network: Answers
    errors: tuple[LayerErrors, ...]
    causes: tuple[Effect, ...]
    layers: tuple[Effect, ...]
    findings: tuple[Finding, ...]


def worst(effects: Sequence[Effect]) -> Effect | None:
    """What spoils most answers by itself; of equals, the one whose outputs differ most."""
    return min(effects, key=lambda e: (e.alone.agreement, e.alone.likeness), default=None)


Tally = NDArray[np.float64]  # summed over images: class as the CNN's, as the label's, likeness


@dataclass(frozen=True, eq=False)
class _Batch:
    """What is kept of a batch: sums per layer and the answers of the CNN, the network and every
    change.
    """

    sums: dict[str, LayerSums]
    cnn: Tally
    network: Tally
    changed: dict[Change, Tally]

    def __add__(self, other: _Batch) -> _Batch:
        return _Batch(
            {name: sums + other.sums[name] for name, sums in self.sums.items()},
            self.cnn + other.cnn,
            self.network + other.network,
            {change: tally + other.changed[change] for change, tally in self.changed.items()},
        )


def diagnose(
    ann: Ann,
    built: Built,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64] | None = None,
    *,
    progress: Callable[[int], None] = lambda done: None,
) -> Diagnosis:
    """Compare the network that was `built` of `ann` with it, on the bytes `images` (N, C, H, W).

    The network may hold other numbers than quantisation gave it, but no other layers. `progress`
    hears how many images are done.
    """
    spiking, net = built.spiking, built.net
    layers = layers_of(ann.graph, spiking, net, built.units)
    values = sum(int(np.prod(layer.fixed.shape)) for layer in layers)
    size = max(1, min(MOST_AT_ONCE, BATCH_VALUES // values))
    batches = [slice(start, start + size) for start in range(0, len(images), size)]

    def examine(item: tuple[slice, Simulation]) -> _Batch:
        batch, simulated = item
        parts = split(layers, spiking, net, images[batch], simulated)
        return _examined(ann, layers, parts, None if labels is None else labels[batch])

    simulations = stream(net, (images[batch] for batch in batches))
    whole: _Batch | None = None
    for batch, seen in zip(
        batches, ordered_map(examine, zip(batches, simulations, strict=True)), strict=True
    ):
        whole = seen if whole is None else whole + seen
        progress(min(batch.stop, len(images)))
    assert whole is not None, "there is at least one image"
    return _diagnosis(layers, whole, len(images), labelled=labels is not None)


def _examined(
    ann: Ann, layers: Sequence[Layer], parts: Split, labels: NDArray[np.int64] | None
) -> _Batch:
    last = layers[-1].name
    wanted = parts.cnn[last].reshape(len(parts.cnn[last]), -1)
    classes = ann.classes_of(wanted)

    def tally(outputs: Values) -> Tally:
        flat = outputs.reshape(len(outputs), -1)
        chosen = ann.classes_of(flat)
        correct = 0 if labels is None else (chosen == labels).sum()
        return np.array([(chosen == classes).sum(), correct, likeness(flat, wanted) * len(flat)])

    return _Batch(
        sums_of(parts),
        tally(parts.cnn[last]),
        tally(parts.decoded[last]),
        {change: tally(outputs) for change, outputs in substitutions(layers, parts)},
    )


def _diagnosis(layers: Sequence[Layer], whole: _Batch, images: int, *, labelled: bool) -> Diagnosis:
    def answers(tally: Tally) -> Answers:
        return Answers(int(tally[0]), int(tally[1]) if labelled else None, float(tally[2]) / images)

    def effect(layer: str, component: str) -> Effect:
        alone, without = (whole.changed[Change(layer, component, a)] for a in (True, False))
        return Effect(layer or component, answers(alone), answers(without))

    sums = whole.sums
    present = [
        component
        for component in OWN
        if any(s.squared[COMPONENTS.index(component)].any() for s in sums.values())
    ]
    named = [layer for layer in layers if layer.name in sums]
    return Diagnosis(
        images,
        answers(whole.cnn),
        answers(whole.network),
        tuple(_errors(layer, sums[layer.name]) for layer in named),
        tuple(effect("", component) for component in present),
        tuple(effect(layer.name, "") for layer in named),
        tuple(found for layer in named for found in findings(layer, sums[layer.name])),
    )


def _errors(layer: Layer, sums: LayerSums) -> LayerErrors:
    channels = len(sums.cnn)
    values = sums.values * channels
    scale = float(np.sqrt(sums.cnn.sum() / values))
    unit = scale or 1.0
    squared = float(sums.shared.sum())
    components = {
        name: Component(
            float(sums.error[k].sum()) / values / unit,
            float(np.sqrt(sums.squared[k].sum() / values)) / unit,
            float(sums.shared[k].sum()) / squared if squared else 0.0,
        )
        for k, name in enumerate(COMPONENTS)
    }
    neuron = layer.fixed.neuron
    return LayerErrors(
        layer.name,
        "" if neuron is None else type(neuron).__name__.lower(),
        channels,
        scale,
        float(sums.error.sum()) / values / unit,
        float(np.sqrt(max(squared, 0.0) / values)) / unit,
        components,
    )
