"""Emitted C on emulated processors: equal to the network there too, and counted exactly."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest

from snngen import data, golden
from snngen.convert import Options
from snngen.errors import ConversionError, ToolError
from snngen.evaluate import Ann
from snngen.fixed import FixedNet
from snngen.neurons import Accumulate, Level
from snngen.ops import Linear, Op
from snngen.pipeline import Normalisation, build, read_model
from snngen.spiking import INPUT
from snngen.targets.c import boards
from snngen.targets.c.boards import BOARDS, PACKAGES
from snngen.targets.c.boards import engine as engine_module
from snngen.targets.c.boards import firmware as firmware_module
from snngen.targets.c.boards.cost import measure
from snngen.targets.c.boards.engine import BoardEngine
from snngen.targets.c.emit import emit
from snngen.targets.c.schedule import plan
from snngen.verify import Difference, verify
from tests.drawn import drawn, way
from tests.networks import (
    Builder,
    fixed_input,
    level_showcase,
    random_images,
    spiking_showcase,
)

SMALL = {"if": spiking_showcase, "level": level_showcase}
LOOP = {  # twice as many instructions, or four times as many cycles, as iterations
    "arm": '__asm volatile(".syntax unified\\n1: subs %0, %0, #1\\n bne 1b" : "+l"(n) :: "cc")',
    "riscv64": '__asm volatile("1: addi %0, %0, -1\\n bnez %0, 1b" : "+r"(n))',
    "avr": '__asm volatile("1: sbiw %0, 1\\n brne 1b" : "+w"(n))',
    "powerpc": '__asm volatile("1: addic. %0, %0, -1\\n bne 1b" : "+r"(n) :: "cc")',
}
FIRST_HALF = (  # of a word in memory: the low one only where the byte order is little-endian
    "    return (int16_t)(sum & 0xFFFFu);",
    "    int16_t low;\n    __builtin_memcpy(&low, &sum, sizeof low);\n    return low;",
)
SHORT_INT = (
    "        const int32_t sum = *sums;\n",
    "        const int sum = *sums;\n",
)  # of 16 bits
RUN = "    return model_run_traced(arena, arena_bytes, image, membranes, NULL, NULL);\n"
RUN_TRACED = "    return snn_run(&model_model, image, &options);\n"


@pytest.fixture(params=BOARDS)
def board(request, require) -> str:
    return usable(request.param, require)


def usable(name: str, require) -> str:
    for tool in BOARDS[name].tools:
        require(tool)
    return name


@cache
def digits() -> tuple[FixedNet, np.ndarray]:
    with as_file(files("snngen") / "demo_data") as folder:
        graph = read_model(folder / "digits.onnx")
        images = data.load(str(folder / "digits.npz"), graph.input.shape).images
    ann = Ann(graph, Normalisation().preprocess(graph.input.shape[0]))
    return build(ann, images[:64], Options(method="channel-max", neuron="level")), images[64:]


def edited(net: FixedNet, find: str, replacement: str) -> dict[str, bytes]:
    """Emitted files of `net` with one place of model.c changed."""
    emitted = dict(emit(net))
    text = emitted["model.c"].decode()
    assert text.count(find) == 1
    return {**emitted, "model.c": text.replace(find, replacement).encode()}


@pytest.mark.parametrize("kind", SMALL)
def test_small_networks_are_equal(board: str, kind: str) -> None:
    net = SMALL[kind]()
    result = verify(net, random_images(net, 2), on=board)
    assert result.is_equal
    assert (result.target, result.images, result.traced_images) == (f"c on {board}", 2, 2)


@pytest.mark.parametrize("number", [3, 7, 26])
def test_random_networks_are_equal(board: str, number: int) -> None:
    """The 30 of `python -m bench.boards` take minutes."""
    net = drawn(number)
    schedule, optimise = way(number)
    emitted = emit(net, schedule=schedule, optimise=optimise)
    assert verify(net, random_images(net, 2), files=emitted, on=board).is_equal


def test_digits_are_equal(board: str) -> None:
    net, images = digits()
    assert verify(net, images[:2], on=board).is_equal


def test_a_fault_is_found(board: str) -> None:
    net = level_showcase()
    emitted = edited(net, "layer4_bias[10] = {\n    ", "layer4_bias[10] = {\n    1 +")
    difference = verify(net, random_images(net, 2), files=emitted, on=board).difference
    assert difference is not None
    assert (difference.layer, difference.image, difference.timestep) == ("dense", 0, 0)
    assert difference.quantity == "membrane" and difference.got == difference.expected + 1


@pytest.mark.parametrize("name", ["cortex-m4", "atmega2560", "powerpc"])
def test_a_fault_over_time_is_named(name: str, require) -> None:
    """One neuron's threshold, where a model of the wrong network says that it shows first."""
    net, images, channel = spiking_showcase(), random_images(spiking_showcase(), 1), 5
    right, layer = net.layers[-2], len(net.layers) - 2
    threshold = right.neuron.threshold.copy()
    threshold[channel] += 1
    wrong = replace(right, neuron=replace(right.neuron, threshold=threshold))
    other = replace(net, layers=(*net.layers[:-2], wrong, net.layers[-1]))
    want, got = (golden.trace(n, images)[right.name].membrane[0, :, :, 0, 0] for n in (net, other))
    t, c = (int(i) for i in np.argwhere(want != got)[0])
    assert (c, t > 0) == (channel, True)
    numbers = [
        f"layer{layer}_threshold[{len(it)}] = {{\n    {', '.join(map(str, it))}"
        for it in (right.neuron.threshold, threshold)
    ]
    emitted = edited(net, *numbers)
    difference = verify(net, images, files=emitted, on=usable(name, require)).difference
    place = (0, right.name, (channel, 0, 0), t, "membrane")
    assert difference == Difference(*place, int(want[t, c]), int(got[t, c]))


def large_sums() -> FixedNet:
    """Of about 100,000, compared with thresholds that lie there."""
    builder = Builder(fixed_input(np.random.default_rng(1), (4, 1, 1), "CHW", 0, 255), 1)
    dense: list[tuple[str, Op]] = [(INPUT, Linear(np.full((9, 4, 1, 1), 100)))]
    thresholds = np.tile(np.arange(40_000, 100_000, 4000), (9, 1))
    builder.add("dense", dense, np.arange(9), Level(thresholds, 0))
    readout: tuple[str, Op] = ("dense", Linear(np.ones((2, 9, 1, 1), np.int64)))
    builder.add("readout", [readout], None, Accumulate())
    return builder.finish()


@pytest.mark.parametrize(
    ("name", "net", "file", "right", "wrong"),
    [
        pytest.param("powerpc", level_showcase(), "snn_pairs.h", *FIRST_HALF, id="byte order"),
        pytest.param("atmega2560", large_sums(), "snn_search.c", *SHORT_INT, id="16-bit int"),
    ],
)
def test_what_only_some_processors_show_is_found(
    name: str, net: FixedNet, file: str, right: str, wrong: str, require
) -> None:
    emitted = dict(emit(net))
    text = emitted[f"runtime/{file}"].decode()
    assert text.count(right) == 1
    emitted[f"runtime/{file}"] = text.replace(right, wrong).encode()
    images = random_images(net, 2)
    assert verify(net, images, files=emitted).is_equal
    difference = verify(net, images, files=emitted, on=usable(name, require)).difference
    assert difference is not None
    assert (difference.layer, difference.timestep) == ("dense", 0)


def test_counts_are_exact(board: str) -> None:
    """Twice the iterations of a loop whose instructions are known."""
    net = level_showcase()
    family = BOARDS[board].compiler[0].split("-")[0]
    counts = []
    for n in (1000, 3000):
        given = f"static const volatile unsigned given = {n};\n    unsigned n = given;\n"
        emitted = edited(net, RUN, f"    {given}    {LOOP[family]};\n    return 0;\n")
        with BoardEngine(net, emitted, board) as engine:
            counts.append(engine.measure(random_images(net, 2)).counts)
    per_iteration = 4 if family == "avr" else 2
    jumps = 0 if family == "avr" else 2000
    assert (counts[1] - counts[0] == [2000 * per_iteration, 0, jumps]).all()
    beside = counts[0][:, 0] - 1000 * per_iteration
    assert (beside > 0).all() and (beside < 60).all()


def test_cost_is_measured_beside_the_budget(board: str) -> None:
    net = spiking_showcase()
    cost = measure(net, board, random_images(net, 3))
    assert cost.counts.shape == (3,) and (cost.counts > 1000).all()
    assert sum(cost.layers.values()) == pytest.approx(cost.counts.mean())
    assert set(cost.layers) <= {"", *(layer.name for layer in net.layers)}
    assert min(cost.layers.values()) > 50
    if cost.unit == "cycles":
        assert (cost.cycles == cost.counts).all()
    elif BOARDS[board].timing is not None:
        assert (cost.counts < cost.cycles).all() and (cost.cycles < 3 * cost.counts).all()
    predicted = cost.predicted
    assert (predicted is None) == BOARDS[board].is_hosted
    if predicted is not None:
        assert cost.flash_bytes == predicted.flash
        assert cost.ram_bytes == predicted.ram - predicted.stack
        assert 0 < cost.stack_bytes <= predicted.stack
    again = measure(net, board, random_images(net, 3))
    assert np.array_equal(again.counts, cost.counts)


def test_a_layer_costs_what_is_added_to_it(require) -> None:
    """About 200 instructions more for each line of level neurons: they are those layers'."""
    net = level_showcase()
    name = usable("cortex-m4", require)
    runtime = "runtime/snn_level.c"
    emitted = dict(emit(net))
    text = emitted[runtime].decode()
    begin = "    const snn_level_op *neuron = op;\n"
    loop = '    __asm volatile("mov r3, #99\\n1: subs r3, #1\\n bne 1b" ::: "r3", "cc");\n'
    emitted[runtime] = text.replace(begin, begin + loop, 1).encode()
    images = random_images(net, 2)
    parts = []
    for given in (emit(net), emitted):
        with BoardEngine(net, given, name) as engine:
            parts.append(engine.measure(images).parts[..., 0])
    numbers = plan(net).order
    lines = [
        net.layers[n].shape[1] if isinstance(net.layers[n].neuron, Level) else 0 for n in numbers
    ]
    more = parts[1] - parts[0]
    assert (more >= [0, *(195 * n for n in lines)]).all()
    assert (more <= [0, *(205 * n for n in lines)]).all()


def test_a_wrong_class_is_no_measurement(require, monkeypatch) -> None:
    net = level_showcase()
    name = usable("cortex-m4", require)
    emitted = edited(net, RUN, "    return 4711;\n")
    monkeypatch.setattr("snngen.targets.c.boards.cost.emit", lambda net, **_: emitted)
    with pytest.raises(ToolError, match="must give the network's class of image 0"):
        measure(net, name, random_images(net, 1))


@pytest.mark.parametrize("name", ["cortex-m4", "rv32imac", "atmega1284"])
def test_a_program_that_hangs_is_stopped(name: str, require, monkeypatch) -> None:
    monkeypatch.setattr(engine_module, "START_SECONDS", 0.5)
    monkeypatch.setattr(engine_module, "IMAGE_SECONDS", 0.5)
    net = level_showcase()
    emitted = edited(net, RUN_TRACED, "    for (;;) {\n    }\n" + RUN_TRACED)
    with pytest.raises(ToolError, match="did not end within 1 seconds"):
        verify(net, random_images(net, 1), files=emitted, on=usable(name, require))


def test_a_selftest_may_take_as_long_as_its_images(require, monkeypatch) -> None:
    monkeypatch.setattr(engine_module, "START_SECONDS", 0.0)
    net = level_showcase()
    assert verify(net, random_images(net, 1), on=usable("cortex-m4", require)).is_equal


@pytest.mark.parametrize("name", ["cortex-m0", "cortex-m33", "rv32imac"])
def test_a_program_that_faults_is_told(name: str, require) -> None:
    net = level_showcase()
    emitted = edited(net, RUN_TRACED, "    __builtin_trap();\n" + RUN_TRACED)
    with pytest.raises(ToolError, match="ended by a fault"):
        verify(net, random_images(net, 1), files=emitted, on=usable(name, require))


def test_a_failing_selftest_is_no_pass(require) -> None:
    net = level_showcase()
    emitted = dict(emit(net))
    text = emitted["model_selftest.c"].decode()
    emitted["model_selftest.c"] = text.replace("    0x", "    1 + 0x", 1).encode()
    result = verify(net, random_images(net, 1), files=emitted, on=usable("cortex-m4", require))
    assert (result.difference, result.selftest) == (None, -5)


@pytest.mark.parametrize("name", BOARDS)
def test_missing_tools_are_named_with_their_packages(name: str, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    net = level_showcase()
    with pytest.raises(ToolError) as caught:
        verify(net, random_images(net, 1), on=name)
    hints = [problem.hint for problem in caught.value.problems]
    assert hints == [f"Debian, Ubuntu: apt install {PACKAGES[t]}" for t in BOARDS[name].tools]


def test_boards_are_known_by_name() -> None:
    net = level_showcase()
    with pytest.raises(ConversionError, match="must be one of cortex-m0, "):
        verify(net, random_images(net, 1), on="z80")


def test_what_an_avr_cannot_address_is_named(require, monkeypatch) -> None:
    name = usable("atmega1284", require)
    net = level_showcase()
    large = edited(net, "/* --- Parameters", "static const int8_t huge[40000] = {1};\n/* --- P")
    with pytest.raises(ConversionError, match="of at most 32,767 bytes\n  found: huge"):
        verify(net, random_images(net, 1), files=large, on=name)
    monkeypatch.setattr(firmware_module, "FLASH_POINTERS_REACH", 1000)
    with pytest.raises(ConversionError, match=r"end [\d,]+ bytes into flash; pointers .* 1,000"):
        verify(net, random_images(net, 1), on=name)


def test_both_memories_that_are_too_small_are_named(require, monkeypatch) -> None:
    name = usable("cortex-m4", require)
    small = boards._cortex_m(
        "tiny", "-mcpu=cortex-m4", "mps2-an386", boards.Memory(0, 2048),
        boards.Memory(0x20000000, 4096), stack_bytes=4096,
    )  # fmt: skip
    monkeypatch.setitem(boards.BOARDS, name, small)
    net = level_showcase()
    with pytest.raises(ConversionError) as caught:
        verify(net, random_images(net, 1), on=name)
    assert [p.rule.rsplit(";")[1] for p in caught.value.problems] == [
        " the board has 2,048",
        " the board has 4,096",
    ]
