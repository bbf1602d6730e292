"""Proves that emitted C has no run-time error, for every input of small networks, with Frama-C.

    python -m tests.assurance.prove

Its plug-in Eva interprets the C abstractly: from bytes that may have any value it computes what
every variable may hold, and reports each operation that might overflow a signed integer, access
memory out of bounds or before it was written, divide by zero or shift too far. No report is a
proof, for all 256**n images at once, of all code that runs: the call, the operators, the lists of
events and the weights that they lead to.

Lists of events need cases: where the next event of a list goes depends on which inputs before it
were 0. So each layer is interpreted once for each set of inputs that may be 0 ("split" in main.c
below), which the number of inputs limits to some eight.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snngen.fixed import FixedInput, FixedNet
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Linear, SumPool, Window
from snngen.spiking import INPUT
from snngen.targets.c.build import RUNTIME, write_tree
from snngen.targets.c.emit import emit
from snngen.targets.c.schedule import Optimise, Preference
from tests.assurance.networks import FORMS
from tests.networks import Builder

# Integers and pointers of 32 bits, as on microcontrollers.
FRAMA_C = ["frama-c", "-machdep", "gcc_x86_32", "-eva", "-eva-no-print", "-eva-precision", "2"]
FRAMA_C += ["-eva-min-loop-unroll", "8", "-eva-slevel-function", "compared:0"]
MOST_SPLIT = 16  # bytes of what a layer reads

MAIN = """#include "__fc_builtin.h"
#include "model.h"
#include "snn_model.h"

static volatile int done;

static void run_by_cases(const snn_layer *layer, const snn_call *call, snn_layer_fn *run)
{{
    const snn_values *source = layer->synapses[0].source;
    const size_t first = source->planes > 1 ? call->begin : 0;
    const size_t planes = source->planes > 1 ? call->end - call->begin : 1;
    const size_t bytes = planes * source->plane_bytes;
    const unsigned char *at = call->arena + source->offset + first * source->plane_bytes;
{splits}
    run(layer, call);
}}

snn_layer_fn gather_by_cases, trains_by_cases;

void gather_by_cases(const snn_layer *layer, const snn_call *call)
{{
    run_by_cases(layer, call, snn_gather);
}}

void trains_by_cases(const snn_layer *layer, const snn_call *call)
{{
    run_by_cases(layer, call, snn_trains);
}}

int main(void)
{{
    model_arena arena;
    uint8_t image[MODEL_INPUT_BYTES];
    int32_t membranes[MODEL_OUTPUTS];
    for (unsigned i = 0; i < sizeof image; ++i) {{
        image[i] = (uint8_t)Frama_C_interval(0, 255);
    }}
    return model_run(&arena, sizeof arena, image, membranes);
}}
"""
SPLIT = """    if (bytes > {0}) {{
        if (source->type == SNN_BITS) {{
            /*@ split at[{0}]; */
            done = {0};
        }} else {{
            /*@ split at[{0}] != 0; */
            done = {0};
        }}
    }}"""


@dataclass(frozen=True)
class Proof:
    """What Eva said: the operations that may fail (file, line, what), and how many statements it
    has seen run, of those of the functions that do.
    """

    alarms: tuple[str, ...]
    reached: int
    seconds: float


def prove(
    net: FixedNet,
    schedule: Preference = "smallest",
    optimise: Optimise = "speed",
    changes: Mapping[str, bytes] | None = None,
) -> Proof:
    """Interprets emitted C for all images. `changes` replace emitted files."""
    files = emit(net, schedule=schedule, optimise=optimise) | dict(changes or {})
    splits = "\n".join(SPLIT.format(k) for k in range(MOST_SPLIT))
    files |= {"main.c": MAIN.format(splits=splits).encode()}
    by_cases = "-Dsnn_gather=gather_by_cases -Dsnn_trains=trains_by_cases"
    sources = [n for n in sorted(files) if n.startswith(RUNTIME) and n.endswith(".c")]
    begun = time.monotonic()
    with TemporaryDirectory(prefix="snngen-") as name:
        write_tree(files, Path(name))
        done = subprocess.run(
            [*FRAMA_C, "-cpp-extra-args=-I. -Iruntime",
             f"-cpp-extra-args-per-file=model.c:{by_cases}", "main.c", "model.c", *sources],
            cwd=name, env={**os.environ, "PWD": name}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    said = done.stdout + done.stderr
    reached = re.search(r"(\d+) statements reached \(out of (\d+)\)", said)
    if done.returncode != 0 or reached is None or "NON TERMINATING" in said:
        raise RuntimeError(said[-3000:])
    alarms = re.findall(r"^\[eva:alarm\] (.*?)(?=^\[|\Z)", said, re.M | re.S)
    return Proof(
        tuple(" ".join(alarm.split()) for alarm in alarms),
        int(reached[1]),
        time.monotonic() - begun,
    )


def level_network(width: int) -> FixedNet:
    """Two rows of bytes; a convolution with 3 levels, pooling, a dense layer."""
    rng = np.random.default_rng(1)
    builder = Builder(_bytes(width), 1)
    conv = Conv(rng.integers(-60, 100, (3, 1, 3, 3)), Window((3, 3), pads=(1, 1, 1, 1)))
    bias = rng.integers(-500, 500, 3)
    most = builder.current([(INPUT, conv)], bias).hi // 3
    thresholds = np.sort(rng.integers(0, most, (3, 3)).T, axis=1)
    builder.add("conv", [(INPUT, conv)], bias, Level(thresholds))
    _readout(builder, rng)
    return builder.finish("proof")


def spiking_network(width: int) -> FixedNet:
    """The same with spikes over three timesteps."""
    rng = np.random.default_rng(1)
    builder = Builder(_bytes(width), 3)
    conv = Conv(rng.integers(-60, 100, (2, 1, 3, 3)), Window((3, 3), pads=(1, 1, 1, 1)))
    theta = rng.integers(5000, 40000, 2)
    builder.add("conv", [(INPUT, conv)], rng.integers(-500, 500, 2), IF(theta, theta // 2))
    _readout(builder, rng)
    return builder.finish("proof")


def _bytes(width: int) -> FixedInput:
    table = np.arange(256, dtype=np.int16)[None]
    return FixedInput((1, 2, width), "CHW", table, np.ones(1), np.zeros(1))


def _readout(builder: Builder, rng: np.random.Generator) -> None:
    builder.add("pool", [("conv", SumPool(Window((2, 2), (2, 2)), 4))])
    weight = rng.integers(-40, 40, (3, *builder.shape("pool")))
    builder.add("output", [("pool", Linear(weight))], rng.integers(-50, 50, 3), Accumulate())


NETWORKS = {"level": level_network, "if": spiking_network}
WIDTH = 2  # of images: each further column takes four to sixteen times as long


def main() -> None:
    count = 0
    for name, network in NETWORKS.items():
        for schedule, optimise in FORMS:
            proof = prove(network(WIDTH), schedule, optimise)
            count += len(proof.alarms)
            print(
                f"{name:5} {schedule:8} {optimise:7} {len(proof.alarms)} alarms,"
                f" {proof.reached} statements, {proof.seconds:.0f} s",
                *proof.alarms,
                sep="\n    ",
                flush=True,
            )
    sys.exit(count > 0)


if __name__ == "__main__":
    main()
