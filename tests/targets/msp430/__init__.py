"""Emitted self-tests on an MSP430, in a simulator.

Debian has no gcc for this processor: clang translates for it, ld.lld links, and the files beside
this one have the little of a library that is needed.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snngen.targets.c.build import RUNTIME, write_tree
from tests.targets.compiling import c_sources

TOOLS = ("clang", "ld.lld", "mspdebug")
SUPPORT = Path(__file__).parent
FINISHED = "0xfff0"  # as in memory.ld
CLANG = ("clang", "--target=msp430", "-c")
STRICT = (*CLANG, "-ffreestanding", "-fno-builtin", "-std=c99", "-Os", "-ffunction-sections")
STRICT += ("-Wall", "-Wextra", "-Werror", "-I.", "-Iruntime", f"-I{SUPPORT}")
R12 = re.compile(r"\(R12: 0([0-9a-f]{4})\)")
SECONDS = 300


def selftest(files: Mapping[str, bytes]) -> int:
    """What the self-test of emitted `files` returns: 0 where all traces are right. ValueError with
    what a tool says where they cannot be compiled or do not fit 64 KiB.
    """
    runtime = tuple((name, files[name]) for name in sorted(files) if name.startswith(RUNTIME))
    with TemporaryDirectory(prefix="snngen-") as name:
        folder = Path(name)
        write_tree({**files, **_library(runtime)}, folder)
        own = [name for name in c_sources(files) if not name.startswith(RUNTIME)]
        _run(folder, *STRICT, *own, str(SUPPORT / "run.c"))
        objects = sorted(path.name for path in folder.glob("*.o"))
        link = ("--gc-sections", "-T", str(SUPPORT / "memory.ld"), "-o", "test.elf")
        _run(folder, "ld.lld", *link, *objects)
        steps = ("prog test.elf", f"setbreak {FINISHED}", "reset", "run", "regs", "exit")
        said = _run(folder, "mspdebug", "-n", "sim", *steps)
    if f"PC: 0{FINISHED[2:]})" not in said:
        raise ValueError(f"did not come to its end: {said[-1000:]}")
    return int(np.array([int(R12.findall(said)[-1], 16)], np.uint16).view(np.int16)[0])


@lru_cache(maxsize=4)
def _library(runtime: tuple[tuple[str, bytes], ...]) -> Mapping[str, bytes]:
    """The objects of the runtime and of what it needs."""
    with TemporaryDirectory(prefix="snngen-") as name:
        folder = Path(name)
        write_tree(dict(runtime), folder)
        _run(folder, *STRICT, *c_sources(dict(runtime)), str(SUPPORT / "library.c"))
        _run(folder, *CLANG, str(SUPPORT / "start.s"))
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.o"))}


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=SECONDS,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        raise ValueError(done.stdout[-1000:] + done.stderr[-3000:])
    return done.stdout
