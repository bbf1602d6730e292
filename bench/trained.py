"""Every network that was trained here, from ONNX to C on a microcontroller.

    python -m bench.trained [NAME ...]

For each of TRAINED: top-1 of the CNN and of its spiking network, by emitted C, on the whole test
set, and the synaptic operations of an image; on 1,000 test images the emitted C against the golden
model, every spike and every membrane at every timestep, every output and class; on a few of them
the golden model's fast form, which that is, against the golden model itself; and what `snngen cost`
counts on an emulated Cortex-M4, on ten test images. Test images are evenly spread where they are
not all. Methods that calibrate do so on training images. Needs SNNGEN_DATA and the tools of
docs/boards.md. Writes bench/results/trained.json and docs/benchmarks/trained.md; with names, only
those rows are measured anew.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np

from bench.accuracy import Subject
from bench.balancing import NETWORKS as BALANCED
from bench.networks import (
    FEW_LEVELS,
    QUANTISED,
    ROOT,
    SCATTER_GATHER,
    TRAINED_HERE,
    UNIT,
    Network,
)
from snngen import golden
from snngen.convert import Options
from snngen.data.raw import spread
from snngen.evaluate import evaluate
from snngen.fixed import FixedNet
from snngen.neurons import Level
from snngen.simulate import simulate
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.boards.cost import measure
from snngen.verify import verify

RESULTS = ROOT / "bench/results/trained.json"
PAGE = ROOT / "docs/benchmarks/trained.md"
BOARD = "cortex-m4"
COMPARED, STEPPED, ON_BOARD = 1000, 3, 10  # images
Record = dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """A network, what trained it, below examples/, and how it is converted."""

    network: Network
    trainer: str
    options: Options


QUANTISED_LEVELS = Options("quantized", "level")
TERNARY_LEVELS = Options("scatter-gather", "level")
CALIBRATED_LEVELS = Options("calibrated", "level", levels=15)

# Every ONNX file below examples/ has a line, and a line needs `python -m bench.trained NAME`.
TRAINED = {
    "mnist_lenet": Trained(
        Network("examples/mnist_lenet/mnist_lenet.onnx", "mnist", UNIT, None),
        "mnist_lenet/train.py",
        Options("channel-max", "if", timesteps=16),
    ),
    "four_spikes": Trained(
        SCATTER_GATHER["four_spikes"], "recipes/scatter_gather_lenet.toml", TERNARY_LEVELS
    ),
    "one_spike": Trained(
        SCATTER_GATHER["one_spike"], "recipes/scatter_gather_one.toml", TERNARY_LEVELS
    ),
    "threshold_balancing/mnist": Trained(
        BALANCED["MNIST"], "recipes/paper2_mnist.toml", Options("channel-max", "if", timesteps=8)
    ),
    "threshold_balancing/fashion_mnist": Trained(
        BALANCED["Fashion-MNIST"],
        "recipes/paper2_fashion.toml",
        Options("calibrated", "if", timesteps=16),
    ),
    "lenet_ref_sparse": Trained(
        QUANTISED["lenet_ref_sparse"],
        "sparse_lenet/train.py",
        Options("quantized", "if", timesteps=8, bits=7),
    ),
    "qcfs_lenet": Trained(
        Network("examples/quantised/qcfs_lenet.onnx", "mnist", UNIT, None),
        "quantised/train.py",
        QUANTISED_LEVELS,
    ),
    "scatter_gather_lenet": Trained(QUANTISED["ternary"], "quantised/train.py", TERNARY_LEVELS),
    "brevitas_qcdq": Trained(
        Network("examples/quantised/brevitas_qcdq.onnx", "mnist", UNIT, None),
        "quantised/train_brevitas.py",
        QUANTISED_LEVELS,
    ),
    "brevitas_qonnx": Trained(
        Network("examples/quantised/brevitas_qonnx.onnx", "mnist", UNIT, None),
        "quantised/train_brevitas.py",
        QUANTISED_LEVELS,
    ),
    "densenet": Trained(TRAINED_HERE["densenet"], "cifar10/train.py", CALIBRATED_LEVELS),
    "vgg": Trained(TRAINED_HERE["vgg"], "cifar10/train.py", CALIBRATED_LEVELS),
    "resnet8_int4": Trained(
        FEW_LEVELS["resnet8_int4"], "recipes/resnet8_int4.toml", QUANTISED_LEVELS
    ),
    "resnet8_ternary": Trained(
        FEW_LEVELS["resnet8_ternary"], "recipes/resnet8_ternary.toml", QUANTISED_LEVELS
    ),
    "vgg_half": Trained(
        FEW_LEVELS["vgg_half"], "recipes/scatter_gather_vgg_half.toml", TERNARY_LEVELS
    ),
}


def measured(name: str) -> Record:
    trained = TRAINED[name]
    subject = Subject(name, trained.network)
    net, images, labels = subject.convert(trained.options), subject.test.images, subject.test.labels
    found = evaluate(net, images, labels, engine="c")
    assert found.correct is not None
    compared = images[spread(len(images), COMPARED)]
    same = verify(net, compared, full_trace_images=COMPARED)
    cost = measure(net, BOARD, images[spread(len(images), ON_BOARD)])
    assert cost.cycles is not None
    return {
        "network": name,
        "model": subject.digest,
        "length": length(net),
        "images": len(images),
        "cnn": int((subject.ann.classes(images) == labels).sum()),
        "correct": int(found.correct[-1]),
        "synops": round(found.synops),
        "macs": found.macs,
        "compared": same.images,
        "traced": same.traced_images,
        "values": same.values,
        "equal": same.is_equal,
        "verified": str(same),
        "stepped": STEPPED,
        "golden": is_golden(net, compared[:STEPPED]),
        "flash": cost.flash_bytes,
        "ram": cost.ram_bytes,
        "stack": cost.stack_bytes,
        "instructions": round(float(cost.counts.mean())),
        "cycles": round(float(cost.cycles.mean())),
    }


def length(net: FixedNet) -> str:
    """Timesteps, or the levels that neurons have."""
    levels = {x.neuron.thresholds.shape[1] for x in net.layers if isinstance(x.neuron, Level)}
    if not levels:
        return f"`if` T={net.timesteps}"
    return f"`level` N={', '.join(map(str, sorted(levels)))}"


def is_golden(net: FixedNet, images: np.ndarray) -> bool:
    """Whether the golden model's fast form does what the golden model does."""
    wanted, got = golden.trace(net, images), simulate(net, images, trace=True).trace
    assert got is not None and wanted.keys() == got.keys()
    return all(
        np.array_equal(of_layer.output, got[name].output)
        and np.array_equal(of_layer.membrane, got[name].membrane)
        for name, of_layer in wanted.items()
    )


def page(records: dict[str, Record]) -> str:
    """Markdown."""
    chip = BOARDS[BOARD].chip
    assert chip is not None
    values = sum(record["values"] for record in records.values())
    equal = sum(record["equal"] and record["golden"] for record in records.values())
    top = (
        "Printed by `python -m bench.trained`; the top of that file says what is measured. Top-1 "
        "in % of all 10,000 test images: the CNN's, and that of its integer spiking network, whose "
        "weights have 8 bits (7 of lenet_ref_sparse). *SynOps* of an image, beside the "
        "multiplications (*MACs*) of the first layer. *C = golden*: on so many test images every "
        "spike and membrane at every timestep, every output and class of emitted C is that of the "
        f"golden model's fast form; on {STEPPED} of them that is compared with the golden model "
        "itself. *Flash*, *RAM* with stack, in bytes, and thousands of *cycles*: what "
        f"`snngen cost --on {BOARD}` says, compiled with -O2 for speed, of {ON_BOARD} images. "
        "Bytes are exact, cycles [estimated](../boards.md#what-the-numbers-mean) from exact "
        f"counts; *ms* at the {chip.mhz:g} MHz of the {chip.name}."
    )
    lines = [
        "# Networks that were trained here",
        "",
        *wrap(top, 100, break_on_hyphens=False),
        "",
        "| network | data | conversion | CNN | top-1 | SynOps | MACs | C = golden | flash | RAM "
        "| kcycles | ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(_row(record, chip.mhz) for record in records.values()),
        "",
        f"C = golden: {equal} of {len(records)} networks, {values:,} numbers.",
    ]
    return "\n".join(lines) + "\n"


def _row(record: Record, mhz: float) -> str:
    name, images = record["network"], record["images"]
    trained = TRAINED[name]
    cells = (
        f"[{name}](../../examples/{trained.trainer})",
        trained.network.data,
        f"{trained.options.method}, {record['length']}",
        f"{100 * record['cnn'] / images:.2f}",
        f"{100 * record['correct'] / images:.2f}",
        f"{record['synops']:,}",
        f"{record['macs']:,}",
        f"{record['compared']:,}" if record["equal"] and record["golden"] else "NO",
        f"{record['flash']:,}",
        f"{record['ram'] + record['stack']:,}",
        f"{record['cycles'] / 1000:,.0f}",
        f"{record['cycles'] / mhz / 1000:.3g}",
    )
    return f"| {' | '.join(cells)} |"


def main(names: list[str]) -> None:
    known: dict[str, Record] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or TRAINED:
        known[name] = measured(name)
        print(known[name], flush=True)
        ordered = {name: known[name] for name in TRAINED if name in known}
        RESULTS.write_text(json.dumps(ordered, indent=1) + "\n")
        PAGE.write_text(page(ordered))


if __name__ == "__main__":
    main(sys.argv[1:])
