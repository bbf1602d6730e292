"""Accuracy against synaptic operations: scaled weights, and training that counts them.

    python -m bench.synops FOLDER [NAME ...]

One CNN that was trained without a thought of spikes, examples/threshold_balancing/fashion_mnist,
becomes networks whose neurons send floor(relu(x)) spikes, as those of Sorbaro et al. 2020:

- weight scaling: as it is, its first layer's weights times a factor
- quantised: the same, trained on with activations rounded down
- SynOp: trained on with a target of synaptic operations, activations not rounded meanwhile
- SynOp, quantised: both

What trains them is examples/recipes/sorbaro_fashion.toml, varied (`Point.recipe`). What is trained
lies in FOLDER, outside of the repository, and is not trained again; a point takes minutes on one
thread. All have 8-bit weights, and all are measured as level neurons on all 10,000 test images of
Fashion-MNIST: the integer network's top-1 and synaptic operations of an image, and the training
loss's own count of them on the same images, as it counts while it trains, dropout aside. With names
of points, only those are measured anew. Needs SNNGEN_DATA and torch. Writes
bench/results/synops.json and docs/benchmarks/synops.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.networks import ROOT, Network
from bench.synops.page import PAGE, RESULTS, page
from bench.synops.points import POINTS, Point
from snngen.convert import Options
from snngen.data import load
from snngen.evaluate import Ann, evaluate
from snngen.pipeline import Normalisation, build, read_model
from snngen.train import SynOps
from snngen.train.recipes import Training, deterministic, held, parse

RECIPE = ROOT / "examples/recipes/sorbaro_fashion.toml"
CNN = Network(
    "examples/threshold_balancing/fashion_mnist.onnx", "fashion_mnist", Normalisation(), None
)
BATCH = 500
Record = dict[str, Any]


def made(point: Point, folder: Path) -> tuple[Training, Path]:
    """The training of `point`, and the ONNX file that it ends in."""
    output = folder / point.name
    text = point.recipe(RECIPE.read_text(), str(output)).encode()
    recipe = parse(text, point.name)
    with held(output), deterministic(recipe.threads):
        training = Training(recipe, text, "cpu")
        while point.is_trained and len(training.done) < recipe.epochs:
            print(point.name, training.epoch(), flush=True)
        if not point.is_trained:
            _counted(training.model, training, training.train.images)  # the bounds of activations
        return training, training.export()


def _counted(model: nn.Module, training: Training, images: torch.Tensor) -> float:
    """Synaptic operations of an image, as the loss counts them while `model` trains."""
    model.eval().train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    total = 0.0
    with torch.no_grad():
        for part in images.split(BATCH):
            with SynOps(model) as synops:
                model(part.float() / training.recipe.scale)
            total += float(synops.total()) * len(part)
    return total / len(images)


def measured(point: Point, folder: Path) -> Record:
    training, path = made(point, folder)
    graph = read_model(path)
    preprocess = Normalisation(training.recipe.scale).preprocess(graph.input.shape[0])
    ann = Ann(graph, preprocess)
    test = load(CNN.data, graph.input.shape)
    net = build(ann, test.images[:1], Options("quantized", "level"))
    found = evaluate(net, test.images, test.labels, ann=ann)
    assert found.correct is not None
    return {
        "curve": point.curve,
        "setting": point.setting,
        "top1": 100 * int(found.correct[-1]) / found.images,
        "synops": found.synops,
        "estimate": _counted(training.model, training, training.test.images),
    }


def cnn_accuracy() -> float:
    """Top-1 in % of the CNN that all of them begin with."""
    graph = read_model(CNN.path)
    test = load(CNN.data, graph.input.shape)
    classes = Ann(graph, CNN.normalisation.preprocess(graph.input.shape[0])).classes(test.images)
    return 100 * float((classes == test.labels).mean())


def main(folder: Path, names: list[str]) -> None:
    known = json.loads(RESULTS.read_text()) if names else {}
    points: dict[str, Record] = known.get("points", {})
    cnn: float = known["cnn"] if names else cnn_accuracy()
    for point in POINTS:
        if names and point.name not in names:
            continue
        points[point.name] = measured(point, folder)
        print(points[point.name], flush=True)
        ordered = {p.name: points[p.name] for p in POINTS if p.name in points}
        found = {"cnn": cnn, "points": ordered}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        PAGE.write_text(page(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
