"""The emitted code as code: warnings, sanitizers, freestanding, read-only data, sizes, errors."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from snngen.convert import Options
from snngen.fixed import FixedNet
from snngen.pipeline import build
from snngen.targets.c.budget import budget_for
from snngen.targets.c.emit import emit
from tests import graphs
from tests.networks import level_showcase, random_images, spiking_showcase
from tests.streams import random_inputs, stream_showcase
from tests.targets.compiling import STRICT, c_sources, compiled


def many_levels() -> FixedNet:
    """Some of whose layers find their levels by products of 64 bits."""
    g = graphs.lenet()
    return build(graphs.ann(g), graphs.images(g, 4), Options("channel-max", "level", levels=63))


IMAGE_NETWORKS = [spiking_showcase, level_showcase, many_levels]
NETWORKS = [*IMAGE_NETWORKS, stream_showcase]
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
FLAGS = [["-O3"], ["-Os", "-ffreestanding"]]
if platform.machine() == "x86_64":
    FLAGS.append(["-O2", "-mavx2"])


@pytest.mark.parametrize("showcase", NETWORKS)
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("flags", FLAGS)
def test_compiles_without_a_warning(showcase, compiler, flags, tmp_path: Path) -> None:
    files = emit(showcase())
    compiled(files, tmp_path, [compiler, *STRICT, *flags, "-c", *c_sources(files)])


@pytest.mark.parametrize("showcase", NETWORKS)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_sanitizers_find_nothing(showcase, compiler, tmp_path: Path) -> None:
    net = showcase()
    sanitize = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    for schedule, optimise in (
        ("smallest", "speed"),
        ("fastest", "speed"),
        ("smallest", "size"),
        ("smallest", "vectors"),
    ):
        options = {"schedule": schedule, "optimise": optimise}
        files = emit(net, **options, selftest_images=random_inputs(net, 5))
        inputs = [*c_sources(files), "example_main.c"]
        compiled(files, tmp_path, [compiler, *STRICT, *sanitize, *inputs, "-o", "example"])
        done = subprocess.run(
            [tmp_path / "example"], input=b"\x07" * net.input.table.size, capture_output=True
        )
        assert done.returncode == 0 and done.stderr == b"selftest: PASS\n", done.stderr


@pytest.mark.parametrize("showcase", NETWORKS)
def test_needs_nothing_but_memory_functions(showcase, tmp_path: Path) -> None:
    files = emit(showcase())
    flags = ["-Os", "-ffreestanding", "-nostdlib", "-r", "-o", "all.o"]
    compiled(files, tmp_path, ["gcc", *STRICT, *flags, *c_sources(files)])
    listing = _run(["nm", "-u", "all.o"], tmp_path).split()
    undefined = {name for name in listing if name != "U"}
    assert undefined <= {"memcpy", "memset", "memmove", "memcmp"}


@pytest.mark.parametrize("showcase", NETWORKS)
def test_holds_no_writable_data(showcase, tmp_path: Path) -> None:
    files = emit(showcase())
    compiled(files, tmp_path, ["gcc", *STRICT, "-Os", "-fno-pic", "-c", *c_sources(files)])
    objects = sorted(path.name for path in tmp_path.glob("*.o"))
    for line in _run(["size", *objects], tmp_path).splitlines()[1:]:
        _, data, bss, *_ = line.split()
        assert (data, bss) == ("0", "0"), line


@pytest.mark.parametrize("showcase", NETWORKS)
@pytest.mark.parametrize("schedule", ["smallest", "fastest"])
@pytest.mark.parametrize("optimise", ["speed", "size", "vectors"])
def test_budget_is_exact(showcase, schedule, optimise, tmp_path: Path) -> None:
    net = showcase()
    files = emit(net, schedule=schedule, optimise=optimise)
    budget = budget_for(net, schedule=schedule, optimise=optimise)
    compiled(files, tmp_path, ["gcc", *STRICT, "-Os", "-c", "model.c"])
    arrays = {
        array.split("[")[0].split()[-1]
        for array in files["model.c"].decode().split("\n")
        if array.startswith("static const SNN_FLASH ")
    }
    sizes = [line.split() for line in _run(["nm", "-S", "model.o"], tmp_path).splitlines()]
    emitted = sum(int(line[1], 16) for line in sizes if len(line) == 4 and line[3] in arrays)
    assert emitted == budget.const_bytes == sum(layer.const_bytes for layer in budget.layers)
    assert f"MODEL_ARENA_BYTES {budget.arena_bytes}ul".encode() in files["model.h"]


def test_size_takes_less_flash_than_speed() -> None:
    for showcase in NETWORKS:
        net = showcase()
        size, speed = (budget_for(net, optimise=o).const_bytes for o in ("size", "speed"))
        assert size < speed


def test_smallest_is_no_larger_than_fastest() -> None:
    for showcase in NETWORKS:
        net = showcase()
        smallest, fastest = (
            budget_for(net, schedule=s).arena_bytes for s in ("smallest", "fastest")
        )
        assert smallest <= fastest


ERRORS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "model.h"
#include "snn_model.h"
extern const snn_model model_model;
static unsigned char block[MODEL_ARENA_BYTES + 64 + 4];
static uint8_t image[MODEL_INPUT_BYTES];
static int16_t values[MODEL_INPUT_BYTES];

/* What byte 0 stands for at place `i` of an image. */
static int16_t quantised(size_t i)
{
    const snn_values *input = model_model.input;
    const size_t positions = (size_t)input->height * input->width;
    const size_t c = model_model.image_is_chw ? i / positions : i % input->channels;
    const snn_array *table = &model_model.table;
    if (table->data == NULL) { /* every byte for itself */
        return 0;
    }
    return table->type == SNN_U8 ? ((const uint8_t *)table->data)[c * 256]
                                 : ((const int8_t *)table->data)[c * 256];
}

int main(void)
{
    int32_t membranes[MODEL_OUTPUTS], again[MODEL_OUTPUTS];
    unsigned char *arena = block + (4 - (size_t)block % 4) % 4;
    memset(block, 0x5A, sizeof block);
    printf("%d ", model_run(NULL, MODEL_ARENA_BYTES, image, membranes));
    printf("%d ", model_run(arena, MODEL_ARENA_BYTES, NULL, membranes));
    printf("%d ", model_run(arena, MODEL_ARENA_BYTES - 1, image, membranes));
    printf("%d ", model_run(arena + 1, MODEL_ARENA_BYTES, image, membranes));
    printf("%d ", model_run(arena, MODEL_ARENA_BYTES, image, (void *)((char *)again + 1)));
    printf("%d ", model_run_quantised(arena, MODEL_ARENA_BYTES, (void *)((char *)values + 1),
                                       NULL));
    printf("%d ", model_run(arena, MODEL_ARENA_BYTES, image, membranes) >= 0);
    for (size_t i = 0; i < MODEL_INPUT_BYTES; ++i) {
        values[i] = quantised(i);
    }
    printf("%d ", model_run_quantised(arena, MODEL_ARENA_BYTES, values, again)
                      == model_run(arena, MODEL_ARENA_BYTES, image, NULL));
    printf("%d ", memcmp(membranes, again, sizeof again));
    values[0] = 30000;
    printf("%d ", model_run_quantised(arena, MODEL_ARENA_BYTES, values, NULL));
    values[0] = -30000;
    printf("%d ", model_run_quantised(arena, MODEL_ARENA_BYTES, values, NULL));
    printf("%d ", model_selftest(arena, MODEL_ARENA_BYTES));
    printf("%d ", model_selftest(arena, 0));
    for (size_t i = MODEL_ARENA_BYTES; i < MODEL_ARENA_BYTES + 64; ++i) {
        if (arena[i] != 0x5A) {
            printf("overrun");
            return 0;
        }
    }
    printf("intact");
    return 0;
}
"""


@pytest.mark.parametrize("showcase", IMAGE_NETWORKS)
def test_errors_and_guard_bytes(showcase, tmp_path: Path) -> None:
    files = {**emit(showcase()), "errors.c": ERRORS.encode()}
    inputs = [*c_sources(files)]
    compiled(files, tmp_path, ["gcc", "-std=c99", "-I.", "-Iruntime", *inputs, "-o", "errors"])
    assert _run(["./errors"], tmp_path) == "-1 -1 -2 -3 -3 -3 1 1 0 -4 -4 0 -2 intact"


def test_selftest_notices_a_changed_weight(tmp_path: Path) -> None:
    files = dict(emit(level_showcase()))
    head, bias = files["model.c"].split(b"layer0_bias[6] = {\n    ")
    first = int(bias.split(b",")[0])
    changed = head + b"layer0_bias[6] = {\n    %d" % (first + 1) + bias[len(str(first)) :]
    files["model.c"] = changed
    inputs = [*c_sources(files), "example_main.c"]
    compiled(files, tmp_path, ["gcc", "-std=c99", "-I.", "-Iruntime", *inputs, "-o", "example"])
    done = subprocess.run([tmp_path / "example"], input=b"", capture_output=True)
    assert (done.returncode, done.stderr) == (1, b"selftest: FAIL\n")


@pytest.mark.parametrize("build", [["make", "-s"], ["cmake", "-S", ".", "-B", "build"]])
def test_build_files_work(build, tmp_path: Path) -> None:
    if not shutil.which(build[0]):
        pytest.skip(f"{build[0]} is not installed")
    net = level_showcase()
    compiled(emit(net, prefix="digits"), tmp_path, build)
    if build[0] == "cmake":
        _run(["cmake", "--build", "build", "--target", "digits_example"], tmp_path)
    else:
        images = random_images(net, 3).transpose(0, 2, 3, 1).tobytes()
        done = subprocess.run(
            [tmp_path / "build/digits"], input=images, capture_output=True, check=True
        )
        assert len(done.stdout.split()) == 3


def _run(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
