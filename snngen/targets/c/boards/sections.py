"""Measures the tables of `linking.py`: python -m snngen.targets.c.boards.sections"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snngen.fixed import FixedInput, FixedLayer, FixedNet
from snngen.neurons import Accumulate
from snngen.ops import Interval, Linear
from snngen.spiking import INPUT, Coding, Synapse
from snngen.targets.c.boards import BOARDS, PROCESSORS
from snngen.targets.c.boards.alone import link_alone
from snngen.targets.c.boards.firmware import compile_sources, support_files
from snngen.targets.c.boards.objects import DUMPS, read_objects, sections_of
from snngen.targets.c.build import RUNTIME, write_tree
from snngen.targets.c.emit import c_files, facts_of
from snngen.targets.c.linking import (
    IMAGES,
    OPTIMISATIONS,
    STREAMS,
    TABLES,
    Section,
    Table,
    entries_of,
    table_text,
)
from snngen.targets.c.schedule import plan
from snngen.targets.c.views import model_view

NETWORKS: Mapping[str, Coding] = {IMAGES: "direct", STREAMS: "events"}
COMMAND = "python -m snngen.targets.c.boards.sections"


def smallest_network(coding: Coding) -> FixedNet:
    """One synapse: the functions of model.c are the same for all networks of a coding."""
    table = np.zeros((1, 256), np.int16)
    source = FixedInput((1, 1, 1), "CHW", table, np.ones(1), np.zeros(1), coding)
    nothing = Interval(np.zeros(1, np.int64), np.zeros(1, np.int64))
    synapse = Synapse(INPUT, Linear(np.zeros((1, 1, 1, 1), np.int64)))
    neuron = Accumulate(1 if coding == "events" else None)
    layer = FixedLayer("output", (1, 1, 1), (synapse,), None, neuron, nothing, nothing, nothing)
    return FixedNet("smallest", source, (layer,), 1, "CHW", 1.0, "by hand")


def sources() -> dict[str, bytes]:
    """Emitted C files whose functions every network has, by path: of images and of streams."""
    files: dict[str, bytes] = {}
    for prefix, coding in NETWORKS.items():
        net = smallest_network(coding)
        chosen = plan(net)
        files |= c_files(facts_of(net, chosen, model_view(net, chosen), prefix), prefix)
    return files


def digest_of(files: dict[str, bytes]) -> str:
    """Of what the tables were measured of."""
    runtime = {n: c for n, c in files.items() if n.startswith(RUNTIME)}
    return sha256(
        b"\0".join(n.encode() + b"\0" + c for n, c in sorted(runtime.items()))
    ).hexdigest()


def compiler_of(processor: str) -> str:
    """The compiler that there is, and its version."""
    compiler = BOARDS[processor].compiler[0]
    done = subprocess.run([compiler, "-dumpversion"], capture_output=True, text=True, check=True)
    return f"{compiler} {done.stdout.strip()}"


def measured(processor: str) -> Table:
    """The table of one of PROCESSORS, with its board's compiler. ToolError without it."""
    builds: dict[str, tuple[Section, ...]] = {}
    for flag in OPTIMISATIONS:
        with TemporaryDirectory(prefix="snngen-") as folder:
            builds[flag] = built(processor, flag, Path(folder))
    return Table(compiler_of(processor), digest_of(sources()), builds)


def built(processor: str, optimisation: str, folder: Path) -> tuple[Section, ...]:
    """The sections of model.c, the runtime and what they use of libraries, compiled in `folder`."""
    tools = BOARDS[processor].compiler[0].removesuffix("gcc")
    files = sources()
    write_tree({**files, **support_files()}, folder)
    names = [
        *(f"{prefix}.c" for prefix in NETWORKS),
        *(n for n in sorted(files) if n.startswith(RUNTIME) and n.endswith(".c")),
    ]
    compile_sources(processor, (optimisation, *DUMPS), *names, folder=folder)
    objects = [f"{Path(name).stem}.o" for name in names]
    members: list[str] = []
    entries = [e for p in NETWORKS for e in entries_of(p, is_stream=p == STREAMS)]
    for archive, member in link_alone(processor, entries, objects, folder).members:
        subprocess.run([f"{tools}ar", "x", archive, member], cwd=folder, check=True)
        members.append(member)
    found = read_objects(f"{tools}objdump", [*objects, *members], folder)
    everything = sections_of(found, folder, BOARDS[processor].return_bytes)
    kept = [section for section in everything if not _is_of_the_network(section)]
    known = {section.name for section in kept}
    return tuple(replace(s, refers=tuple(r for r in s.refers if r in known)) for s in kept)


def _is_of_the_network(section: Section) -> bool:
    """Whether it is a constant of model.c, which other networks have otherwise."""
    names = section.name
    return any(names.startswith(f"{p}:") or names == f"{p}_model" for p in NETWORKS)


def write_tables(processors: Sequence[str] = PROCESSORS) -> None:
    """Overwrite the committed tables."""
    for processor in processors:
        (TABLES / f"{processor}.json").write_text(table_text(measured(processor)), "ascii")


if __name__ == "__main__":
    write_tables()
