"""In which order layers run, and where in the arena everything lies.

Constant layers and the first k others run once, for all timesteps; they keep a plane for each
timestep but no membranes. The rest runs time by time; it keeps one plane but all its membranes.
`plan` tries every k, in networks of more than MOST_SPLITS layers an even selection. A stream, of
which one timestep is known at a time, has no layers that run once.

    ticks      0    1    2  |  3    4    5        layers 0..2 at once, 3..5 at every timestep
    values 0   #####                              until their last reader has run
    values 2             ##################       read at every timestep: until the end
    membrane 4              |##############       from the first timestep to the last
    values 4                     #########        within a timestep
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snngen.fixed import FixedLayer, FixedNet
from snngen.neurons import IF, Accumulate
from snngen.ops import Conv, Interval, Linear, MaxPool, SumPool
from snngen.ops.max_pool import most_behind
from snngen.spiking import INPUT
from snngen.targets.c.dense import with_vectors
from snngen.targets.c.events import by_events
from snngen.targets.c.packed import packed
from snngen.targets.c.storage import I32, INPUTS, VALUES, Storage, element_of, narrowest
from snngen.targets.c.way import Way, Ways

ALIGNMENT = 4  # SNN_ARENA_ALIGNMENT
LITTLE_WORK = 8  # times more is done altogether
MOST_SPLITS = 64  # each costs the square of the number of layers
Preference = Literal["smallest", "fastest"]
Optimise = Literal["speed", "size", "vectors"]
Role = Literal["values", "membrane", "balance", "scratch", "prepared", "progress"]
Key = tuple[str, Role]
PROGRESS = Storage((2, 1, 1), 1, I32)


@dataclass(frozen=True)
class Region:
    """Memory that `owner` needs from tick `born` to tick `dies`, both included."""

    owner: str
    role: Role
    storage: Storage
    born: int
    dies: int

    @property
    def key(self) -> Key:
        return self.owner, self.role

    def overlaps(self, other: Region) -> bool:
        return self.born <= other.dies and other.born <= self.dies


@dataclass(frozen=True)
class Plan:
    """`order`: layer numbers as they run, the first `at_once` of them for all timesteps.

    `regions` and `offsets` (bytes from the start of the arena) are keyed by owner and role.
    `ways`: how synapses are read by events, or why not, by layer and place among its synapses;
    `pooled`: by layer the pooling layer that takes its lines as they come; it has no place of its
    own in `order`, and the layer memory for one line only.
    """

    order: tuple[int, ...]
    at_once: int
    regions: Mapping[Key, Region]
    offsets: Mapping[Key, int]
    arena_bytes: int
    ways: Ways
    pooled: Mapping[str, str]
    optimise: Optimise


def plan(net: FixedNet, preference: Preference = "smallest", optimise: Optimise = "speed") -> Plan:
    """The split with the smallest arena, of equals the one with most layers at once; or, where
    "fastest" is preferred, all layers at once. Events, which take two bytes a weight, for "speed";
    packed weights for "size"; all inputs, or scattered spikes, for processors with "vectors".
    """
    ways = _ways(net, optimise)
    count = len(net.layers)
    stride = -(-count // MOST_SPLITS)
    steps = range(count, -1, -stride)
    splits = [count] if preference == "fastest" or net.timesteps == 1 else [*steps, 0]
    splits = [0] if net.is_stream else splits
    plans = (_plan(net, k, ways, optimise) for k in splits)
    return min(plans, key=lambda found: found.arena_bytes)


def constant_synapses(net: FixedNet, layer: FixedLayer) -> int:
    """How many of the layer's synapses are added up once and used for all timesteps."""
    if net.timesteps == 1 or net.is_constant(layer.name):
        return 0
    return sum(net.is_constant(s.source) for s in layer.synapses)


def counts_maxima(net: FixedNet, layer: FixedLayer) -> bool:
    """Whether it is a max pool that needs running counts."""
    pools = isinstance(layer.synapses[0].op, MaxPool)
    return pools and net.longest != 1 and not net.is_constant(layer.name)


def fires_trains(net: FixedNet, layer: FixedLayer, *, at_once: bool) -> bool:
    """Whether all spikes of a neuron follow from one current, as snn_trains.c finds them."""
    match layer.neuron:
        case IF(reset="subtract", max_spikes=1, signed=False, v_min=None, v_max=None):
            is_read = any(s.source == layer.name for other in net.layers for s in other.synapses)
            constant = constant_synapses(net, layer) == len(layer.synapses)
            return at_once and is_read and constant  # what nobody reads has no planes
    return False


def _plan(net: FixedNet, split: int, ways: Ways, optimise: Optimise) -> Plan:
    def at_once(layer: FixedLayer) -> bool:
        return numbers[layer.name] < split or net.is_constant(layer.name)

    numbers = {layer.name: i for i, layer in enumerate(net.layers)}
    pooled = {
        source: name
        for source, name in _tiled(net).items()
        if at_once(net[source]) == at_once(net[name])
    }
    running = [layer for layer in net.layers if layer.name not in pooled.values()]
    first = [numbers[layer.name] for layer in running if at_once(layer)]
    order = (*first, *(numbers[layer.name] for layer in running if not at_once(layer)))
    ticks = {net.layers[i].name: tick for tick, i in enumerate(order)}
    ticks |= {name: ticks[source] for source, name in pooled.items()}
    regions = {r.key: r for r in _regions(net, ticks, len(first), ways, pooled)}
    offsets = place(list(regions.values()))
    size = max(offset + regions[key].storage.bytes for key, offset in offsets.items())
    return Plan(order, len(first), regions, offsets, _aligned(size), ways, pooled, optimise)


def _tiled(net: FixedNet) -> dict[str, str]:
    """By layer the pooling layer that alone reads it, in windows that tile it."""
    readers: dict[str, list[FixedLayer]] = {layer.name: [] for layer in net.layers}
    for layer in net.layers:
        for synapse in layer.synapses:
            readers.get(synapse.source, []).append(layer)
    return {
        layer.name: reader.name
        for layer in net.layers
        for reader in readers[layer.name][:1]
        if len(readers[layer.name]) == 1
        and not isinstance(layer.neuron, Accumulate)
        and not counts_maxima(net, layer)
        and _tiles(net, reader)
    }


def _tiles(net: FixedNet, layer: FixedLayer) -> bool:
    op = layer.synapses[0].op
    if len(layer.synapses) > 1 or layer.neuron is not None or layer.bias is not None:
        return False
    if not isinstance(op, SumPool | MaxPool) or counts_maxima(net, layer):
        return False
    if isinstance(op, SumPool) and op.multiplier is not None:
        return False
    window = op.window
    return window.stride == window.kernel and window.dilation == (1, 1) and not any(window.pads)


def _regions(
    net: FixedNet,
    ticks: dict[str, int],
    first_stepped: int,
    ways: Ways,
    pooled: Mapping[str, str],
) -> list[Region]:
    last = max(ticks.values())
    readers: dict[str, list[int]] = {name: [] for name in [INPUT, *ticks]}
    for layer in net.layers:
        for synapse in layer.synapses:
            readers[synapse.source].append(ticks[layer.name])

    def until(name: str, born: int) -> int:
        """When values can be given up that were made at tick `born`."""
        end = max([born, *readers[name]])
        return last if born < first_stepped <= end else end

    pixels = Storage(net.input.shape, 1, element_of(net.input.interval, INPUTS))
    # the input is there before the first layer runs; that of a stream, at every timestep anew
    before = first_stepped if net.is_stream else -1
    regions = [Region(INPUT, "values", pixels, before, until(INPUT, before))]
    if net.is_stream:
        regions.append(Region(INPUT, "progress", PROGRESS, before, last))
    for layer in net.layers:
        tick = ticks[layer.name]
        stepped = tick >= first_stepped
        many = not stepped and readers[layer.name] and not net.is_constant(layer.name)
        values = Storage(layer.shape, net.timesteps if many else 1, element_of(layer.output))
        if isinstance(layer.neuron, Accumulate):  # what it holds is what it sends, and is kept
            born = first_stepped if stepped else tick
            regions.append(Region(layer.name, "values", values, born, last))
        elif layer.name in pooled:
            planes = net.timesteps if fires_trains(net, layer, at_once=not stepped) else 1
            line = Storage((layer.shape[0], 1, layer.shape[2]), planes, values.element)
            regions.append(Region(layer.name, "values", line, tick, tick))
        else:
            regions.append(Region(layer.name, "values", values, tick, until(layer.name, tick)))
        if layer.name in pooled.values():
            continue
        scratch = Storage((_scratch_words(net, layer), 1, 1), 1, I32)
        regions.append(Region(layer.name, "scratch", scratch, tick, tick))
        once, each = _prepared(net, layer, ways)
        total = once + each * (1 if stepped else net.timesteps)
        if total:
            storage = Storage((total // I32.bytes, 1, 1), 1, I32)
            regions.append(Region(layer.name, "prepared", storage, tick, tick))
        if stepped:
            regions += [
                Region(layer.name, role, storage, first_stepped, last)
                for role, storage in _state(net, layer)
            ]
    return regions


def _ways(net: FixedNet, optimise: Optimise) -> Ways:
    """For each synapse."""
    choose = {"speed": by_events, "size": packed, "vectors": with_vectors}[optimise]
    ways: dict[tuple[str, int], Way | str] = {
        (layer.name, k): choose(net, layer, synapse)
        for layer in net.layers
        for k, synapse in enumerate(layer.synapses)
    }
    return ways | _bytes_suffice(net) if optimise == "speed" else ways


def _bytes_suffice(net: FixedNet) -> dict[tuple[str, int], Way | str]:
    """Dense layers whose weights, each met once, are most of what is stored and little of what is
    done: twice as many bytes for them would buy next to nothing.
    """
    work = {
        (layer.name, k): synapse.op.weight.size * math.prod(layer.shape[1:])
        for layer in net.layers
        for k, synapse in enumerate(layer.synapses)
        if isinstance(synapse.op, Conv | Linear)
    }
    return {
        (name, k): f"weights of a byte: {100 * done / sum(work.values()):.0f} % of the products"
        for (name, k), done in work.items()
        if isinstance(net[name].synapses[k].op, Linear) and done * LITTLE_WORK < sum(work.values())
    }


def _prepared(net: FixedNet, layer: FixedLayer, ways: Ways) -> tuple[int, int]:
    """Bytes that are made of what the layer reads: of constant sources, and of a timestep of
    others.
    """
    once = each = 0
    for k, synapse in enumerate(layer.synapses):
        found = ways[layer.name, k]
        size = found.prepared_bytes if isinstance(found, Way) else 0
        if net.is_constant(synapse.source):
            once += size
        else:
            each += size
    return once, each


def _scratch_words(net: FixedNet, layer: FixedLayer) -> int:
    """32-bit integers, as snn_line.c and snn_max_pool_counts.c divide them."""
    channels, _, width = layer.shape
    if counts_maxima(net, layer):
        return channels * (2 + layer.synapses[0].op.fan_in)
    remembers = isinstance(layer.neuron, IF | Accumulate)
    lines = 1 + remembers + (constant_synapses(net, layer) > 0)
    return channels * width * (lines + takes_back(layer))


def takes_back(layer: FixedLayer) -> bool:
    """Whether the layer's neurons count what they have sent, to send -1 later."""
    return isinstance(layer.neuron, IF) and layer.neuron.signed


def _state(net: FixedNet, layer: FixedLayer) -> list[tuple[Role, Storage]]:
    """What a layer that runs time by time keeps between timesteps."""
    channels, height, width = layer.shape
    if counts_maxima(net, layer):
        counts = _running_counts(net.source_interval(layer.synapses[0].source), net.longest)
        received = (channels * layer.synapses[0].op.fan_in, height, width)
        return [("membrane", Storage(received, 1, element_of(counts)))]
    if not isinstance(layer.neuron, IF):
        return []
    assert layer.membrane is not None
    state: list[tuple[Role, Storage]] = [
        ("membrane", Storage(layer.shape, 1, element_of(_kept(layer.neuron, layer.membrane))))
    ]
    if takes_back(layer):
        most = net.timesteps * layer.neuron.max_spikes
        state.append(("balance", Storage(layer.shape, 1, narrowest(0, most, VALUES))))
    return state


def _kept(neuron: IF, membrane: Interval) -> Interval:
    """What a `membrane` can be from one timestep to the next, after clamps and resets."""
    lo, hi = membrane.lo, membrane.hi
    return Interval(
        lo if neuron.v_min is None else np.maximum(lo, neuron.v_min),
        hi if neuron.v_max is None else np.minimum(hi, neuron.v_max),
    )


def _running_counts(source: Interval, timesteps: int | None) -> Interval:
    """Of a max pool that reads `source`: sums, or in a stream what they lack to the largest."""
    if timesteps is None:
        behind = np.full_like(source.lo, most_behind(source))
        return Interval(-behind, np.zeros_like(behind))
    return Interval(np.minimum(source.lo, 0) * timesteps, np.maximum(source.hi, 0) * timesteps)


def place(regions: list[Region]) -> dict[Key, int]:
    """Offsets such that regions alive at the same time never share a byte: first fit, largest
    first.
    """
    placed: list[tuple[int, Region]] = []
    for region in sorted(regions, key=lambda r: (-r.storage.bytes, r.born, r.key)):
        offset = 0
        for taken, other in sorted(placed, key=lambda p: p[0]):
            if region.overlaps(other) and taken < offset + region.storage.bytes:
                offset = max(offset, _aligned(taken + other.storage.bytes))
        placed.append((offset, region))
    return {region.key: offset for offset, region in placed}


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
