"""Time per inference on this machine, beside onnxruntime and the C of emx-onnx-cgen.

    python -m bench.pc [NETWORK ...]

One thread, one image at a time. Emitted C (`--optimise vectors`) and emx-onnx-cgen's C of the float
CNN are compiled with the same flags: for every x86-64, for AVX2, and for this processor. A round
runs all contenders in turn over the same test images, in CPU time of the thread; the fastest round
and the median of all are told. Emitted C reads bytes; onnxruntime gets floats that are bound
beforehand, and what a model that does nothing takes from Python is told beside.

Then `evaluate` with the golden model and with the compiled engine, whose results must be equal, on
one thread and on one for each core, in a process of their own: images per second, the fastest of
several rounds.

Needs emx-onnx-cgen, onnxruntime, SNNGEN_DATA and SNNGEN_MODELS, and an idle machine; a quarter of
an hour. Writes bench/results/pc.json and docs/benchmarks/pc.md.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from bench.accuracy import Subject
from bench.mcu.contenders import Contender, Emx, Ours, ordered
from bench.networks import NETWORKS, ROOT
from bench.pc_page import page
from snngen.convert import Options
from snngen.data import Samples
from snngen.evaluate import evaluate_samples
from snngen.fixed import FixedNet
from snngen.targets.c.build import host_compiler, write_tree
from snngen.targets.c.engine import compiled

RESULTS = ROOT / "bench/results/pc.json"
PAGE = ROOT / "docs/benchmarks/pc.md"
FLAGS = {
    "x86-64": ("-O2",),
    "AVX2": ("-O2", "-mavx2"),
    "this processor": ("-O3", "-march=native"),
}
ROUNDS = 60
EVALUATIONS = 3
DRIVER = """#include "contender.h"

int32_t bench_classes(const uint8_t *images, int32_t count, int32_t *classes)
{
    for (int32_t i = 0; i < count; ++i) {
        classes[i] = contender_run(images + (long)i * INPUT_BYTES);
    }
    return 0;
}
"""
Bytes = NDArray[np.uint8]
Record = dict[str, Any]
Run = Callable[[], None]  # over all images of a round


@dataclass(frozen=True)
class Case:
    """Settings by their label, how many images a round takes, and how many are evaluated with the
    setting `evaluated`.
    """

    settings: Mapping[str, Options]
    images: int
    evaluated: str
    count: int


def _level(levels: int, method: str = "calibrated") -> Options:
    return Options(method, "level", levels=levels)


LEVELS = {f"`level` N={n}": _level(n) for n in (4, 7, 15)}
CASES = {
    "lenet_ref": Case(
        {**LEVELS, "`if` T=4": Options("calibrated", "if", timesteps=4)}, 100, "`level` N=7", 5000
    ),
    "ic_resnet8": Case(LEVELS, 20, "`level` N=15", 1000),
    "akamaster_resnet20": Case({"`level` N=15": _level(15, "channel-max")}, 0, "`level` N=15", 200),
}


class Compiled:
    """A contender as a shared library."""

    def __init__(self, contender: Contender, flags: tuple[str, ...], folder: Path) -> None:
        image_bytes = int(np.prod(contender.net.input.shape))
        write_tree({**contender.files("host"), "driver.c": DRIVER.encode()}, folder)
        sources = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.c"))]
        left_out = ("example_main.c", "network.c")
        command = [*host_compiler(), *flags, "-std=gnu99", "-shared", "-fPIC", "-I.", "-Iruntime"]
        command += [f"-DINPUT_BYTES={image_bytes}", "-o", "contender.so"]
        command += [name for name in sources if Path(name).name not in left_out]
        subprocess.run([*command, "-lm"], cwd=folder, check=True)
        self._classes = ctypes.CDLL(str(folder / "contender.so")).bench_classes

    def classes(self, images: Bytes) -> NDArray[np.int32]:
        """Of images as the network's user holds them."""
        found = np.zeros(len(images), np.int32)
        pointers = (array.ctypes.data_as(ctypes.c_void_p) for array in (images, found))
        self._classes(next(pointers), len(images), next(pointers))
        return found


class Onnx:
    """onnxruntime with one thread; `nothing`: a model that passes its input on, instead."""

    def __init__(self, path: Path, net: FixedNet, *, nothing: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = onnx.load(path)
        self.net = net
        self.session = onnxruntime.InferenceSession(
            (_nothing(model) if nothing else model).SerializeToString(), options
        )
        self.input, self.output = self.session.get_inputs()[0], self.session.get_outputs()[0].name

    def bound(self, images: Bytes) -> Run:
        """Runs it over images, which are floats already."""
        bindings = []
        for image in images:
            binding = self.session.io_binding()
            binding.bind_cpu_input(self.input.name, self._floats(image))
            binding.bind_output(self.output)
            bindings.append(binding)

        def run() -> None:
            for binding in bindings:
                self.session.run_with_iobinding(binding)

        return run

    def classes(self, images: Bytes) -> NDArray[np.int64]:
        """The CNN's."""
        outputs = (self.session.run(None, {self.input.name: self._floats(i)})[0] for i in images)
        return np.array([o.argmax() for o in outputs])

    def _floats(self, image: Bytes) -> NDArray[np.float32]:
        gain, offset = (np.float32(v) for v in (self.net.input.gain, self.net.input.offset))
        shape = (-1, 1, 1) if self.net.input.layout == "CHW" else (-1,)
        values = image.astype(np.float32) * gain.reshape(shape) + offset.reshape(shape)
        sizes = [n if isinstance(n, int) else 1 for n in self.input.shape]
        return np.ascontiguousarray(values.reshape(sizes), np.float32)


def _nothing(model: onnx.ModelProto) -> onnx.ModelProto:
    given = model.graph.input[0]
    sent = onnx.ValueInfoProto()
    sent.CopyFrom(given)
    sent.name = "sent"
    node = onnx.helper.make_node("Identity", [given.name], ["sent"])
    graph = onnx.helper.make_graph([node], "nothing", [given], [sent])
    return onnx.helper.make_model(
        graph, opset_imports=model.opset_import, ir_version=model.ir_version
    )


def _seconds(run: Run) -> float:
    begin = time.thread_time()
    run()
    return time.thread_time() - begin


def _in_turn(runs: Mapping[str, Run], images: int) -> dict[str, Record]:
    """Microseconds per image of every contender."""
    taken: dict[str, list[float]] = {label: [] for label in runs}
    for _ in range(ROUNDS):
        for label, run in runs.items():
            taken[label].append(1e6 * _seconds(run) / images)
    return {label: {"least": min(times), "median": median(times)} for label, times in taken.items()}


def _inference(subject: Subject, nets: Mapping[str, FixedNet], case: Case) -> Iterator[Record]:
    """Time and accuracy of every contender."""
    net, test = next(iter(nets.values())), subject.test
    assert test.labels is not None
    given, path = ordered(net, test.images), subject.network.path
    contenders: list[Contender] = [
        Ours(label, net, "fastest", "vectors") for label, net in nets.items()
    ]
    contenders.append(Emx("emx-onnx-cgen, float", path, net))
    cnn = Onnx(path, net)
    some = given[: case.images]
    runs = {
        ("onnxruntime, float", ""): cnn.bound(some),
        ("onnxruntime, a model that does nothing", ""): Onnx(path, net, nothing=True).bound(some),
    }
    correct = {"onnxruntime, float": int((cnn.classes(given) == test.labels).sum())}
    with TemporaryDirectory(prefix="snngen-") as name:
        for k, contender in enumerate(contenders):
            for form, flags in FLAGS.items():
                folder = Path(name) / f"{k} {form}"
                made = Compiled(contender, flags, folder)
                runs[contender.label, form] = partial(_discard, made, some)
                expected = contender.classes(test.images[: case.images])
                if expected is None:  # it is the CNN
                    expected = cnn.classes(some)
                    correct[contender.label] = correct["onnxruntime, float"]
                elif contender.label not in correct:
                    found = made.classes(given)
                    correct[contender.label] = int((found == test.labels).sum())
                if (made.classes(some) != expected).any():
                    raise ValueError(f"{contender.label}, {flags}: other classes than expected")
        times = _in_turn({repr(key): run for key, run in runs.items()}, case.images)
    for label, form in runs:
        record: Record = {"contender": label, "flags": form, **times[repr((label, form))]}
        if label in correct:
            record |= {"correct": correct[label], "images": len(given)}
        yield record


def _discard(made: Compiled, images: Bytes) -> None:
    made.classes(images)


def _evaluation(name: str) -> list[Record]:
    """Images per second of both engines, in a process of their own, as the command has."""
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:
        return fresh.submit(_rates, name).result()


def _rates(name: str) -> list[Record]:
    case, subject = CASES[name], Subject(name, NETWORKS[name])
    net, count = subject.convert(case.settings[case.evaluated]), case.count
    samples = Samples(subject.test.images[:count], None, subject.name)
    compiled(net)
    records = []
    for workers in (1, None):
        rates = {"golden": 0.0, "c": 0.0}
        for _ in range(EVALUATIONS):
            results = []
            for engine in rates:
                begin = time.perf_counter()
                found = evaluate_samples(net, samples, engine=engine, workers=workers)
                rates[engine] = max(rates[engine], count / (time.perf_counter() - begin))
                results.append((found.classes.tolist(), found.layers))
            if results[0] != results[1]:
                raise ValueError(f"{subject.name}: the engines do not agree")
        records.append({"threads": workers or os.cpu_count(), "images": count, **rates})
    return records


def measure(name: str, case: Case) -> Record:
    """One network."""
    subject = Subject(name, NETWORKS[name])
    nets = {label: subject.convert(options) for label, options in case.settings.items()}
    return {
        "inference": list(_inference(subject, nets, case)) if case.images else [],
        "evaluation": _evaluation(name),
        "evaluated": case.evaluated,
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((li.split(": ")[1] for li in lines if li.startswith("model name")), "unknown")


def main(names: list[str]) -> None:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"networks": {}}
    for name in names or CASES:
        known["networks"][name] = measure(name, CASES[name])
    compiler = subprocess.run([*host_compiler(), "--version"], capture_output=True, text=True)
    known |= {
        "processor": _processor(),
        "compiler": compiler.stdout.splitlines()[0],
        "flags": {form: " ".join(flags) for form, flags in FLAGS.items()},
        "onnxruntime": version("onnxruntime"),
        "emx-onnx-cgen": version("emx-onnx-cgen"),
        "rounds": ROUNDS,
    }
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(known))


if __name__ == "__main__":
    main(sys.argv[1:])
