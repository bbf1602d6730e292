"""Whole networks, simulated: every output and membrane of every neuron as the golden model says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from driving import Bench, fields
from snngen_hdl.chip import Chip, ChipPlan
from snngen_hdl.streams import Kind

from snngen import golden
from snngen.errors import ConversionError
from snngen.fixed import FixedNet
from snngen.ops import Interval
from snngen.simulate import simulate
from snngen.targets.hdl.bitstream import build, sources
from snngen.targets.hdl.boards import BOARDS
from snngen.targets.hdl.check import check_supported
from snngen.targets.hdl.engine import ChipEngine
from snngen.targets.hdl.plan import Fold
from snngen.verify import verify_with
from tests.chips import is_supported, planned, width, with_weight_changed
from tests.drawn import drawn
from tests.networks import level_showcase, random_images, spiking_showcase
from tests.streams import stream_showcase

IMAGES = 2


def first_difference(net: FixedNet, plan: ChipPlan, *, gaps: float = 0.0) -> str | None:
    """Of a simulated chip from the golden model: layer, what, image and timestep, neuron."""
    images = random_images(net, IMAGES)
    expected = golden.trace(net, images)
    chip = Chip(plan)
    outputs = int(np.prod(net.layers[-1].shape))
    bench = Bench(chip, gaps=gaps)
    shaped = images.transpose(0, 2, 3, 1) if net.input.layout == "HWC" else images
    bench.give(chip.i, [int(b) for b in shaped.ravel()])
    read = {s.source for layer in net.layers for s in layer.synapses}
    unread = any(layer.name not in read for layer in net.layers[:-1])  # and perhaps not done yet
    count = IMAGES * (2 + outputs)
    words = bench.take(chip.o, count, cycles=300_000, then=1000 if unread else 0)
    held = [
        bench.watch(core.seen_valid, core.seen_place, core.seen_membrane)
        for core in chip.network.layers
    ]
    sent = [
        bench.watch(core.o.valid & core.o.ready, core.o.payload) for core in chip.network.layers
    ]
    bench.run()
    for layer, core, passes, events in zip(
        net.layers, chip.network.layers, held, sent, strict=True
    ):
        shape = (IMAGES * net.timesteps, *layer.shape)
        found = {"membrane": np.zeros(shape, np.int64), "output": np.zeros(shape, np.int64)}
        step = 0
        for place, membranes in passes:
            for lane in range(core.plan.lanes):
                c = place.group * core.plan.lanes + lane
                if c < layer.shape[0]:
                    found["membrane"][step, c, place.y, place.x] = membranes[lane]
            step += place.kind != Kind.EVENT
        step = 0
        for (token,) in events:
            at = fields(token)
            if token.kind == Kind.EVENT:
                found["output"][step, at["c"], at["y"], at["x"]] += at["value"]
            else:
                step += 1
        for what, have in found.items():
            want = getattr(expected[layer.name], what)
            if want is not None and not np.array_equal(want.reshape(shape), have):
                where = np.argwhere(want.reshape(shape) != have)[0].tolist()
                at = tuple(where)
                values = f"expected {want.reshape(shape)[at]}, got {have[at]}"
                return f"{layer.name}: {what} at {where}: {values}"
    final = expected[net.layers[-1].name].membrane[:, -1].reshape(IMAGES, -1)
    results = np.array(words, np.uint32).view(np.int32).reshape(IMAGES, -1)
    if results[:, 0].tolist() != net.classes(final).tolist():
        return "classes"
    return None


def test_every_operator_of_levels() -> None:
    net = level_showcase()
    assert first_difference(net, planned(net, Fold(4, 2), stutters=False, depth=4)) is None


@pytest.mark.parametrize("number", [1, 3, 4, 8, 9])
def test_random_networks(number: int) -> None:
    net = next(net for net in (drawn(number + k) for k in range(0, 50, 10)) if is_supported(net))
    plan = planned(net, width(number), stutters=number % 2 == 1, depth=2 + number)
    assert first_difference(net, plan, gaps=0.3) is None


@pytest.mark.slow
@pytest.mark.parametrize("make", [level_showcase, spiking_showcase])
def test_compiled_by_verilator(make) -> None:
    """As benchmarks do with many more networks (bench.hardware)."""
    net = make()
    with ChipEngine(net, planned(net, Fold(3, 3), stutters=True, depth=4), pauses=30) as engine:
        images = random_images(net, 20)
        found = verify_with(net, images, engine, target="hdl", full_trace_images=5, apart=False)
        answers = engine.alone(images)
    assert found.is_equal and found.timing is not None and found.timing.interval.images == 18
    assert np.array_equal(answers.classes, simulate_classes(net, images))


def simulate_classes(net: FixedNet, images: np.ndarray) -> list[int]:
    return net.classes(simulate(net, images).outputs[:, -1])


def test_a_fault_is_named() -> None:
    """A weight that is one off."""
    net = level_showcase()
    plan = planned(net, Fold(2), stutters=False, depth=4)
    faulty = with_weight_changed(plan, "dense")
    assert str(first_difference(net, faulty)).startswith("dense: membrane")


def test_what_cores_do_not_compute() -> None:
    with pytest.raises(ConversionError, match="a stream of events"):
        check_supported(stream_showcase())
    net = level_showcase()
    lower = [
        replace(layer, output=Interval(layer.output.lo - 3, layer.output.hi))
        for layer in net.layers
    ]
    with pytest.raises(ConversionError, match="layer 'pool': max pooling must read"):
        check_supported(replace(net, layers=tuple(lower)))
    for make in (level_showcase, spiking_showcase):
        check_supported(make())


@pytest.mark.slow
def test_bitstream(tmp_path: Path) -> None:
    net = level_showcase()
    chip = planned(net, Fold(), stutters=False, depth=2)
    board = BOARDS["hx8k_evn"]
    made = build(sources(chip, board, b"identity"), board, tmp_path)
    assert made.files["top.bin"][:2] == b"\xff\x00" and made.mhz * 1e6 > board.hertz
    used, there = made.used["ICESTORM_LC"]
    assert 0 < used < there
