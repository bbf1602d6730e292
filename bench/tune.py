"""A search for every goal beside the table of all configurations.

    python -m bench.tune [NAME ...]

For each network all configurations of a space are judged on all held-out training images, and
`snngen tune` searches the same space for every goal. Shown are what it chose, the best of the table
for that goal, and what either took: one *evaluation* is a network judged on all held-out images,
and a part of these images counts as that part. Accuracy may fall by DROP points below the CNN's on
the held-out images; for the goal accuracy as good is: no more errors. No test image is read. Needs
SNNGEN_DATA and SNNGEN_MODELS, and some minutes of a core for MNIST, ten for ResNet-20. What is
found out is kept in build/tune/NAME, so that a run that was stopped goes on; what a search took is
counted as if it had begun with nothing. Writes bench/results/tune_NAME.json and
docs/benchmarks/tune.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.networks import CIFAR10, MNIST, ROOT, Network
from snngen.data import load
from snngen.evaluate import Ann
from snngen.pipeline import read_model
from snngen.tune import ACCURACY, GOALS, Candidate, Ladder, Material, Space, divide, ladders, tune
from snngen.tune.journal import Journal
from snngen.tune.trials import Trials

RESULTS = ROOT / "bench/results"
PAGE = ROOT / "docs/benchmarks/tune.md"
FOLDER = ROOT / "build/tune"
DROP = 0.5
HEADER = f"""# A search beside the whole table

Printed by `python -m bench.tune`; the top of that file says what is measured. At most {DROP:g}
points below the CNN are allowed. *Cost*: SynOps and MACs as additions, instructions, or bytes; for
accuracy the additions of the most accurate.
"""
COLUMNS = (
    *("goal", "chosen", "errors", "cost", "best of the table", "errors", "cost", "as good"),
    *("evaluations", "networks seen", "images x timesteps"),
)


@dataclass(frozen=True)
class Case:
    """A network, the training images held out to judge by, and what is tried on it."""

    network: Network
    held_out: int
    space: Space


CASES = {
    "lenet_ref": Case(
        MNIST["lenet_ref"],
        1024,
        Space(method=("channel-max", "layer-max", "calibrated", "ecc"), neuron=("level",)),
    ),
    "resnet20": Case(
        CIFAR10["akamaster_resnet20"],
        256,  # and the methods that convert it quickest
        Space(
            method=("channel-max", "layer-max"),
            neuron=("level",),
            levels=(3, 7, 15, 31),
            percentile=(100.0, 99.9),
        ),
    ),
}


def material(case: Case) -> Material:
    graph = read_model(case.network.path)
    ann = Ann(graph, case.network.normalisation.preprocess(graph.input.shape[0]))
    samples = load(case.network.data, graph.input.shape, split="train")
    return divide(ann, samples.images, samples.labels, case.held_out)


def everything(trials: Trials, ladders: Sequence[Ladder]) -> list[Candidate]:
    """Every configuration, judged on all held-out images."""
    found = []
    for ladder in ladders:
        for rung in ladder.rungs:
            (networks,) = trials.convert([(rung, ladder.bits)])
            judged = trials.judge([(n, 0, trials.images) for n in networks.values()])
            for (bits, network), j in zip(networks.items(), judged, strict=True):
                options = replace(rung, bits=bits)
                found.append(Candidate(options, network, j.wrong, j.synops, j.macs))
                print(_name(found[-1]), found[-1].errors, flush=True)
    return found


def measure(name: str) -> dict[str, Any]:
    case = CASES[name]
    given, folder = material(case), FOLDER / name
    climbed, _ = ladders(case.space, given.ann.graph)
    with Journal(folder) as journal:
        trials = Trials(given, journal)
        table = everything(trials, climbed)
    return {
        "network": name,
        "space": asdict(case.space) | {"method": sorted({c.options.method for c in table})},
        "held_out": len(given.wanted),
        "cnn_errors": int((given.cnn != given.wanted).sum()),
        "drop": DROP,
        "spent": asdict(trials.spent),
        "conversions": sum(len(ladder.rungs) for ladder in climbed),
        "searches": [_search(given, case.space, goal, folder, table) for goal in GOALS],
        "table": [_row(c) for c in table],
    }


def _search(
    given: Material, space: Space, goal: str, folder: Path, table: Sequence[Candidate]
) -> dict[str, Any]:
    """One search, and the best of the `table` for the same goal."""
    found = tune(given, space, goal, DROP, folder)
    allowed = found.cnn_errors + int(found.images * DROP / 100)
    if goal == ACCURACY:
        allowed = min(c.errors for c in table)
    good = [c for c in table if c.errors <= allowed]
    best = min(good, key=lambda c: (GOALS[goal](c), c.errors), default=None)
    return {
        "goal": goal,
        "chosen": _shown(found.chosen, goal),
        "best": _shown(best, goal),
        "as_good": _as_good(found.chosen, best, goal),
        "evaluations": found.evaluations,
        "evaluations_of_all": len(table),
        "networks_seen": len(found.candidates),
        "spent": asdict(found.spent),
        "judging_of_all": found.whole,
    }


def _as_good(chosen: Candidate | None, best: Candidate | None, goal: str) -> bool:
    if chosen is None or best is None:
        return chosen is best
    if goal == ACCURACY:
        return chosen.errors <= best.errors
    return GOALS[goal](chosen) <= GOALS[goal](best)


def _row(c: Candidate) -> dict[str, Any]:
    costs = {goal: cost(c) for goal, cost in GOALS.items() if goal != ACCURACY}
    return {**asdict(c.options), "errors": c.errors, **costs}


def _shown(c: Candidate | None, goal: str) -> dict[str, Any] | None:
    return c and {"name": _name(c), "errors": c.errors, "cost": round(GOALS[goal](c))}


def _name(c: Candidate) -> str:
    size = f"T={c.options.timesteps}" if c.options.neuron == "if" else f"N={c.options.levels}"
    return f"{c.options.method} {size}, {c.options.bits} bits, {c.options.percentile}"


def _section(result: dict[str, Any]) -> list[str]:
    """A network's part of the page."""
    space, of = result["space"], len(result["table"])
    values = {
        "methods": space["method"],
        "T": space["timesteps"] if "if" in space["neuron"] else (),
        "N": space["levels"] if "level" in space["neuron"] else (),
        "bits": space["bits"],
        "percentiles": space["percentile"],
    }
    grid = "; ".join(f"{k} {', '.join(map(str, v))}" for k, v in values.items() if v)
    text = f"""
## {result["network"]}

{of} networks ({grid}), {result["held_out"]} held-out images of which the CNN gets
{result["cnn_errors"]} wrong.
"""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_cells, result["searches"])]
    return [text, *(f"| {' | '.join(cells)} |" for cells in rows)]


def _cells(row: dict[str, Any]) -> list[str]:
    cells = [row["goal"]]
    for found in (row["chosen"], row["best"]):
        shown = ("none", "", "")
        if found is not None:
            shown = (found["name"], str(found["errors"]), f"{found['cost']:,}")
        cells += shown
    part = 100 * row["evaluations"] / row["evaluations_of_all"]
    work = row["spent"]["judging"]
    return [
        *cells,
        "yes" if row["as_good"] else "no",
        f"{row['evaluations']:.1f} of {row['evaluations_of_all']}: {part:.1f} %",
        str(row["networks_seen"]),
        f"{work:,}: {100 * work / row['judging_of_all']:.1f} %",
    ]


def main() -> None:
    for name in sys.argv[1:] or CASES:
        result = measure(name)
        (RESULTS / f"tune_{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    paths = [RESULTS / f"tune_{name}.json" for name in CASES]
    known = [json.loads(path.read_text()) for path in paths if path.exists()]
    lines = [HEADER.rstrip(), *(line for result in known for line in _section(result))]
    PAGE.write_text("\n".join(lines) + "\n")
    print(PAGE.read_text())


if __name__ == "__main__":
    main()
