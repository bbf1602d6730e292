"""docs/benchmarks/accuracy.md from the records of bench.accuracy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Record = dict[str, Any]
Key = tuple[str, str, str, int]

HEADER = """# Accuracy of conversion

Printed by `python -m bench.accuracy` (`make bench-accuracy`); the top of that file says what is
measured. Top-1 in % on whole test sets with int8 weights, by method, neuron and length: N levels of
`level` (one timestep), T timesteps of `if`. Thresholds are set on training images alone; that some
defaults were settled with results of the MNIST networks in view is said in
docs/decisions/0007-thresholds.md. An empty cell is not measured, a dash refused, for the reason
below the table. What a method cannot convert at all is left out.

## Points lost

Of the CNN's accuracy, by the method in brackets: that which loses least in these very results, so
that the choice among methods is a little optimistic.

"""
SHOWN = (("level", 7), ("level", 15), ("if", 16), ("if", 32))
NEURONS = ("level", "if")


def page(
    networks: dict[str, Record], records: dict[Key, Record], names: list[str], methods: list[str]
) -> str:
    """The page; `names` and `methods` give the order."""
    known = [name for name in names if name in networks]
    parts = [HEADER + _summary(known, networks, records, methods)]
    parts += [_section(networks[name], records, methods) for name in known]
    return "\n".join(parts)


def table(rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; the first row is the head."""
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * (head.count("|") - 1) + "|", *body]) + "\n"


def _summary(
    names: list[str], networks: dict[str, Record], records: dict[Key, Record], methods: list[str]
) -> str:
    units = {"level": "N", "if": "T"}
    rows = [["network", "CNN", *(f"`{neuron}` {units[neuron]}={n}" for neuron, n in SHOWN)]]
    for name in names:
        if "correct" not in networks[name]:
            continue
        cnn = _percent(networks[name], networks[name])
        cells = [name, f"{cnn:.2f}"]
        for neuron, length in SHOWN:
            found = [records.get((name, method, neuron, length)) for method in methods]
            lost = [
                (cnn - _percent(row, networks[name]), row["method"])
                for row in found
                if row is not None and "correct" in row
            ]
            cells.append("{:.2f} ({})".format(*min(lost)) if lost else "")
        rows.append(cells)
    return table(rows)


def _section(network: Record, records: dict[Key, Record], methods: list[str]) -> str:
    name = network["network"]
    mine = {key[1:]: row for key, row in records.items() if key[0] == name}
    lines = [(m, n) for m in methods for n in NEURONS if _any_measured(mine, m, n)]
    lengths = sorted({length for m, n, length in mine if (m, n) in lines})
    head = ["method", "neuron", *map(str, lengths)]

    def rows(cell: Any) -> list[list[str]]:
        return [
            [m, f"`{n}`", *(_cell(mine.get((m, n, length)), cell) for length in lengths)]
            for m, n in lines
        ]

    quality = rows(
        lambda row: f"{100 * row['error'] if 'error' in row else _percent(row, network):.2f}"
    )
    costs = rows(lambda row: f"{row['synops'] / 1e6:.3g}, {row['spikes'] / row['neurons']:.2g}")
    compared = [row["equal"] for row in mine.values() if "equal" in row]
    text = [
        f"## {name}\n",
        f"{_of_the_cnn(network)}, {network['macs'] / 1e6:.3g} M multiply-accumulates an image. "
        f"C = golden: {sum(compared)} of {len(compared)} networks.\n",
        table([head, *quality]),
        "Million synaptic operations per image, and spikes per neuron and image:\n",
        table([head, *costs]),
    ]
    reasons = [
        f"- {m}, `{n}` {length}: {row['refused']}"
        for (m, n, length), row in sorted(mine.items())
        if "refused" in row and (m, n) in lines
    ]
    return "\n".join([*text, *(["\n".join(reasons) + "\n"] if reasons else [])])


def _of_the_cnn(network: Record) -> str:
    if "correct" not in network:
        return (
            f"No data: the error of the outputs in % of the CNN's (root mean square) on "
            f"{network['images']:,} synthetic images, thresholds set on others of that kind"
        )
    return (
        f"CNN {_percent(network, network):.2f} % of {network['images']:,} images "
        f"(published: {network['published']:g})"
    )


def _any_measured(mine: dict[tuple[str, str, int], Record], method: str, neuron: str) -> bool:
    return any(key[:2] == (method, neuron) and "refused" not in row for key, row in mine.items())


def _cell(row: Record | None, show: Any) -> str:
    if row is None:
        return ""
    return "-" if "refused" in row else show(row)


def _percent(row: Record, network: Record) -> float:
    return 100 * row["correct"] / network["images"]
