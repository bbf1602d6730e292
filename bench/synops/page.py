"""docs/benchmarks/synops.md from what was measured."""

from __future__ import annotations

from itertools import pairwise
from math import log, sqrt
from textwrap import wrap
from typing import Any

from bench.networks import ROOT
from bench.synops.points import BOTH, CURVES, SCALING, STUDIES, SYNOP, Study

RESULTS = ROOT / "bench/results/synops.json"
PAGE = ROOT / "docs/benchmarks/synops.md"
TIMES_FEWER, POINTS_LOST = 6.0, 1.3  # Sorbaro et al. 2020 on MNIST-DVS: 6.2x for 1.3 points
NEAR = 1.0  # points of the CNN, within which weight scaling is compared with
EXACT = 1.0  # percent by which the loss's own count may be off
PUBLISHED = (BOTH, SYNOP, SCALING)  # the most accurate first
Z95 = 1.96
WIDTH = 100
Record = dict[str, Any]


def page(known: dict[str, Record]) -> str:
    """Markdown."""
    top = (
        "Printed by `python -m bench.synops`; the top of that file says what is measured. "
        "*Top-1* in %, with its 95 % interval (Wilson), as of one network where it is a mean of "
        "several *runs*. *SynOps*: synaptic operations of an image "
        "in the integer network. *By the loss*: what training counts on the same images. *Fewer*: "
        "times fewer than the most accurate of the weight-scaled networks; *points*: what it loses "
        "against that. *Scaled*: how many times as many SynOps weight scaling takes for the same "
        "top-1, interpolated; a dash where it reaches no such. *The order at equal cost*: top-1 in "
        "%, interpolated between a curve's networks in the logarithm of their SynOps, where one "
        "that is less right than a cheaper one counts as that; a dash where the curve has none so "
        "cheap, or none so costly. *Fewer synaptic operations* are asked for "
        f"at most {POINTS_LOST} points: {TIMES_FEWER:g} times fewer, as in the paper, than each "
        f"weight-scaled network within {NEAR:g} point of the CNN."
    )
    lines = ["# Accuracy against synaptic operations", "", *wrap(top, WIDTH)]
    for study in STUDIES:
        if study.key in known:
            lines += ["", *section(study, known[study.key])]
    return "\n".join(lines) + "\n"


def section(study: Study, known: Record) -> list[str]:
    """Of one study."""
    points, cnn = list(known["points"].values()), known["cnn"]
    return [
        f"## {study.title}",
        "",
        *wrap(f"{study.note} The CNN whose weights are scaled has {cnn:.2f} %.", WIDTH),
        "",
        "| network | setting | top-1 | 95 % | runs | SynOps | by the loss | off by | fewer "
        "| points | scaled |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *(_row(point, points) for point in points),
        "",
        "The order at equal cost:",
        "",
        f"| SynOps | {' | '.join(CURVES)} |",
        f"|---|{'---|' * len(CURVES)}",
        *(_budget_row(points, budget) for budget in study.budgets),
        "",
        *verdicts(study, points, cnn),
    ]


def reference(points: list[Record]) -> Record:
    """What the others are compared with."""
    return max((p for p in points if p["curve"] == SCALING), key=lambda p: p["top1"])


def off_by(point: Record) -> float:
    """By how many percent the loss counts wrong, in the worst of the runs."""
    return max(100 * abs(run["estimate"] / run["synops"] - 1) for run in point["runs"])


def interval(top1: float, images: int) -> tuple[float, float]:
    """The 95 % interval of a share in %, seen on so many images (Wilson 1927)."""
    share, z2 = top1 / 100, Z95**2
    middle = (share + z2 / (2 * images)) / (1 + z2 / images)
    spread = share * (1 - share) / images + z2 / (4 * images**2)
    half = Z95 * sqrt(spread) / (1 + z2 / images)
    return 100 * (middle - half), 100 * (middle + half)


def best(points: list[Record], curve: str) -> list[tuple[float, float]]:
    """Synaptic operations of a curve's networks, rising, and the top-1 of the best of those that
    take no more.
    """
    found: list[tuple[float, float]] = []
    for synops, top1 in sorted((p["synops"], p["top1"]) for p in points if p["curve"] == curve):
        found.append((synops, max(top1, found[-1][1] if found else top1)))
    return found


def scaled(points: list[Record], top1: float) -> float | None:
    """The synaptic operations that weight scaling takes for so much."""
    for (fewer, low), (more, high) in pairwise(best(points, SCALING)):
        if low < high and low <= top1 <= high:
            share = (top1 - low) / (high - low)
            return float(fewer * (more / fewer) ** share)
    return None


def _row(point: Record, points: list[Record]) -> str:
    against, as_good = reference(points), scaled(points, point["top1"])
    low, high = interval(point["top1"], point["images"])
    cells = (
        point["curve"],
        point["setting"],
        f"{point['top1']:.2f}",
        f"{low:.1f} to {high:.1f}",
        ", ".join(f"{run['top1']:.2f}" for run in point["runs"]) if len(point["runs"]) > 1 else "-",
        f"{point['synops']:,.0f}",
        f"{point['estimate']:,.0f}",
        f"{off_by(point):.2f} %",
        f"{against['synops'] / point['synops']:.1f}",
        f"{against['top1'] - point['top1']:.2f}",
        "-" if as_good is None else f"{as_good / point['synops']:.1f}",
    )
    return f"| {' | '.join(cells)} |"


def at_budget(points: list[Record], curve: str, budget: float) -> float | None:
    """Top-1 of `curve` at so many synaptic operations."""
    for (fewer, low), (more, high) in pairwise(best(points, curve)):
        if fewer <= budget <= more:
            share: float = log(budget / fewer) / log(more / fewer)
            return float(low + share * (high - low))
    return None


def _budget_row(points: list[Record], budget: int) -> str:
    found = [at_budget(points, curve, budget) for curve in CURVES]
    cells = ["-" if top1 is None else f"{top1:.2f}" for top1 in found]
    return f"| {budget:,} | {' | '.join(cells)} |"


def verdicts(study: Study, points: list[Record], cnn: float) -> list[str]:
    """What of the paper is seen here, and what is not."""
    lines = ["What holds:", ""]
    scaling = [p for p in points if p["curve"] == SCALING and cnn - p["top1"] <= NEAR]
    for against in scaling:
        lines += _bullet(_saving(against, points))
    for budget in study.budgets:
        lines += _bullet(_order(points, budget))
    off = max((off_by(p) for p in points if "quantised" in p["curve"]), default=0.0)
    holds = "holds" if off <= EXACT else "does not hold"
    lines += _bullet(
        f"The loss counts what the network does within {EXACT:g} % where activations were rounded "
        f"in training: {holds}; at most {off:.5f} % off. Else it counts fractions of "
        "spikes, which no neuron sends."
    )
    return lines


def _order(points: list[Record], budget: int) -> str:
    """The curves at so many synaptic operations, and whether they are ranked as in the paper."""
    found = {c: v for c in CURVES if (v := at_budget(points, c, budget)) is not None}
    ranked = sorted(found, key=lambda c: -found[c])
    says = f"The most accurate first, at {budget:,} synaptic operations: {' > '.join(ranked)}"
    if not found.keys() >= set(PUBLISHED):
        return f"{says}."
    holds = [c for c in ranked if c in PUBLISHED] == list(PUBLISHED)
    return f"{says}: {'' if holds else 'not '}the paper's order."


def _bullet(text: str) -> list[str]:
    return wrap(f"- {text}", WIDTH, subsequent_indent="  ")


def _saving(against: Record, points: list[Record]) -> str:
    """The cheapest network that was trained for both and loses no more than it may."""
    good = [
        p
        for p in points
        if p["curve"] == BOTH and against["top1"] - p["top1"] <= POINTS_LOST + 1e-9
    ]
    name = f"Against {against['setting']} ({against['top1']:.2f} %, {against['synops']:,.0f})"
    if not good:
        return f"{name}: none loses at most {POINTS_LOST} points."
    best = min(good, key=lambda p: p["synops"])
    times, lost = against["synops"] / best["synops"], against["top1"] - best["top1"]
    points_lost = f"for {lost:.2f} points" if lost >= 0 else f"and {-lost:.2f} points more"
    holds = "holds" if times >= TIMES_FEWER else "does not hold"
    return f"{name}, {times:.1f} times fewer {points_lost} ({BOTH}, {best['setting']}): {holds}."
