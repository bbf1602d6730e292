"""docs/benchmarks/pc.md, from the record of bench.pc."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Record = Mapping[str, Any]
BASE = "onnxruntime, float"
RIVAL = "emx-onnx-cgen, float"
HEADER = """# On a PC

Printed by `python -m bench.pc` (`make bench-pc`); the top of that file says what is measured. All
numbers of a network are of one run.

- processor: {processor}
- compiler: {compiler}, with {flags}
- onnxruntime {onnxruntime}, emx-onnx-cgen {emx}

Microseconds per image, one thread: the fastest of {rounds} rounds, and their median. Ratios are of
the fastest rounds; below 1, snngen is faster.
"""


def page(found: Record) -> str:
    """All tables."""
    flags = " or ".join(f"`{flags}` ({form})" for form, flags in found["flags"].items())
    text = HEADER.format(
        processor=found["processor"],
        compiler=found["compiler"],
        flags=flags,
        onnxruntime=found["onnxruntime"],
        emx=found["emx-onnx-cgen"],
        rounds=found["rounds"],
    )
    for name, record in found["networks"].items():
        if record["inference"]:
            text += f"\n## {name}\n\n" + _table(
                ("", "compiled for", "fastest", "median", "x onnxruntime", "x emx", "accuracy, %"),
                _inference(record["inference"]),
            )
    text += "\n## `evaluate --engine c`\n\nImages per second, results equal.\n\n"
    heads = ("network", "threads", "golden", "compiled", "faster by")
    return text + _table(heads, _evaluation(found["networks"]))


def _inference(records: Iterable[Record]) -> Iterator[tuple[str, ...]]:
    rows = list(records)
    base = next(r["least"] for r in rows if r["contender"] == BASE)
    rival = {r["flags"]: r["least"] for r in rows if r["contender"] == RIVAL}
    for r in sorted(rows, key=lambda r: ("," in r["contender"], r["contender"])):
        ours = "," not in r["contender"]
        yield (
            r["contender"],
            r["flags"],
            f"{r['least']:.1f}",
            f"{r['median']:.1f}",
            f"{r['least'] / base:.2f}" if ours else "",
            f"{r['least'] / rival[r['flags']]:.2f}" if ours else "",
            f"{100 * r['correct'] / r['images']:.2f}" if "correct" in r else "",
        )


def _evaluation(networks: Mapping[str, Record]) -> Iterator[tuple[str, ...]]:
    for name, record in networks.items():
        for r in record["evaluation"]:
            yield (
                f"{name}, {record['evaluated']}",
                str(r["threads"]),
                f"{r['golden']:,.0f}",
                f"{r['c']:,.0f}",
                f"{r['c'] / r['golden']:.1f}x",
            )


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
