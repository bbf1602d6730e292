"""Emitted C on every emulated processor: each spike and membrane of whole networks, beside those of
the golden model.

    python -m bench.boards [NETWORK ...]

Trained networks on two images of their test sets, and 30 random ones (tests/drawn.py), emitted in
all ways in turn. A trained network that a board has no room for is emitted for size instead, and
where that does not suffice it is said how much it needs. What was compared stays, and is not
compared again while the emitted C is the same. Needs the boards' tools, SNNGEN_DATA and
SNNGEN_MODELS; half an hour. Writes bench/results/boards.json and docs/benchmarks/boards.md, and
fails where anything differs.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.accuracy import Subject
from bench.networks import NETWORKS, QUANTISED, ROOT, UNIT, Network
from snngen import golden
from snngen.convert import Options
from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedLayer, FixedNet
from snngen.simulate import simulate
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.emit import emit
from snngen.verify import verify
from tests.drawn import drawn, way
from tests.networks import random_images
from tests.targets.msp430 import selftest

RESULTS = ROOT / "bench/results/boards.json"
PAGE = ROOT / "docs/benchmarks/boards.md"
IMAGES, RANDOM = 2, 30
DEMO = ROOT / "snngen/demo_data"
MSP430 = "msp430"
PROCESSORS = (*BOARDS, MSP430)
DIGITS = {"digits": Network(str(DEMO / "digits.onnx"), str(DEMO / "digits.npz"), UNIT, None)}
ARRAY = re.compile(r"(\w+) (\w+)\[(\d+)\]")
ELEMENT_BYTES = {"int16_t": 2, "int32_t": 4, "snn_pair": 4}
MOST_ARRAY_BYTES = 2**15 - 1
NEED = re.compile(r"([\d,]+) bytes of (\w+); the board has ([\d,]+)")
HEADER = f"""# Whole traces on every processor

Printed by `python -m bench.boards`; the top of that file says what is compared. Numbers are outputs
and membranes of {IMAGES} images, of every neuron at every timestep, all of them equal. (size):
emitted with `--optimise size`, because there is no room otherwise. Where a network does not fit
even so, the bytes that it needs, with the program that tests it, of those that there are; or those
of its arrays, of the {MOST_ARRAY_BYTES:,} that 16-bit indices reach. MSP430: random networks only,
by the hash of the trace that the emitted self-test knows.

"""
RANDOM_HEADER = """
The random networks, each with what it was emitted for (`--schedule`, `--optimise`):

"""
Record = dict[str, Any]
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Case:
    """`label` names it in the page; `network` and `options` say how it comes about."""

    label: str
    network: str
    options: Options

    def made(self) -> tuple[FixedNet, NDArray[np.uint8]]:
        subject = Subject(self.network, (NETWORKS | QUANTISED | DIGITS)[self.network])
        return subject.convert(self.options), subject.test.images[:IMAGES]


def _over_time(timesteps: int) -> Options:
    return Options("channel-max", "if", timesteps=timesteps)


def _levels(levels: int) -> Options:
    return Options("channel-max", "level", levels=levels)


CASES = (
    Case("digits, `if` T=16", "digits", _over_time(16)),
    Case("digits, N=15", "digits", _levels(15)),
    Case("lenet_ref, `if` T=4", "lenet_ref", _over_time(4)),
    Case("lenet_ref, N=7", "lenet_ref", _levels(7)),
    Case("lenet_ref_q4, `if` T=4", "lenet_ref_q4", Options("quantized", "if", timesteps=4)),
    Case("lenet_ref_q4, N=4", "lenet_ref_q4", Options("quantized", "level")),
    Case("ternary LeNet", "ternary", Options("scatter-gather", "level")),
    Case("DS-CNN (kws), N=15", "kws", _levels(15)),
    Case("ResNet-8, `if` T=4", "ic_resnet8", _over_time(4)),
    Case("ResNet-8, N=15", "ic_resnet8", _levels(15)),
)


class Results:
    """By network what is known of it; kept in a file as it comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Record] = json.loads(path.read_text()) if path.exists() else {}

    def of(self, label: str, facts: Record) -> Record:
        """The boards that are known of a network of these `facts`, by name."""
        if {k: v for k, v in self.records.get(label, {}).items() if k != "boards"} != facts:
            self.records[label] = {**facts, "boards": {}}
        boards: Record = self.records[label]["boards"]
        return boards

    def save(self) -> None:
        self.path.write_text(json.dumps(self.records, indent=1, sort_keys=True) + "\n")


def compare_trained(case: Case, results: Results, boards: Iterable[str] = BOARDS) -> None:
    """One trained network on all boards; where it does not fit, for size."""
    net, images = case.made()
    emitted = [emit(net), emit(net, optimise="size")]
    _compare(case.label, net, images, emitted, {}, results, boards)


def compare_random(number: int, results: Results, boards: Iterable[str] = PROCESSORS) -> None:
    """One random network on all processors."""
    net, (schedule, optimise) = drawn(number), way(number)
    facts = {"layers": _layers(net), "timesteps": net.timesteps, "way": f"{schedule}, {optimise}"}
    images = random_images(net, IMAGES)
    emitted = [emit(net, schedule=schedule, optimise=optimise, selftest_images=images)]
    _compare(f"random {number:02}", net, images, emitted, facts, results, boards)


def _compare(
    label: str,
    net: FixedNet,
    images: NDArray[np.uint8],
    emitted: Sequence[Files],
    facts: Record,
    results: Results,
    boards: Iterable[str],
) -> None:
    source = sha256(repr([sorted(files.items()) for files in emitted]).encode()).hexdigest()[:16]
    known = results.of(label, {"source": source, **facts})
    if not known:
        check_model(net, images)
    for board in boards:
        if board not in known:
            if board == MSP430:
                known[board] = compare_on_msp430(net, images, emitted[0])
            else:
                known[board] = compare(net, images, emitted, board)
            results.save()
            print(label, board, known[board], flush=True)


def check_model(net: FixedNet, images: NDArray[np.uint8]) -> None:
    """The fast model, which boards are compared with, does what the golden one does."""
    expected, got = golden.trace(net, images), simulate(net, images, trace=True).trace
    assert got is not None
    for name, layer in expected.items():
        np.testing.assert_array_equal(got[name].output, layer.output, name)
        if layer.membrane is not None:
            np.testing.assert_array_equal(got[name].membrane, layer.membrane, name)


def compare(
    net: FixedNet, images: NDArray[np.uint8], emitted: Sequence[Files], board: str
) -> Record:
    """With the first of the `emitted` files that fit: how many numbers were equal, or what was not;
    or else what the last ones need, and what there is.
    """
    needs: list[str] = []
    for place, files in enumerate(emitted):
        try:
            result = verify(net, images, files=files, on=board)
        except ConversionError as error:
            needs = [_need(problem, files) for problem in error.problems]
            continue
        if not result.is_equal:
            return {"differs": str(result)}
        return {"equal": result.values, "for_size": place > 0}
    return {"needs": needs}


def compare_on_msp430(net: FixedNet, images: NDArray[np.uint8], files: Files) -> Record:
    """By the emitted self-test, which knows the `images`: all numbers or none."""
    trace = simulate(net, images, trace=True).trace
    assert trace is not None
    held = [layer.membrane for layer in trace.values() if layer.membrane is not None]
    numbers = sum(values.size for values in (*held, *(layer.output for layer in trace.values())))
    result = selftest(files)
    return {"equal": numbers, "for_size": False} if result == 0 else {"differs": str(result)}


def _need(problem: Problem, files: Files) -> str:
    """Bytes of a memory, or of arrays, of those that there are or may be."""
    memory = NEED.search(problem.rule)
    if memory:
        return "{1} {0} of {2}".format(*memory.groups())
    arrays = ARRAY.findall(files["model.c"].decode())
    sizes = {name: int(count) * ELEMENT_BYTES.get(ctype, 1) for ctype, name, count in arrays}
    names = dict.fromkeys(str(problem.found).split(", "))
    known = [f"{n} {sizes[n]:,} of {MOST_ARRAY_BYTES:,}" for n in names if n in sizes]
    return ", ".join([*known, *(f"{n}: too long" for n in names if n not in sizes)])


def _layers(net: FixedNet) -> str:
    return ", ".join(_layer(layer) for layer in net.layers)


def _layer(layer: FixedLayer) -> str:
    operators = "+".join(type(synapse.op).__name__ for synapse in layer.synapses)
    neuron = "" if layer.neuron is None else f" {type(layer.neuron).__name__}"
    return operators + neuron


def page(records: Mapping[str, Record]) -> str:
    """A table of trained networks, and one of random ones."""
    chosen = {label: record for label, record in records.items() if "layers" in record}
    rows = [
        (case.label, *(_cell(records[case.label]["boards"].get(b)) for b in PROCESSORS))
        for case in CASES
        if case.label in records
    ]
    together = (
        f"{len(chosen)} random networks",
        *(_together(chosen.values(), b) for b in PROCESSORS),
    )
    text = HEADER + _table(("", *PROCESSORS), [*rows, together]) + RANDOM_HEADER
    return text + _table(
        ("T", "layers", "emitted for", "numbers", "equal on"),
        [_random_row(chosen[label]) for label in sorted(chosen)],
    )


def _cell(record: Record | None) -> str:
    if record is None:
        return "-"
    if "needs" in record:
        return ", ".join(record["needs"])
    if "differs" in record:
        return f"**differs**: {record['differs']}"
    return f"{record['equal']:,}" + (" (size)" if record["for_size"] else "")


def _together(records: Iterable[Record], board: str) -> str:
    found = [record["boards"].get(board, {}) for record in records]
    equal = [record["equal"] for record in found if "equal" in record]
    others = len(found) - len(equal)
    return f"{sum(equal):,}" + (f"; {others} not equal or not run" if others else "")


def _random_row(record: Record) -> tuple[str, ...]:
    equal = [found["equal"] for found in record["boards"].values() if "equal" in found]
    numbers = f"{max(equal, default=0):,}"
    timesteps = str(record["timesteps"])
    return timesteps, record["layers"], record["way"], numbers, f"{len(equal)} of {len(PROCESSORS)}"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main(labels: list[str]) -> int:
    results = Results(RESULTS)
    for case in CASES:
        if not labels or case.network in labels:
            compare_trained(case, results)
    for number in range(0 if labels else RANDOM):
        compare_random(number, results)
    PAGE.write_text(page(results.records))
    return int("**differs**" in PAGE.read_text())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
