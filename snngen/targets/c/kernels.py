"""Which functions of the runtime evaluate a layer, and why these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from snngen.fixed import FixedNet
from snngen.targets.c.constants import LayerView, ModelView
from snngen.targets.c.schedule import Plan


@dataclass(frozen=True)
class Kernel:
    """A function for what a layer reads of `source`, or for its neurons, where that is empty.
    `reason` is empty where there was no choice.
    """

    layer: str
    source: str
    function: str
    reason: str


def kernels(net: FixedNet, chosen: Plan, view: ModelView) -> tuple[Kernel, ...]:
    """In the order of the network."""
    views = {layer.number: layer for layer in view.layers}
    taken = {pool: source for source, pool in chosen.pooled.items()}
    found: list[Kernel] = []
    for number, layer in enumerate(net.layers):
        if layer.name in taken:
            reason = "takes every line as it comes"
            found.append(Kernel(layer.name, taken[layer.name], "snn_pooled", reason))
            continue
        for synapse in views[number].synapses:
            way = chosen.ways[layer.name, synapse.place]
            reason = way if isinstance(way, str) else way.reason
            source = layer.synapses[synapse.place].source
            function = views[number].run if synapse.add == "NULL" else synapse.add
            found.append(Kernel(layer.name, source, function, reason))
        found += _neurons(layer.name, views[number], view)
    return tuple(found)


def _neurons(name: str, layer: LayerView, view: ModelView) -> Iterator[Kernel]:
    if layer.run == "snn_trains":
        yield Kernel(name, "", layer.run, "constant current: all spikes of a neuron at once")
    elif layer.fire == "snn_level":
        struct = next(s for s in view.structs if f"&{s.name}" == layer.neuron)
        fields = dict(struct.fields)
        if fields["wide_steps"] != "NULL":
            reason = "levels are products of 64 bits"
        elif fields["comparisons"] != "0":
            reason = f"uneven levels: products and {fields['comparisons']} comparisons"
        else:
            reason = "levels are products of 32 bits"
        yield Kernel(name, "", layer.fire, reason)
    elif layer.fire == "snn_climb":
        yield Kernel(name, "", layer.fire, "for size: one threshold after the other")
    elif layer.fire == "snn_compare":
        yield Kernel(name, "", layer.fire, "all thresholds, for vectors")
    elif layer.fire != "NULL":
        yield Kernel(name, "", layer.fire, "")
