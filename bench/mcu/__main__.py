"""Instructions per inference on microcontrollers, beside dense int8 C and another generator's.

    python -m bench.mcu [NETWORK ...]

Counts are exact: of the function that runs an image, with its call, on the emulated boards of
docs/boards.md, and the mean of a few test images, spread evenly over the test set. In one run each
contender is compiled with -O2 and with -Os. Accuracy is that of the same C on this machine, on the
whole test set. Dense int8 is the network at 255 levels, written by bench/mcu/dense.py: "naive" as
textbooks do, "fast" as fast as we can make it. Needs the boards' tools, emx-onnx-cgen and
acetone-nnet (`make bench-mcu` installs both), SNNGEN_DATA and SNNGEN_MODELS; an hour or so. What
was measured stays and is not measured again while the contender's C is the same. Writes
bench/results/mcu.json and docs/benchmarks/mcu.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.accuracy import Subject
from bench.mcu.contenders import Acetone, Bytes, Contender, Dense, Emx, Ours, ordered
from bench.mcu.dense import FOLDER
from bench.mcu.page import page
from bench.networks import NETWORKS, QUANTISED, ROOT
from snngen.convert import Options
from snngen.data.raw import spread
from snngen.errors import ConversionError
from snngen.targets.c.boards.emulator import emulate
from snngen.targets.c.boards.firmware import build_firmware

RESULTS = ROOT / "bench/results/mcu.json"
PAGE = ROOT / "docs/benchmarks/mcu.md"
OPTIMISATIONS = ("-O2", "-Os")
SECONDS = 900.0  # for a board
Record = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A CNN, how many test images are run on boards, which boards, and who takes part."""

    images: int
    boards: tuple[str, ...]
    contenders: Callable[[], Iterator[Contender]]


def _subject(name: str) -> Subject:
    return Subject(name, (NETWORKS | QUANTISED)[name])


def _rivals(name: str) -> Iterator[Contender]:
    subject = _subject(name)
    net = subject.convert(Options("channel-max", "level", levels=255))
    yield Dense("int8, naive", net, "naive")
    yield Dense("int8, fast", net, "fast")
    yield Emx("emx-onnx-cgen 1.4.0, float", subject.network.path, net)
    if name != "kws":  # acetone-nnet reads no depthwise convolution
        yield Acetone("acetone-nnet 1.0, float", subject.network.path, net)


def _ours(name: str, label: str, options: Options, bits: int = 8, **more: Any) -> Ours:
    net = _subject(name).convert(replace(options, bits=bits))
    return Ours(f"{name}, {label}, {bits} bits", net, **more)


def _level(method: str, levels: int) -> Options:
    return Options(method, "level", levels=levels)


QUANTISED_LEVELS = Options("quantized", "level")


def _lenet() -> Iterator[Contender]:
    yield _ours("lenet_ref", "refined, N=7", _level("refined", 7))
    yield _ours("lenet_ref", "refined, N=4", _level("refined", 4))
    yield _ours("lenet_ref_q4", "N=4", QUANTISED_LEVELS)
    yield _ours("lenet_ref_q4", "N=4", QUANTISED_LEVELS, bits=7)
    for bits in (7, 4):
        yield _ours("lenet_ref_q4", "N=4, for size", QUANTISED_LEVELS, bits=bits, optimise="size")
    yield _ours("lenet_ref_q8", "N=8", QUANTISED_LEVELS)
    yield _ours("lenet_ref_q8", "N=8", QUANTISED_LEVELS, bits=7)
    for bits in (8, 7):
        for levels in (4, 8):
            spikes = Options("quantized", "if", timesteps=levels)
            name = f"lenet_ref_q{levels}"
            yield _ours(name, f"`if` T={levels}", spikes, bits=bits, schedule="fastest")
    spikes = Options("quantized", "if", timesteps=8)  # its weights have 7 bits
    yield _ours("lenet_ref_sparse", "`if` T=8", spikes, bits=7, schedule="fastest")
    yield from _rivals("lenet_ref")


def _ternary() -> Iterator[Contender]:
    options = Options("scatter-gather", "level")
    yield _ours("ternary", "scatter-gather", options)
    yield _ours("ternary", "scatter-gather, for size", options, optimise="size")


def _resnet8() -> Iterator[Contender]:
    yield _ours("ic_resnet8", "refined, N=15", _level("refined", 15))
    yield _ours("ic_resnet8", "refined, N=15", _level("refined", 15), bits=7)
    yield _ours("ic_resnet8", "calibrated, N=20", _level("calibrated", 20), bits=7)
    yield _ours("ic_resnet8", "calibrated, N=24", _level("calibrated", 24), bits=7)
    yield from _rivals("ic_resnet8")


def _keywords() -> Iterator[Contender]:
    yield _ours("kws", "channel-max, N=15", _level("channel-max", 15))
    yield from _rivals("kws")


WORDS = ("cortex-m0", "cortex-m3", "cortex-m4", "cortex-m33", "rv32imac")
CASES = {
    "lenet_ref": Case(10, (*WORDS, "atmega2560"), _lenet),
    "ternary": Case(10, (*WORDS, "atmega2560"), _ternary),
    "ic_resnet8": Case(3, WORDS, _resnet8),
    "kws": Case(3, (*WORDS, "atmega2560"), _keywords),
}


class Results:
    """Records by network, contender, board and optimisation; kept in a file as they come."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, Record] = json.loads(path.read_text()) if path.exists() else {}

    def known(self, key: str, source: str) -> bool:
        """Whether the same C was measured."""
        return self.records.get(key, {}).get("source") == source

    def add(self, key: str, record: Record) -> None:
        self.records[key] = record
        self.path.write_text(json.dumps(self.records, indent=1, sort_keys=True) + "\n")


def run_on_board(
    files: Mapping[str, bytes], board: str, optimisation: str, images: Bytes
) -> Record:
    """Counts of the whole network and of its first layer alone, bytes, and classes."""
    flags = (optimisation, f"-DINPUT_BYTES={images[0].size}")
    main = (FOLDER / "main.c").read_bytes()
    with TemporaryDirectory(prefix="snngen-") as name:
        firmware = build_firmware(files, board, Path(name), flags=flags, main=main)
        request = len(images).to_bytes(2, "little") + images.tobytes()
        output, counts = emulate(firmware, request, seconds=SECONDS, count=True)
    answers = np.frombuffer(output, "<i4").reshape(-1, 2)
    whole, first = ([count.units for count in counts[k::2]] for k in range(2))
    placed = firmware.footprint
    return {
        "counts": whole,
        "first": first,
        "flash": placed.code + placed.constants,
        "ram": placed.arena,
        "stack": int(answers[:, 1].max()),
        "classes": answers[:, 0].tolist(),
    }


def _source(files: Mapping[str, bytes]) -> str:
    return sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]


def _accuracy(contender: Contender, subject: Subject) -> Record:
    labels = subject.test.labels
    assert labels is not None
    images = subject.test.images
    classes = contender.classes(images)
    if classes is None:
        classes = subject.ann.classes(images)
    return {"correct": int((classes == labels).sum()), "images": len(labels)}


def _compare(classes: list[int], contender: Contender, subject: Subject, images: Bytes) -> None:
    """The board must say what this machine does."""
    expected = contender.classes(images)
    expected = subject.ann.classes(images) if expected is None else expected
    if classes != expected.tolist():
        raise ValueError(f"{contender.label}: {classes} on the board, {expected.tolist()} here")


def measure(name: str, case: Case, results: Results) -> None:
    """What is not known yet of one network."""
    subject = _subject(name)
    images = subject.test.images[spread(len(subject.test.images), case.images)]
    for contender in case.contenders():
        key = f"{name} | {contender.label}"
        host = _source(contender.files("host"))
        if not results.known(key, host):
            results.add(key, {"source": host, **_accuracy(contender, subject)})
        for board in case.boards:
            files = contender.files(board)
            for optimisation in OPTIMISATIONS:
                here = f"{key} | {board} | {optimisation}"
                if results.known(here, _source(files)):
                    continue
                given = ordered(contender.net, images)
                try:
                    record = run_on_board(files, board, optimisation, given)
                    _compare(record["classes"], contender, subject, images)
                except ConversionError as error:
                    record = {"refused": error.problems[0].rule}
                results.add(here, {"source": _source(files), **record})
                print(here, np.mean(record.get("counts", [0])), flush=True)


def main(names: list[str]) -> None:
    results = Results(RESULTS)
    for name in names or CASES:
        measure(name, CASES[name], results)
    PAGE.write_text(page(results.records))


if __name__ == "__main__":
    main(sys.argv[1:])
