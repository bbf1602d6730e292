"""`snngen train`: from a recipe to a model, and to what its network is worth."""

from __future__ import annotations

import json
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer

from snngen.cli.console import progress, say
from snngen.cli.options import Conversion, check_choice
from snngen.cli.stages import obtain, samples_for
from snngen.cli.summaries import evaluation_json, evaluation_lines
from snngen.evaluate import ENGINES, evaluate_samples
from snngen.files import read_file, write_file
from snngen.targets.c.budget import budget_for

if TYPE_CHECKING:
    from snngen.train.recipes import Epoch, Recipe, Training


def train(
    recipe: Annotated[Path, typer.Argument(help="a TOML file: see training.md")],
    device: Annotated[
        str, typer.Option(help="cpu, cuda or auto: an accelerator where there is one")
    ] = "auto",
    limit: Annotated[
        int | None, typer.Option(help="evaluate on so many test images, evenly spread", min=1)
    ] = None,
    engine: Annotated[
        str, typer.Option(help=f"{' or '.join(ENGINES)}: what evaluates; the results are the same")
    ] = ENGINES[0],
) -> None:
    """Train a model by a recipe, going on where it was interrupted, and evaluate its network."""
    from snngen.train import recipes  # torch is an extra, and slow to wake

    check_choice("--engine", engine, ENGINES)
    text = read_file(recipe, recipes.MAX_BYTES)
    read = recipes.parse(text, str(recipe))
    chosen = recipes.device_of(device)
    with recipes.held(Path(read.output)), recipes.deterministic(read.threads):
        training = recipes.Training(read, text, chosen)
        _say_epochs(training, chosen)
        _evaluate(training.export(), read, limit, engine)


def _say_epochs(training: Training, device: str) -> None:
    """Train, a line for each epoch."""
    recipe, material = training.recipe, training.material
    done = f", going on after epoch {len(training.done)}" if training.done else ""
    say(
        f"model {recipe.model}: {len(material.train):,} training images, "
        f"{len(material.test):,} test images, {material.classes} classes, on {device}{done}"
    )
    if recipe.start is not None and not training.done:
        say(f"begins with {recipe.start}: test {100 * training.tested():.2f} %")
    while len(training.done) < recipe.epochs:
        began = monotonic()
        with progress(f"epoch {len(training.done) + 1}", training.batches) as heard:
            epoch = training.epoch(heard)
        say(_line(epoch, recipe.epochs, monotonic() - began))


def _line(epoch: Epoch, of: int, seconds: float) -> str:
    synops = f", {epoch.synops:,.0f} synaptic operations" if epoch.synops else ""
    return (
        f"epoch {epoch.number}/{of}: loss {epoch.loss:.4f}, right {100 * epoch.train:.2f} %, "
        f"test {100 * epoch.test:.2f} %{synops}, {seconds:.1f} s"
    )


def _evaluate(model: Path, recipe: Recipe, limit: int | None, engine: str) -> None:
    """What `snngen evaluate MODEL --data DATA` says; as JSON in the recipe's output folder."""
    from snngen.train.recipes import RESULT

    say(f"wrote {model}")
    events = recipe.events
    conversion = Conversion(
        scale=recipe.scale,
        bins=None if events.fitting.bins is None else events.bins,
        crop=str(events.crop) if events.crop else None,
        shrink=events.fitting.shrink,
    )
    obtained = obtain(model, conversion, evaluated_on=recipe.data)
    net = obtained.net
    samples = samples_for(net, recipe.data, limit, conversion.fitting)
    with progress("evaluating", len(samples)) as heard:
        found = evaluate_samples(net, samples, ann=obtained.ann, engine=engine, progress=heard)
    budget = budget_for(net)
    told = json.dumps(evaluation_json(net, found, budget), indent=2, sort_keys=True)
    write_file(Path(recipe.output) / RESULT, f"{told}\n".encode())
    say(*evaluation_lines(net, found, budget))
