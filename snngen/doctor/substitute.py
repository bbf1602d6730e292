"""Networks between the CNN and the spiking network: what each error costs by itself, and what its
repair would gain.

The CNN with each layer's own error added, as it was measured, is the spiking network, exactly. With
one layer's error only, it shows what that layer costs by itself; with all but one, what the network
would be without that one. The same for one component of all layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from snngen.doctor.split import COMPONENTS, OWN, Layer, Split, Values
from snngen.spiking import INPUT


@dataclass(frozen=True)
class Change:
    """The own error of a `layer`, or a `component` in all layers (the other is empty): added to the
    CNN (`alone`), or else taken out of the network.
    """

    layer: str
    component: str
    alone: bool


def substitutions(layers: Sequence[Layer], parts: Split) -> Iterator[tuple[Change, Values]]:
    """Every change to a batch, and the outputs (batch, C, H, W) that it leads to."""
    own = {name: errors[1:].sum(0) for name, errors in parts.components.items()}
    for name in own:
        spoilt = {name: parts.cnn[name] + own[name]}
        yield Change(name, "", alone=True), outputs(layers, parts.cnn, spoilt, {})
        mended = {name: parts.decoded[name] - own[name]}
        yield Change(name, "", alone=False), outputs(layers, parts.decoded, mended, own)
    seen, last = {INPUT: parts.cnn[INPUT]}, layers[-1].name
    for component in OWN:
        index = COMPONENTS.index(component)
        errors = {name: split[index] for name, split in parts.components.items()}
        if any(error.any() for error in errors.values()):
            rest = {name: own[name] - errors[name] for name in own}
            yield Change("", component, alone=True), outputs(layers, seen, seen, errors)
            yield Change("", component, alone=False), outputs(layers, seen, seen, rest)
        else:
            yield Change("", component, alone=True), parts.cnn[last]
            yield Change("", component, alone=False), parts.decoded[last]


def outputs(
    layers: Sequence[Layer],
    known: Mapping[str, Values],
    replaced: Mapping[str, Values],
    errors: Mapping[str, Values],
) -> Values:
    """The outputs where the values of some layers are `replaced`: what depends on these is computed
    anew by the CNN, plus its `errors`; all else is as `known`.
    """
    values = {**known, **replaced}
    fresh = set(replaced)
    for layer in layers:
        if layer.name in replaced or fresh.isdisjoint(s.source for s in layer.cnn.synapses):
            continue
        value = layer.cnn.forward(values)
        values[layer.name] = value + errors[layer.name] if layer.name in errors else value
        fresh.add(layer.name)
    return values[layers[-1].name]
