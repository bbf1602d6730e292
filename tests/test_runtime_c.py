"""The C runtime's own tests, under both compilers and the sanitizers."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

RUNTIME = Path(__file__).parent.parent / "runtime_c"
BYTES, WITHOUT = "-DSNN_8_BIT=1", "-DSNN_WITHOUT_VECTORS"
BUILDS = [("gcc", ""), ("clang", ""), ("gcc", BYTES), ("clang", f"{BYTES} {WITHOUT}")]
if platform.machine() == "x86_64":  # whose compilers use SSE2 unless they are told otherwise
    BUILDS.append(("gcc", "-mavx2"))


@pytest.mark.parametrize(("compiler", "flags"), BUILDS)
def test_runtime(compiler: str, flags: str, tmp_path: Path) -> None:
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    if "avx2" in flags and "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor has no AVX2")
    sanitize = "-fsanitize=address,undefined -fno-sanitize-recover=all"
    command = ["make", "-C", RUNTIME, "test", f"CC={compiler}", f"BUILD={tmp_path}"]
    command += [f"CFLAGS={flags}"]
    done = subprocess.run(
        [*command, f"SANITIZE={sanitize}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_runtime_on_a_big_endian_processor(tmp_path: Path, require) -> None:
    require("powerpc-linux-gnu-gcc")
    require("qemu-ppc")
    command = ["make", "-C", RUNTIME, "test", "CC=powerpc-linux-gnu-gcc -static"]
    command += [f"BUILD={tmp_path}", "EMULATOR=qemu-ppc"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_every_operator_has_its_file() -> None:
    sources = {path.stem for path in (RUNTIME / "src").glob("*.c")}
    operators = {"conv", "linear", "scale", "sum_pool", "max_pool", "select"}
    neurons = {"if", "level", "accumulate"}
    assert {f"snn_{name}" for name in operators | neurons} <= sources


def test_nothing_but_c_lies_here() -> None:
    assert not list(RUNTIME.rglob("*.py"))
