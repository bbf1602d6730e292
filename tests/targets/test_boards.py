"""Emitted C on emulated processors: equal to the network there too, and counted exactly."""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest

from snngen import data
from snngen.convert import Options
from snngen.errors import ConversionError, ToolError
from snngen.evaluate import Ann
from snngen.fixed import FixedNet
from snngen.pipeline import Normalisation, build, read_model
from snngen.targets.c import boards
from snngen.targets.c.boards import BOARDS, PACKAGES
from snngen.targets.c.boards import engine as engine_module
from snngen.targets.c.boards.cost import measure
from snngen.targets.c.boards.engine import BoardEngine
from snngen.targets.c.emit import emit
from snngen.verify import verify
from tests.networks import level_showcase, random_images, spiking_showcase

SMALL = {"if": spiking_showcase, "level": level_showcase}
LOOP = {  # twice as many instructions, or four times as many cycles, as iterations
    "arm": '__asm volatile(".syntax unified\\n1: subs %0, %0, #1\\n bne 1b" : "+l"(n) :: "cc")',
    "riscv64": '__asm volatile("1: addi %0, %0, -1\\n bnez %0, 1b" : "+r"(n))',
    "avr": '__asm volatile("1: sbiw %0, 1\\n brne 1b" : "+w"(n))',
}
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


def test_digits_are_equal(board: str) -> None:
    net, images = digits()
    if board == "atmega1284":
        needs = r"with all constants and 1,024 of stack, [\d,]+ bytes of RAM; the board has 16,384"
        with pytest.raises(ConversionError, match=needs):
            verify(net, images[:1], on=board)
        return
    assert verify(net, images[:2], on=board).is_equal


def test_a_fault_is_found(board: str) -> None:
    net = level_showcase()
    emitted = edited(net, "layer4_bias[10] = {\n    ", "layer4_bias[10] = {\n    1 +")
    difference = verify(net, random_images(net, 2), files=emitted, on=board).difference
    assert difference is not None
    assert (difference.layer, difference.image, difference.timestep) == ("dense", 0, 0)
    assert difference.quantity == "membrane" and difference.got == difference.expected + 1


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
    assert (counts[1] - counts[0] == 2000 * per_iteration).all()
    beside = counts[0] - 1000 * per_iteration
    assert (beside > 0).all() and (beside < 60).all()


def test_cost_is_measured_beside_the_budget(board: str) -> None:
    net = spiking_showcase()
    cost = measure(net, board, random_images(net, 3))
    assert cost.counts.shape == (3,) and (cost.counts > 1000).all()
    assert cost.footprint.arena == cost.budget.arena_bytes
    assert 0 < cost.stack_bytes <= cost.budget.stack_bytes_estimate
    assert cost.footprint.constants >= cost.budget.const_bytes
    again = measure(net, board, random_images(net, 3))
    assert np.array_equal(again.counts, cost.counts)


def test_a_wrong_class_is_no_measurement(require, monkeypatch) -> None:
    net = level_showcase()
    name = usable("cortex-m4", require)
    emitted = edited(net, RUN, "    return 4711;\n")
    monkeypatch.setattr("snngen.targets.c.boards.cost.emit", lambda net: emitted)
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
