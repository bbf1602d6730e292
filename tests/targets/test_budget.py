"""Flash, RAM and stack as predicted: what the compilers and linkers of all processors say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snngen.errors import ConversionError, ToolError
from snngen.fixed import FixedNet
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Linear, SumPool, Window
from snngen.spiking import INPUT
from snngen.targets.c.boards import BOARDS, PROCESSORS, processor_of
from snngen.targets.c.boards.alone import IN_FLASH, IN_RAM, link_alone
from snngen.targets.c.boards.engine import BoardEngine
from snngen.targets.c.boards.firmware import compile_sources
from snngen.targets.c.boards.sections import COMMAND, built, compiler_of, digest_of, sources
from snngen.targets.c.budget import budget_for
from snngen.targets.c.build import write_tree
from snngen.targets.c.emit import emit
from snngen.targets.c.linking import FAST, OPTIMISATIONS, SMALL, Section, entries_of, table_of
from snngen.targets.c.structs import ABIS, declarations, type_of
from tests.conftest import missing
from tests.networks import Builder, fixed_input, level_showcase, spiking_showcase
from tests.streams import random_inputs, stream_showcase
from tests.targets.test_boards import digits

DECLARED = re.compile(r"^snn_(?:synapse|prepare|neuron|layer)_fn (\w+);", re.M)
NAMED = re.compile(r"\.(?:run|fire|add|prepare) = (snn_\w+)")


def ternary() -> FixedNet:
    """Weights of -1, 0 and 1 on one channel, whose lists are merged; uneven sizes of constants."""
    rng = np.random.default_rng(3)
    builder = Builder(fixed_input(rng, (1, 9, 9), "CHW", 0, 60), 5)
    window = Window((5, 5), (2, 2), (2, 2, 2, 2))
    theta = rng.integers(20, 60, 7)
    first = Conv(rng.integers(-1, 2, (7, 1, 5, 5)), window)
    builder.add("first", [(INPUT, first)], None, IF(theta, theta // 2))
    builder.add("pool", [("first", SumPool(Window((5, 5), (5, 5)), 25))])
    builder.add("output", [("pool", Linear(rng.integers(-1, 2, (3, 7, 1, 1))))], None, Accumulate())
    return builder.finish("ternary")


def wide_levels() -> FixedNet:
    """Sums of more than 16 bits, and levels whose products take 64."""
    rng = np.random.default_rng(5)
    builder = Builder(fixed_input(rng, (2, 8, 8), "HWC", 0, 255), 1)
    window = Window((3, 3), pads=(1, 1, 1, 1))
    sources = [(INPUT, Conv(rng.integers(-128, 128, (8, 2, 3, 3)), window))]
    most = builder.current(sources, None).hi[:, None]
    levels = np.sort(rng.integers(1, most // 2, (8, 63)), axis=1)
    builder.add("first", sources, None, Level(levels))
    last = Linear(rng.integers(-128, 128, (4, 8, 8, 8)))
    builder.add("output", [("first", last)], rng.integers(-9, 9, 4), Accumulate())
    return builder.finish("wide levels")


MAKERS: dict[str, Callable[[], FixedNet]] = {
    "digits": lambda: digits()[0],
    "spiking": spiking_showcase,
    "level": level_showcase,
    "ternary": ternary,
    "wide": wide_levels,
    "stream": stream_showcase,
}
NETWORKS: tuple[tuple[str, dict[str, Any]], ...] = (  # with what they are emitted for
    ("digits", {}),
    ("spiking", {}),
    ("level", {"optimise": "size"}),
    ("level", {"optimise": "vectors"}),
    ("spiking", {"optimise": "size"}),
    ("ternary", {"optimise": "vectors", "schedule": "fastest"}),
    ("ternary", {"optimise": "size"}),
    ("wide", {}),
    ("stream", {}),
)
network = cache(lambda name: MAKERS[name]())


def compiler_for(processor: str, require) -> None:
    """Goes on only with the version that the table was measured with."""
    require(BOARDS[processor].compiler[0])
    known, there = table_of(processor).compiler, compiler_of(processor)
    if known != there:
        missing(f"the sizes of {processor} are those of {known}, here is {there}")


def test_the_networks_use_every_kernel() -> None:
    used = {
        function
        for name, options in NETWORKS
        for function in NAMED.findall(emit(network(name), **options)["model.c"].decode())
    }
    assert used == set(DECLARED.findall(sources()["runtime/snn_model.h"].decode()))


@pytest.mark.parametrize("flag", OPTIMISATIONS)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_bytes_are_those_of_the_tools(processor: str, flag: str, require, tmp_path: Path) -> None:
    """Every section and every frame, and every network linked alone."""
    compiler_for(processor, require)
    found = built(processor, flag, tmp_path)
    known = table_of(processor).builds[flag]
    assert differing(known, found) == [], f"measure the sizes anew: {COMMAND}"
    assert known == found
    objects = ["model.o", *sorted(path.name for path in tmp_path.glob("snn_*.o"))]
    for name, options in NETWORKS:
        net = network(name)
        write_tree({"model.c": emit(net, **options)["model.c"]}, tmp_path)
        write_tree({"model.h": emit(net, **options)["model.h"]}, tmp_path)
        compile_sources(processor, (flag,), "model.c", folder=tmp_path)
        entries = entries_of("model", is_stream=net.is_stream)
        outputs = link_alone(processor, entries, objects, tmp_path).outputs
        budget = budget_for(net, on=processor, **options)
        expected = budget.builds[flag]
        assert sum(outputs.get(place, 0) for place in IN_FLASH) == expected.flash, name
        assert sum(outputs.get(place, 0) for place in IN_RAM) == expected.copied, name


@pytest.mark.parametrize("processor", ["cortex-m0", "cortex-m4", "rv32imac", "atmega1284"])
def test_stack_is_never_deeper_and_hardly_less_deep(processor: str, require) -> None:
    """Painted stack; not every path is one of these images."""
    for tool in BOARDS[processor].tools:
        require(tool)
    compiler_for(processor, require)
    for name, options in NETWORKS:
        net = network(name)
        with BoardEngine(net, emit(net, **options), processor, flags=(SMALL,)) as engine:
            seen = engine.measure(random_inputs(net, 1)).stack_bytes
        predicted = budget_for(net, on=processor, **options).builds[SMALL].stack
        assert seen <= predicted, name
        assert seen >= 0.8 * predicted or name == "wide", name


@pytest.mark.parametrize("processor", PROCESSORS)
def test_structs_are_laid_out_as_predicted(processor: str, require, tmp_path: Path) -> None:
    require(BOARDS[processor].compiler[0])
    abi = ABIS[BOARDS[processor].compiler[0]]
    places = "struct place_{0} {{ char before; {0} it; }};\n"
    names = declarations(is_8_bit=abi.is_8_bit)
    lines = [places.format(name) for name in names]
    for name in names:
        found = type_of(name, abi)
        for what, value in (
            (f"sizeof({name})", found.bytes),
            (f"offsetof(struct place_{name}, it)", found.align),
        ):
            lines.append(f"typedef char claim{len(lines)}[{what} == {value} ? 1 : -1];\n")
    text = f'#include "snn_model.h"\n{"".join(lines)}'
    write_tree({**sources(), "structs.c": text.encode()}, tmp_path)
    compile_sources(processor, (FAST,), "structs.c", folder=tmp_path)
    (tmp_path / "structs.c").write_text(text.replace("== ", "== 1 + "))
    with pytest.raises(ToolError, match="did not accept"):
        compile_sources(processor, (FAST,), "structs.c", folder=tmp_path)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_tables_are_of_these_sources(processor: str) -> None:
    table = table_of(processor)
    assert table.digest == digest_of(sources()), f"measure the sizes anew: {COMMAND}"
    assert tuple(table.builds) == OPTIMISATIONS
    assert not [s.name for sections in table.builds.values() for s in sections if ".L" in s.name]


def differing(known: Iterable[Section], found: Iterable[Section]) -> list[str]:
    """The names of sections that are not the same in both."""
    first, second = ({section.name: section for section in each} for each in (known, found))
    return [name for name in {**first, **second} if first.get(name) != second.get(name)]


@pytest.mark.parametrize("fault", [{"bytes": 2}, {"frame": 8}])
def test_a_wrong_entry_is_named(fault: dict[str, int]) -> None:
    known = table_of("cortex-m4").builds["-Os"]
    wrong = [
        replace(s, **{what: getattr(s, what) + more for what, more in fault.items()})
        if s.name == "snn_gather"
        else s
        for s in known
    ]
    assert differing(known, wrong) == ["snn_gather"]


def test_a_wrong_entry_changes_the_prediction(monkeypatch) -> None:
    right = budget_for(spiking_showcase()).builds["-O2"]
    known = table_of("cortex-m4")
    larger = tuple(replace(s, bytes=s.bytes + 4, frame=s.frame + 8) for s in known.builds["-O2"])
    wrong = replace(known, builds={**known.builds, "-O2": larger})
    monkeypatch.setattr("snngen.targets.c.budget.table_of", lambda processor: wrong)
    other = budget_for(spiking_showcase()).builds["-O2"]
    assert other.code > right.code and other.stack > right.stack


def test_parts_add_up() -> None:
    net = level_showcase()
    for processor in PROCESSORS:
        budget = budget_for(net, on=processor)
        assert budget.const_bytes == sum(layer.const_bytes for layer in budget.layers)
        for build in budget.builds.values():
            assert build.parameters == budget.const_bytes and build.arena == budget.arena_bytes
            assert (build.copied > 0) == BOARDS[processor].flash_is_apart
        assert (budget.flash, budget.ram) == (budget.builds["-Os"].flash, budget.builds["-Os"].ram)


def test_processors_are_known_by_name() -> None:
    assert processor_of("microbit") == "cortex-m0"
    with pytest.raises(ConversionError, match="must be one of cortex-m0, cortex-m3, "):
        budget_for(level_showcase(), on="powerpc")
