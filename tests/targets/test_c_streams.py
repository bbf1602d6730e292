"""Emitted C of event networks: equal to the golden model step by step, on a PC and on a board, and
every way of going wrong is noticed.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from snngen import golden
from snngen.errors import DataError
from snngen.fixed import FixedNet
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.boards.cost import measure
from snngen.targets.c.emit import emit
from snngen.targets.c.engine import Engine
from snngen.verify import Difference, verify
from tests.streams import event_nets, random_streams, stream_showcase
from tests.targets.compiling import c_sources, compiled


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking compiles for minutes
)
@given(event_nets(), st.sampled_from(["speed", "size", "vectors"]))
def test_c_equals_golden(net: FixedNet, optimise: str) -> None:
    """Two streams in one arena, a reset between them."""
    bins = random_streams(net, 2, 24)
    expected = golden.trace(net, bins)
    with Engine(net, emit(net, optimise=optimise), flags=["-O1"]) as engine:
        assert engine.selftest() == 0
        run = engine.run(bins, trace=True)
    assert run.simulation.trace is not None
    for layer in net.layers:
        want, got = expected[layer.name], run.simulation.trace[layer.name]
        np.testing.assert_array_equal(got.output, want.output, err_msg=layer.name)
        if want.membrane is not None:
            np.testing.assert_array_equal(got.membrane, want.membrane, err_msg=layer.name)
    final = run.simulation.outputs[:, -1].reshape(2, *net.layers[-1].shape)
    ordered = final if net.output_layout == "CHW" else final.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(run.membranes, ordered.reshape(2, -1))
    np.testing.assert_array_equal(run.classes, run.membranes.argmax(1))


def test_a_long_stream_is_equal() -> None:
    net = stream_showcase()
    result = verify(net, random_streams(net, 2, 1000))
    assert result.is_equal and result.traced_images == 2


@pytest.mark.parametrize("name", ["cortex-m0", "atmega1284"])
def test_boards(name: str, require) -> None:
    for tool in BOARDS[name].tools:
        require(tool)
    net = stream_showcase("HWC")
    bins = random_streams(net, 3, 20)
    assert verify(net, bins, on=name).is_equal
    cost = measure(net, name, bins)
    assert cost.counts.shape == (3, 20) and (cost.counts > 1000).all()
    assert cost.predicted is not None
    assert cost.flash_bytes == cost.predicted.flash
    assert cost.ram_bytes == cost.predicted.ram - cost.predicted.stack
    assert 0 < cost.stack_bytes <= cost.predicted.stack


def found(find: str, replacement: str, *, steps: int = 40) -> Difference:
    """What `verify` finds where one place of the showcase is changed."""
    net = stream_showcase()
    files = dict(emit(net))
    text = files["model.c"].decode()
    assert text.count(find) == 1
    files["model.c"] = text.replace(find, replacement).encode()
    difference = verify(net, random_streams(net, 3, steps), files=files).difference
    assert difference is not None
    return difference


@pytest.mark.parametrize("layer", [0, 3, 5])
def test_a_forgotten_lower_clamp_is_found(layer: int) -> None:
    net = stream_showcase()
    difference = found(f".v_min = layer{layer}_v_min", ".v_min = NULL")
    assert (difference.layer, difference.quantity) == (net.layers[layer].name, "membrane")


@pytest.mark.parametrize("layer", [0, 3])
def test_a_forgotten_upper_clamp_is_found(layer: int) -> None:
    net = stream_showcase()
    difference = found(f".v_max = layer{layer}_v_max", ".v_max = NULL")
    assert (difference.layer, difference.quantity) == (net.layers[layer].name, "membrane")


def test_a_forgotten_limit_of_the_output_is_found() -> None:
    assert found(".limit = 700", ".limit = 701").layer == "output"


def test_pools_that_never_forget_are_found() -> None:
    assert found(".most_behind = 127,", ".most_behind = 3,", steps=300).layer == "pool"


@pytest.mark.parametrize("number", [0, 1, 3, 5])
def test_a_forgotten_reset_of_one_layer_is_found(number: int) -> None:
    """Where it goes on as if a stream were the rest of the steps before."""
    file, find = "runtime/snn_gather.c", "    if (call->begin == 0) {\n"
    net = stream_showcase()
    if number == 1:
        file = "runtime/snn_max_pool_counts.c"
    lines = net.layers[number].shape[1] * (1 if number != 1 else net.layers[1].shape[2])
    once = f"call->begin == 0 && !(layer->number == {number} && was_reset++ >= {lines})"
    files = dict(emit(net))
    text = files[file].decode()
    assert text.count(find) == 1
    text = text.replace(find, f"    static int was_reset;\n    if ({once}) {{\n")
    files[file] = text.encode()
    difference = verify(net, random_streams(net, 3, 40), files=files).difference
    assert difference is not None
    assert difference.layer == net.layers[number].name and difference.image == 0


ERRORS = r"""
#include <stdio.h>
#include <string.h>
#include "model.h"
static model_arena arena, other;
static uint8_t bins[MODEL_INPUT_BYTES];

int main(void)
{
    int32_t sums[MODEL_OUTPUTS], again[MODEL_OUTPUTS];
    unsigned char *odd = (unsigned char *)&arena + 1;
    memset(&arena, 0x5A, sizeof arena);
    printf("%d ", model_step(&arena, sizeof arena, bins));
    printf("%d ", model_result(&arena, sizeof arena, sums));
    printf("%d ", model_reset(NULL, sizeof arena));
    printf("%d ", model_reset(&arena, sizeof arena - 1));
    printf("%d ", model_reset(odd, sizeof arena));
    printf("%d ", model_reset(&arena, sizeof arena));
    printf("%d ", model_result(&arena, sizeof arena, sums));
    printf("%d ", (int)sums[0]);
    printf("%d ", model_step(&arena, sizeof arena, NULL));
    printf("%d ", model_step(NULL, sizeof arena, bins));
    printf("%d ", model_step(&arena, sizeof arena - 1, bins));
    printf("%d ", model_result(NULL, sizeof arena, sums));
    memset(bins, 200, sizeof bins);
    for (int t = 0; t < 70000; ++t) {
        if (model_step(&arena, sizeof arena, bins) != 0) {
            printf("stopped at %d ", t);
        }
    }
    memcpy(&other, &arena, sizeof arena);
    printf("%d ", model_result(&arena, sizeof arena, sums)
                      == model_result(&other, sizeof other, again));
    printf("%d ", memcmp(sums, again, sizeof sums));
    model_reset(&other, sizeof other);
    model_reset(&arena, sizeof arena);
    model_step(&arena, sizeof arena, bins);
    model_step(&other, sizeof other, bins);
    model_result(&arena, sizeof arena, sums);
    model_result(&other, sizeof other, again);
    printf("%d ", memcmp(sums, again, sizeof sums));
    printf("%d", model_selftest(&arena, sizeof arena));
    return 0;
}
"""


def test_errors_and_more_steps_than_16_bits_count(tmp_path: Path) -> None:
    files = {**emit(stream_showcase()), "errors.c": ERRORS.encode()}
    flags = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    sources = c_sources(files)
    compiled(files, tmp_path, ["gcc", "-std=c99", *flags, "-I.", "-Iruntime", *sources, "-o", "e"])
    done = subprocess.run([tmp_path / "e"], capture_output=True, text=True, check=True)
    assert done.stdout == "-6 -6 -1 -2 -3 0 0 0 -1 -1 -2 -1 1 0 0 0"


def test_the_example_follows_a_stream(tmp_path: Path) -> None:
    net = stream_showcase()
    compiled(emit(net), tmp_path, ["make", "-s"])
    bins = random_streams(net, 1, 9)
    done = subprocess.run([tmp_path / "build/model"], input=bins.tobytes(), capture_output=True)
    classes = golden.trace(net, bins)["output"].output.reshape(9, -1).argmax(1)
    assert done.stdout.decode().split() == [str(c) for c in classes]


def test_streams_of_another_shape_are_refused() -> None:
    net = stream_showcase()
    with pytest.raises(DataError, match=r"\(n, timesteps, 2, 8, 8\)"):
        verify(net, random_streams(net, 1, 3)[0])
