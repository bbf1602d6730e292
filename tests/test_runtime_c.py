"""The C runtime's own tests, under both compilers and the sanitizers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

RUNTIME = Path(__file__).parent.parent / "runtime_c"


@pytest.mark.parametrize("compiler", [n for n in ("gcc", "clang") if shutil.which(n)])
def test_runtime(compiler: str, tmp_path: Path) -> None:
    sanitize = "-fsanitize=address,undefined -fno-sanitize-recover=all"
    command = ["make", "-C", RUNTIME, "test", f"CC={compiler}", f"BUILD={tmp_path}"]
    done = subprocess.run(
        [*command, f"SANITIZE={sanitize}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_every_operator_has_its_file() -> None:
    sources = {path.stem for path in (RUNTIME / "src").glob("*.c")}
    operators = {"conv", "linear", "scale", "sum_pool", "max_pool", "select"}
    neurons = {"if", "level", "accumulate"}
    assert {f"snn_{name}" for name in operators | neurons} <= sources


def test_nothing_but_c_lies_here() -> None:
    assert not list(RUNTIME.rglob("*.py"))
