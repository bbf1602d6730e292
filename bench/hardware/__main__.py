"""Chips compiled by Verilator, beside the golden model: whole traces, and cycles.

    python -m bench.hardware [PART ...]

Parts: `images`, trained networks on 1,000 images, the deepest one on 50; `random`, 30 random
networks (tests/drawn.py) with links and a bench that stop at random; `rates`, a LeNet whose neurons
fire more or less often; `faults`, numbers changed in a chip, each of which the same comparisons
must find. Without parts, all; what was measured stays while the RTL and the number of images are
the same. Everything that the RTL computes is compared with `snngen.simulate`, which itself is
compared with `snngen.golden` on the images that are traced.

Needs verilator, yosys, SNNGEN_DATA and SNNGEN_MODELS; half an hour. Writes
bench/results/hardware.json and docs/benchmarks/hardware.md, and fails where anything differs or a
fault is not found.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator

from bench.hardware.measure import (
    FAULT_IMAGES,
    Case,
    Item,
    fault,
    images,
    random,
    random_chip,
    rate,
    rate_layout,
)
from bench.hardware.page import page, wrong
from bench.networks import ROOT
from snngen.convert import Options
from snngen.targets.hdl.boards import BOARDS
from snngen.targets.hdl.layout import lay_out
from tests.chips import supported
from tests.networks import random_images

RESULTS = ROOT / "bench/results/hardware.json"
PAGE = ROOT / "docs/benchmarks/hardware.md"
RANDOM = 30
RATES, LAID_OUT_FOR = (0.05, 0.1, 0.2, 0.4), 0.1
DIGITS = Options("channel-max", "level", levels=3, bits=4)
QUANTISED = Options("quantized", "level", bits=7)
CALIBRATED = Options("calibrated", "level", levels=15, bits=7)
CASES = (
    Case("digits, N=3, 4 bits", "digits", DIGITS, "hx8k_evn"),
    Case("digits, N=3, 4 bits", "digits", DIGITS, "icebreaker"),
    Case("lenet_ref_q4, N=4, 7 bits", "lenet_ref_q4", QUANTISED, "ulx3s_85f"),
    Case("LeNet of scatter and gather, four spikes", "four_spikes", QUANTISED, "ulx3s_85f"),
    Case("ResNet-8 of MLPerf Tiny, N=15, 7 bits", "ic_resnet8", CALIBRATED, "ulx3s_85f", 50),
)
FAULTY_RANDOM = 23


def of_images() -> Iterator[Item]:
    return (images(case) for case in CASES)


def of_random() -> Iterator[Item]:
    return (random(number) for number, _ in supported(RANDOM))


def of_rates() -> Iterator[Item]:
    board = BOARDS["ulx3s_85f"]
    folds = rate_layout(board, LAID_OUT_FOR).folds
    return (rate(share, folds, board) for share in RATES)


def of_faults() -> Iterator[Item]:
    for case, kind, layer in (
        (CASES[0], "one off", "/3/Conv"),
        (CASES[2], "at its limit", "/c2/Conv"),
    ):
        net, given, _ = case.made(FAULT_IMAGES)
        plan = lay_out(net, BOARDS[case.board]).plan
        yield fault(case.key, kind, net, plan, layer, given)
    net, plan, pauses = random_chip(FAULTY_RANDOM)
    weighted = (layer.name for layer in plan.network.layers if layer.routes[0].weights is not None)
    given, label = random_images(net, FAULT_IMAGES), f"random network {FAULTY_RANDOM}"
    yield fault(label, "one off", net, plan, next(weighted), given, pauses)


PARTS: dict[str, Callable[[], Iterator[Item]]] = {
    "images": of_images,
    "random": of_random,
    "rates": of_rates,
    "faults": of_faults,
}


def main(parts: list[str]) -> int:
    records = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in parts or PARTS:
        known, found = records.get(part, {}), {}
        for item in PARTS[part]():
            source = item.source
            record = known.get(item.label, {})
            if not source or record.get("source") != source:
                record = {"source": source, **item.measured()}
            found[item.label] = record
            records[part] = known | found
            print(part, item.label, record, flush=True)
            RESULTS.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n")
        records[part] = found
        RESULTS.write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n")
        PAGE.write_text(page(records))
    return int(bool(wrong(records)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
