"""A chip whose layers can be seen, for simulation."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Elaboratable, Module, Signal, Value

from snngen_hdl.chip import Chip, ChipPlan


@dataclass(frozen=True)
class Probe:
    """What to write down in every cycle in which port `valid` is 1: ports `place` and `value`."""

    name: str
    valid: Signal
    place: Signal
    value: Signal


def plain_bus() -> dict[str, Signal]:
    """The ports of a chip, by names that a program knows."""
    return {
        name: Signal(bits, name=name)
        for name, bits in (
            ("in_data", 8),
            ("in_valid", 1),
            ("in_ready", 1),
            ("out_data", 32),
            ("out_valid", 1),
            ("out_ready", 1),
        )
    }


class Watched(Elaboratable):
    """A chip with plain ports. Of layer k, probe `held{k}` shows the words of its passes with their
    membranes, `sent{k}` the tokens that it hands on; nothing has probes unless it is `watched`.
    """

    def __init__(self, plan: ChipPlan, *, watched: bool = True) -> None:
        self.chip = Chip(plan)
        self.bus = plain_bus()
        self._seen: list[tuple[Signal, Value]] = []
        self.probes: list[Probe] = []
        for k, layer in enumerate(self.chip.network.layers if watched else ()):
            held = (layer.seen_valid, layer.seen_place, layer.seen_membrane)
            sent = (layer.o.valid & layer.o.ready, layer.o.payload, layer.o.payload.value)
            self._watch(f"held{k}", *held)
            self._watch(f"sent{k}", *sent)

    def _watch(self, name: str, *values: Value) -> None:
        ports = []
        for what, value in zip(("valid", "place", "value"), values, strict=True):
            plain = Value.cast(value)
            ports.append(Signal(len(plain), name=f"{name}_{what}"))
            self._seen.append((ports[-1], plain))
        self.probes.append(Probe(name, *ports))

    @property
    def ports(self) -> list[Signal]:
        """All of them, inputs and outputs."""
        return [*self.bus.values(), *(port for port, _ in self._seen)]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.chip = chip = self.chip
        bus = self.bus
        m.d.comb += [
            chip.i.payload.eq(bus["in_data"]),
            chip.i.valid.eq(bus["in_valid"]),
            bus["in_ready"].eq(chip.i.ready),
            bus["out_data"].eq(chip.o.payload),
            bus["out_valid"].eq(chip.o.valid),
            chip.o.ready.eq(bus["out_ready"]),
        ]
        m.d.comb += [port.eq(value) for port, value in self._seen]
        return m
