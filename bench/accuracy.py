"""What conversion costs in accuracy: every method at several lengths, on whole test sets.

    python -m bench.accuracy [NETWORK ...] [--method METHOD] [--neuron if|level] [--again]

For each trained network, method, neuron and length (T timesteps of `if`, N levels of `level`):
top-1 with int8 weights and snngen's other defaults, synaptic operations and spikes, as the emitted
C computes them, which is compared with the golden model on 100 images. Calibration is on training
images alone. Where there is no data, synthetic images and the error of the outputs, relative to the
CNN's, stand in. What a method cannot convert, or cannot prove to fit 32 bits, is said. `refined`,
which trains for minutes, is measured at few lengths.

Every measurement is kept in bench/results/accuracy.json as soon as it is made; a run makes only
those that are missing, the cheap ones first, and writes docs/benchmarks/accuracy.md. `--again`
converts what is known anew, and measures it where the network sends other outputs than it did.
Needs SNNGEN_DATA and SNNGEN_MODELS.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy_page import page
from bench.networks import NETWORKS, ROOT, Network
from snngen.check import check
from snngen.convert import METHODS, Options
from snngen.errors import BoundError, ConversionError
from snngen.evaluate import Ann, evaluate
from snngen.fixed import FixedNet
from snngen.graph import Staircase
from snngen.pipeline import build, calibration_size, read_model
from snngen.simulate import simulate
from snngen.verify import verify

RESULTS = ROOT / "bench/results/accuracy.json"
PAGE = ROOT / "docs/benchmarks/accuracy.md"
LENGTHS = {"level": (1, 2, 3, 4, 7, 8, 15, 16, 32, 64), "if": (1, 2, 4, 8, 16, 32, 64)}
FEW = {"refined": {"level": (7, 8, 15), "if": ()}}  # what trains, where training can tell
COMPARED, TRACED = 100, 2  # images on which the C is run; those with every spike and membrane

Record = dict[str, Any]
Key = tuple[str, str, str, int]


@dataclass(frozen=True)
class Setting:
    """One measurement: `length` is T or N."""

    network: str
    method: str
    neuron: str
    length: int

    @property
    def options(self) -> Options:
        if self.neuron == "level" and METHODS[self.method].quantised:
            return Options(method=self.method, neuron="level")  # the network knows its levels
        if self.neuron == "level":
            return Options(method=self.method, neuron="level", levels=self.length)
        return Options(method=self.method, neuron="if", timesteps=self.length)

    @property
    def key(self) -> Key:
        return self.network, self.method, self.neuron, self.length


class Subject:
    """A network with its test images, loaded once; `digest` names its model."""

    def __init__(self, name: str, network: Network) -> None:
        self.name, self.network = name, network
        self.digest = sha256(network.path.read_bytes()).hexdigest()[:16]
        graph = read_model(network.path)
        self.macs = check(network.path).macs
        self.ann = Ann(graph, network.normalisation.preprocess(graph.input.shape[0]))
        self.test = network.test(graph.input.shape)
        stairs = [n.op.thresholds.shape[1] for n in graph.nodes if isinstance(n.op, Staircase)]
        self.levels = max(stairs, default=None)

    def lengths(self, method: str, neuron: str) -> tuple[int, ...]:
        """Those to measure: none where the method is not for such networks, the network's own
        levels where it is quantised.
        """
        if METHODS[method].quantised != (self.levels is not None):
            return ()
        if self.levels and neuron == "level":
            return (self.levels,)
        return FEW.get(method, LENGTHS)[neuron]

    def describe(self) -> Record:
        """The CNN's own accuracy."""
        row = {
            "network": self.name,
            "model": self.digest,
            "images": len(self.test.images),
            "macs": self.macs,
        }
        if self.test.labels is None:
            return row
        right = int((self.ann.classes(self.test.images) == self.test.labels).sum())
        return row | {"correct": right, "published": self.network.published}

    def convert(self, options: Options) -> FixedNet:
        count = calibration_size(self.ann.graph, options)
        return build(self.ann, self.network.training(self.ann.graph.input.shape, count), options)

    def measure(self, setting: Setting, known: Record | None) -> Record:
        """The record of `setting`: `known`, if the network still does what it did."""
        record: Record = {
            "network": self.name,
            "model": self.digest,
            "method": setting.method,
            "neuron": setting.neuron,
            "length": setting.length,
        }
        try:
            net = self.convert(setting.options)
        except (BoundError, ConversionError) as error:
            first = error.problems[0]
            return record | {"refused": f"{first.where}: {first.rule}"}
        images = self.test.images[:COMPARED]
        outputs = np.ascontiguousarray(simulate(net, images).outputs.astype("<i8"))
        record["outputs"] = sha256(outputs.tobytes()).hexdigest()[:16]
        if known is not None and known.get("outputs") == record["outputs"]:
            return known
        found = evaluate(net, self.test.images, self.test.labels, engine="c")
        same = verify(net, images, full_trace_images=TRACED)
        right = None if found.correct is None else int(found.correct[-1])
        return record | {
            **({"error": self.error(net)} if right is None else {"correct": right}),
            "synops": round(found.synops),
            "macs": found.macs,
            "spikes": round(sum(layer.spikes for layer in found.layers)),
            "neurons": sum(layer.neurons for layer in found.layers[:-1]),
            "equal": same.is_equal,
            **({} if same.is_equal else {"difference": str(same)}),
        }

    def error(self, net: FixedNet) -> float:
        """The root mean square of what the outputs are off by, over that of the CNN's outputs."""
        images = self.test.images
        sums = simulate(net, images).outputs[:, -1]
        wanted = self.ann.outputs(images)
        off = sums * net.output_scale - wanted
        return round(float(np.sqrt(np.square(off).mean() / np.square(wanted).mean())), 5)


@dataclass
class Results:
    """All that is known, in the file at `path`; every change is written at once."""

    path: Path
    networks: dict[str, Record]
    records: dict[Key, Record]

    @classmethod
    def read(cls, path: Path) -> Results:
        content = json.loads(path.read_text()) if path.exists() else {"networks": [], "records": []}
        return cls(
            path,
            {row["network"]: row for row in content["networks"]},
            {tuple(row[k] for k in ("network", "method", "neuron", "length")): row
             for row in content["records"]},
        )  # fmt: skip

    def add_network(self, row: Record) -> None:
        self.networks[row["network"]] = row
        self._write()

    def add(self, key: Key, row: Record) -> None:
        self.records[key] = row
        self._write()

    def _write(self) -> None:
        rows = {
            "networks": [self.networks[name] for name in sorted(self.networks)],
            "records": [self.records[key] for key in sorted(self.records)],
        }
        written = self.path.with_suffix(".new")
        written.write_text(json.dumps(rows, indent=1) + "\n")
        written.replace(self.path)


def settings(
    subjects: dict[str, Subject], methods: Iterable[str], neurons: Iterable[str]
) -> list[Setting]:
    return [
        Setting(name, method, neuron, length)
        for name, subject in subjects.items()
        for method in methods
        for neuron in neurons
        for length in subject.lengths(method, neuron)
    ]


def run(
    subjects: dict[str, Subject], wanted: list[Setting], results: Results, *, again: bool = False
) -> Iterator[Record]:
    """Measure what of `wanted` is not known, or everything `again`, by increasing cost; every
    record as it is made.
    """
    for name, subject in subjects.items():
        if results.networks.get(name, {}).get("model") != subject.digest:
            results.add_network(subject.describe())
    for setting in sorted(wanted, key=lambda s: cost(s, subjects[s.network])):
        known = results.records.get(setting.key)
        if known is not None and known["model"] != subjects[setting.network].digest:
            known = None
        if known is None or again:
            results.add(setting.key, subjects[setting.network].measure(setting, known))
            yield results.records[setting.key]


def cost(setting: Setting, subject: Subject) -> tuple[int, int]:
    """Multiply-accumulates of the simulation; short conversions first where these are equal."""
    return subject.macs * setting.options.steps * len(subject.test.images), setting.length


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--method", choices=METHODS)
    parser.add_argument("--neuron", choices=LENGTHS)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    unknown = set(given.networks) - NETWORKS.keys()
    if unknown:
        parser.error(f"no such network: {', '.join(sorted(unknown))}")
    names = given.networks or list(NETWORKS)
    subjects = {name: Subject(name, NETWORKS[name]) for name in names}
    methods = [given.method] if given.method else list(METHODS)
    neurons = [given.neuron] if given.neuron else list(LENGTHS)
    results = Results.read(RESULTS)
    for record in run(subjects, settings(subjects, methods, neurons), results, again=given.again):
        print(record, flush=True)
        PAGE.write_text(page(results.networks, results.records, list(NETWORKS), list(METHODS)))


if __name__ == "__main__":
    main()
