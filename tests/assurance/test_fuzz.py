"""libFuzzer finds nothing in the public functions, and finds what is planted there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from snngen.resources import resource_dir
from tests.assurance.fuzz import build_fuzzer, run_fuzzer
from tests.assurance.networks import Form, forms, networks

SECONDS = 20
DRAWN = 2
PLANTED = {  # in the runtime: a check that is one byte off, and a count that is cut off
    "snn_run.c": (b"bytes < model->arena_bytes", b"bytes + 1 < model->arena_bytes"),
    "snn_lanes.c": (b"(uint32_t)(int32_t)e->count", b"(uint32_t)(e->count & 31)"),
}


@pytest.fixture(scope="module")
def given() -> list[Form]:
    return list(forms(networks(DRAWN)))


def test_all_operators_take_part(given: list[Form]) -> None:
    declared = (resource_dir("runtime_c") / "include/snn_model.h").read_text()
    pattern = r"^snn_(?:synapse|prepare|neuron|layer)_fn (snn_\w+);"
    used = b"".join(form.files[f"{form.prefix}.c"] for form in given).decode()
    for name in re.findall(pattern, declared, re.M):
        assert f"= {name}," in used, name


def test_nothing_is_found(given: list[Form], require, tmp_path: Path) -> None:
    require("clang")
    outcome = run_fuzzer(build_fuzzer(given, tmp_path), SECONDS)
    assert not outcome.found, outcome.output[-3000:]
    assert outcome.executions > 100 and outcome.edges > 500, str(outcome)


@pytest.mark.parametrize("file", ["snn_lanes.c", pytest.param("snn_run.c", marks=pytest.mark.slow)])
def test_what_is_planted_is_found(file: str, given: list[Form], require, tmp_path: Path) -> None:
    require("clang")
    sound, planted = PLANTED[file]
    content = given[0].files[f"runtime/{file}"]
    assert sound in content
    changes = {f"runtime/{file}": content.replace(sound, planted)}
    assert run_fuzzer(build_fuzzer(given[:4], tmp_path, changes), SECONDS).found
