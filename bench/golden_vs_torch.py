"""The fast golden model against torch simulators of the same network, timesteps and batch, on one
machine in one run.

    python -m bench.golden_vs_torch [IMAGES]

The network is `lenet_ref` as snngen converts it: IF neurons, T = 16. SpikingJelly (multi-step) and
sinabs get the same integer weights as float32, thresholds divided out because theirs are scalars,
all cores, and the first layer's current computed once and repeated, as the golden model does. Each
engine simulates all MNIST test images, three rounds in turn; the ratio is of the fastest rounds.
Classes at T must agree, up to ties that float rounding decides. Needs torch, spikingjelly, sinabs,
SNNGEN_DATA and SNNGEN_MODELS. Writes bench/results/golden_vs_torch.json
and docs/benchmarks/golden_vs_torch.md.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import sinabs.activation
import sinabs.layers
import torch
from spikingjelly.activation_based import functional, neuron

from bench.networks import MNIST, ROOT
from snngen.convert import Options
from snngen.data import load
from snngen.evaluate import Ann
from snngen.fixed import FixedLayer, FixedNet
from snngen.neurons import IF
from snngen.ops import Conv, Linear, SumPool
from snngen.pipeline import build, read_model
from snngen.simulate import stream

RESULTS = ROOT / "bench/results/golden_vs_torch.json"
TABLE = ROOT / "docs/benchmarks/golden_vs_torch.md"
HEADER = """# The golden model beside torch simulators

Printed by `python -m bench.golden_vs_torch` (`make bench-peers`); the top of that file says what is
measured: `lenet_ref`, T={T}, {images} MNIST images in batches of {batch}, {threads} threads, torch
{torch}. The ratio is what to look at; images per second are those of one machine.

| engine | images per second | golden is faster by | same class as golden |
|---|---|---|---|"""
ROUNDS = 3
BATCH = 64

Engine = Callable[[np.ndarray], np.ndarray]  # bytes (N, C, H, W) -> classes (N,)


def golden(net: FixedNet) -> Engine:
    def run(images: np.ndarray) -> np.ndarray:
        batches = (images[k : k + BATCH] for k in range(0, len(images), BATCH))
        return np.concatenate([net.classes(r.outputs[:, -1]) for r in stream(net, batches)])

    return run


def synapses(layer: FixedLayer) -> torch.nn.Module:
    """The layer's one synapse as a torch module; currents in units of the threshold."""
    op = layer.synapses[0].op
    if isinstance(op, SumPool):
        pool = torch.nn.AvgPool2d(op.window.kernel, op.window.stride, divisor_override=1)
        return pool
    theta = layer.neuron.threshold if isinstance(layer.neuron, IF) else np.ones(layer.shape[0])
    weight = torch.tensor(op.weight / theta[:, None, None, None], dtype=torch.float32)
    bias = np.zeros(layer.shape[0]) if layer.bias is None else layer.bias / theta
    if isinstance(op, Conv):
        window = op.window
        made = torch.nn.Conv2d(
            weight.shape[1], len(weight), window.kernel, window.stride, window.pads[:2]
        )
    else:
        assert isinstance(op, Linear)
        made = torch.nn.Linear(weight[0].numel(), len(weight))
        weight = weight.reshape(len(weight), -1)
    made.weight.data, made.bias.data = weight, torch.tensor(bias, dtype=torch.float32)
    return torch.nn.Sequential(torch.nn.Flatten(), made) if isinstance(op, Linear) else made


def simulator(net: FixedNet, fire: Callable[[FixedLayer, torch.Tensor], torch.Tensor]) -> Engine:
    """A torch engine; `fire` turns a layer's current (T, B, ...) into spikes of the same shape."""
    modules = [synapses(layer) for layer in net.layers]
    table = torch.tensor(net.input.table[0].astype(np.float32))

    @torch.no_grad()
    def batch(images: np.ndarray) -> np.ndarray:
        values = table[torch.from_numpy(images).long()][None]
        for layer, module in zip(net.layers, modules, strict=True):
            steps = values.shape[0]
            current = module(values.flatten(0, 1)).unflatten(0, (steps, len(images)))
            if not isinstance(layer.neuron, IF):
                values = current
                continue
            if steps == 1:
                current = current.expand(net.timesteps, *current.shape[1:])
            values = fire(layer, current)
        return values.sum(0).flatten(1).argmax(1).numpy()

    def run(images: np.ndarray) -> np.ndarray:
        return np.concatenate([batch(images[k : k + BATCH]) for k in range(0, len(images), BATCH)])

    return run


def start(layer: FixedLayer, like: torch.Tensor) -> torch.Tensor:
    """The membrane at t = 0 in units of the threshold, shaped as `like` (B, C, ...)."""
    assert isinstance(layer.neuron, IF)
    ratio = torch.tensor(layer.neuron.v_init / layer.neuron.threshold, dtype=torch.float32)
    return ratio.reshape(1, -1, *[1] * (like.dim() - 2)).expand_as(like).clone()


def spikingjelly_engine(net: FixedNet) -> Engine:
    node = neuron.IFNode(v_threshold=1.0, v_reset=None, step_mode="m")
    node.eval()

    def fire(layer: FixedLayer, current: torch.Tensor) -> torch.Tensor:
        functional.reset_net(node)
        node.v = start(layer, current[0])
        return node(current)

    return simulator(net, fire)


def sinabs_engine(net: FixedNet) -> Engine:
    node = sinabs.layers.IAF(
        spike_threshold=torch.tensor(1.0),
        spike_fn=sinabs.activation.SingleSpike,
        reset_fn=sinabs.activation.MembraneSubtract(),
    )

    def fire(layer: FixedLayer, current: torch.Tensor) -> torch.Tensor:
        moved = current.transpose(0, 1).contiguous()  # sinabs wants (B, T, ...)
        node.reset_states()
        node.init_state_with_shape((moved.shape[0], *moved.shape[2:]))
        node.v_mem = start(layer, moved[:, 0])
        return node(moved).transpose(0, 1)

    return simulator(net, fire)


def main() -> None:
    network = MNIST["lenet_ref"]
    graph = read_model(network.path)
    ann = Ann(graph, network.normalisation.preprocess(1))
    training = load("mnist", graph.input.shape, split="train", limit=256)
    net = build(ann, training.images, Options())
    count = int(sys.argv[1]) if len(sys.argv) > 1 else None
    images = load("mnist", graph.input.shape, limit=count).images
    engines = {
        "golden": golden(net),
        f"spikingjelly {version('spikingjelly')}": spikingjelly_engine(net),
        f"sinabs {version('sinabs')}": sinabs_engine(net),
    }
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    classes = {}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            began = time.perf_counter()
            classes[name] = engine(images)
            seconds[name].append(time.perf_counter() - began)
    best = {name: min(times) for name, times in seconds.items()}
    rows = {
        name: {
            "images_per_second": round(len(images) / best[name]),
            "golden_is_faster_by": round(best[name] / best["golden"], 2),
            "same_class_as_golden": float((classes[name] == classes["golden"]).mean()),
        }
        for name in engines
    }
    result = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "images": len(images),
        "T": net.timesteps,
        "batch": BATCH,
        "engines": rows,
    }
    print(json.dumps(result, indent=1))
    if count is None:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
        TABLE.write_text(table(result))


def table(result: dict) -> str:
    lines = [HEADER.format(**result)]
    for name, row in result["engines"].items():
        same = f"{100 * row['same_class_as_golden']:.2f} %"
        cells = [name, row["images_per_second"], row["golden_is_faster_by"], same]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
