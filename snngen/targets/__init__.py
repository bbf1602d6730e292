"""What a network can be emitted as: one entry per target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedNet
from snngen.targets.c.boards.engine import BoardEngine
from snngen.targets.c.emit import emit
from snngen.targets.c.engine import Engine, Run
from snngen.targets.timing import Timing

Files = Mapping[str, bytes]


class Runs(Protocol):
    """What runs emitted files: images (batch, C, H, W), with a trace where it is asked for.
    `timing`: of all that has been run, of hardware.
    """

    def run(self, images: NDArray[np.uint8], *, trace: bool = False) -> Run: ...

    def selftest(self) -> int: ...

    @property
    def timing(self) -> Timing | None: ...


@dataclass(frozen=True)
class Target:
    """`emit(net, **options)` makes files by relative path; `options` names those of the command
    line. `engine(net, files, on)` runs them, where `files` are None fresh ones, on a board of that
    name or on none. `traced_on_boards`: whether all that a board runs is traced in full.
    """

    summary: str
    options: tuple[str, ...]
    emit: Callable[..., Files]
    engine: Callable[[FixedNet, Files | None, str | None], AbstractContextManager[Runs]]
    traced_on_boards: bool


def _c_engine(net: FixedNet, files: Files | None, on: str | None) -> AbstractContextManager[Runs]:
    given = emit(net) if files is None else files
    return Engine(net, given) if on is None else BoardEngine(net, given, on)


# Amaranth takes a while to import, and only those wait for it who make hardware.


def _emit_hdl(net: FixedNet, *, board: str, bitstream: bool) -> Files:
    from snngen.targets.hdl.emit import emit as emit_hdl

    return emit_hdl(net, board=board, bitstream=bitstream)


def _hdl_engine(net: FixedNet, files: Files | None, on: str | None) -> AbstractContextManager[Runs]:
    from snngen.targets.hdl.engine import engine_for

    if files is not None:
        rule = "simulates a chip as it would be emitted now, not emitted files"
        raise ConversionError(Problem("target hdl", rule))
    return engine_for(net, on)


TARGETS: Mapping[str, Target] = {
    "c": Target(
        "C99 for microcontrollers and PCs: no heap, no float, no globals",
        ("prefix", "schedule", "optimise", "package", "on", "max_ram", "max_flash"),
        emit,
        _c_engine,
        True,
    ),
    "hdl": Target(
        "Verilog for FPGAs, and bitstreams by open tools",
        ("board", "bitstream"),
        _emit_hdl,
        _hdl_engine,
        False,
    ),
}
