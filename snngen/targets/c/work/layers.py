"""The turns of every piece in every layer: mirrors snn_run.c, snn_gather.c and snn_line.c."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer, FixedNet
from snngen.golden import Trace
from snngen.neurons import IF, Accumulate
from snngen.simulate import simulate
from snngen.spiking import INPUT, Synapse
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.constants import LayerView
from snngen.targets.c.schedule import Optimise, Plan, constant_synapses, plan, takes_back
from snngen.targets.c.storage import PARAMETERS, Storage, narrowest
from snngen.targets.c.structs import ABIS
from snngen.targets.c.views import model_view
from snngen.targets.c.way import Way
from snngen.targets.c.work.neurons import NEURONS, Fired, count_trains
from snngen.targets.c.work.pieces import Counts, Tally
from snngen.targets.c.work.rows import Values, clear, copy, fill, get_line, kind, put_line
from snngen.targets.c.work.synapses import SYNAPSES, Read, count_maxima, count_pooled

Turns = Mapping[str, Counts]  # by piece, (runs,)


def turns_of(
    net: FixedNet, images: NDArray[np.uint8], board: str, optimise: Optimise = "speed"
) -> dict[str, Turns]:
    """By layer in the order in which they run, what is not of layers by "". A layer that pools
    another as it comes counts with that. Runs are `images` (n, C, H, W), or every timestep of
    streams (n, T, C, H, W).
    """
    chosen = plan(net, optimise=optimise)
    views = {view.number: view for view in model_view(net, chosen).layers}
    is_8_bit = board_is_8_bit(board)
    parts: list[dict[str, Turns]] = []
    for image in images:  # one at a time: a trace of many would be large
        trace = simulate(net, image[None], trace=True).trace
        assert trace is not None
        counted = _Counting(net, chosen, views, _runs(net, image, trace), is_8_bit)
        parts.append(
            {"": counted.ends(), **{net.layers[k].name: counted.layer(k) for k in chosen.order}}
        )
    return {
        name: {
            piece: np.concatenate([_turns(part[name], piece) for part in parts])
            for piece in sorted({piece for part in parts for piece in part[name]})
        }
        for name in parts[0]
    }


def board_is_8_bit(board: str) -> bool:
    """Whether it runs the code of processors of 8 bits."""
    abi = ABIS.get(BOARDS[board].compiler[0])
    return abi is not None and abi.is_8_bit


def _turns(turns: Turns, piece: str) -> Counts:
    runs = len(next(iter(turns.values())))
    return turns.get(piece, np.zeros(runs))


@dataclass(frozen=True, eq=False)
class _Runs:
    """What was sent and held in each run by name, (runs, planes, C, H, W), the input among them;
    `fresh` (runs,): how many timesteps of it begin with the initial state.
    """

    sent: Mapping[str, Values]
    held: Mapping[str, Values | None]
    fresh: Counts


def _runs(net: FixedNet, image: NDArray[np.uint8], trace: Trace) -> _Runs:
    channel = np.arange(net.input.shape[0])[:, None, None]
    given = net.input.table[channel, image].astype(np.int64)

    def arranged(values: Values) -> Values:  # (1, T, C, H, W)
        return values.swapaxes(0, 1) if net.is_stream else values

    sent = {INPUT: given[:, None] if net.is_stream else given[None, None]}
    held: dict[str, Values | None] = {}
    for layer in net.layers:
        found = trace[layer.name]
        sent[layer.name] = arranged(found.output)
        held[layer.name] = None if found.membrane is None else arranged(found.membrane)
    fresh = np.zeros(len(sent[INPUT]))
    fresh[0] = 1
    return _Runs(sent, held, fresh)


@dataclass(frozen=True, eq=False)
class _Counting:
    net: FixedNet
    chosen: Plan
    views: Mapping[int, LayerView]
    runs: _Runs
    is_8_bit: bool

    def ends(self) -> Turns:
        """The image put in, and the class read."""
        net = self.net
        tally = Tally(len(self.runs.fresh))
        channels, height, width = net.input.shape
        table = net.input.table.astype(np.int64)
        pixels = self.chosen.regions[INPUT, "values"].storage.element
        same_order = net.input.layout == "HWC" or channels == 1
        differ = bool((table != table[0]).any())
        count = channels * height * width
        stored = narrowest(int(table.min()), int(table.max()), PARAMETERS)
        plain = same_order and not differ and (stored == pixels or pixels.bits == 8)
        tally.add("model.run", 1)
        tally.add("model.byte" if plain else "model.code", count)
        output = self.chosen.regions[net.layers[-1].name, "values"].storage
        results = int(np.prod(net.layers[-1].shape))
        tally.add("model.output", results)
        tally.add(f"get.{kind(output.element)}", results)
        return tally.turns

    def layer(self, number: int) -> Turns:
        """One layer, with what pools it."""
        net, layer, view = self.net, self.net.layers[number], self.views[number]
        tally = Tally(len(self.runs.fresh))
        stepped = number in self.chosen.order[self.chosen.at_once :]
        planes = self._planes(layer.name, stepped)
        calls = planes if stepped else 1
        if view.run == "snn_max_pool_counts":
            read = self._read(layer, 0, planes)
            state = self.chosen.regions.get((layer.name, "membrane"))
            count_maxima(
                tally,
                read,
                self._stored(layer.name),
                state.storage if state else None,
                self.runs.fresh,
                behind=net.is_stream,
            )
            return tally.turns
        height = layer.shape[1]
        tally.add_all("gather", call=calls, line=calls * height)
        trains = view.run == "snn_trains"
        if not trains:
            tally.add("gather.step", planes * height)
        self._current(tally, layer, view, planes, calls)
        fired = Fired(
            layer,
            self._stored(layer.name),
            self.runs.sent[layer.name][:, : net.timesteps if trains else planes],
            self.runs.held[layer.name],
            planes * height,
            self.is_8_bit,
        )
        pool = self.chosen.pooled.get(layer.name)
        if trains:
            count_trains(tally, fired, net.timesteps, pooled=pool is not None)
        else:
            self._state(tally, layer, stepped, calls)
            NEURONS[view.fire](tally, fired)
        if pool is not None:
            source = net[pool].synapses[0]
            of_lines = net.timesteps if trains else planes
            read = self._reading(net[pool], source, None, of_lines)
            count_pooled(tally, read, self._stored(pool), fired.output)
        return tally.turns

    def _planes(self, name: str, stepped: bool) -> int:
        """Timesteps that a layer is evaluated for in a run."""
        constant = self.net.is_constant(name) and not stepped
        return 1 if constant or self.net.is_stream else self.net.timesteps

    def _stored(self, name: str) -> Storage:
        return self.chosen.regions[name, "values"].storage

    def _current(
        self, tally: Tally, layer: FixedLayer, view: LayerView, planes: int, calls: int
    ) -> None:
        """What is gathered, line by line."""
        net, (channels, height, width) = self.net, layer.shape
        constant = constant_synapses(net, layer)
        trains = view.run == "snn_trains"
        filled = calls if constant or trains else planes
        fill(tally, layer.bias, channels, width, filled * height)
        if constant and not trains:
            copy(tally, channels * width, planes * height)
        for place, synapse in enumerate(layer.synapses):
            once = net.is_constant(synapse.source) and net.timesteps > 1
            added = calls if once else planes
            read = self._read(layer, place, added)
            tally.add("gather.synapse", added * height)
            if read.way is not None and read.way.prepare != "NULL":
                prepared = calls if net.is_constant(synapse.source) else planes
                tally.add("gather.prepare", prepared * height)
            name = next(s.add for s in view.synapses if s.place == place)
            SYNAPSES[name](tally, read)

    def _state(self, tally: Tally, layer: FixedLayer, stepped: bool, calls: int) -> None:
        """Membranes and balances, loaded and stored."""
        if not isinstance(layer.neuron, IF | Accumulate):
            return
        channels, height, width = layer.shape
        fresh = self.runs.fresh * height
        later = (calls - self.runs.fresh) * height
        initial = layer.neuron.v_init if isinstance(layer.neuron, IF) else None
        fill(
            tally, None if initial is None or not initial.any() else initial,
            channels, width, fresh,
        )  # fmt: skip
        regions = self.chosen.regions
        state = regions.get((layer.name, "membrane"))
        if isinstance(layer.neuron, Accumulate):
            state = regions[layer.name, "values"]
        if takes_back(layer):
            clear(tally, 4 * channels * width, fresh)
        if not stepped or state is None:
            return
        held = [state]
        if takes_back(layer):
            held.append(regions[layer.name, "balance"])
        for region in held:
            get_line(tally, region.storage, later)
            put_line(tally, region.storage, calls * height)

    def _read(self, layer: FixedLayer, place: int, planes: int) -> Read:
        way = self.chosen.ways[layer.name, place]
        found = way if isinstance(way, Way) else None
        return self._reading(layer, layer.synapses[place], found, planes)

    def _reading(self, layer: FixedLayer, synapse: Synapse, way: Way | None, planes: int) -> Read:
        values = self.runs.sent[synapse.source]
        if values.shape[1] == 1:
            shape = (len(values), planes, *values.shape[2:])
            values = np.broadcast_to(values, shape)
        return Read(
            synapse.op,
            way,
            values[:, :planes],
            self._stored(synapse.source).element,
            layer.shape,
            self.is_8_bit,
        )
