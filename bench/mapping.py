"""Networks on crossbar cores: how many, how full, how fast.

    python -m bench.mapping [NAME ...]

Those of the scatter-and-gather paper, and a ResNet; `bench.mapping_networks` says where they come
from. Each is mapped to the preset "paicore-like" and run there, core by core and packet by packet.
Every spike and membrane of the cores is compared with `snngen.golden` on the first image and with
`snngen.simulate` on the others. Then one weight of a layer is changed, and the network mapped again
from what is known.

Needs SNNGEN_DATA and SNNGEN_MODELS. Writes bench/results/mapping.json and
docs/benchmarks/mapping.md; takes some minutes. With names, only those networks are measured anew.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.mapping_networks import NETWORKS, ROOT
from snngen import golden
from snngen.fixed import FixedNet
from snngen.mapping import DEVICES, Mapping, map_network
from snngen.mapping.chip import run
from snngen.mapping.compare import first_difference
from snngen.mapping.trial import try_on
from snngen.mapping.usage import host_macs, shares, usages
from snngen.simulate import simulate

RESULTS = ROOT / "bench/results/mapping.json"
PAGE = ROOT / "docs/benchmarks/mapping.md"
DEVICE = DEVICES["paicore-like"]
IMAGES = {"LeNet": 20, "VGG": 3, "ResNet-8": 5}
PUBLISHED = {"LeNet": 95_760, "VGG": 816_480}  # cycles: 0.38 and 3.24 ms at 252 MHz
CHANGED = {"LeNet": "/9/Conv", "VGG": "conv8", "ResNet-8": "model/conv2d_3/BiasAdd"}
Record = dict[str, Any]

SHARES = "axons % | dendrites % | bits %"
HEADER = f"""# Crossbar cores

Printed by `python -m bench.mapping`; what is modelled is on
[the page about mapping](../mapping.md). The two networks of the scatter-and-gather paper (Zou et
al. 2021), four copies of each neuron, on the preset `paicore-like`: 1,024 cores a chip, 1,152 axons
x 512 dendrites of one bit each. The LeNet is the trained one of `examples/quantised`, on MNIST. The
VGG's weights are random, ternary as the paper makes them, with thresholds that let 20.75 % of its
copies fire on crops of CIFAR-10 (published: 123,604 spikes of 601,088 copies, 20.6 %). The ResNet-8
is that of MLPerf Tiny (`bench.networks`), IF neurons over 4 timesteps, weights of 8 bits; those of
its shortcuts are wider and take several axons.

## Cores

*Bound*: what dendrites ask of any mapping. A neuron takes 2 for the two bits of a ternary weight, 8
for those of 8 bits, times the least power of two with which 1,152 axons reach its inputs; the sum,
by 512. Two weaker bounds: *neurons*, were that power always 1, and *synapses*, the crossbar bits of
all weights, zeros among them, by 1,152 x 512. One chip does not hold the VGG.

| network | chips | cores | bound | ratio | neurons | synapses | {SHARES} |
|---|---|---|---|---|---|---|---|---|---|
"""
LAYERS = f"""
Layer by layer. *Neurons*: copies included; the paper counts 26,880 x 4 of the LeNet, the first
layer among them, and 150,272 x 4 of the VGG, without its first. *Slots* of axons, at most. *Bits
%*: those of weights that are not 0. *Cycles* of the stage in the pipeline, by the formula.

| network | layer | neurons | fan-in | bits | slots | cores | bound | {SHARES} | cycles |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""
CYCLES = """
## Cycles per image

*Interval*: from one image to the next, where they follow each other. *Latency*: one image alone.
Mean and worst of the images; by the formula, from mean rates, with its error against the mean.
*Published*: 0.38 ms and 3.24 ms at 252 MHz, of a chip whose cycles are not known to be like these;
whether that is interval or latency, the paper's abstract does not say.

| network | images | interval | worst | by formula | latency | worst | by formula | published |
|---|---|---|---|---|---|---|---|---|
"""
EXACT = """
## Exactness

Membranes and spikes of all neurons on cores, of all images. *On the host*: multiply-accumulates of
the first layer; *sent*: its spikes for an image, which go into the chip. *Spikes*: of all layers
(published: 18,587 and 123,604). *Changed*: cores with another program after one weight of one layer
has been changed, of the cores of that layer; all others are byte-identical.

| network | numbers compared | different | on the host | sent | spikes | changed |
|---|---|---|---|---|---|---|
"""


def measure(name: str) -> Record:
    """All that the page says of one network."""
    net, images = NETWORKS[name]()
    images = images[: IMAGES[name]]
    mapping = map_network(net, DEVICE, chips=None)
    ran = run(mapping, images[:1])
    difference = first_difference(mapping, ran, golden.trace(net, images[:1]))
    trial = try_on(mapping, images)
    difference = difference or trial.difference
    held = [population for population in mapping.populations if not population.on_host]
    host = next(population.name for population in mapping.populations if population.on_host)
    counts = simulate(net, images).counts
    numbers = sum(p.neurons * (1 if p is held[-1] else 2) for p in held)
    numbers *= net.timesteps * len(images)
    return {
        "chips": mapping.chips,
        "cores": len(mapping.cores),
        "bound": mapping.bound.cores(DEVICE),
        "neurons": neuron_bound(mapping),
        "synapses": -(-mapping.bound.bits // DEVICE.bits),
        "shares": asdict(shares(mapping, mapping.cores)),
        "layers": [asdict(usage) for usage in usages(mapping)],
        "timings": [asdict(timing) for timing in trial.timings],
        "mean": asdict(trial.mean),
        "estimate": asdict(trial.estimate.timing),
        "stages": trial.estimate.stages,
        "numbers": numbers,
        "difference": None if difference is None else str(difference),
        "host": host_macs(mapping),
        "sent": float(counts[host].sum() / len(images)),
        "spikes": float(sum(count.sum() for count in counts.values()) / len(images)),
        "changed": changed(mapping, CHANGED[name]),
    }


def neuron_bound(mapping: Mapping) -> int:
    """Cores for the weights' bits alone, whatever the fan-in."""
    dendrites = sum(
        layer.plan.population.neurons << layer.plan.width for layer in mapping.layers.values()
    )
    return -(-dendrites // DEVICE.dendrites)


def changed(mapping: Mapping, layer: str) -> list[int]:
    """How many cores have another program with one weight of `layer` changed, of how many."""
    again = map_network(
        with_weight_changed(mapping.net, layer), DEVICE, chips=mapping.chips, known=mapping
    )
    different = [
        number
        for number, (old, new) in enumerate(zip(mapping.cores, again.cores, strict=True))
        if old is not new and old.program() != new.program()
    ]
    assert set(different) <= set(mapping.cores_of[layer])
    return [len(different), len(mapping.cores_of[layer])]


def with_weight_changed(net: FixedNet, layer: str) -> FixedNet:
    """`net` with the first weight of `layer` that is not 0 made 0, within the proven bounds."""

    def without_one(weight: NDArray[np.int64]) -> NDArray[np.int64]:
        weight = weight.copy()
        weight[tuple(np.argwhere(weight)[0])] = 0
        return weight

    layers = []
    for known in net.layers:
        if known.name == layer:
            (synapse,) = known.synapses
            op = replace(synapse.op, weight=without_one(synapse.op.weight))
            known = replace(known, synapses=(replace(synapse, op=op),))
        layers.append(known)
    return replace(net, layers=tuple(layers))


def page(records: dict[str, Record]) -> str:
    """The page, from the records by network."""
    text = HEADER
    for name, r in records.items():
        ratio = f"{r['cores'] / r['bound']:.3f}"
        text += row(
            name, r["chips"], r["cores"], r["bound"], ratio, r["neurons"], r["synapses"],
            *percent(r["shares"]),
        )  # fmt: skip
    text += LAYERS
    for name, r in records.items():
        for use in r["layers"]:
            text += row(
                name, use["layer"], use["neurons"], use["fan_in"], use["bits"], use["slots"],
                "host" if use["cores"] is None else use["cores"], use["bound"],
                *percent(use["shares"]), round(r["stages"][use["layer"]]),
            )  # fmt: skip
    text += CYCLES
    for name, r in records.items():
        cells: list[object] = [name, len(r["timings"])]
        for what in ("interval", "latency"):
            mean, guess = r["mean"][what], r["estimate"][what]
            worst = max(timing[what] for timing in r["timings"])
            cells += [mean, worst, f"{guess:,} ({100 * (guess / mean - 1):+.1f} %)"]
        text += row(*cells, PUBLISHED.get(name))
    text += EXACT
    for name, r in records.items():
        first, of = r["changed"]
        text += row(
            name, r["numbers"], r["difference"] or 0, r["host"], round(r["sent"]),
            round(r["spikes"]), f"{first:,} of {of:,}",
        )  # fmt: skip
    return text


def row(*cells: object) -> str:
    shown = (f"{c:,}" if isinstance(c, int) else "" if c is None else str(c) for c in cells)
    return f"| {' | '.join(shown)} |\n"


def percent(used: dict[str, float] | None) -> list[object]:
    names = ("axons", "neurons", "weights")
    return [None] * 3 if used is None else [f"{100 * used[name]:.1f}" for name in names]


def main(names: list[str]) -> None:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or NETWORKS:
        known[name] = measure(name)
    records = {name: known[name] for name in NETWORKS}
    RESULTS.write_text(json.dumps(records, indent=1) + "\n")
    PAGE.write_text(page(records))


if __name__ == "__main__":
    main(sys.argv[1:])
