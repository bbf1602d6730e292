"""Fuzzes the public functions of emitted C with libFuzzer, AddressSanitizer and UBSan.

    python -m tests.assurance.fuzz [SECONDS]      default: an hour

What is called and what must hold: fuzz.c beside this file. Needs clang. Inputs that found something
new stay in build/fuzz, where the next run starts from them. The last line that is printed sums up;
a finding ends the run with what the sanitizer said.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snngen.targets.c.build import write_tree
from tests.assurance.networks import Form, forms, networks, project

HERE = Path(__file__).parent
DRAWN = 12
SANITIZE = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
SEEDS = 40


@dataclass(frozen=True)
class Outcome:
    """Of a run: what libFuzzer said, and its figures."""

    found: bool
    output: str
    executions: int
    edges: int

    def __str__(self) -> str:
        result = "a finding" if self.found else "no finding"
        return f"{self.executions:,} executions, {self.edges:,} edges covered, {result}"


def build_fuzzer(
    given: list[Form], folder: Path, changes: Mapping[str, bytes] | None = None
) -> Path:
    """Compiles the forms and fuzz.c with clang in `folder`; `changes` replace files of theirs."""
    files = project(given) | dict(changes or {})
    files |= {"fuzz.c": (HERE / "fuzz.c").read_bytes(), "fuzz_forms.h": _table(given).encode()}
    write_tree(files, folder)
    sources = [name for name in sorted(files) if name.endswith(".c")]
    flags = ["-std=c99", "-g", "-O1", *SANITIZE, "-I.", "-Iruntime"]
    subprocess.run(["clang", *flags, *sources, "-o", "fuzz"], cwd=folder, check=True)
    _seeds(given, folder / "corpus")
    return folder / "fuzz"


def run_fuzzer(fuzzer: Path, seconds: int) -> Outcome:
    """Lets `fuzzer` run for so long, or until it finds something."""
    largest = ["-max_len=8192", f"-max_total_time={seconds}", "-print_final_stats=1", "-seed=1"]
    done = subprocess.run(
        [fuzzer, "corpus", *largest], cwd=fuzzer.parent, capture_output=True, text=True, check=False
    )
    said = done.stderr
    executions = re.search(r"stat::number_of_executed_units:\s*(\d+)", said)
    edges = re.findall(r"cov: (\d+)", said)
    return Outcome(
        done.returncode != 0,
        said,
        int(executions[1]) if executions else 0,
        int(edges[-1]) if edges else 0,
    )


RUNS = (
    ("run", "void *, size_t, const uint8_t *, int32_t *"),
    ("run_quantised", "void *, size_t, const int16_t *, int32_t *"),
    ("run_traced", "void *, size_t, const uint8_t *, int32_t *, snn_trace_fn *, void *"),
    ("selftest", "void *, size_t"),
)
STEPS = (
    ("reset", "void *, size_t"),
    ("step", "void *, size_t, const uint8_t *"),
    ("step_traced", "void *, size_t, const uint8_t *, snn_trace_fn *, void *"),
    ("result", "const void *, size_t, int32_t *"),
    ("selftest", "void *, size_t"),
)


def _table(given: list[Form]) -> str:
    """fuzz_forms.h: the functions and sizes of every form, those of streams apart."""
    lines = [f'#include "{form.prefix}.h"' for form in given]
    lines += ['#include "snn_model.h"', ""]
    lines += [f"extern const snn_model {form.prefix}_model;" for form in given]
    for kind, calls in (("form", RUNS), ("stream", STEPS)):
        chosen = [form for form in given if form.net.is_stream == (kind == "stream")]
        lines += [
            "typedef struct {",
            "    int number; /* among the forms of its network */",
            "    int outputs;",
            "    size_t arena_bytes, input_bytes;",
            "    const snn_model *model;",
            *(f"    int (*{name})({arguments});" for name, arguments in calls),
            f"}} {kind};",
            f"enum {{ {kind.upper()}S = {len(chosen)} }};",
            f"static const {kind} {kind}s[{kind.upper()}S + 1] = {{",
            *(f"    {_row(form, chosen, calls)}," for form in chosen),
            "};",
        ]
    return "\n".join([*lines, ""])


def _row(form: Form, chosen: list[Form], calls: tuple[tuple[str, str], ...]) -> str:
    first = next(i for i, other in enumerate(chosen) if other.number == form.number)
    p, upper = form.prefix, form.prefix.upper()
    sizes = f"{upper}_OUTPUTS, {upper}_ARENA_BYTES, {upper}_INPUT_BYTES, &{p}_model"
    functions = ", ".join(f"{p}_{name}" for name, _ in calls)
    return f"{{{chosen.index(form) - first}, {sizes}, {functions}}}"


def _seeds(given: list[Form], corpus: Path) -> None:
    """Inputs to start from: of every form and call, random images, sparse ones and black ones."""
    corpus.mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    for k, form in enumerate(given):
        size = int(np.prod(form.net.input.shape))
        for call in range(4):
            image = rng.integers(0, 256, 2 * size, dtype=np.uint8)
            image *= rng.random(len(image)) < rng.choice([0, 0.1, 1])
            head = bytes([k, call, 0])
            (corpus / f"seed-{k}-{call}").write_bytes(head + image.tobytes())
    for fault in range(1, 128):
        (corpus / f"fault-{fault}").write_bytes(bytes([fault % len(given), fault % 4, fault]))


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3600
    folder = HERE.parents[1] / "build/fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    given = list(forms(networks(DRAWN)))
    fuzzer = build_fuzzer(given, folder)
    outcome = run_fuzzer(fuzzer, seconds)
    if outcome.found:
        sys.exit(outcome.output[-8000:])
    print(f"{len(given)} forms of {DRAWN + 4} networks, {seconds} s: {outcome}")


if __name__ == "__main__":
    main()
