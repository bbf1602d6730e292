"""Threshold balancing: accuracy after each timestep, beside the CNN's, and what a difference is
made of.

    python -m bench.balancing

The CNN of Nguyen Huynh and Lee 2022, trained by `examples/recipes/paper2_*.toml`, with 8-bit
weights on all 10,000 test images, by emitted C; 1,000 training images calibrate. Thresholds by
channel (`channel-max`) and by layer (`layer-max`) are seen over 64 timesteps, once. Then
`channel-max` and `calibrated`, converted for each of a few lengths: as spikes over T timesteps, and
as level neurons of T levels, which are the same rounding without time. Needs SNNGEN_DATA; ten
minutes. Writes bench/results/balancing.json and docs/benchmarks/balancing.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.networks import ROOT, UNIT, Network
from snngen.convert import Options
from snngen.data import Bytes, Samples, load
from snngen.evaluate import Ann, evaluate
from snngen.pipeline import build, read_model

RESULTS = ROOT / "bench/results/balancing.json"
PAGE = ROOT / "docs/benchmarks/balancing.md"
FOLDER = "examples/threshold_balancing"
NETWORKS = {
    "MNIST": Network(f"{FOLDER}/mnist.onnx", "mnist", UNIT, None),
    "Fashion-MNIST": Network(f"{FOLDER}/fashion_mnist.onnx", "fashion_mnist", UNIT, None),
}
BALANCED = ("channel-max", "layer-max")
COMPARED = ("channel-max", "calibrated")
LONGEST = 64
SHOWN = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
LENGTHS = (4, 8, 16, 32)
CALIBRATION = 1000  # training images
WITHIN = 0.05  # percentage points of the CNN
SHORT = 8  # timesteps by which that is hoped for
Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Subject:
    """A CNN, the images to calibrate on and those to test on."""

    ann: Ann
    training: Bytes
    test: Samples

    @staticmethod
    def of(network: Network) -> Subject:
        graph = read_model(network.path)
        shape = graph.input.shape
        ann = Ann(graph, network.normalisation.preprocess(shape[0]))
        training = network.training(shape, CALIBRATION)
        return Subject(ann, training, load(network.data, shape))

    def measure(self, options: Options) -> Record:
        """Top-1 in % after each timestep; the images that the network gets wrong and the CNN does
        not, and the other way round.
        """
        net = build(self.ann, self.training, options)
        labels = self.test.labels
        found = evaluate(net, self.test.images, labels, engine="c")
        assert found.correct is not None and labels is not None
        right, was_right = found.classes == labels, self.ann.classes(self.test.images) == labels
        return {
            "top1": [100 * int(correct) / found.images for correct in found.correct],
            "lost": int((was_right & ~right).sum()),
            "won": int((right & ~was_right).sum()),
        }

    def cnn(self) -> float:
        right: np.ndarray = self.ann.classes(self.test.images) == self.test.labels
        return 100 * float(right.mean())


def measured(subject: Subject) -> Record:
    """All of one data set."""
    whole = {m: subject.measure(Options(m, "if", timesteps=LONGEST)) for m in BALANCED}
    by_length = {}
    for method in COMPARED:
        by_length[method] = [
            {
                "T": t,
                "levels": subject.measure(Options(method, "level", levels=t)),
                "spikes": subject.measure(Options(method, "if", timesteps=t)),
            }
            for t in LENGTHS
        ]
    return {"cnn": subject.cnn(), "whole": whole, "by_length": by_length}


def page(records: dict[str, Record]) -> str:
    """Markdown."""
    lines = [
        "# Threshold balancing, timestep by timestep",
        "",
        "Printed by `python -m bench.balancing`; the top of that file says what is measured. Top-1",
        f"in %. *Near*: the first timestep from which on it stays within {WITHIN} percentage",
        "points of the CNN; *best*: the most that it reaches, and when.",
        "",
        f"| data | thresholds | CNN | {' | '.join(f'T={t}' for t in SHOWN)} | near | best |",
        f"|---|---|---|{'---|' * len(SHOWN)}---|---|",
        *(line for data, record in records.items() for line in _rows(data, record)),
        "",
        "## What a difference is made of",
        "",
        "The same CNNs, converted for T timesteps: in brackets the images that the network gets",
        "wrong and the CNN right (-), and the other way round (+). *Levels*: each activation is",
        "rounded to T levels, and no time passes. *Spikes*: the same thresholds over T timesteps;",
        "what is lost beyond the levels is that spikes arrive unevenly. A loss of fewer images",
        "than the square root of both counts together may be chance.",
        "",
        "| data | T | channel-max, levels | spikes | calibrated, levels | spikes |",
        "|---|---|---|---|---|---|",
        *(line for data, record in records.items() for line in _lengths(data, record)),
        "",
        "## What holds",
        *(line for data, record in records.items() for line in _verdict(data, record)),
    ]
    return "\n".join(lines) + "\n"


def _rows(data: str, record: Record) -> list[str]:
    rows = []
    for method, found in record["whole"].items():
        top1 = found["top1"]
        cells = [f"{top1[t - 1]:.2f}" for t in SHOWN]
        start, best = near(top1, record["cnn"]), max(top1)
        rows.append(
            f"| {data} | {method} | {record['cnn']:.2f} | {' | '.join(cells)} "
            f"| {f'T={start}' if start else '-'} | {best:.2f}, T={top1.index(best) + 1} |"
        )
    return rows


def near(top1: list[float], cnn: float) -> int | None:
    """The timestep from which on it stays near the CNN."""
    far = [t for t, accuracy in enumerate(top1, 1) if _is_far(accuracy, cnn)]
    start = far[-1] + 1 if far else 1
    return start if start <= len(top1) else None


def _is_far(accuracy: float, cnn: float) -> bool:
    return accuracy < cnn - WITHIN - 1e-9


def _lengths(data: str, record: Record) -> list[str]:
    rows = []
    for found in zip(*record["by_length"].values(), strict=True):
        cells = [_cell(row[kind]) for row in found for kind in ("levels", "spikes")]
        rows.append(f"| {data} | {found[0]['T']} | {' | '.join(cells)} |")
    return rows


def _cell(found: Record) -> str:
    return f"{found['top1'][-1]:.2f} (-{found['lost']} +{found['won']})"


def _verdict(data: str, record: Record) -> list[str]:
    """Whether it is near the CNN in few timesteps, and ever above it."""
    cnn = record["cnn"]
    short = {m: found["top1"][SHORT - 1] for m, found in record["whole"].items()}
    short |= {
        f"{m} for T={row['T']}": row["spikes"]["top1"][-1]
        for m, rows in record["by_length"].items()
        for row in rows
        if row["T"] == SHORT
    }
    name, most = max(short.items(), key=lambda item: item[1])
    every = {m: max(found["top1"]) for m, found in record["whole"].items()}
    for m, rows in record["by_length"].items():
        every[m] = max(every.get(m, 0.0), *(row["spikes"]["top1"][-1] for row in rows))
    above = [f"{m} ({top:.2f})" for m, top in every.items() if top > cnn]
    is_near = "not within" if _is_far(most, cnn) else "within"
    return [
        "",
        f"**{data}**: the CNN has {cnn:.2f}. After {SHORT} timesteps the best is {most:.2f}",
        f"({name}), {is_near} {WITHIN} points. Above the CNN at some length:",
        f"{', '.join(above) or 'none'}.",
        "",
        *(_losses(record, method, t) for t in (SHORT, 2 * SHORT) for method in COMPARED),
    ]


def _losses(record: Record, method: str, timesteps: int) -> str:
    """What rounding costs, and what time costs."""
    row = record["by_length"][method][LENGTHS.index(timesteps)]
    levels, spikes = row["levels"]["top1"][-1], row["spikes"]["top1"][-1]
    rounding, time = levels - record["cnn"], spikes - levels
    return f"- T={timesteps}, {method}: rounding {rounding:+.2f} points, uneven arrival {time:+.2f}"


def main() -> None:
    records = {}
    for data, network in NETWORKS.items():
        records[data] = measured(Subject.of(network))
        print("\n".join(_rows(data, records[data]) + _lengths(data, records[data])), flush=True)
    RESULTS.write_text(json.dumps(records, indent=1) + "\n")
    PAGE.write_text(page(records))


if __name__ == "__main__":
    main()
