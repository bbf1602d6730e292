"""A chip behind a UART."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from snngen_hdl.chip import Chip, ChipPlan
from snngen_hdl.link import Link, LinkPlan
from snngen_hdl.uart import Receiver, Transmitter


@dataclass(frozen=True, eq=False)
class DevicePlan:
    """`divisor`: cycles of the clock that a bit on the wires takes."""

    chip: ChipPlan
    link: LinkPlan
    divisor: int


class Device(wiring.Component):
    """`rx` is synchronous to the clock."""

    def __init__(self, plan: DevicePlan) -> None:
        self.plan = plan
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.receiver = receiver = Receiver(self.plan.divisor)
        m.submodules.transmitter = transmitter = Transmitter(self.plan.divisor)
        m.submodules.link = link = Link(self.plan.link)
        m.submodules.chip = chip = Chip(self.plan.chip)
        m.d.comb += [receiver.pin.eq(self.rx), self.tx.eq(transmitter.pin)]
        wiring.connect(m, receiver.o, link.rx)
        wiring.connect(m, link.tx, transmitter.i)
        wiring.connect(m, link.image, chip.i)
        wiring.connect(m, chip.o, link.result)
        if self.plan.chip.network.witnessed:
            wiring.connect(m, link.seen, chip.seen)
        return m
