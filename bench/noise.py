"""Scatter and gather where spikes are lost, beside what was published.

    python -m bench.noise

Networks of `examples/scatter_gather` on all 10,000 test images of MNIST. A level n of the first
layer is n spikes; each of them is dropped with the same probability, drawn anew for each, five
times with other seeds (Zou et al. 2021, section 3.4). Needs SNNGEN_DATA. Writes
bench/results/noise.json and docs/benchmarks/noise.md.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from bench.networks import ROOT, SCATTER_GATHER, Network
from snngen.convert import Options
from snngen.data import load
from snngen.evaluate import Ann
from snngen.fixed import FixedInput, FixedNet, Synapse
from snngen.fold import fold
from snngen.onnx_import import import_model
from snngen.pipeline import build
from snngen.simulate import simulate
from snngen.spiking import INPUT

RESULTS = ROOT / "bench/results/noise.json"
PAGE = ROOT / "docs/benchmarks/noise.md"
DROPPED = (0.0, 0.1, 0.2)
SEEDS = 5
BATCH = 250
OPTIONS = Options("quantized", "level")


PUBLISHED = {  # top-1 in % by DROPPED, and spikes of an image: Zou et al. 2021, tables 3 to 5
    "four_spikes": ((99.37, 99.39, 99.22), 18_587),
    "one_spike": ((99.27, None, None), 6_346),
}
Record = dict[str, Any]


def behind_first(net: FixedNet) -> FixedNet:
    """`net` without its first layer, whose levels are its input."""
    first = net.layers[0]
    channels = first.shape[0]
    ones = np.ones(channels)
    identity = np.tile(np.arange(256, dtype=np.int16), (channels, 1))
    taken = FixedInput(first.shape, "CHW", identity, ones, 0 * ones)
    layers = tuple(
        replace(layer, synapses=tuple(_read(s, first.name) for s in layer.synapses))
        for layer in net.layers[1:]
    )
    return replace(net, input=taken, layers=layers)


def _read(synapse: Synapse, first: str) -> Synapse:
    return replace(synapse, source=INPUT if synapse.source == first else synapse.source)


def thinned(levels: NDArray[np.int64], dropped: float, seed: tuple[int, ...]) -> NDArray[np.uint8]:
    """Levels whose spikes are each dropped with a probability."""
    kept = np.random.default_rng(seed).binomial(levels, 1 - dropped)
    return kept.astype(np.uint8)


def measured(name: str, network: Network) -> Record:
    graph = fold(import_model(onnx.load(network.path), name=name))
    test = load(network.data, graph.input.shape)
    ann = Ann(graph, network.normalisation.preprocess(graph.input.shape[0]))
    net = build(ann, test.images[:1], OPTIONS)
    rest, first = behind_first(net), net.layers[0].name
    right = np.zeros((len(DROPPED), SEEDS), np.int64)
    spikes = 0
    for k in range(0, len(test.images), BATCH):
        run = simulate(net, test.images[k : k + BATCH], trace=True)
        assert run.trace is not None
        spikes += sum(int(run.trace[layer.name].output.sum()) for layer in net.layers[:-1])
        levels = run.trace[first].output[:, 0]
        for row, dropped in enumerate(DROPPED):
            for seed in range(SEEDS):
                images = thinned(levels, dropped, (seed, k, row))
                classes = rest.classes(simulate(rest, images).outputs[:, -1])
                right[row, seed] += int((classes == test.labels[k : k + BATCH]).sum())
    percent = 100 * right / len(test.images)
    return {
        "network": name,
        "top1": percent.mean(1).round(3).tolist(),
        "least": percent.min(1).round(3).tolist(),
        "most": percent.max(1).round(3).tolist(),
        "spikes": round(spikes / len(test.images)),
        "neurons": int(sum(np.prod(layer.shape) for layer in net.layers[:-1])),
    }


def page(records: list[Record]) -> str:
    """Markdown."""
    columns = [f"{100 * dropped:.0f} % dropped" for dropped in DROPPED]
    head = [
        "# Spikes that are lost",
        "",
        "Printed by `python -m bench.noise`, whose top says what is measured: top-1 in % where",
        "so many spikes of the first layer are dropped, the mean of five runs and in brackets the",
        "least and the most of them; what was published in the line below. Spikes: of all layers,",
        "for an image.",
        "",
        f"| network | neurons | {' | '.join(columns)} | spikes |",
        f"|---|---|{'---|' * len(DROPPED)}---|",
    ]
    rows = []
    for record in records:
        name = record["network"]
        cells = [
            f"{mean:.2f} ({least:.2f} to {most:.2f})" if dropped else f"{mean:.2f}"
            for dropped, mean, least, most in zip(
                DROPPED, record["top1"], record["least"], record["most"], strict=True
            )
        ]
        published, spikes = PUBLISHED[name]
        theirs = ["" if accuracy is None else f"{accuracy:.2f}" for accuracy in published]
        rows += [
            f"| {name} | {record['neurons']:,} | {' | '.join(cells)} | {record['spikes']:,} |",
            f"| published | 26,880 | {' | '.join(theirs)} | {spikes:,} |",
        ]
    return "\n".join([*head, *rows]) + "\n"


def main() -> None:
    records = []
    for name, network in SCATTER_GATHER.items():
        records.append(measured(name, network))
        print(records[-1], flush=True)
    RESULTS.write_text(json.dumps(records, indent=1) + "\n")
    PAGE.write_text(page(records))


if __name__ == "__main__":
    main()
