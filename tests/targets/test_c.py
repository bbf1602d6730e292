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
from snngen.neurons import IF, Accumulate
from snngen.ops import Conv, Linear, Op, SumPool, Window
from snngen.spiking import INPUT
from snngen.targets import TARGETS
from snngen.targets.c.build import NATIVE
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
@given(
    fixed_nets(),
    st.sampled_from(["smallest", "fastest"]),
    st.sampled_from(OPTIMISE),
    st.sampled_from([["-O1"], ["-O1", NATIVE]]),
)
def test_c_equals_golden(net: FixedNet, schedule: str, optimise: str, flags: list[str]) -> None:
    images = random_images(net, 2)
    expected = golden.trace(net, images[:1])
    with Engine(net, emit(net, schedule=schedule, optimise=optimise), flags=flags) as engine:
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


@pytest.mark.parametrize("pools", [False, True])
def test_neurons_of_constant_current(pools: bool) -> None:
    """Some fire at once or always, some never, one as late as it can be."""
    rng = np.random.default_rng(3)
    steps, same = 7, Window((3, 3), pads=(1, 1, 1, 1))
    builder = Builder(fixed_input(rng, (2, 6, 6), "CHW", 0, 20), steps)
    weight, bias = rng.integers(-9, 10, (9, 2, 3, 3)), rng.integers(-20, 20, 9)
    weight[8], bias[8] = 0, 30  # reaches 7 * 30 in the last step only
    threshold = np.array([1, 40, 40, 300, 300, 900, 2**30, 1500, 210])
    initial = np.array([0, 400, -400, 150, 299, 900, -(2**30), -1, 0])
    source: tuple[str, Op] = (INPUT, Conv(weight, same))
    builder.add("first", [source], bias, IF(threshold, initial))
    if pools:
        builder.add("pool", [("first", SumPool(Window((2, 2), (2, 2)), 9))])
    last = builder.layers[-1]
    readout = Linear(rng.integers(-9, 9, (3, *last.shape)))
    builder.add("readout", [(last.name, readout)], None, Accumulate())
    net = builder.finish()
    files = emit(net, schedule="fastest")
    assert b"snn_trains" in files["model.c"]
    images = random_images(net, 3)
    expected = golden.trace(net, images)
    fired = expected["first"].output.reshape(3, steps, 9, -1)
    assert fired[:, :-1, 8].max() == 0 and fired[:, -1, 8].min() == 1
    with Engine(net, files, flags=["-O1"]) as engine:
        run = engine.run(images, trace=True)
        assert engine.selftest() == 0
    assert run.simulation.trace is not None
    for layer in net.layers:
        want, got = expected[layer.name], run.simulation.trace[layer.name]
        np.testing.assert_array_equal(got.output, want.output, err_msg=layer.name)
    np.testing.assert_array_equal(
        run.simulation.trace["first"].membrane, expected["first"].membrane
    )


@pytest.mark.parametrize("schedule", ["smallest", "fastest"])
@pytest.mark.parametrize("steps", [8, 60])
def test_spikes_that_nobody_reads(schedule: str, steps: int) -> None:
    """Their layer has no planes for all timesteps."""
    rng = np.random.default_rng(4)
    same = Window((3, 3), pads=(1, 1, 1, 1))
    builder = Builder(fixed_input(rng, (2, 6, 6), "CHW", 0, 20), steps)
    for name, channels in (("unread", 32), ("read", 1)):
        source: tuple[str, Op] = (INPUT, Conv(rng.integers(-9, 10, (channels, 2, 3, 3)), same))
        builder.add(name, [source], None, IF(np.full(channels, 40), np.zeros(channels, np.int64)))
    readout = Linear(rng.integers(-9, 9, (3, 1, 6, 6)))
    builder.add("readout", [("read", readout)], None, Accumulate())
    net = builder.finish()
    files = emit(net, schedule=schedule)
    assert files["model.c"].count(b".run = snn_trains") == 1  # of the other layer
    images = random_images(net, 3)
    expected = golden.trace(net, images)
    with Engine(net, files, flags=["-O1"]) as engine:
        run = engine.run(images, trace=True)
    assert run.simulation.trace is not None
    for layer in net.layers:
        got = run.simulation.trace[layer.name]
        np.testing.assert_array_equal(got.output, expected[layer.name].output, layer.name)


@pytest.mark.parametrize(
    ("shape", "kernel", "function"),
    [
        (
            (1, 80, 1000),
            (80, 5),
            b"snn_wide",
        ),  # 80,000 events, which a list of all rows cannot count
        ((1, 64, 1024), (64, 3), b"snn_wide"),  # 65,536 of them
        ((32, 7, 7), (7, 7), b"snn_wide"),  # more weights than 16 bits count, but not in a row
    ],
)
def test_lists_that_are_too_long_are_not_merged(
    shape: tuple[int, int, int], kernel: tuple[int, int], function: bytes
) -> None:
    rng = np.random.default_rng(5)
    outputs = 128 if shape[0] > 1 else 8
    builder = Builder(fixed_input(rng, shape, "CHW", 1, 255), 1)
    weight = rng.integers(-127, 128, (outputs, shape[0], *kernel))
    builder.add("conv", [(INPUT, Conv(weight, Window(kernel)))])
    readout = np.zeros((2, *builder.layers[0].shape), np.int64)
    readout[:, :, 0, 0] = 1
    builder.add("readout", [("conv", Linear(readout))], None, Accumulate())
    net = builder.finish()
    files = emit(net)
    assert b".add = " + function in files["model.c"]
    assert files["model.c"].count(b".merges_rows = 1") == 0
    images = random_images(net, 2)
    with Engine(net, files, flags=["-O1"]) as engine:
        run = engine.run(images, trace=True)
    assert run.simulation.trace is not None
    expected = golden.trace(net, images)
    np.testing.assert_array_equal(run.simulation.trace["conv"].output, expected["conv"].output)


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
