"""docs/benchmarks/mcu.md, from the records of bench.mcu."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

Record = Mapping[str, Any]
DENSE = "int8, "
FAST, SMALL = "-O2", "-Os"
BYTES_ON = "cortex-m4"
# k instructions of CMSIS-NN's int8 lenet_ref with the same compiler, emulator and images, and what
# it takes on the Cortex-M4, in bytes: measured once, not run here
CMSIS_NN = {"cortex-m0": 5669, "cortex-m3": 2971, "cortex-m4": 2376, "rv32imac": 3630}
CMSIS_NN_BYTES = (43_800, 11_800)
NETWORKS = ("lenet_ref", "ternary", "ic_resnet8", "kws")
HEADER = """# On microcontrollers

Printed by `python -m bench.mcu`; the top of that file says what is measured. Thousands of
instructions per inference, of AVR cycles; mean of a few test images. In brackets: how many times
what the fastest dense int8 C of the same CNN takes on that processor. RAM is what is linked: all
but the stack.
"""


def page(records: Mapping[str, Record]) -> str:
    """The tables of all networks that were measured."""
    networks = sorted({key.split(" | ")[0] for key in records}, key=NETWORKS.index)
    return HEADER + "".join(_network(name, records) for name in networks)


def _network(name: str, records: Mapping[str, Record]) -> str:
    mine = {k: v for k, v in records.items() if k.startswith(f"{name} | ")}
    labels = list(dict.fromkeys(key.split(" | ")[1] for key in mine))
    labels.sort(key=lambda label: (label.startswith("emx"), label.startswith("int8")))
    boards = list(dict.fromkeys(k.split(" | ")[2] for k in mine if k.count(" | ") == 3))

    def at(label: str, board: str, optimisation: str = FAST) -> Record:
        return mine.get(f"{name} | {label} | {board} | {optimisation}", {})

    def fastest(board: str) -> Record:
        dense = [at(label, board) for label in labels if label.startswith(DENSE)]
        return min((d for d in dense if "counts" in d), key=_mean, default={})

    def accuracy(label: str) -> str:
        known = mine[f"{name} | {label}"]
        return f"{100 * known['correct'] / known['images']:.2f}"

    def cells(number: Callable[[Record], float | None]) -> Iterable[tuple[str, ...]]:
        for label in labels:
            row = [label]
            for board in boards:
                own, base = number(at(label, board)), number(fastest(board))
                row.append(_with_ratio(own, base))
            yield (*row, accuracy(label))

    heads = ("", *boards, "accuracy, %")
    text = f"\n## {name}\n\n" + _table(heads, cells(_mean))
    text += "\nWithout the first layer:\n\n" + _table(heads, cells(_without_first))
    small = [
        (
            label,
            *(_ratio(_mean(at(label, b, SMALL)), _mean(at(label, b))) for b in boards),
            *(_bytes(at(label, BYTES_ON, SMALL), what) for what in ("flash", "ram")),
            *(_bytes(at(label, BYTES_ON, FAST), what) for what in ("flash", "ram")),
            _range(at(label, BYTES_ON)),
        )
        for label in labels
    ]
    kinds = [f"{what} at {o}" for o in (SMALL, FAST) for what in ("flash", "RAM")]
    text += (
        f"\n`-Os` over `-O2`, and, on the {BYTES_ON}, bytes, and the thousands of instructions of "
        f"the images that take least and most at {FAST}:\n\n"
    )
    text += _table(("", *boards, *kinds, "least .. most"), small)
    if name == "lenet_ref":
        text += _beside_cmsis(labels, at)
    return text


def _beside_cmsis(labels: list[str], at: Callable[..., Record]) -> str:
    ours = [label for label in labels if label.startswith("lenet_ref")]
    rows = [
        (label, *(_ratio(_mean(at(label, b)), 1000 * k) for b, k in CMSIS_NN.items()))
        for label in ours
    ]
    stated = ", ".join(f"{board} {k:,} k" for board, k in CMSIS_NN.items())
    flash, ram = CMSIS_NN_BYTES
    return (
        f"\nBeside CMSIS-NN's int8 kernels, which took {stated} and {flash:,} and {ram:,} bytes of "
        "flash and RAM on the Cortex-M4 (measured once with the same compiler and emulator, not "
        "by this program):\n\n"
    ) + _table(("", *CMSIS_NN), rows)


def _mean(record: Record) -> float | None:
    return float(np.mean(record["counts"])) if "counts" in record else None


def _without_first(record: Record) -> float | None:
    if "counts" not in record or np.mean(record["first"]) < 1000:
        return None  # it cannot be run alone
    return float(np.mean(record["counts"]) - np.mean(record["first"]))


def _range(record: Record) -> str:
    counts = record.get("counts")
    return f"{min(counts) / 1000:,.0f} .. {max(counts) / 1000:,.0f}" if counts else "-"


def _with_ratio(own: float | None, base: float | None) -> str:
    if own is None:
        return "-"
    return f"{own / 1000:,.0f}" + ("" if base is None else f" ({own / base:.2f})")


def _ratio(own: float | None, base: float | None) -> str:
    return "-" if own is None or base is None else f"{own / base:.2f}"


def _bytes(record: Record, what: str) -> str:
    return f"{record[what]:,}" if what in record else "-"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
