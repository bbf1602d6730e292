"""Emitted C does what the golden model does, on random networks, with both schedules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from snngen import golden
from snngen.errors import ConversionError
from snngen.fixed import FixedNet
from snngen.fixed_file import digest
from snngen.neurons import Accumulate
from snngen.ops import Linear
from snngen.spiking import INPUT
from snngen.targets import TARGETS
from snngen.targets.c.emit import emit
from snngen.targets.c.engine import Engine
from tests.networks import (
    Builder,
    fixed_input,
    fixed_nets,
    level_showcase,
    random_images,
    spiking_showcase,
)

OPTIMISE = ["speed", "size", "vectors"]
SHOWCASES = [spiking_showcase, level_showcase]


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking compiles for minutes
)
@given(fixed_nets(), st.sampled_from(["smallest", "fastest"]), st.sampled_from(OPTIMISE))
def test_c_equals_golden(net: FixedNet, schedule: str, optimise: str) -> None:
    images = random_images(net, 2)
    expected = golden.trace(net, images[:1])
    with Engine(net, emit(net, schedule=schedule, optimise=optimise), flags=["-O1"]) as engine:
        assert engine.selftest() == 0
        run = engine.run(images, trace=True)
    assert run.simulation.trace is not None
    for layer in net.layers:
        want, got = expected[layer.name], run.simulation.trace[layer.name]
        np.testing.assert_array_equal(got.output[:1], want.output, err_msg=layer.name)
        if want.membrane is not None:
            assert got.membrane is not None
            np.testing.assert_array_equal(got.membrane[:1], want.membrane, err_msg=layer.name)
    final = run.simulation.outputs[:, -1].reshape(2, *net.layers[-1].shape)
    ordered = final if net.output_layout == "CHW" else final.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(run.membranes, ordered.reshape(2, -1))
    np.testing.assert_array_equal(run.classes, run.membranes.argmax(1))


def test_the_registry_emits() -> None:
    net = level_showcase()
    assert TARGETS["c"].emit(net) == emit(net)


@pytest.mark.parametrize("showcase", SHOWCASES)
def test_manifest_describes_the_files(showcase) -> None:
    net = showcase()
    files = emit(net, prefix="digits")
    manifest = json.loads(files["snngen.json"])
    assert manifest["network"]["digest"] == digest(net)
    assert set(manifest["files"]) == set(files) - {"snngen.json"}
    for name, checksum in manifest["files"].items():
        assert sha256(files[name]).hexdigest() == checksum
    assert digest(net).encode() in files["digits.h"]


@pytest.mark.parametrize("showcase", SHOWCASES)
def test_emission_is_deterministic(showcase) -> None:
    script = (
        f"from tests.networks import {showcase.__name__} as net\n"
        "from snngen.targets.c.emit import emit\n"
        "from hashlib import sha256\n"
        "print(sha256(repr(list(emit(net()).items())).encode()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert printed == {sha256(repr(list(emit(showcase()).items())).encode()).hexdigest() + "\n"}


HOSTILE = [
    "*/ int evil; /*",
    "// \\",
    "??/\n#error",
    'quote " backslash \\ percent %s {{ prefix }} {% raw %}',
    "ünï¢ødé \u202e \x00",
    "a" * 5000,
]


def test_hostile_names_stay_harmless() -> None:
    rng = np.random.default_rng(1)
    builder = Builder(fixed_input(rng, (3, 1, 1), "CHW", 0, 255), 1)
    source = INPUT
    for name in HOSTILE:
        builder.add(name, [(source, Linear(rng.integers(-1, 2, (3, 3, 1, 1))))])
        source = name
    weight = rng.integers(-9, 9, (2, 3, 1, 1))
    builder.add("*/ #error", [(source, Linear(weight))], None, Accumulate())
    net = builder.finish("*/ network ??/")
    images = random_images(net, 4)
    files = emit(net)
    assert all(content.isascii() for content in files.values())
    assert b"evil;" not in files["model.c"]
    with Engine(net, files) as engine:
        run = engine.run(images)
    assert list(run.simulation.counts) == HOSTILE
    layers = json.loads(files["snngen.json"])["network"]["layers"]
    assert [layer["name"] for layer in layers] == [*HOSTILE, "*/ #error"]


@pytest.mark.parametrize("prefix", ["", "9lives", "a-b", "x" * 32, "snn_run", "stdio", "a\n"])
def test_bad_prefixes_are_refused(prefix: str) -> None:
    with pytest.raises(ConversionError, match="the prefix: must"):
        emit(level_showcase(), prefix=prefix)


def test_too_large_dimensions_are_refused_by_name() -> None:
    builder = Builder(fixed_input(np.random.default_rng(0), (1, 1, 40000), "CHW", 0, 1), 1)
    weight = np.ones((2, 1, 1, 40000), np.int64)
    builder.add("output", [(INPUT, Linear(weight))], None, Accumulate())
    with pytest.raises(ConversionError, match="the input: every dimension must be at most 32767"):
        emit(builder.finish())
