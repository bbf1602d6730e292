"""Trained networks under AddressSanitizer, UBSan and valgrind.

    python -m tests.assurance.trained

Each in every form: the self-test on test images, and each image once more in an arena of exactly
the size that it must have, which nobody has written to. Needs clang, gcc, valgrind, SNNGEN_DATA and
SNNGEN_MODELS; a quarter of an hour. Writes bench/results/sanitizers.json, and exits with 1 if
anything is found.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.accuracy import Subject
from bench.mcu.__main__ import QUANTISED
from bench.networks import NETWORKS, ROOT, UNIT, Network
from snngen.convert import Options
from snngen.fixed import FixedNet
from snngen.targets.c.build import EXAMPLE, write_tree
from snngen.targets.c.emit import emit
from tests.assurance.networks import FORMS

RESULTS = ROOT / "bench/results/sanitizers.json"
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full"]
MAIN = b"""#include <stdio.h>
#include <stdlib.h>
#include "model.h"

int main(void)
{
    unsigned char *arena = malloc(MODEL_ARENA_BYTES);
    uint8_t *image = malloc(MODEL_INPUT_BYTES);
    int32_t *membranes = malloc(MODEL_OUTPUTS * sizeof *membranes);
    int result = model_selftest(arena, MODEL_ARENA_BYTES);
    while (result >= 0 && fread(image, 1, MODEL_INPUT_BYTES, stdin) == MODEL_INPUT_BYTES) {
        free(arena);
        arena = malloc(MODEL_ARENA_BYTES);
        result = model_run(arena, MODEL_ARENA_BYTES, image, membranes);
        printf("%d %ld\\n", result, (long)membranes[MODEL_OUTPUTS - 1]);
    }
    free(arena);
    free(image);
    free(membranes);
    return result < 0;
}
"""
Case = tuple[str, Network, Options, int]


def cases() -> Iterator[Case]:
    """Name, network, how it is converted and the number of images."""
    demo = ROOT / "snngen/demo_data"
    digits = Network(str(demo / "digits.onnx"), str(demo / "digits.npz"), UNIT, None)
    few, spikes = Options("channel-max", "level", levels=7), Options("channel-max", timesteps=8)
    lenet = NETWORKS["lenet_ref"]
    yield "digits, if", digits, Options("channel-max", timesteps=16), 10
    yield "digits, level", digits, Options("channel-max", "level", levels=15), 20
    yield "LeNet, if", lenet, spikes, 5
    yield "LeNet, level", lenet, few, 10
    yield "LeNet, ternary", QUANTISED["ternary"], Options("scatter-gather", "level"), 3
    quantised = QUANTISED["lenet_ref_q4"]
    yield "LeNet q4, if", quantised, Options("quantized", "if", timesteps=4), 5
    yield "LeNet q4, level, 7 bits", quantised, Options("quantized", "level", bits=7), 10
    yield "DS-CNN, level", NETWORKS["kws"], Options("channel-max", "level", levels=15), 2
    resnet = NETWORKS["ic_resnet8"]
    yield "ResNet-8, if", resnet, spikes, 1
    yield "ResNet-8, level", resnet, Options("channel-max", "level", levels=15), 2


def findings(net: FixedNet, images: np.ndarray, form: tuple[str, str]) -> list[str]:
    """What sanitizers and valgrind say of `net`, emitted as `form`; (n, C, H, W) images."""
    schedule, optimise = form
    files: Mapping[str, bytes] = emit(
        net, schedule=schedule, optimise=optimise, selftest_images=images
    )  # type: ignore[arg-type]
    ordered = images if net.input.layout == "CHW" else images.transpose(0, 2, 3, 1)
    found = []
    with TemporaryDirectory(prefix="snngen-") as folder:
        write_tree({**files, EXAMPLE: MAIN}, Path(folder))
        for compiler, run in (
            (["clang", *SANITIZE], ["./main"]),
            (["gcc", "-g", "-O2"], [*VALGRIND, "./main"]),
        ):
            sources = [name for name in files if name.endswith(".c")]
            flags = ["-std=c99", "-I.", "-Iruntime", *sources, "-o", "main"]
            subprocess.run([*compiler, *flags], cwd=folder, check=True)
            done = subprocess.run(
                run, cwd=folder, input=ordered.tobytes(), capture_output=True, check=False
            )
            if done.returncode != 0 or done.stderr:
                found.append(f"{compiler[0]}: {done.returncode} {done.stderr.decode()[-2000:]}")
    return found


def main() -> None:
    rows, bad = [], 0
    for name, network, options, count in cases():
        subject = Subject(name, network)
        net, images = subject.convert(options), subject.test.images[:count]
        for form in FORMS:
            found = findings(net, np.asarray(images), form)
            bad += len(found)
            print(name, *form, *found or ["clean"], flush=True)
            rows.append({"network": name, "form": list(form), "images": count, "found": found})
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
