"""What a recipe says: dataclasses whose fields carry their rules, and TOML read by them.

A table of a recipe is a dataclass, and a key a field of it; what a key may hold, what it means and
which other key it belongs to stand in the field's metadata.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from snngen.data.fitting import MOST_SHRUNK, Fitting, read_binning
from snngen.errors import Problem, RecipeError, printable
from snngen.train.recipes.models import MODELS
from snngen.train.recipes.rules import Ascending, Bins, Choice, Flag, Number, Rule, Text, Whole

MAX_BYTES = 2**16  # of a recipe
MOST_LEVELS, MOST_EPOCHS = 255, 10**5
Table = TypeVar("Table")


def key(rule: Rule, what: str, default: Any, only: dict[str, str] | None = None) -> Any:
    """A key; `only` names another one of its table, and what that must be for this to apply."""
    return field(default=default, metadata={"rule": rule, "what": what, "only": only or {}})


def needed(rule: Rule, what: str, stand_in: Any) -> Any:
    """A key that must be there; `stand_in` is harmless, so that the others can be checked without
    it.
    """
    return field(metadata={"rule": rule, "what": what, "only": {}, "stand_in": stand_in})


@dataclass(frozen=True)
class Events:
    """Of recordings, whose bins are the images."""

    bins: str = key(Bins(), "every bin is an image", "1")
    crop: int = key(Whole(0, 2**15), "the sensor's centre, so many pixels square; 0 is all", 0)
    shrink: int = key(Whole(1, MOST_SHRUNK), "so many pixels square to one", 1)
    polarities: int = key(Whole(1, 2), "channels; 1 counts darker and brighter together", 2)

    @property
    def fitting(self) -> Fitting:
        """The same for `snngen.data`, None for what is as it is by default."""
        bins = None if self.bins == "1" else read_binning(self.bins)
        crop = (self.crop,) if self.crop else None
        return Fitting(crop=crop, shrink=None if self.shrink == 1 else self.shrink, bins=bins)


@dataclass(frozen=True)
class Augmentation:
    """How training images are changed, each time anew."""

    shift: int = key(Whole(0, 64), "by so many pixels at most, to each side; 0 comes in", 0)
    flip: bool = key(Flag(), "left and right swapped, every other image", False)
    crop: int = key(
        Whole(0, 1024), "so many pixels square, from anywhere; the model reads the middle", 0
    )


@dataclass(frozen=True)
class Quantisation:
    """The model's activations and weights."""

    activation: str = key(Choice(("qcfs", "steps", "relu")), "`relu` is not quantised", "qcfs")
    levels: int = key(
        Whole(1, MOST_LEVELS), "of `qcfs`, whose bound is learned", 8, {"activation": "qcfs"}
    )
    k: int = key(Whole(0, 7), "`steps` are 2^-k apart", 0, {"activation": "steps"})
    bound: int = key(
        Whole(0, MOST_LEVELS),
        "at most; 0 for the largest that training sees",
        2,
        {"activation": "steps"},
    )
    rounding: str = key(
        Choice(("nearest", "down", "stochastic", "none")),
        "stochastic and none only while it trains",
        "nearest",
        {"activation": "steps"},
    )
    weights: int | str | None = key(
        Choice(("ternary", "real"), Whole(2, 8)), "bits; default 8, with `relu` real", None
    )
    ends: int | None = key(
        Whole(2, 8), "bits of the first and last layer; default 8, or `weights`", None
    )


@dataclass(frozen=True)
class Loss:
    """What is added to the cross entropy, or stands in its place."""

    synops_price: float = key(Number(), "of a synaptic operation of an image", 0.0)
    synops_target: int = key(
        Whole(0, 10**12), "of an image: ((S - S0) / S0)^2, Sorbaro et al. 2020", 0
    )
    teacher: str | None = key(
        Text("the output folder of a recipe, or an ONNX file as of `start`"),
        "learn its outputs",
        None,
    )
    temperature: float = key(Number(above=0), "at which", 4.0)
    labels: float = key(Number(most=1), "beside a teacher, the share of the cross entropy", 0.0)
    activations: float = key(
        Number(), "beside a teacher of the same model, what an activation's error counts", 0.0
    )


@dataclass(frozen=True)
class Optimiser:
    """That of the weights."""

    name: str = key(Choice(("adam", "adamw", "sgd")), "", "adam")
    rate: float = key(Number(above=0), "of learning, at its highest", 1e-3)
    weight_decay: float = key(Number(), "", 0.0)
    momentum: float = key(Number(most=1), "", 0.9, {"name": "sgd"})


@dataclass(frozen=True)
class Schedule:
    """The rate over the epochs."""

    name: str = key(Choice(("cosine", "steps", "constant")), "`cosine` falls to 0", "cosine")
    warm_up: float = key(Number(), "epochs in which it rises from 0", 0.0)
    at: tuple[float, ...] = key(Ascending(), "epochs after which it falls", (), {"name": "steps"})
    factor: float = key(Number(above=0, most=1), "times which", 0.1, {"name": "steps"})


@dataclass(frozen=True)
class Recipe:
    """All of it. Paths are as the working directory has them."""

    data: str = needed(Text("a published data set or an .npz file"), "training, test images", "")
    model: str = needed(Choice(tuple(MODELS)), "see below", "vgg16")
    output: str = needed(Text("a folder"), "for what comes of it", "")
    epochs: int = needed(Whole(1, MOST_EPOCHS), "through the training images", MOST_EPOCHS)
    batch: int = key(Whole(1, 2**16), "images", 64)
    start: str | None = key(
        Text("an ONNX file"), "whose weights it begins with, layer by layer", None
    )
    limit: int | None = key(Whole(1, 10**9), "train on so many images, evenly spread", None)
    seed: int = key(Whole(0, 2**63 - 1), "of all that is drawn", 1)
    threads: int = key(Whole(1, 256), "of a processor; the result depends on their number", 1)
    scale: float = key(Number(above=0), "the model sees byte / scale; of events, 1", 255.0)
    events: Events = field(default_factory=Events)
    augmentation: Augmentation = field(default_factory=Augmentation)
    quantisation: Quantisation = field(default_factory=Quantisation)
    loss: Loss = field(default_factory=Loss)
    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)


def parse(content: bytes, name: str) -> Recipe:
    """The recipe in a TOML file called `name`; RecipeError with all problems that it has."""
    try:
        tree = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        rule = "not a TOML file"
        raise RecipeError(Problem(name, rule, str(error) or "nested too deep")) from error
    problems: list[Problem] = []
    recipe = _read(Recipe, tree, "", problems)
    problems += _contradictions(recipe, tree)
    if problems:
        raise RecipeError(*(replace(p, where=f"{name}: {p.where}") for p in problems))
    return resolved(recipe)


def resolved(recipe: Recipe) -> Recipe:
    """With what weights are where the recipe does not say."""
    q = recipe.quantisation
    weights = q.weights or ("real" if q.activation == "relu" else 8)
    ends = q.ends or (weights if isinstance(weights, int) else 8)
    return replace(recipe, quantisation=replace(q, weights=weights, ends=ends))


def table_of(field: Field[Any]) -> Any:
    """The dataclass that a field of Recipe is, where it is a table."""
    hint = get_type_hints(Recipe).get(field.name)
    return hint if is_dataclass(hint) else None


def _read(cls: type[Table], tree: dict[str, Any], where: str, problems: list[Problem]) -> Table:
    """The dataclass that `tree` stands for, but for what is in `problems`."""
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    found = {n: f.metadata["stand_in"] for n, f in known.items() if "stand_in" in f.metadata}
    problems += [_unknown(name, list(known), where) for name in tree if name not in known]
    for name, f in known.items():
        table, value = table_of(f) if cls is Recipe else None, tree.get(name)
        if value is None:
            if name in found:
                rule = f"is missing; it must be {f.metadata['rule']}"
                problems.append(Problem(f"{where}{name}", rule, hint=f.metadata["what"]))
        elif table is None:
            wrong = list(_broken(f, known, tree, where))
            problems += wrong
            found |= {} if wrong else {name: f.metadata["rule"].read(value)}
        elif type(value) is dict:
            found[name] = _read(table, value, f"[{name}] ", problems)
        else:
            rule = f"must be a table: a line [{name}] and keys below it"
            problems.append(Problem(f"{where}{name}", rule, _shown(value)))
    return cls(**found)


def _unknown(name: str, known: list[str], where: str) -> Problem:
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
    return Problem(f"{where}{name}", "there is no such key", hint=hint)


def _broken(f: Field[Any], known: dict[str, Any], tree: Any, where: str) -> Iterator[Problem]:
    """What is wrong with the key of `f`, which `tree` has."""
    value, rule = tree[f.name], f.metadata["rule"]
    if not rule.accepts(value):
        yield Problem(f"{where}{f.name}", f"must be {rule}", _shown(value))
    for other, wanted in f.metadata["only"].items():
        given = tree.get(other, known[other].default)
        if given != wanted:
            hint = f'set {other} = "{wanted}", or leave it out'
            rule = f"applies to {other} {wanted} only"
            yield Problem(f"{where}{f.name}", rule, f"{other} = {_shown(given)}", hint)


def _contradictions(r: Recipe, tree: dict[str, Any]) -> Iterator[Problem]:
    """Keys of which each is right, but not beside another one."""
    q, loss, schedule = r.quantisation, r.loss, r.schedule
    given = tree["loss"] if type(tree.get("loss")) is dict else {}
    if q.weights == "ternary" and not MODELS[r.model].normed:
        normed = ", ".join(name for name, model in MODELS.items() if model.normed)
        rule = "ternary weights need a model with batch norms, which give them a scale"
        yield Problem("[quantisation] weights", rule, f"model {r.model}", f"one of {normed}")
    if q.activation == "steps" and q.bound << q.k > MOST_LEVELS:
        rule = f"there may be {MOST_LEVELS} levels, 2^k * bound, at most"
        yield Problem("[quantisation] bound", rule, str(q.bound << q.k), "make k or bound smaller")
    if q.weights == "real" and q.ends is not None:
        rule = "applies to quantised weights only"
        yield Problem("[quantisation] ends", rule, str(q.ends), "leave it out, or weights")
    for name in ("synops_price", "synops_target"):
        if getattr(loss, name) and q.activation == "relu":
            rule = "counts spikes, which activation relu has none of"
            yield Problem(f"[loss] {name}", rule, hint="use activation qcfs or steps")
    if loss.synops_price and loss.synops_target:
        rule = "there is a price or a target, not both"
        yield Problem("[loss] synops_target", rule, str(loss.synops_target), "leave one out")
    for name in ("temperature", "labels", "activations"):
        if loss.teacher is None and name in given:
            rule, hint = "applies beside a teacher only", "set teacher, or leave it out"
            yield Problem(f"[loss] {name}", rule, str(getattr(loss, name)), hint)
    if loss.teacher is not None and Path(loss.teacher).absolute() == Path(r.output).absolute():
        hint = "name the folder of another recipe"
        yield Problem("[loss] teacher", "must not be the output itself", loss.teacher, hint)
    if schedule.warm_up >= r.epochs:
        rule = f"must be less than the {r.epochs} epochs"
        yield Problem("[schedule] warm_up", rule, f"{schedule.warm_up:g}", "make it shorter")
    if schedule.name == "steps" and not schedule.at:
        yield Problem("[schedule] at", "is missing", hint="the epochs after which the rate falls")
    if schedule.at and schedule.at[-1] >= r.epochs:
        rule = f"must be less than the {r.epochs} epochs"
        yield Problem("[schedule] at", rule, f"{schedule.at[-1]:g}", "leave it out")


def _shown(value: Any) -> str:
    text = printable(repr(value))
    return text if len(text) <= 60 else text[:60] + "..."
