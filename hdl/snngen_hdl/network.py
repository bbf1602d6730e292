"""Layers joined by links: a pipeline in which each works on what its sources have sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Module, Shape
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from snngen_hdl.layer import Layer, LayerPlan
from snngen_hdl.streams import Fork, Queue, Shape3, Skid, Stutter, token
from snngen_hdl.witness import WITNESS, Hash

INPUT = -1  # the place of the network's input among sources


@dataclass(frozen=True, eq=False)
class NetworkPlan:
    """`sources`[k]: which layer each synapse of layer k reads, by place, INPUT the input itself,
    whose events hold a `received`. `link`: how many events wait between layers. `stutters`: links
    that stop at random, for tests.
    """

    shape: Shape3
    received: Shape
    layers: tuple[LayerPlan, ...]
    sources: tuple[tuple[int, ...], ...]
    link: int = 16
    stutters: bool = False

    @property
    def witnessed(self) -> bool:
        """Whether it can tell the hash of a trace."""
        return all(layer.witnessed for layer in self.layers)


class Network(wiring.Component):
    """`i`: events of the input, a marker after each timestep; `o`: those of the last layer. `seen`,
    where all layers have witnesses: of these.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        self.plan = plan
        self.layers: Sequence[Layer] = [Layer(layer) for layer in plan.layers]
        super().__init__(
            {
                **({"seen": In(WITNESS)} if plan.witnessed else {}),
                "i": In(stream.Signature(token(plan.shape, plan.received))),
                "o": Out(self.layers[-1].signature.members["o"].signature),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        readers: dict[int, list[stream.Interface]] = {}
        for k, (layer, sources) in enumerate(zip(self.layers, plan.sources, strict=True)):
            m.submodules[f"layer{k}"] = layer
            for j, source in enumerate(sources):
                readers.setdefault(source, []).append(getattr(layer, f"i{j}"))
        sent = {INPUT: wiring.flipped(self.i)}
        sent |= {k: layer.o for k, layer in enumerate(self.layers)}
        readers[len(self.layers) - 1] = [wiring.flipped(self.o)]
        for k, layer in enumerate(self.layers):
            if k not in readers:  # what nobody reads must not stand in the way
                m.d.comb += layer.o.ready.eq(1)
        for source, into in readers.items():
            name = "input" if source == INPUT else f"layer{source}"
            shape = sent[source].payload.shape()
            ends = [sent[source]]
            if len(into) > 1:
                m.submodules[f"skid_{name}"] = skid = Skid(shape)
                m.submodules[f"fork_{name}"] = fork = Fork(shape, len(into))
                wiring.connect(m, sent[source], skid.i)
                wiring.connect(m, skid.o, fork.i)
                ends = list(fork.o)
            for j, (end, reader) in enumerate(zip(ends, into, strict=True)):
                m.submodules[f"link_{name}_{j}"] = link = Queue(shape, plan.link)
                if plan.stutters:
                    seed = 31 * len(readers) * (source + 2) + j
                    m.submodules[f"stutter_{name}_{j}"] = stutter = Stutter(shape, seed)
                    wiring.connect(m, end, stutter.i)
                    end = stutter.o
                wiring.connect(m, end, link.i)
                wiring.connect(m, link.o, reader)
        if plan.witnessed:
            self._witness(m)
        return m

    def _witness(self, m: Module) -> None:
        witnesses = [layer.witness for layer in self.layers if layer.witness is not None]
        m.submodules.hash = hashed = Hash([witness.told_layout for witness in witnesses])
        for k, witness in enumerate(witnesses):
            m.d.comb += witness.on.eq(self.seen.on)
            wiring.connect(m, witness.told, getattr(hashed, f"told{k}"))
        m.d.comb += [
            hashed.restart.eq(self.seen.restart),
            self.seen.sum.eq(hashed.sum),
            self.seen.idle.eq(hashed.idle),
        ]
