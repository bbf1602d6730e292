"""Compiles emitted C for this machine."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from snngen.errors import FileError, Problem, ToolError

COMPILERS = ("cc", "gcc", "clang")
EXAMPLE = "example_main.c"
RUNTIME = "runtime/"
FLAGS = ("-O3",)
NATIVE = "-march=native"
INSTALL = "install gcc or clang (Debian, Ubuntu: apt install gcc), or set CC"


def host_compiler() -> list[str]:
    """The command in the environment's CC, else the first compiler found; ToolError without one."""
    chosen = shlex.split(os.environ.get("CC", ""))
    candidates = [chosen] if chosen else [[name] for name in COMPILERS]
    for command in candidates:
        if shutil.which(command[0]):
            return command
    tried = ", ".join(command[0] for command in candidates)
    raise ToolError(Problem("the C compiler", "was not found", f"tried {tried}", INSTALL))


def write_tree(files: Mapping[str, bytes], folder: Path) -> None:
    """Write `files` below `folder`; FileError for a path that would leave it."""
    for name, content in files.items():
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise FileError(Problem(f"file '{name}'", "must lie in the emitted folder"))
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def compile_shared(
    files: Mapping[str, bytes],
    folder: Path,
    library: str,
    *,
    compiler: Sequence[str] | None = None,
    flags: Sequence[str] = FLAGS,
) -> Path:
    """Write emitted `files` to `folder` and compile all but the example to a shared library.

    ToolError with the compiler's first complaint where it does not accept them.
    """
    command = tuple(compiler or host_compiler())
    runtime = tuple((n, c) for n, c in sorted(files.items()) if n.startswith(RUNTIME))
    write_tree(files, folder)
    (folder / "runtime.o").write_bytes(_compiled_runtime(runtime, command, tuple(flags)))
    own = [n for n in sorted(files) if n.endswith(".c") and not n.startswith(RUNTIME)]
    inputs = [*(name for name in own if name != EXAMPLE), "runtime.o"]
    _compile([*command, "-shared", "-o", library, *flags], inputs, folder)
    return folder / library


@lru_cache(maxsize=8)
def _compiled_runtime(
    runtime: tuple[tuple[str, bytes], ...], compiler: tuple[str, ...], flags: tuple[str, ...]
) -> bytes:
    """The runtime as one object file: it is the same for most networks, and compiled once."""
    with TemporaryDirectory(prefix="snngen-") as name:
        folder = Path(name)
        write_tree(dict(runtime), folder)
        objects = [f"{source}.o" for source, _ in runtime if source.endswith(".c")]
        for built in objects:
            _compile([*compiler, "-c", "-o", built, *flags], [built[:-2]], folder)
        _compile([*compiler, "-nostdlib", "-r", "-o", "runtime.o"], objects, folder)
        return (folder / "runtime.o").read_bytes()


def _compile(command: Sequence[str], inputs: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        [*command, "-std=c99", "-fPIC", "-I.", "-Iruntime", *inputs],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
        raise ToolError(Problem("the C compiler", "did not accept the emitted files", said[:400]))
