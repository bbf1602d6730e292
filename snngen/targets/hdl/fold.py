"""Folding: how much of each layer is worked on at once, and how long the pipeline then takes.

A pipeline is as fast as its slowest part. So lanes, banks and queues go, one after the other, to
the layers that save most cycles by them, for as long as there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from snngen_hdl.crossbar import HAZARD
from snngen_hdl.layer import LayerPlan
from snngen_hdl.routes import Routes, steps_of

from snngen.fixed import FixedLayer, FixedNet
from snngen.spiking import INPUT
from snngen.targets.hdl.plan import Fold

Rates = Mapping[str, NDArray[np.float64]]  # how many events a neuron sends: (C, H, W) by layer
IMAGES = 8  # behind each other, until they come out in step
BEHIND = 0.9  # of the slowest stage: what takes as long is worth widening, too


@dataclass(frozen=True)
class Cycles:
    """Of a layer, for one image: those of additions, by synapse, and those of the passes. `queued`:
    a whole pass may wait for those who read it.
    """

    by_synapse: tuple[float, ...]
    passes: float
    queued: bool

    @property
    def additions(self) -> float:
        return sum(self.by_synapse)


def cycles(net: FixedNet, layer: FixedLayer, plan: LayerPlan, rates: Rates) -> Cycles:
    """What a layer takes for an image, where neurons of its sources send events at `rates`, events
    per image: those of operations, and one for each word of each pass.
    """
    additions = tuple(
        float((_of_event(routes, plan) * rates[synapse.source]).sum())
        for synapse, routes in zip(layer.synapses, plan.routes, strict=True)
    )
    return Cycles(additions, plan.words * net.timesteps, plan.ahead >= plan.words)


def _of_event(routes: Routes, plan: LayerPlan) -> NDArray[np.float64]:
    """The cycles of one event of each source neuron, (C, H, W): one for each operation, and more
    where so few of them lie between two on the same row and group that the second one waits.
    """
    rows = np.array([len(steps) for steps in steps_of(routes.rows, plan.bank_rows)])[:, None]
    columns = np.array([len(steps) for steps in steps_of(routes.columns, plan.banks)])
    reached = [len(routes.groups_of(c, plan.groups)) for c in range(routes.source[0])]
    groups = np.array(reached)[:, None, None]
    again = np.where(columns > 1, np.maximum(rows * groups, HAZARD + 1), rows * groups)
    work = again * (columns - 1) + rows * groups
    least = HAZARD + 1 if routes.channels is None else 1  # the next event is of the same place
    found: NDArray[np.float64] = np.maximum(work * (columns > 0), least).astype(np.float64)
    return found


def pace(net: FixedNet, taken: Mapping[str, Cycles]) -> float:
    """Cycles from one image to the next, where images follow each other closely.

    A layer takes the events of an image, then passes over its neurons; it takes those of the next
    one when all words have left, or wait in its queue. All readers take its words in step, and none
    takes those of an image before it is done with the last one.
    """
    readers: dict[str, list[tuple[str, float]]] = {
        name: [] for name in (INPUT, *(layer.name for layer in net.layers))
    }
    for layer in net.layers:
        for synapse, work in zip(layer.synapses, taken[layer.name].by_synapse, strict=True):
            readers[synapse.source].append((layer.name, work))
    size = float(np.prod(net.input.shape)) * net.timesteps
    free = dict.fromkeys(readers, 0.0)  # when a layer may take the next image
    left = dict.fromkeys(readers, 0.0)  # when the last event of an image has left it

    def leaves(name: str, start: float, least: float) -> float:
        begins = max((free[reader] for reader, _ in readers[name]), default=start)
        lasts = max((work for _, work in readers[name]), default=0.0)
        return max(start + least, max(start, begins) + lasts)

    done = []
    for _ in range(IMAGES):
        left[INPUT] = leaves(INPUT, left[INPUT], size)
        for layer in net.layers:
            name, cost = layer.name, taken[layer.name]
            ready = max(
                free[name] + cost.additions, *(left[synapse.source] for synapse in layer.synapses)
            )
            before = left[name]
            left[name] = leaves(name, max(ready, before), cost.passes)
            free[name] = max(ready + cost.passes, before) if cost.queued else left[name]
        done.append(left[net.layers[-1].name])
    return max(after - before for before, after in pairwise(done[IMAGES // 2 :]))


def folded(
    net: FixedNet,
    planned: Callable[[FixedLayer, Fold], LayerPlan],
    rates: Rates,
    fits: Callable[[Mapping[str, LayerPlan]], bool],
) -> Mapping[str, Fold]:
    """The folds of all layers: begun with the least; then, again and again, the one change that
    brings the images closest together, as long as all of them `fits`. Where no single one does, as
    two layers are equally slow, a change that makes a slow one faster.
    """
    folds = {layer.name: Fold() for layer in net.layers}
    plans = {layer.name: planned(layer, folds[layer.name]) for layer in net.layers}
    taken = {name: cycles(net, net[name], plan, rates) for name, plan in plans.items()}
    fastest, best = pace(net, taken), dict(folds)
    now = fastest
    while True:
        slow = _slow(net, taken)
        options = []
        for place, layer in enumerate(net.layers):
            for fold in _wider(layer, plans[layer.name], folds[layer.name]):
                changed = taken | {layer.name: cycles(net, layer, planned(layer, fold), rates)}
                then = pace(net, changed)
                relief = _load(net, changed) < _load(net, taken)
                if then < now or (then == now and layer.name in slow and relief):
                    options.append((then, _load(net, changed), place, fold))
        changes = ((o, net.layers[o[2]], o[3]) for o in sorted(options))
        chosen = next((c for c in changes if fits(plans | {c[1].name: planned(*c[1:])})), None)
        if chosen is None:
            return best
        (now, *_), layer, fold = chosen
        folds[layer.name], plans[layer.name] = fold, planned(layer, fold)
        taken[layer.name] = cycles(net, layer, plans[layer.name], rates)
        if now < fastest:
            fastest, best = now, dict(folds)


def _stages(net: FixedNet, taken: Mapping[str, Cycles]) -> dict[str, float]:
    """How long each layer is busy with an image, or kept so by one that reads it."""
    held = {name: 0.0 if cost.queued else cost.passes for name, cost in taken.items()}
    for layer in net.layers:
        for synapse in layer.synapses:
            if synapse.source != INPUT and not taken[synapse.source].queued:
                additions = taken[layer.name].additions
                held[synapse.source] = max(held[synapse.source], additions)
    return {name: cost.additions + max(cost.passes, held[name]) for name, cost in taken.items()}


def _slow(net: FixedNet, taken: Mapping[str, Cycles]) -> set[str]:
    """The layers that take almost as long as the slowest one, and those that keep them waiting."""
    stages = _stages(net, taken)
    most = max(stages.values())
    found = {name for name, stage in stages.items() if stage >= BEHIND * most}
    readers = {
        layer.name for layer in net.layers for synapse in layer.synapses if synapse.source in found
    }
    return found | readers


def _load(net: FixedNet, taken: Mapping[str, Cycles]) -> float:
    """Less, the faster the slowest layers are."""
    return float(sum(stage**4 for stage in _stages(net, taken).values()))


def _wider(layer: FixedLayer, plan: LayerPlan, fold: Fold) -> Sequence[Fold]:
    """Twice as many lanes, no more than channels take; as many banks as a kernel has columns; one
    step less for its rows; a queue for a whole pass.
    """
    found = []
    if fold.lanes < layer.shape[0] and not layer.is_wiring:
        found.append(fold._replace(lanes=2 * fold.lanes))
    rows, columns = (
        min(size, max((len(taps) for axis in axes for taps in axis), default=1))
        for size, axes in (
            (layer.shape[1], [routes.rows for routes in plan.routes]),
            (layer.shape[2], [routes.columns for routes in plan.routes]),
        )
    )
    if fold.banks < columns:
        found.append(fold._replace(banks=columns))
    fewer = -(-rows // fold.bank_rows) - 1
    if fewer:
        found.append(fold._replace(bank_rows=-(-rows // fewer)))
    if plan.ahead < plan.words:
        found.append(fold._replace(queued=True))
    return found
