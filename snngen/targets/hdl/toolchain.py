"""The open tools that turn cores into Verilog, netlists and bitstreams: those of YoWASP from PyPI,
the same everywhere, or else native ones.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Value

from snngen.errors import Problem, ToolError

# Without names: those of fields, such as `o.rows[0]`, made abc9 take a wire for a bit of another
FLAT = ("hierarchy -top top", "proc", "flatten", "rename -hide w:*")
SOURCES = ("generator", "top", "amaranth.hierarchy", "amaranth.decoding")


def found(tool: str) -> str:
    """The path of YoWASP's `tool`, or of a native one; ToolError with what to install."""
    beside = Path(sys.executable).parent / f"yowasp-{tool}"
    path = str(beside) if beside.exists() else which(f"yowasp-{tool}") or which(tool)
    if path is None:
        rule, way_out = "is needed to build hardware", "pip install 'snngen[fpga]'"
        raise ToolError(Problem(tool, rule, "nothing of that name", way_out))
    return path


def run(tool: str, arguments: list[str], folder: Path) -> str:
    """Runs `tool` in `folder`; what it printed. ToolError with the end of that where it fails."""
    done = subprocess.run([found(tool), *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr)[-2000:] or f"exit code {done.returncode}"
        raise ToolError(Problem(tool, "must end without error", said))
    return done.stdout + done.stderr


def rtlil_of(design: Elaboratable, ports: list[Value] | None = None) -> bytes:
    """`design` as module `top`, without where in the sources anything comes from; a component's
    ports are those of its signature.
    """
    text: str = rtlil.convert(design, name="top", ports=ports, emit_src=False)
    return text.encode()


def verilog_of(source: bytes) -> bytes:
    """RTLIL as Verilog. ToolError without yosys."""
    removed = " ".join(f"-remove {name}" for name in SOURCES)
    steps = [
        "read_rtlil top.il",
        "proc -nomux -norom",
        "memory_collect",
        f"attrmap {removed}",
        f"attrmap -modattr {removed}",
        "write_verilog -norename top.v",
    ]
    with TemporaryDirectory(prefix="snngen-") as name:
        folder = Path(name)
        (folder / "top.il").write_bytes(source)
        run("yosys", ["-q", "-p", "; ".join(steps)], folder)
        return (folder / "top.v").read_bytes()
