"""docs/benchmarks/synops.md from what was measured."""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import Any

from bench.networks import ROOT
from bench.synops.points import BOTH, CURVES, SCALING

RESULTS = ROOT / "bench/results/synops.json"
PAGE = ROOT / "docs/benchmarks/synops.md"
BUDGETS = (350_000, 600_000, 1_100_000)
TIMES_FEWER, POINTS_LOST = 6.0, 1.3  # Sorbaro et al. 2020 on MNIST-DVS: 6.2x for 1.3 points
EXACT = 1.0  # percent by which the loss's own count may be off
Record = dict[str, Any]


def page(known: Record) -> str:
    """Markdown."""
    points = list(known["points"].values())
    lines = [
        "# Accuracy against synaptic operations",
        "",
        "Printed by `python -m bench.synops`; the top of that file says what is measured, on",
        "Fashion-MNIST. The CNN that all networks begin with is right on",
        f"{known['cnn']:.2f} %. *SynOps*: synaptic operations of an image in the integer network.",
        "*By the loss*: what training counts on the same images. *Fewer*: times fewer than",
        "the most accurate of the weight-scaled networks; *points*: what it loses against that.",
        "*Scaled*: how many times as many SynOps weight scaling takes for the same top-1,",
        "interpolated; a dash where it reaches no such.",
        "",
        "| network | setting | top-1 | SynOps | by the loss | off by | fewer | points | scaled |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(point, points) for point in points),
        "",
        "## The order at equal cost",
        "",
        "Top-1 in %, interpolated between a curve's networks in the logarithm of their SynOps; a",
        "dash where the curve has none so cheap, or none so costly.",
        "",
        f"| SynOps | {' | '.join(CURVES)} |",
        f"|---|{'---|' * len(CURVES)}",
        *(_budget_row(points, budget) for budget in BUDGETS),
        "",
        "## What holds",
        "",
        *verdicts(points, known["cnn"]),
    ]
    return "\n".join(lines) + "\n"


def reference(points: list[Record]) -> Record:
    """What the others are compared with."""
    return max((p for p in points if p["curve"] == SCALING), key=lambda p: p["top1"])


def off_by(point: Record) -> float:
    """By how many percent the loss counts wrong."""
    return 100 * abs(point["estimate"] / point["synops"] - 1)


def scaled(points: list[Record], top1: float) -> float | None:
    """The synaptic operations that weight scaling takes for so much."""
    found = sorted((p["top1"], p["synops"]) for p in points if p["curve"] == SCALING)
    for (low, fewer), (high, more) in pairwise(found):
        if low <= top1 <= high:
            share = (top1 - low) / (high - low)
            return float(fewer * (more / fewer) ** share)
    return None


def _row(point: Record, points: list[Record]) -> str:
    against, as_good = reference(points), scaled(points, point["top1"])
    cells = (
        point["curve"],
        point["setting"],
        f"{point['top1']:.2f}",
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
    found = sorted((p["synops"], p["top1"]) for p in points if p["curve"] == curve)
    for (fewer, low), (more, high) in pairwise(found):
        if fewer <= budget <= more:
            share: float = log(budget / fewer) / log(more / fewer)
            return float(low + share * (high - low))
    return None


def _budget_row(points: list[Record], budget: int) -> str:
    found = [at_budget(points, curve, budget) for curve in CURVES]
    cells = ["-" if top1 is None else f"{top1:.2f}" for top1 in found]
    return f"| {budget:,} | {' | '.join(cells)} |"


def verdicts(points: list[Record], cnn: float) -> list[str]:
    """What of the paper is seen here, and what is not."""
    lines = [
        "Fewer synaptic operations for at most "
        f"{POINTS_LOST} points ({TIMES_FEWER:g} times fewer in the paper), against weight scaling",
        "that is within a point of the CNN:",
        "",
    ]
    scaling = [p for p in points if p["curve"] == SCALING and cnn - p["top1"] <= 1]
    lines += [_saving(against, points) for against in scaling]
    lines.append("")
    quantised = [p for p in points if "quantised" in p["curve"]]
    worst = max(quantised, key=off_by)
    holds = "holds" if off_by(worst) <= EXACT else "does not hold"
    lines.append(
        f"The loss counts what the network does within {EXACT:g} % where activations were rounded "
        f"in training: {holds}; at most {off_by(worst):.5f} % off. Else it counts fractions of "
        "spikes, which no neuron sends."
    )
    lines += ["", "The order, the most accurate first:", ""]
    for budget in BUDGETS:
        found = {c: v for c in CURVES if (v := at_budget(points, c, budget)) is not None}
        ranked = sorted(found, key=lambda c: -found[c])
        lines.append(f"- At {budget:,} synaptic operations: {' > '.join(ranked)}.")
    return lines


def _saving(against: Record, points: list[Record]) -> str:
    """The cheapest network that was trained for both and loses no more than it may."""
    good = [
        p
        for p in points
        if p["curve"] == BOTH and against["top1"] - p["top1"] <= POINTS_LOST + 1e-9
    ]
    name = f"- {against['setting']} ({against['top1']:.2f} %, {against['synops']:,.0f})"
    if not good:
        return f"{name}: none."
    best = min(good, key=lambda p: p["synops"])
    times = against["synops"] / best["synops"]
    holds = "holds" if times >= TIMES_FEWER else "does not hold"
    return (
        f"{name}: {times:.1f} times fewer for {against['top1'] - best['top1']:.2f} points "
        f"({BOTH}, {best['setting']}): {holds}."
    )
