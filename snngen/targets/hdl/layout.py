"""A network laid out for a board: how much hardware each layer gets, what it takes, how fast."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
from amaranth.hdl import Elaboratable
from snngen_hdl.chip import ChipPlan
from snngen_hdl.layer import Layer, LayerPlan
from snngen_hdl.link import Link, LinkPlan
from snngen_hdl.network import INPUT as THE_INPUT
from snngen_hdl.source import ImageSource, Readout
from snngen_hdl.streams import Queue, token

from snngen.data import synthetic
from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedLayer, FixedNet
from snngen.simulate import simulate
from snngen.spiking import INPUT
from snngen.targets.hdl.area import area_of, contents, counted
from snngen.targets.hdl.boards import Board
from snngen.targets.hdl.check import check_supported
from snngen.targets.hdl.energy import Activity, activity
from snngen.targets.hdl.family import Area
from snngen.targets.hdl.fold import Cycles, Rates, cycles, folded, pace
from snngen.targets.hdl.plan import Fold, plan_chip, plan_layer

IMAGES = 4  # synthetic ones, which tell how often neurons send
ROOM = Area(luts=97, registers=90, blocks=100, multipliers=100)  # %, beyond which routing may fail
LINK = Area(luts=560, registers=240)  # state machines are beyond the fit: as synthesised
HASH = Area(luts=350, registers=110)


@dataclass(frozen=True, eq=False)
class Layout:
    """`plan`: the chip. By layer: `folds`; `cores`, what it takes; `cycles`, how many it works on
    an image. `period`: cycles from image to image. `around`: what is not of layers. `activity`:
    what all layers do for an image.
    """

    board: Board
    plan: ChipPlan
    folds: Mapping[str, Fold]
    cores: Mapping[str, Area]
    cycles: Mapping[str, Cycles]
    period: float
    around: Area
    activity: Activity

    @property
    def area(self) -> Area:
        return sum(self.cores.values(), self.around)


def lay_out(net: FixedNet, board: Board) -> Layout:
    """As much hardware for each layer as it takes not to keep the others waiting, and as there is
    on `board`, which has witnesses if there is room for them. ConversionError where the cores do
    not compute all of `net`, or where even the smallest ones do not fit.
    """
    check_supported(net)
    rates = _rates(net)
    if board.platform:
        with suppress(ConversionError):
            return _laid_out(net, board, rates, witnessed=True)
    return _laid_out(net, board, rates, witnessed=False)


def _laid_out(net: FixedNet, board: Board, rates: Rates, *, witnessed: bool) -> Layout:
    @cache
    def planned(layer: FixedLayer, fold: Fold) -> LayerPlan:
        return plan_layer(net, layer, fold, board.waiting, witnessed)

    def chip(folds: Mapping[str, Fold]) -> ChipPlan:
        return plan_chip(net, folds, ahead=board.waiting, link=board.waiting, witnessed=witnessed)

    @cache
    def core(plan: LayerPlan) -> Area:
        return area_of(Layer(plan), board.family)

    smallest = {layer.name: Fold() for layer in net.layers}
    around = _around(chip(smallest), board)

    def fits(plans: Mapping[str, LayerPlan]) -> bool:
        return _exceeded(sum((core(plan) for plan in plans.values()), around), board) is None

    folds = folded(net, planned, rates, fits)
    plans = {name: planned(net[name], fold) for name, fold in folds.items()}
    cores = {name: core(plan) for name, plan in plans.items()}
    problem = _exceeded(sum(cores.values(), around), board)
    if problem is not None:
        raise ConversionError(_too_large(net, board, cores, problem))
    taken = {name: cycles(net, net[name], plan, rates) for name, plan in plans.items()}
    work, period = activity(net, plans, rates), pace(net, taken)
    return Layout(board, chip(folds), folds, cores, taken, period, around, work)


def _rates(net: FixedNet) -> Rates:
    """How many events each neuron sends for an image."""
    images = synthetic(net.input.shape, IMAGES)
    channel = np.arange(net.input.shape[0])[:, None, None]
    given = (net.input.table[channel, images] != 0).mean(0) * net.timesteps
    trace = simulate(net, images, trace=True).trace
    assert trace is not None
    return {INPUT: given} | {
        name: (layer.output != 0).sum(1).mean(0) for name, layer in trace.items()
    }


def _around(plan: ChipPlan, board: Board) -> Area:
    """Source, readout, the link to the host, and the links between layers."""
    network = plan.network
    shapes = {k: token(layer.shape, layer.value) for k, layer in enumerate(network.layers)}
    shapes[THE_INPUT] = token(network.shape, network.received)
    queues = [Queue(shapes[k], network.link) for sources in network.sources for k in sources]
    known = (bytes(plan.source.count), 0) if network.witnessed else None
    host = LinkPlan(bytes(256), plan.source.count, plan.readout.count, known)
    parts: list[Elaboratable] = [
        ImageSource(plan.source),
        Readout(plan.readout, network.layers[-1].value),
        *queues,
    ]
    machines = LINK + HASH if network.witnessed else LINK
    memories = Area(0, 0, *counted(contents(Link(host)), board.family))
    return sum((area_of(part, board.family) for part in parts), machines + memories)


def _exceeded(area: Area, board: Board) -> str | None:
    """What there is too little of, and how much would be needed."""
    cells = area.luts + round(board.family.lone_registers * area.registers)
    for what, used, there, share in zip(
        ("logic cells", "registers", "blocks of memory", "multipliers"),
        (cells, *area.numbers[1:]),
        board.has.numbers,
        ROOM.numbers,
        strict=True,
    ):
        if used * 100 > there * share:
            return f"{used:,} {what} of {there * share // 100:,}"
    return None


def _too_large(net: FixedNet, board: Board, cores: Mapping[str, Area], problem: str) -> Problem:
    largest = sorted(cores, key=lambda name: (-cores[name].blocks, -cores[name].luts, name))[:5]
    parts = ", ".join(f"{n} {cores[n].luts:,} and {cores[n].blocks}" for n in largest)
    return Problem(
        f"board {board.name}",
        f"has no room for network '{net.name}'",
        f"{problem}; tables and blocks: {parts}",
        "fewer weight bits, levels or channels take less, or take a larger board",
    )
