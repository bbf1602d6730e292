"""What is measured of a chip, and that a fault in it would be found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from snngen_hdl.chip import Chip, ChipPlan

from bench.accuracy import Subject
from bench.boards import DIGITS, check_model
from bench.hardware.rates import firing, firing_at, lenet
from bench.networks import NETWORKS, QUANTISED, SCATTER_GATHER
from snngen.convert import Options
from snngen.errors import ConversionError
from snngen.fixed import FixedLayer, FixedNet
from snngen.graph import in_layout
from snngen.ops import Conv, Op
from snngen.simulate import simulate
from snngen.targets.hdl.boards import BOARDS, Board
from snngen.targets.hdl.engine import ChipEngine
from snngen.targets.hdl.layout import Layout, lay_out
from snngen.targets.hdl.plan import Fold, plan_chip
from snngen.targets.hdl.toolchain import rtlil_of
from snngen.targets.timing import Spread
from snngen.verify import Difference, verify_with
from tests.chips import planned, width, with_weight_at_limit, with_weight_changed
from tests.drawn import drawn
from tests.networks import random_images

TRACED = 20
RANDOM_IMAGES = 3
RATE_IMAGES, RATE_TRACED = 20, 2
PAUSES = 30
FAULT_IMAGES = 20
Images = NDArray[np.uint8]
Record = dict[str, Any]
Fault = Callable[[ChipPlan, str], ChipPlan]
FAULTS: Mapping[str, Fault] = {"one off": with_weight_changed, "at its limit": with_weight_at_limit}


@dataclass(frozen=True, eq=False)
class Item:
    """Something to be measured of the chip of `plan`, where there is one, on so many images."""

    label: str
    plan: ChipPlan | None
    images: int
    measured: Callable[[], Record]

    @property
    def source(self) -> str:
        """Names the RTL, with the number of images."""
        if self.plan is None:
            return ""
        return f"{sha256(rtlil_of(Chip(self.plan))).hexdigest()[:16]} {self.images}"


@dataclass(frozen=True)
class Case:
    """A trained network laid out for a board, that runs so many images."""

    label: str
    network: str
    options: Options
    board: str
    images: int = 1000

    @property
    def key(self) -> str:
        return f"{self.label}, {self.board}"

    def made(self, count: int) -> tuple[FixedNet, Images, NDArray[np.int64]]:
        """The network; images of its test set, then of its training set until there are `count`;
        and labels of the first ones.
        """
        known = NETWORKS | QUANTISED | SCATTER_GATHER | DIGITS
        subject = Subject(self.network, known[self.network])
        net, test = subject.convert(self.options), subject.test
        assert test.labels is not None
        more = subject.network.training(net.input.shape, max(1, count - len(test.images)))
        return net, np.concatenate([test.images, more])[:count], test.labels[:count]


def images(case: Case) -> Item:
    """The images on the chip: everything that is compared, and cycles; or why it does not fit the
    board.
    """
    net, given, labels = case.made(case.images)
    try:
        layout = lay_out(net, BOARDS[case.board])
    except ConversionError as error:
        refused = {"refused": error.problems[0].rule, "found": error.problems[0].found}
        return Item(case.key, None, 0, lambda: refused)
    return Item(
        case.key, layout.plan, case.images, lambda: _images(case, net, layout, given, labels)
    )


def _images(
    case: Case, net: FixedNet, layout: Layout, given: Images, labels: NDArray[np.int64]
) -> Record:
    check_model(net, given[:TRACED])
    hertz = layout.board.hertz
    with ChipEngine(net, layout.plan, hertz=hertz) as engine:
        found = verify_with(
            net, given, engine, target=case.key, full_trace_images=TRACED, apart=False
        )
        alone = engine.alone(given)
    expected = simulate(net, given)
    final = expected.outputs[:, -1]
    results = in_layout(final, net.layers[-1].shape, net.output_layout)
    same = np.array_equal(alone.outputs, results) and np.array_equal(
        alone.classes, net.classes(final)
    )
    assert found.timing is not None
    return {
        "hertz": hertz,
        "images": len(given),
        "numbers": found.values,
        "difference": _said(found.difference),
        "same_alone": bool(same),
        "labelled": len(labels),
        "correct": int((alone.classes[: len(labels)] == labels).sum()),
        "latency": _spread(alone.cycles.tolist()),
        "interval": _spread_of(found.timing.interval),
        "estimated": layout.period,
        "spikes": _spread(_spikes(net, expected.spikes)),
    }


def random(number: int) -> Item:
    """Whole traces of one random network, with queues and widths that differ from one to the next,
    links that stop at random, and a bench that does.
    """
    net, plan, pauses = random_chip(number)
    return Item(f"{number:02}", plan, RANDOM_IMAGES, lambda: _random(number, net, plan, pauses))


def _random(number: int, net: FixedNet, plan: ChipPlan, pauses: int) -> Record:
    given = random_images(net, RANDOM_IMAGES)
    check_model(net, given)
    difference, numbers = whole_traces(net, plan, given, pauses)
    fold = width(number)
    return {
        "input": "x".join(map(str, net.input.shape)),
        "timesteps": net.timesteps,
        "layers": ", ".join(_layer(layer) for layer in net.layers),
        "width": f"{fold.lanes} x {fold.banks} x {fold.bank_rows}",
        "stops": _stops(number),
        "numbers": numbers,
        "difference": difference,
    }


def random_chip(number: int) -> tuple[FixedNet, ChipPlan, int]:
    """Random network `number`, its chip, and how often the bench pauses, in %."""
    net = drawn(number)
    links, bench = number % 4 in (1, 3), number % 4 in (2, 3)
    plan = planned(net, width(number), stutters=links, depth=2 + number % 8)
    return net, plan, PAUSES if bench else 0


def whole_traces(
    net: FixedNet, plan: ChipPlan, given: Images, pauses: int = 0
) -> tuple[str | None, int]:
    """What differs first in the traces of images that follow each other; how many numbers were
    compared.
    """
    with ChipEngine(net, plan, pauses=pauses) as engine:
        found = verify_with(
            net, given, engine, target="hdl", full_trace_images=len(given), apart=False
        )
    return _said(found.difference), found.values


def rate(share: float, folds: Mapping[str, Fold], board: Board) -> Item:
    """Cycles of the LeNet whose neurons fire with `share`, on cores of the widths `folds`."""
    net, training, test = lenet()
    net = firing_at(net, training, share)
    plan = plan_chip(net, folds, ahead=board.waiting, link=board.waiting)
    return Item(f"{share:.0%}", plan, RATE_IMAGES, lambda: _rate(net, plan, test[:RATE_IMAGES]))


def _rate(net: FixedNet, plan: ChipPlan, given: Images) -> Record:
    check_model(net, given[:RATE_TRACED])
    with ChipEngine(net, plan) as engine:
        found = verify_with(
            net, given, engine, target="hdl", full_trace_images=RATE_TRACED, apart=False
        )
        alone = engine.alone(given)
    assert found.timing is not None
    return {
        "rates": firing(net, given),
        "spikes": _spread(_spikes(net, simulate(net, given).spikes)),
        "latency": _spread(alone.cycles.tolist()),
        "interval": _spread_of(found.timing.interval),
        "numbers": found.values,
        "difference": _said(found.difference),
    }


def rate_layout(board: Board, share: float) -> Layout:
    """Of the LeNet that fires with `share`."""
    net, training, _ = lenet()
    return lay_out(firing_at(net, training, share), board)


def fault(
    label: str,
    kind: str,
    net: FixedNet,
    plan: ChipPlan,
    layer: str,
    given: Images,
    pauses: int = 0,
) -> Item:
    """What the comparison says of a chip with one number of `layer` changed: with whole traces, and
    with outputs and spike counts alone.
    """
    faulty = FAULTS[kind](plan, layer)

    def measured() -> Record:
        with ChipEngine(net, faulty, pauses=pauses) as engine:
            traces, counts = (
                verify_with(net, given, engine, target="hdl", full_trace_images=n, apart=False)
                for n in (len(given), 0)
            )
        return {
            "changed": f"a weight of layer '{layer}' {kind}",
            "layer": layer,
            "traces": _said(traces.difference),
            "counts": _said(counts.difference),
        }

    return Item(label, faulty, len(given), measured)


def _layer(layer: FixedLayer) -> str:
    """Its operators and its neuron."""
    neuron = "" if layer.neuron is None else f" {type(layer.neuron).__name__}"
    return "+".join(_operator(synapse.op) for synapse in layer.synapses) + neuron


def _operator(op: Op) -> str:
    if isinstance(op, Conv) and op.groups > 1:
        return "DepthwiseConv" if op.weight.shape[1] == 1 else "GroupedConv"
    return type(op).__name__


def _stops(number: int) -> str:
    return ("", "links", "bench", "links, bench")[number % 4]


def _said(difference: Difference | None) -> str | None:
    return None if difference is None else str(difference)


def _spikes(net: FixedNet, spikes: Mapping[str, NDArray[np.int64]]) -> list[int]:
    """Of each image, those of all layers; a level neuron that sends counts once."""
    held = [layer.name for layer in net.layers[:-1] if layer.neuron is not None]
    each = [spikes[name] if net.timesteps > 1 else spikes[name] != 0 for name in held]
    return sum(counts.sum((1, 2, 3)) for counts in each).tolist()


def _spread(numbers: Sequence[int]) -> Record:
    return _spread_of(Spread.of(numbers))


def _spread_of(spread: Spread | None) -> Record:
    assert spread is not None
    return asdict(spread)
