"""Compiling emitted files in tests."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from snngen.targets.c.build import write_tree

STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion"]
STRICT += ["-Wshadow", "-Werror", "-I.", "-Iruntime"]


def compiled(
    files: Mapping[str, bytes], folder: Path, command: list[str]
) -> subprocess.CompletedProcess[str]:
    """Runs a compiler command over emitted files, in their folder, and expects it to be silent."""
    write_tree(files, folder)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == "", done.stderr[-3000:]
    return done


def c_sources(files: Mapping[str, bytes]) -> list[str]:
    """All C files of the library, without the example."""
    return [name for name in files if name.endswith(".c") and name != "example_main.c"]
