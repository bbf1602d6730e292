"""A ResNet-20 in three exports: import, conversion, emission, and C against the golden model.

    python -m bench.resnet20

For each export: the float import against onnxruntime on 100 CIFAR-10 test images, the CPU seconds
of `snngen convert` and `snngen emit` as a user runs them (interpreter start included), and the
emitted C against the golden model on 100 images: outputs and spike counts on all of them, every
spike and membrane at every timestep on ten. Accuracy is not the point here: a deep network needs
more than 16 timesteps of plain threshold balancing. Needs SNNGEN_DATA and SNNGEN_MODELS. Writes
bench/results/resnet20.json and docs/benchmarks/resnet20.md.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.given_networks import against_onnxruntime
from bench.networks import IMAGENET, ROOT
from snngen import fixed_file
from snngen.data import load
from snngen.evaluate import Ann
from snngen.pipeline import read_model
from snngen.verify import verify

RESULTS = ROOT / "bench/results/resnet20.json"
TABLE = ROOT / "docs/benchmarks/resnet20.md"
EXPORTS = {
    "old exporter": "akamaster_resnet20.onnx",
    "old exporter, batch norm kept": "akamaster_resnet20_bn.onnx",
    "dynamo exporter": "akamaster_resnet20_opset20.onnx",
}
IMAGES, TRACED = 100, 10
HEADER = f"""# ResNet-20 in three exports

Printed by `python -m bench.resnet20`; the top of that file says what is measured. CPU seconds of
the two commands with default options, on one development machine.

| export | import | neuron | convert, s | emit, s | C = golden on {IMAGES} images |
|---|---|---|---|---|---|"""


def cpu_seconds(*words: str) -> float:
    """What a command of snngen costs, user and system time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "snngen", *words], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(export: str, file: Path, neuron: str, scratch: Path) -> dict[str, object]:
    mean, std = (",".join(map(str, numbers)) for numbers in (IMAGENET.mean, IMAGENET.std))
    network = scratch / f"{file.stem}_{neuron}.snn"
    options = ("--neuron", neuron, "--data", "cifar10", "--mean", mean, "--std", std)
    convert = cpu_seconds("convert", str(file), "-o", str(network), *options)
    emit = cpu_seconds("emit", str(network), "-o", str(scratch / network.stem))
    graph = read_model(file)
    ann = Ann(graph, IMAGENET.preprocess(3))
    images = load("cifar10", graph.input.shape, limit=IMAGES).images
    same = verify(fixed_file.load(network), images, full_trace_images=TRACED)
    row = {
        "export": export,
        "import": against_onnxruntime(ann, file, images),
        "neuron": neuron,
        "convert_seconds": round(convert, 1),
        "emit_seconds": round(emit, 1),
        "verified": str(same),
        "equal": same.is_equal,
    }
    print(row, flush=True)
    return row


def main() -> None:
    models = Path(os.environ["SNNGEN_MODELS"]) / "cifar10"
    with TemporaryDirectory() as scratch:
        rows = [
            measure(export, models / file, neuron, Path(scratch))
            for export, file in EXPORTS.items()
            for neuron in ("if", "level")
        ]
    lines = [HEADER]
    for row in rows:
        cells = [row["export"], f"{row['import']:.1e}", row["neuron"], row["convert_seconds"]]
        cells += [row["emit_seconds"], "yes" if row["equal"] else "NO"]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
    TABLE.write_text("\n".join(lines) + "\n")
    print(TABLE.read_text())


if __name__ == "__main__":
    main()
