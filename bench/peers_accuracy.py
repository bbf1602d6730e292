"""Conversion by snngen beside that by SpikingJelly and sinabs: same network, images and timesteps.

    python -m bench.peers_accuracy [NETWORK ...] [--again ENGINE]

Each network is rebuilt in torch from the weights that snngen read, batch norm folded; that both
give the same outputs is checked. All are calibrated on the same training images and evaluated on
the same test images, the input constant over time, the class that of the output summed up to T. The
peers compute with float weights, snngen with int8.

SpikingJelly: every recipe of its ann2snn examples that suits a CNN; local threshold balancing,
which moves thresholds from batch to batch, gets all training images as in its example. sinabs:
`from_model` with its defaults (several spikes in a timestep), alone and after `normalize_weights`;
and, because that rescales biases and residual branches wrongly, with each ReLU normalised to the
99.9th percentile of its activations, with several spikes in a timestep and with one. snngen: every
method, as `if` with T timesteps and as `level` with T levels.

A run measures what is missing; `--again` measures anew those whose name begins so. Needs torch,
spikingjelly, sinabs, SNNGEN_DATA and SNNGEN_MODELS. Writes bench/results/peers_accuracy.json and
docs/benchmarks/peers.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from sinabs.activation import SingleSpike
from sinabs.from_torch import from_model
from sinabs.utils import normalize_weights
from spikingjelly.activation_based import ann2snn, functional
from torch import nn

from bench.accuracy_page import table
from bench.networks import NETWORKS, ROOT
from snngen.convert import METHODS, Options
from snngen.data import Bytes, Samples, load
from snngen.errors import BoundError, ConversionError
from snngen.evaluate import Ann, evaluate
from snngen.graph import Add, Graph, Node, Relu, shapes
from snngen.ops import Conv, Linear, MaxPool, Select, SumPool
from snngen.pipeline import build, read_model

RESULTS = ROOT / "bench/results/peers_accuracy.json"
PAGE = ROOT / "docs/benchmarks/peers.md"
STEPS = (4, 8, 16, 32, 64)
BATCH = 50
PERCENTILE = 99.9
HEADER = """# Conversion beside SpikingJelly and sinabs

Printed by `python -m bench.peers_accuracy` (`make bench-peers`); the top of that file says what is
measured. Top-1 in % after T timesteps; the best of each column is bold. The peers' weights are
float32, snngen's int8; a `level` network runs one timestep with T levels.
"""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network as snngen and as torch have it, with the images that all share."""

    name: str
    ann: Ann
    module: nn.Module
    training: Bytes
    test: Samples

    def values(self, images: Bytes) -> torch.Tensor:
        """What the model reads."""
        return torch.from_numpy(self.ann.preprocess.apply(images).astype(np.float32))

    def all_training(self) -> Bytes:
        network = NETWORKS[self.name]
        return load(network.data, self.ann.graph.input.shape, split="train").images


# name -> images for calibration, and of the test set; all of it where None
SUBJECTS: dict[str, tuple[int, int | None]] = {
    "lenet_ref": (256, None),
    "akamaster_resnet20": (128, 1000),
}
Correct = dict[int, int]  # T -> images with the right class
Engine = Callable[[Subject], Correct]


class Rebuilt(nn.Module):
    """A folded graph in torch, a module for each node except additions."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.source, self.output = graph.input.name, graph.output
        self.order = [(n.name, f"node{k}", n.inputs) for k, n in enumerate(graph.nodes)]
        known = {graph.input.name: graph.input.shape, **shapes(graph)}
        for (_, name, inputs), node in zip(self.order, graph.nodes, strict=True):
            if not isinstance(node.op, Add):
                self.add_module(name, rebuilt(node, known[inputs[0]][0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = {self.source: x}
        for name, module, inputs in self.order:
            first, *others = (values[i] for i in inputs)
            for other in others:
                first = first + other
            values[name] = getattr(self, module)(first) if not others else first
        return values[self.output]


def rebuilt(node: Node, channels: int) -> nn.Module:
    """The torch module of a node that reads so many channels."""
    match node.op:
        case Conv() as op:
            made = nn.Conv2d(
                channels, len(op.weight), op.window.kernel, op.window.stride,
                op.window.pads[:2], op.window.dilation, op.groups,
            )  # fmt: skip
            return weighted(made, op.weight, node.bias)
        case Linear() as op:
            flat = op.weight.reshape(len(op.weight), -1)
            return nn.Sequential(nn.Flatten(), weighted(nn.Linear(*flat.T.shape), flat, node.bias))
        case SumPool() as op:
            assert op.multiplier is None and op.divisor == np.prod(op.window.kernel)
            return nn.AvgPool2d(op.window.kernel, op.window.stride, op.window.pads[:2])
        case MaxPool() as op:
            return nn.MaxPool2d(op.window.kernel, op.window.stride, op.window.pads[:2])
        case Relu(maximum=np.inf):
            return nn.ReLU()
        case Select() as op:  # the shortcut of a residual block: every n-th pixel, channels moved
            step = int(op.rows[1])
            assert (op.rows == np.arange(len(op.rows)) * step).all()
            assert (op.columns == np.arange(len(op.columns)) * step).all()
            weight = (op.channels[:, None] == np.arange(channels)).astype(float)
            made = nn.Conv2d(channels, len(weight), 1, step)
            return weighted(made, weight[:, :, None, None], None)
    raise AssertionError(f"{node.name}: {type(node.op).__name__} is not rebuilt")


def weighted(made: Any, weight: np.ndarray, bias: np.ndarray | None) -> nn.Module:
    made.weight.data = torch.tensor(weight, dtype=torch.float32)
    zero = np.zeros(len(weight))
    made.bias.data = torch.tensor(zero if bias is None else bias, dtype=torch.float32)
    return made


def in_batches(images: Bytes) -> list[Bytes]:
    return [images[k : k + BATCH] for k in range(0, len(images), BATCH)]


def classify(
    subject: Subject, outputs: Callable[[torch.Tensor], Iterator[torch.Tensor]]
) -> Correct:
    """`outputs` yields those (B, K) of timestep 1, 2, ..."""
    correct = dict.fromkeys(STEPS, 0)
    labels = torch.from_numpy(subject.test.labels).split(BATCH)
    with torch.no_grad():
        for images, wanted in zip(in_batches(subject.test.images), labels, strict=True):
            total = torch.zeros(1)
            for t, out in enumerate(outputs(subject.values(images)), 1):
                total = total + out.flatten(1)
                if t in correct:
                    correct[t] += int((total.argmax(1) == wanted).sum())
    return correct


def spikingjelly(
    recipe: Callable[..., Any], subject: Subject, *, all_images: bool = False
) -> Correct:
    training = subject.all_training() if all_images else subject.training
    batches = [subject.values(part) for part in in_batches(training)]
    snn = ann2snn.Converter(recipe(batches)).convert(deepcopy(subject.module))
    snn.eval()

    def outputs(x: torch.Tensor) -> Iterator[torch.Tensor]:
        functional.reset_net(snn)
        for _ in range(max(STEPS)):
            yield snn(x)

    return classify(subject, outputs)


def sinabs(prepare: Callable[[Subject], nn.Module], subject: Subject, **options: Any) -> Correct:
    steps = max(STEPS)
    snn = from_model(prepare(subject), num_timesteps=steps, **options)

    def outputs(x: torch.Tensor) -> Iterator[torch.Tensor]:
        snn.reset_states()
        out = snn(x.repeat_interleave(steps, 0))
        yield from out.unflatten(0, (len(x), steps)).unbind(1)

    return classify(subject, outputs)


def as_it_is(subject: Subject) -> nn.Module:
    return deepcopy(subject.module)


def weights_normalised(subject: Subject) -> nn.Module:
    """By sinabs, for a chain of layers."""
    module = deepcopy(subject.module)
    names = [name for name, _ in module.named_children()]
    kinds = [type(child) for child in module.children()]
    relus = [k for k, kind in enumerate(kinds) if kind is nn.ReLU]
    before = [names[k - 1] for k in relus]
    data = subject.values(subject.training)
    normalize_weights(module, data, [names[k] for k in relus], before)
    return module


class Gain(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor


def relus_normalised(subject: Subject) -> nn.Module:
    """The same function, every ReLU working in 0..1 on nearly all training images: what weight
    normalisation means where there are biases and branches.
    """
    module = deepcopy(subject.module)
    relus = {name: m for name, m in module.named_children() if isinstance(m, nn.ReLU)}
    peak: dict[str, float] = {}

    def note(name: str, _module: Any, _input: Any, output: torch.Tensor) -> None:
        peak[name] = float(np.percentile(output.numpy(), PERCENTILE)) or 1.0

    hooks = [m.register_forward_hook(partial(note, name)) for name, m in relus.items()]
    with torch.no_grad():
        module(subject.values(subject.training))
    for hook in hooks:
        hook.remove()
    for name, relu in relus.items():
        setattr(module, name, nn.Sequential(Gain(1 / peak[name]), relu, Gain(peak[name])))
    return module


def snngen(method: str, neuron: str, subject: Subject) -> Correct:
    correct = {}
    for t in STEPS:
        length = {"levels": t} if neuron == "level" else {"timesteps": t}
        options = Options(method=method, neuron=neuron, **length)  # type: ignore[arg-type]
        net = build(subject.ann, subject.training, options)
        found = evaluate(net, subject.test.images, subject.test.labels, engine="c")
        assert found.correct is not None
        correct[t] = int(found.correct[-1])
    return correct


def engines() -> dict[str, Engine]:
    rate = ann2snn.RateCodingRecipe
    recipes: dict[str, Callable[..., Any]] = {
        "max": partial(rate, mode="max"),
        "99.9 %": partial(rate, mode="99.9%"),
        "max / 2": partial(rate, mode=1 / 2),
        "max / 3": partial(rate, mode=1 / 3),
        "channels, 99.9 %, half threshold": partial(
            rate, mode="99.9%", channel_wise=True, pre_spike_maxpool=True, half_threshold=True
        ),
    }
    single = partial(sinabs, spike_fn=SingleSpike)
    peers: dict[str, Engine] = {
        f"SpikingJelly, {name}": partial(spikingjelly, recipe) for name, recipe in recipes.items()
    }
    peers["SpikingJelly, local threshold balancing"] = partial(
        spikingjelly, ann2snn.LocalThresholdBalancingRecipe, all_images=True
    )
    peers["sinabs"] = partial(sinabs, as_it_is)
    peers["sinabs, normalize_weights"] = partial(sinabs, weights_normalised)
    peers["sinabs, ReLUs normalised"] = partial(sinabs, relus_normalised)
    peers["sinabs, ReLUs normalised, single spikes"] = partial(single, relus_normalised)
    ours: dict[str, Engine] = {
        f"snngen, {method}, `{neuron}`": partial(snngen, method, neuron)
        for neuron in ("level", "if")
        for method in METHODS
        if not METHODS[method].quantised
    }
    return peers | ours


def subject_of(name: str) -> Subject:
    network, (calibrate, limit) = NETWORKS[name], SUBJECTS[name]
    graph = read_model(network.path)
    ann = Ann(graph, network.normalisation.preprocess(graph.input.shape[0]))
    training = load(network.data, graph.input.shape, split="train", limit=calibrate).images
    test = load(network.data, graph.input.shape, limit=limit)
    made = Subject(name, ann, Rebuilt(graph).eval(), training, test)
    with torch.no_grad():
        outputs = made.module(made.values(training)).numpy()
    assert np.abs(outputs - ann.outputs(training)).max() < 1e-3 * np.ptp(outputs)
    return made


def measure(name: str, known: list[dict], again: str | None) -> Iterator[dict]:
    """The missing rows of a network, as they are made."""
    subject = subject_of(name)
    done = {row["engine"] for row in known if row["network"] == name}
    for engine, run in engines().items():
        if engine in done and not (again and engine.startswith(again)):
            continue
        if engine == "sinabs, normalize_weights" and any(
            isinstance(node.op, Add) for node in subject.ann.graph.nodes
        ):
            continue  # it takes a chain of layers
        try:
            correct = run(subject)
        except (BoundError, ConversionError) as error:
            print(engine, error, flush=True)
            continue
        yield {"network": name, "engine": engine, "images": len(subject.test.images),
               "calibrated_on": len(subject.training),
               "cnn": int((subject.ann.classes(subject.test.images) == subject.test.labels).sum()),
               "correct": {str(t): correct[t] for t in STEPS}}  # fmt: skip


def page(rows: list[dict]) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("spikingjelly", "sinabs", "torch"))
    parts = [f"{HEADER}\nMeasured with {versions}.\n"]
    for name in SUBJECTS:
        mine = {row["engine"]: row for row in rows if row["network"] == name}
        if not mine:
            continue
        first = next(iter(mine.values()))
        percent = {e: [100 * n / first["images"] for n in row["correct"].values()]
                   for e, row in mine.items()}  # fmt: skip
        best = [max(column) for column in zip(*percent.values(), strict=True)]
        head = ["", *(f"T={t}" for t in STEPS)]
        body = [
            [e, *(f"**{x:.2f}**" if x == most else f"{x:.2f}"
                  for x, most in zip(percent[e], best, strict=True))]
            for e in engines() if e in percent
        ]  # fmt: skip
        parts.append(
            f"## {name}\n\nCNN {100 * first['cnn'] / first['images']:.2f} % of {first['images']:,} "
            f"test images; calibrated on {first['calibrated_on']} training images.\n"
        )
        parts.append(table([head, *body]))
        parts.append(verdict(percent))
    return "\n".join(parts)


def verdict(percent: dict[str, list[float]]) -> str:
    """Where the best of snngen's `if` networks is ahead of the best peer, and where not."""
    ours = [v for e, v in percent.items() if e.startswith("snngen") and "`if`" in e]
    theirs = [v for e, v in percent.items() if not e.startswith("snngen")]
    if not ours or not theirs:
        return ""
    gaps = [
        f"{max(o) - max(p):+.2f} at T={t}"
        for t, o, p in zip(STEPS, zip(*ours, strict=True), zip(*theirs, strict=True), strict=True)
    ]
    return f"The best `if` network of snngen, less the best of the peers: {', '.join(gaps)}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers_accuracy")
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(SUBJECTS))
    parser.add_argument("--again", metavar="ENGINE")
    given = parser.parse_args()
    unknown = set(given.networks) - SUBJECTS.keys()
    if unknown:
        parser.error(f"no such network: {', '.join(sorted(unknown))}")
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for name in given.networks or SUBJECTS:
        for row in measure(name, rows, given.again):
            print(row, flush=True)
            rows = [r for r in rows if (r["network"], r["engine"]) != (name, row["engine"])] + [row]
            RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
            PAGE.write_text(page(rows))


if __name__ == "__main__":
    main()
