"""Explicit current control (paper 1), one technique after the other.

    python -m bench.ecc [NETWORK ...]

Accuracy of method ecc against timesteps, with current normalisation alone (CN), with thresholding
for residual elimination as well (TRE), and with batch norm's own epsilon as well (CMB): `if`
neurons over T timesteps, and `level` neurons with N = T levels, the closed form that the paper
reports. One run of `if` neurons gives the accuracy at every T, as the thresholds of this method do
not depend on T. int8 weights. Largest activations are taken over LAMBDA training images; accuracy
is measured on test images spread evenly over the test set, as many as the table says. Needs
SNNGEN_DATA and SNNGEN_MODELS. Writes bench/results/ecc.json and docs/benchmarks/ecc.md; what the
JSON file holds already is not measured again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from bench.networks import IMAGENET, TRAINED_HERE, Network
from snngen.convert import Options
from snngen.data import load
from snngen.evaluate import Ann, evaluate
from snngen.pipeline import build, read_model

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench/results/ecc.json"
TABLE = ROOT / "docs/benchmarks/ecc.md"
STEPS = (4, 8, 16, 32, 64, 128, 256)
MOST_LEVELS = 255  # N = T stops here
LAMBDA = 1000
IMAGES = {"if": 500, "level": 2000}
TECHNIQUES = {"CN": ("tre", "cmb"), "CN+TRE": ("cmb",), "CN+TRE+CMB": ()}  # what each leaves out


# whose files hold their batch norms
NETWORKS = {
    "VGG": TRAINED_HERE["vgg"],
    "ResNet-20": Network("cifar10/akamaster_resnet20_bn.onnx", "cifar10", IMAGENET, 91.73),
}
HEADER = f"""# Explicit current control

Printed by `python -m bench.ecc`; the top of that file says what is measured. CIFAR-10, int8
weights, method `ecc`, lambda over {LAMBDA:,} training images. Accuracy in %, and how far it is
below the CNN's on the same images in the last column. `level` at 256 has {MOST_LEVELS} levels.
"""


def main() -> None:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in sys.argv[1:] or NETWORKS:
        for techniques, without in reversed(TECHNIQUES.items()):
            for label, options in runs().items():
                key = f"{name}, {techniques}, {label}"
                if key not in known:
                    known[key] = measure(NETWORKS[name], replace(options, without=without))
                    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
                    print(key, known[key], flush=True)
    TABLE.write_text(table(known))
    print(TABLE.read_text())


def runs() -> dict[str, Options]:
    """One conversion for all T of `if` neurons, one for every N of level neurons."""
    levels = {f"level {n}": Options("ecc", "level", levels=min(n, MOST_LEVELS)) for n in STEPS}
    return {**levels, "if": Options("ecc", "if", timesteps=max(STEPS))}


def measure(network: Network, options: Options) -> dict[str, object]:
    """Accuracies in %: of the CNN, and of the spiking network after each of its timesteps."""
    graph = read_model(network.path)
    preprocess = network.normalisation.preprocess(graph.input.shape[0])
    training = load("cifar10", graph.input.shape, split="train", limit=LAMBDA)
    test = load("cifar10", graph.input.shape, limit=IMAGES[options.neuron])
    converted = read_model(network.path, keep_epsilon=False) if "cmb" in options.without else graph
    net = build(Ann(converted, preprocess), training.images, options)
    found = evaluate(net, test.images, test.labels, ann=Ann(graph, preprocess), engine="c")
    assert found.correct is not None and found.ann_correct is not None
    steps = [t for t in STEPS if t <= net.timesteps] or [1]
    return {
        "images": found.images,
        "cnn": 100 * found.ann_correct / found.images,
        "accuracy": [100 * int(found.correct[t - 1]) / found.images for t in steps],
        "correlation": found.likeness,
    }


def table(known: dict[str, dict]) -> str:
    lines = [HEADER]
    for name in NETWORKS:
        for neuron in ("if", "level"):
            rows = {}
            for techniques in TECHNIQUES:
                keys = [f"{name}, {techniques}, {k}" for k in runs() if k.startswith(neuron)]
                found = [known[k] for k in keys if k in known]
                if len(found) == len(keys):
                    rows[techniques] = found
            if rows:
                lines += section(name, neuron, rows)
    return "\n".join(lines)


def section(name: str, neuron: str, rows: dict[str, list[dict]]) -> list[str]:
    """One network with one kind of neuron."""
    first = next(iter(rows.values()))[0]
    unit = "T" if neuron == "if" else "N"
    lines = [
        f"## {name}, `{neuron}`\n",
        f"{first['images']:,} test images, the CNN {first['cnn']:.2f} %.\n",
        f"| {unit} | {' | '.join(map(str, STEPS))} | loss at {STEPS[-1]} |",
        "|---" * (len(STEPS) + 2) + "|",
    ]
    for techniques, found in rows.items():
        accuracies = [a for row in found for a in row["accuracy"]]
        loss = first["cnn"] - accuracies[-1]
        cells = [techniques, *(f"{a:.2f}" for a in accuracies), f"{loss:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


if __name__ == "__main__":
    main()
