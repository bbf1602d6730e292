"""A network on a device: which core computes what. Layer by layer, so that what did not change
stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedNet
from snngen.mapping.cores import Core, Group, Programs, widest
from snngen.mapping.device import Crossbar, width
from snngen.mapping.pack import pack
from snngen.mapping.populations import Population, host_part, populations
from snngen.mapping.tiles import Choice, choices
from snngen.mapping.wires import Ints, Wires
from snngen.parallel import alone


@dataclass(frozen=True)
class Bound:
    """What one layer takes of any mapping to a device, if all cores could be filled.

    `dendrites`: for each neuron 2**w for its weights, times the least 2**e that reads its inputs.
    `bits`: of a weight for each of its inputs. Inputs are those of its window that lie on the
    image, of channels that have a weight for it; other weights of these may be 0.
    """

    dendrites: int
    bits: int

    def cores(self, device: Crossbar) -> int:
        """The larger of what dendrites and crossbar bits ask for."""
        return max(-(-self.dendrites // device.dendrites), -(-self.bits // device.bits))


@dataclass(frozen=True, eq=False)
class Plan:
    """What is known of a layer before it is cut into tiles. `key` names all that its cores depend
    on, `width` is that of its weights, `fan_in` the spikes that a neuron reads at most.
    """

    key: str
    population: Population
    width: int
    fan_in: int
    bound: Bound
    choices: tuple[Choice, ...]


@dataclass(frozen=True, eq=False)
class Layer:
    """What one layer became: `groups` in the order of its tiles."""

    plan: Plan
    choice: Choice
    groups: tuple[Group, ...]


@dataclass(frozen=True, eq=False)
class Mapping:
    """`net` on `device`: `host` is what the host computes, and `cores`, in the order of the layers,
    compute the rest. Core k lies on chip k // device.cores, filled column by column.
    """

    net: FixedNet
    device: Crossbar
    chips: int
    populations: tuple[Population, ...]
    host: FixedNet
    layers: dict[str, Layer]
    cores: tuple[Core, ...]

    @cached_property
    def cores_of(self) -> dict[str, list[int]]:
        """By layer the cores that hold neurons of it."""
        found: dict[str, list[int]] = {name: [] for name in self.layers}
        for number, core in enumerate(self.cores):
            for name in dict.fromkeys(group.layer for group in core.groups):
                found[name].append(number)
        return found

    @property
    def bound(self) -> Bound:
        """Of all layers together."""
        return _sum(layer.plan.bound for layer in self.layers.values())


def map_network(
    net: FixedNet,
    device: Crossbar,
    *,
    chips: int | None = 1,
    balance: bool = False,
    known: Mapping | None = None,
) -> Mapping:
    """Map `net` to as few cores as possible; to as many chips as it takes where `chips` is None.

    With `balance` all cores of these chips are used, so that the busiest reads as few spikes as
    possible. Layers that are the same in `known`, and what they read, keep their cores; neurons of
    others may join them where there is room. ConversionError with everything that the device cannot
    do, or else by how much it is too small.
    """
    made = populations(net)
    old = {} if known is None or known.device != device else known.layers
    with alone():
        plans = _plans((p for p in made if not p.on_host), device, old)
        if chips is not None:
            _check_bounds(plans, device, chips)
        chosen = [plan.choices[0] for plan in plans]
        most = device.fan_in(device.longest)
        if balance:
            fewest = -(-sum(choice.tiles for choice in chosen) // device.cores)
            most = _balanced(plans, device.cores * (chips or fewest))
            chosen = _within(plans, most)
        layers = {
            plan.population.name: _layer(plan, choice, device, old)
            for plan, choice in zip(plans, chosen, strict=True)
        }
    cores = _cores(layers, known, device, most)
    needed = -(-len(cores) // device.cores)
    mapping = Mapping(net, device, chips or needed, made, host_part(net, made), layers, cores)
    if needed > mapping.chips:
        by_layer = {name: len(numbers) for name, numbers in mapping.cores_of.items()}
        raise ConversionError(_too_small(device, mapping.chips, len(cores), by_layer))
    return mapping


def _check_bounds(plans: Sequence[Plan], device: Crossbar, chips: int) -> None:
    """ConversionError where there are too few cores for any mapping, which is quickly found."""
    least = _sum(plan.bound for plan in plans).cores(device)
    if least > chips * device.cores:
        by_layer = {plan.population.name: plan.bound.cores(device) for plan in plans}
        raise ConversionError(_too_small(device, chips, least, by_layer, "at least "))


def _too_small(
    device: Crossbar, chips: int, needed: int, by_layer: dict[str, int], about: str = ""
) -> Problem:
    there = chips * device.cores
    return Problem(
        f"device {device.name}",
        f"the network needs {about}{needed:,} cores, {needed - there:,} more than there are",
        ", ".join(f"'{name}' {count:,}" for name, count in by_layer.items()),
        f"--chips {-(-needed // device.cores)}{' or more' if about else ''}, or fewer channels, "
        "levels or bits",
    )


def _sum(bounds: Iterable[Bound]) -> Bound:
    total = Bound(0, 0)
    for bound in bounds:
        total = Bound(total.dendrites + bound.dendrites, total.bits + bound.bits)
    return total


def _plans(
    populations: Iterable[Population], device: Crossbar, old: dict[str, Layer]
) -> list[Plan]:
    """A plan for each; ConversionError with all that the device cannot do."""
    plans: list[Plan] = []
    problems: list[Problem] = []
    for population in populations:
        key = _key(population, device)
        if population.name in old and old[population.name].plan.key == key:
            plans.append(old[population.name].plan)
            continue
        found = _plan(population, key, device)
        if isinstance(found, Plan):
            plans.append(found)
        else:
            problems += found
    if problems:
        raise ConversionError(*problems)
    return plans


def _plan(population: Population, key: str, device: Crossbar) -> Plan | list[Problem]:
    """How one layer can be mapped, or what the device lacks for it."""
    wires = Wires(population)
    ranges, fan_in = wires.ranges(), wires.fan_in()
    lo, hi = min(int(lo.min()) for lo, _ in ranges), max(int(hi.max()) for _, hi in ranges)
    problems = list(_lacks(population, device, (lo, hi), int(fan_in.max())))
    if problems:
        return problems
    bits = min(width(lo, hi), device.widest)
    each = [_axons_each(lo, hi, device) for lo, hi in ranges]
    distinct, place, counts = np.unique(fan_in, return_inverse=True, return_counts=True)
    extensions = np.array([device.extension(int(inputs)) for inputs in distinct])
    by_position = extensions[place.reshape(fan_in.shape)].max(0)
    possible = choices(population, wires.reaches(), each, by_position, device, bits)
    if not possible:
        rule = "no core holds even one of its neurons"
        found = f"{fan_in.max():,} spikes to read, with weights from {lo:,} to {hi:,}"
        return [Problem(f"layer '{population.name}'", rule, found, "use fewer --bits")]
    extended = int((counts << extensions).sum())
    copies = population.copies << bits
    bound = Bound(extended * copies, int(fan_in.sum()) * copies)
    return Plan(key, population, bits, int(fan_in.max()), bound, possible)


def _axons_each(lo: Ints, hi: Ints, device: Crossbar) -> Ints:
    """How many axons a spike of each channel takes, with weights from `lo` to `hi` (C,)."""
    least, most = device.weights
    above, below = -(-hi // most), -(-lo // least) if least else np.zeros_like(lo)
    return np.maximum(1, np.maximum(above, below))


def _balanced(plans: Sequence[Plan], cores: int) -> int:
    """The fewest axons that can be the most of a core while there are enough cores. Some core takes
    as many as the widest neuron, so that fewer are of no use.
    """
    least = max(plan.choices[-1].axons for plan in plans)
    limits = sorted({c.axons for plan in plans for c in plan.choices if c.axons >= least})
    enough = (most for most in limits if sum(c.tiles for c in _within(plans, most)) <= cores)
    return next(enough, limits[-1])


def _within(plans: Sequence[Plan], most: int) -> list[Choice]:
    """The fewest tiles that take at most so many axons."""
    return [next(choice for choice in plan.choices if choice.axons <= most) for plan in plans]


def _layer(plan: Plan, choice: Choice, device: Crossbar, old: dict[str, Layer]) -> Layer:
    """The same object as in `old` where nothing is different."""
    known = old.get(plan.population.name)
    if known is not None and known.plan is plan and known.choice == choice:
        return known
    population = plan.population
    programs = Programs(population, Wires(population), device, plan.width)
    return Layer(plan, choice, programs.groups(choice.tilings))


def _lacks(
    population: Population, device: Crossbar, weights: tuple[int, int], fan_in: int
) -> Iterator[Problem]:
    where = f"layer '{population.name}'"
    most = device.fan_in(device.longest)
    if fan_in > most:
        rule = f"a neuron reads {fan_in:,} spikes, {fan_in - most:,} more than a core can"
        hint = "use fewer channels, a smaller kernel or fewer levels"
        yield Problem(where, rule, f"device {device.name}: {most:,}", hint)
    if weights[0] < 0 and device.widest == 0:
        rule = "its weights need 2 bits, 1 more than a core has"
        yield Problem(where, rule, f"weights from {weights[0]:,} to {weights[1]:,}")
    membrane = widest(population.layer)
    if membrane > device.membrane_bits:
        over = membrane - device.membrane_bits
        rule = f"its sums need {membrane} bits, {over} more than a membrane has"
        yield Problem(where, rule, hint="use fewer --bits or timesteps")


def _cores(
    layers: dict[str, Layer], known: Mapping | None, device: Crossbar, most: int
) -> tuple[Core, ...]:
    """Those of `known` with the groups of layers that stay, and those of the others packed, with at
    most so many axons.
    """
    old = {} if known is None else known.layers
    kept = {name for name, layer in layers.items() if old.get(name) is layer}
    cores = []
    for core in known.cores if known is not None else ():
        staying = tuple(group for group in core.groups if group.layer in kept)
        if len(staying) == len(core.groups):
            cores.append(core)
        elif staying:
            cores.append(Core(staying))
    groups = [g for name, layer in layers.items() if name not in kept for g in layer.groups]
    order = {name: k for k, name in enumerate(layers)}
    place = {id(g): k for layer in layers.values() for k, g in enumerate(layer.groups)}
    packed = pack(cores, groups, device, most)
    return tuple(sorted(packed, key=lambda c: (order[c.groups[0].layer], place[id(c.groups[0])])))


def _key(population: Population, device: Crossbar) -> str:
    """What names all that the cores of one layer depend on."""
    digest = sha256()

    def feed(value: Any) -> None:
        if isinstance(value, np.ndarray):
            digest.update(repr((value.shape, str(value.dtype))).encode() + value.tobytes())
        elif is_dataclass(value):
            digest.update(type(value).__name__.encode())
            for field in fields(value):
                feed(getattr(value, field.name))
        elif isinstance(value, tuple):
            digest.update(f"({len(value)}".encode())
            for item in value:
                feed(item)
        else:
            digest.update(repr(value).encode() + b";")

    layer = population.layer
    feed((device, layer.name, layer.shape, layer.bias, layer.neuron, layer.current, layer.membrane))
    feed((population.copies, population.copywise, population.paths))
    return digest.hexdigest()
