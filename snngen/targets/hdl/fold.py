"""Folding: how many channels and columns of each layer are worked on at once.

A pipeline is as fast as its slowest layer. So lanes and banks go, one doubling after the other, to
the layer that takes most cycles, for as long as there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from snngen_hdl.layer import LayerPlan
from snngen_hdl.routes import column_steps

from snngen.fixed import FixedLayer, FixedNet

Fold = tuple[int, int]  # lanes, banks
Rates = Mapping[str, NDArray[np.float64]]  # how many events a neuron sends: (C, H, W) by layer


@dataclass(frozen=True)
class Cycles:
    """Of a layer, for one image: those of additions, and those of the passes."""

    additions: float
    passes: float

    @property
    def all(self) -> float:
        return self.additions + self.passes


def cycles(net: FixedNet, layer: FixedLayer, plan: LayerPlan, rates: Rates) -> Cycles:
    """What a layer takes for an image, where neurons of its sources send events at `rates`, events
    per image: one cycle for each operation, and one for each word of each pass.
    """
    additions = 0.0
    for synapse, routes in zip(layer.synapses, plan.routes, strict=True):
        rows = np.array([len(taps) for taps in routes.rows])
        columns = np.array([len(steps) for steps in column_steps(routes.columns, plan.banks)])
        groups = np.array([len(routes.groups_of(c, plan.groups)) for c in range(routes.source[0])])
        work = groups[:, None, None] * rows[:, None] * columns
        additions += float((np.maximum(work, 1) * rates[synapse.source]).sum())
    words = layer.shape[1] * layer.shape[2] * plan.groups
    return Cycles(additions, words * net.timesteps)


def folded(
    net: FixedNet,
    planned: Callable[[FixedLayer, Fold], LayerPlan],
    rates: Rates,
    fits: Callable[[Mapping[str, LayerPlan]], bool],
) -> Mapping[str, LayerPlan]:
    """The plans of all layers: begun with one lane and bank each; then the layer that takes most
    cycles gets twice as many lanes, or banks, whichever saves more, as long as all of them `fits`.
    """
    folds: dict[str, Fold] = {layer.name: (1, 1) for layer in net.layers}
    plans = {layer.name: planned(layer, folds[layer.name]) for layer in net.layers}
    taken = {n: cycles(net, net[n], plan, rates).all for n, plan in plans.items()}
    while True:
        slowest = max(taken, key=lambda name: taken[name])
        layer = net[slowest]
        options = []
        for fold in _wider(layer, plans[slowest]):
            plan = planned(layer, fold)
            options.append((cycles(net, layer, plan, rates).all, fold, plan))
        better = [o for o in sorted(options, key=lambda o: o[:2]) if o[0] < taken[slowest]]
        chosen = next((o for o in better if fits(plans | {slowest: o[2]})), None)
        if chosen is None:
            return plans
        taken[slowest], folds[slowest], plans[slowest] = chosen


def _wider(layer: FixedLayer, plan: LayerPlan) -> list[Fold]:
    """Twice as many lanes, no more than channels take; as many banks as a kernel has columns."""
    found = []
    if plan.lanes < layer.shape[0] and not layer.is_wiring:
        found.append((2 * plan.lanes, plan.banks))
    most = max((len(taps) for routes in plan.routes for taps in routes.columns), default=1)
    if plan.banks < min(most, layer.shape[2]):
        found.append((plan.lanes, min(most, layer.shape[2])))
    return found
