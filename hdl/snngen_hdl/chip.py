"""The whole of it: bytes of images in, classes and outputs out."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Module, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from snngen_hdl.network import Network, NetworkPlan
from snngen_hdl.source import ImageSource, Readout, ReadoutPlan, SourcePlan
from snngen_hdl.witness import WITNESS


@dataclass(frozen=True, eq=False)
class ChipPlan:
    """Source, layers and readout."""

    source: SourcePlan
    network: NetworkPlan
    readout: ReadoutPlan


class Chip(wiring.Component):
    """`i`: the bytes of one image after the other. `o`: words of 32 bits, for each image its class,
    the cycles it took, and its outputs. `seen`: see `snngen_hdl.network.Network`.
    """

    def __init__(self, plan: ChipPlan) -> None:
        self.plan = plan
        self.network = Network(plan.network)
        super().__init__(
            {
                **({"seen": In(WITNESS)} if plan.network.witnessed else {}),
                "i": In(stream.Signature(unsigned(8))),
                "o": Out(stream.Signature(unsigned(32))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        m.submodules.source = source = ImageSource(plan.source)
        m.submodules.network = network = self.network
        value = network.o.payload.shape()["value"].shape
        m.submodules.readout = readout = Readout(plan.readout, value)
        wiring.connect(m, wiring.flipped(self.i), source.i)
        wiring.connect(m, source.o, network.i)
        wiring.connect(m, network.o, readout.i)
        wiring.connect(m, readout.o, wiring.flipped(self.o))
        if plan.network.witnessed:
            wiring.connect(m, wiring.flipped(self.seen), network.seen)
        m.d.comb += [readout.starts.eq(source.starts), source.may_start.eq(readout.may_start)]
        return m
