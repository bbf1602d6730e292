"""Accuracy against synaptic operations: scaled weights, and training that counts them.

    python -m bench.synops FOLDER [KEY | KEY/NAME ...]

A CNN that was trained without a thought of spikes becomes networks whose neurons send
floor(relu(x)) spikes, as those of Sorbaro et al. 2020:

- weight scaling: as it is, its first layer's weights times a factor
- quantised: the same, trained on with activations rounded down
- SynOp: trained on with a target of synaptic operations, activations not rounded meanwhile
- SynOp, quantised: both

Each of STUDIES varies a recipe of examples/recipes. What is trained lies in FOLDER/KEY/SEED,
outside of the repository, and is not trained again; a point takes minutes on one thread. All have
8-bit weights, and all are measured as level neurons on all test images: the integer network's top-1
and synaptic operations of an image, and the training loss's own count of them on the same images,
as it counts while it trains, dropout aside. With names of studies or of points, only those are
measured anew. Needs SNNGEN_DATA and torch. Writes bench/results/synops.json and
docs/benchmarks/synops.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.synops.page import PAGE, RESULTS, page
from bench.synops.points import CNN, STUDIES, Point, Study
from snngen.convert import Options
from snngen.evaluate import Ann, evaluate
from snngen.pipeline import Normalisation, build, read_model
from snngen.train import SynOps
from snngen.train.recipes import Recipe, Training, deterministic, held, parse
from snngen.train.recipes.material import read_material

BATCH = 500
Record = dict[str, Any]


def trained(text: str, name: str, *, only_bounds: bool = False) -> tuple[Training, Path]:
    """The training of the recipe `text`, and the ONNX file that it ends in; `only_bounds`: without
    an epoch, activations are only shown the training images, whose largest value is their bound.
    """
    recipe = parse(text.encode(), name)
    with held(Path(recipe.output)), deterministic(recipe.threads):
        training = Training(recipe, text.encode(), "cpu")
        while not only_bounds and len(training.done) < recipe.epochs:
            print(name, training.epoch(), flush=True)
        if only_bounds:
            _counted(training.model, training, training.train.images)
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


def converted(recipe: Recipe, path: Path) -> Ann:
    """The ONNX file that `recipe` ends in, on bytes."""
    graph = read_model(path)
    return Ann(graph, Normalisation(recipe.scale).preprocess(graph.input.shape[0]))


def measured(study: Study, point: Point, folder: Path) -> Record:
    """Of all seeds, and their mean."""
    runs = [_measured(study, point, folder / str(seed), seed) for seed in study.seeds]
    keys = ("top1", "synops", "estimate")
    return {
        "curve": point.curve,
        "setting": point.setting,
        "images": runs[0]["images"],
        **{key: sum(run[key] for run in runs) / len(runs) for key in keys},
        "runs": [{key: run[key] for key in keys} for run in runs],
    }


def _measured(study: Study, point: Point, folder: Path, seed: int) -> Record:
    text = study.text(point, folder, seed)
    training, path = trained(text, point.name, only_bounds=not point.is_trained)
    ann = converted(training.recipe, path)
    images, labels = training.test.images.numpy(), training.test.labels.numpy()
    net = build(ann, images[:1], Options("quantized", "level"))
    found = evaluate(net, images, labels, ann=ann)
    assert found.correct is not None
    return {
        "images": found.images,
        "top1": 100 * int(found.correct[-1]) / found.images,
        "synops": found.synops,
        "estimate": _counted(training.model, training, training.test.images),
    }


def cnn_accuracy(study: Study, folder: Path) -> float:
    """Top-1 in % of the CNN whose weights are scaled, which is trained where it must be; the mean
    of all seeds.
    """
    found = []
    for seed in study.seeds:
        text = study.cnn_text(folder / str(seed), seed)
        if study.trains_cnn:
            trained(text, CNN)
        recipe = parse(text.encode(), CNN)
        test = read_material(recipe).test
        classes = converted(recipe, study.scaled(folder / str(seed))).classes(test.images.numpy())
        found.append(100 * float((classes == test.labels.numpy()).mean()))
    return sum(found) / len(found)


def main(folder: Path, names: list[str]) -> None:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for study in STUDIES:
        wanted = [p for p in study.points if _is_named(study, p, names)]
        found = known.setdefault(study.key, {"points": {}})
        if wanted:
            found["cnn"] = cnn_accuracy(study, folder / study.key)
            print(study.key, found["cnn"], flush=True)
        for point in wanted:
            points = found["points"]
            points[point.name] = measured(study, point, folder / study.key)
            print(points[point.name], flush=True)
            found["points"] = {p.name: points[p.name] for p in study.points if p.name in points}
            ordered = {s.key: known[s.key] for s in STUDIES if s.key in known}
            RESULTS.write_text(json.dumps(ordered, indent=1) + "\n")
            PAGE.write_text(page(ordered))


def _is_named(study: Study, point: Point, names: list[str]) -> bool:
    return not names or study.key in names or f"{study.key}/{point.name}" in names


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
