"""Over a hundred broken inputs, each met with one clear message, exit code 2, bounded memory, and
nothing half written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.broken_inputs import CASES, bit_flips

CHECKOUT = Path(__file__).parents[1]
GIB = 2**30
pytestmark = pytest.mark.xdist_group("broken_inputs")  # one worker prepares, and tries all


@pytest.fixture(scope="module")
def tried(tmp_path_factory) -> dict:
    """What happened in all cases, tried in one process of limited memory."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.broken_inputs", tmp_path_factory.mktemp("broken")],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", CASES)
def test_broken_input(tried: dict, name: str) -> None:
    found = tried["cases"][name]
    said = found["err"]
    assert found["code"] == 2, said
    assert said.count("error: ") >= 1 and CASES[name].message in said, said
    errors = said[said.index("error: ") :]
    assert "Traceback" not in said and "a bug in snngen" not in said
    assert len(errors) < 1500 and "\x1b" not in said
    assert found["out"] == ""
    assert found["unchanged"], "nothing is written"


@pytest.mark.parametrize("name", bit_flips())
def test_a_flipped_bit_is_refused_or_harmless(tried: dict, name: str) -> None:
    found = tried["cases"][name]
    assert found["code"] in (0, 2), found["err"]
    assert (found["code"] == 2) == found["err"].startswith("error: ")


def test_memory_stays_bounded(tried: dict) -> None:
    assert tried["peak"] < GIB


def program(*words: str, cwd: Path, **kwargs) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snngen", *words]
    return subprocess.run(
        command, cwd=cwd, stderr=subprocess.PIPE, text=True, env=os.environ, **kwargs
    )


def test_as_a_program(tmp_path: Path) -> None:
    done = program("check", "absent.onnx", cwd=tmp_path, stdout=subprocess.PIPE)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_output_to_a_full_disk(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = program("--help", cwd=tmp_path, stdout=full)
    assert done.returncode == 2
    assert "error: standard output: cannot be written\n  found: No space left" in done.stderr


def test_output_that_nobody_reads(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = program("--help", cwd=tmp_path, stdout=writer)
    os.close(writer)
    assert done.returncode == 141 and done.stderr == ""
