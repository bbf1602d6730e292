"""The open tools that turn cores into Verilog, netlists and bitstreams: those of YoWASP from PyPI,
the same everywhere.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from shutil import which

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Value

from snngen.errors import Problem, ToolError


def found(tool: str) -> str:
    """The path of YoWASP's `tool`, or ToolError with what to install."""
    beside = Path(sys.executable).parent / f"yowasp-{tool}"
    path = str(beside) if beside.exists() else which(f"yowasp-{tool}")
    if path is None:
        rule, way_out = "is needed to build hardware", "pip install 'snngen[fpga]'"
        raise ToolError(Problem(f"yowasp-{tool}", rule, "nothing of that name", way_out))
    return path


def run(tool: str, arguments: list[str], folder: Path) -> str:
    """Runs `tool` in `folder`; what it printed. ToolError with the end of that where it fails."""
    done = subprocess.run([found(tool), *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:]
        raise ToolError(Problem(tool, "must end without error", said))
    return done.stdout + done.stderr


def write_rtlil(design: Elaboratable, ports: list[Value], path: Path) -> None:
    """`design` as module `top`, without where in the sources anything comes from."""
    path.write_text(rtlil.convert(design, name="top", ports=ports, emit_src=False))


def write_verilog(design: Elaboratable, ports: list[Value], path: Path) -> None:
    """`design` as module `top` in Verilog."""
    source = path.with_suffix(".il")
    write_rtlil(design, ports, source)
    removed = " ".join(
        f"-remove {name}"
        for name in ("generator", "top", "amaranth.hierarchy", "amaranth.decoding")
    )
    steps = [
        f"read_rtlil {source.name}",
        "proc -nomux -norom",
        "memory_collect",
        f"attrmap {removed}",
        f"attrmap -modattr {removed}",
        f"write_verilog -norename {path.name}",
    ]
    run("yosys", ["-q", "-p", "; ".join(steps)], path.parent)
