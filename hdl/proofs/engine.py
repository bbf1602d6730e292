"""Proves claims about circuits, and breaks them: Amaranth to AIGER by Yosys, then ABC.

`pdr`, property-directed reachability, finds an invariant by induction from which the claims follow
in every cycle, however long the circuit runs. `bmc`, bounded model checking, tries all inputs over
a number of cycles from the start; `window` does so from whatever state the core may be in, which
for one that feeds nothing back into itself says the same of every cycle.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from unittest.mock import patch

from amaranth.hdl import (
    Assert,
    Assume,
    ClockDomain,
    Elaboratable,
    Module,
    ShapeLike,
    Signal,
    Value,
    ValueLike,
)

from snngen.errors import Problem, ToolError
from snngen.targets.hdl import toolchain

Engine = Literal["pdr", "bmc", "window"]
ABC = "berkeley-abc"  # as Debian names it

TO_AIGER = (
    "read_rtlil top.il; hierarchy -top top; proc; flatten; {forget} opt_clean; chformal -lower;"
    " setattr -set keep 1 t:$assert; memory_collect; memory_nordff; memory_map; opt -full;"
    " async2sync; formalff -clk2ff -ff2anyinit; setundef -anyseq; dffunmap; opt -full;"
    " techmap; opt -fast; dffunmap; aigmap; opt_clean;"
    " write_aiger -zinit -ywmap names.json top.aig"
)
FORGET = "setattr -unset init w:core.*;"  # the state in which the core begins


class Claims(Elaboratable):
    """A circuit, its submodule `core`, beside what is said of it: subclasses connect and claim in
    `state`.
    """

    def __init__(self) -> None:
        self.sync = ClockDomain("sync", reset_less=True)  # begins in its initial state
        self.inputs: list[Signal] = [self.sync.clk]
        self.claimed: list[str] = []
        self.possible: list[str] = []

    def free(self, shape: ShapeLike, name: str) -> Any:
        """A signal that may have any value in any cycle."""
        signal = Signal(shape, name=name)
        self.inputs.append(Value.cast(signal))
        return signal

    def elaborate(self, platform: object) -> Module:
        self.m = Module()
        self.m.domains += self.sync
        self.state(self.m)
        return self.m

    def state(self, m: Module) -> None:
        raise NotImplementedError

    def claim(self, name: str, holds: ValueLike) -> None:
        """`holds` is never 0."""
        self.claimed.append(name)
        self.m.d.comb += Assert(holds, name)

    def reaches(self, name: str, happens: ValueLike) -> None:
        """`happens` can be 1: the claims do not hold for want of cases."""
        self.possible.append(name)
        self.m.d.comb += Assert(~Value.cast(happens).bool(), name)

    def assume(self, holds: ValueLike) -> None:
        """Nothing is said of inputs with which this is 0."""
        self.m.d.comb += Assume(holds)

    def before(self, value: ValueLike, cycles: int = 1) -> Value:
        """`value` some cycles ago; 0 before the first."""
        value = Value.cast(value)
        for _ in range(cycles):
            register = Signal(value.shape(), name=f"before{len(self.inputs)}")
            self.m.d.sync += register.eq(value)
            value = register
        return value


@dataclass(frozen=True)
class Bug:
    """`old` in the source of `function` of the class `place` becomes `new`; that breaks a claim."""

    place: type
    function: str
    old: str
    new: str
    breaks: str


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """While it lasts, the core has the bug."""
    function = getattr(bug.place, bug.function)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(bug.old) != 1:
        raise ValueError(f"{bug.place.__name__}.{bug.function} must have {bug.old!r} once")
    names = dict(function.__globals__)
    exec(source.replace(bug.old, bug.new), names)
    with patch.object(bug.place, bug.function, names[bug.function]):
        yield


@dataclass(frozen=True)
class Verdict:
    """`broken`: the first claim found that does not hold. `missed`: what should be possible and was
    not found to be. `decided`: whether the engine came to its end.
    """

    broken: str | None
    missed: tuple[str, ...]
    decided: bool
    seconds: float

    @property
    def holds(self) -> bool:
        return self.decided and self.broken is None and not self.missed


def check(
    make: Callable[[], Claims],
    engine: Engine,
    depth: int,
    *,
    only: str | None = None,
    limit: int = 500,
) -> Verdict:
    """Of every claim, or of the one called `only`. `depth`: cycles that `bmc` and `window` look at,
    and in which what is possible must happen; `limit`: seconds that ABC may take for each.
    """
    begun = time.monotonic()
    with TemporaryDirectory(prefix="snngen-") as name:
        folder = Path(name)
        circuit = make()
        (folder / "top.il").write_bytes(toolchain.rtlil_of(circuit, circuit.inputs))
        steps = TO_AIGER.format(forget=FORGET if engine == "window" else "")
        toolchain.run("yosys", ["-q", "-p", steps], folder)
        names = _names(folder)
        sought = circuit.claimed if only is None else [only]
        broken, decided = _first_broken(folder, names, sought, engine, depth, limit)
        missed = [] if only else _missed(folder, names, circuit.possible, depth, limit)
    return Verdict(broken, tuple(missed), decided, time.monotonic() - begun)


def _names(folder: Path) -> list[str]:
    """Of the claims, in the order of AIGER's outputs."""
    source = (folder / "top.il").read_text()
    cells = re.findall(r'cell \$check (\S+)\n(?:(?!\n  end).)*?\\FORMAT "(.*?)"', source, re.S)
    named = dict(cells)
    paths = json.loads((folder / "names.json").read_text())["asserts"]
    return [named[path[-1]].strip() for path in paths]


def _first_broken(
    folder: Path,
    names: Sequence[str],
    sought: Sequence[str],
    engine: Engine,
    depth: int,
    limit: int,
) -> tuple[str | None, bool]:
    """The first claim of those sought that ABC broke, and whether it came to its end."""
    removed = [f"zeropo -N {k}" for k, name in enumerate(names) if name not in sought]
    bounded = f"bmc3 -F {depth} -T {limit}"
    solve = {"pdr": f"pdr -T {limit}", "bmc": f"dc2; {bounded}", "window": bounded}[engine]
    said = _abc(folder, [*removed, solve])
    found = re.search(r"Output +(\d+) of miter .* was asserted", said)
    if found:
        return names[int(found[1])], True
    return None, "Property proved" in said or f"No output asserted in {depth} frames" in said


def _missed(
    folder: Path, names: Sequence[str], possible: Sequence[str], depth: int, limit: int
) -> list[str]:
    """What does not happen within `depth` cycles."""
    return [
        name
        for name in possible
        if "was asserted"
        not in _abc(folder, [f"cone -s -O {names.index(name)}", f"bmc3 -F {depth} -T {limit}"])
    ]


def _abc(folder: Path, commands: Sequence[str]) -> str:
    """What ABC says of the circuit, its assumptions folded into the claims."""
    path = shutil.which(ABC)
    if path is None:
        rule, way_out = "is needed to prove anything", f"apt install {ABC}"
        raise ToolError(Problem(ABC, rule, "nothing of that name", way_out))
    script = "; ".join(["read_aiger top.aig", "fold", "strash", *commands])
    done = subprocess.run(
        [path, "-q", script], cwd=folder, capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    if done.returncode:
        raise ToolError(Problem(ABC, "must end without error", said[-2000:]))
    return said
