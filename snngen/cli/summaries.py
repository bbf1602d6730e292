"""Results as lines of text and as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.check import CheckReport
from snngen.cli.console import table
from snngen.compare import Form
from snngen.errors import SnngenError, printable
from snngen.evaluate import Evaluation
from snngen.fixed import FixedNet
from snngen.fixed_file import digest
from snngen.ops import Shape
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.boards.cost import Cost
from snngen.targets.c.budget import Budget, Footprint
from snngen.targets.c.estimate import Estimate
from snngen.targets.timing import Spread, Timing

SHORT_DIGEST = 12


def check_lines(report: CheckReport) -> list[str]:
    """The verdict on a model that can be converted."""
    assert report.input_shape is not None
    rows = [
        (row.name, row.op, _shape(row.output_shape), row.parameters, row.macs, row.fan_in)
        for row in report.layers
    ]
    return [
        f"{printable(report.model)}: can be converted",
        f"input {_shape(report.input_shape)}, {report.parameters:,} parameters, "
        f"{report.macs:,} multiply-accumulates per image",
        *(f"note: {printable(note)}" for note in report.notes),
        "",
        *table(("layer", "operator", "output", "parameters", "MACs", "fan-in"), rows),
    ]


def network_line(net: FixedNet) -> str:
    """A network on one line."""
    steps = "1 timestep" if net.timesteps == 1 else f"{net.timesteps} timesteps"
    steps += " of events" if net.is_stream else ""
    return (
        f"network '{printable(net.name)}': {len(net.layers)} layers, {steps}, "
        f"method {printable(net.method)}, digest {digest(net)[:SHORT_DIGEST]}"
    )


def network_lines(net: FixedNet) -> list[str]:
    """A network, layer by layer."""
    rows = [
        (
            layer.name,
            " + ".join(type(s.op).__name__ for s in layer.synapses),
            type(layer.neuron).__name__ if layer.neuron else "",
            _shape(layer.shape),
            layer.current.min,
            layer.current.max,
        )
        for layer in net.layers
    ]
    headers = ("layer", "operators", "neuron", "output", "current from", "to")
    return [network_line(net), "", *table(headers, rows)]


def form_lines(forms: tuple[Form, Form | SnngenError]) -> list[str]:
    """The form that was chosen beside the other one."""
    rows = [
        (
            f"{form.neuron}, {form.steps}",
            f"{100 * form.agreement:.1f} %",
            form.likeness,
            round(form.synops),
            form.macs,
            form.const_bytes,
            form.arena_bytes,
        )
        for form in forms
        if isinstance(form, Form)
    ]
    headers = ("form", "CNN's class", "likeness", "synops", "MACs", "flash", "RAM")
    lines = ["on the calibration images, this form first:", *table(headers, rows)]
    refusals = [form.problems[0] for form in forms if isinstance(form, SnngenError)]
    return lines + [f"no other form: {printable(p.where)}: {p.rule}" for p in refusals]


def budget_lines(budget: Budget) -> list[str]:
    """What a network will cost on a processor: the smallest build, others in brackets."""
    first, *others = budget.builds.values()

    def part(name: str, of: Callable[[Footprint], int]) -> str:
        more = ", ".join(f"{of(other):,}" for other in others if of(other) != of(first))
        return f"{of(first):,}{f' ({more})' if more else ''} {name}"

    flash = [
        part("of constants", lambda build: build.parameters),
        part("of descriptors", lambda build: build.descriptors),
        part("of code", lambda build: build.code),
    ]
    copied = [part("of descriptors", lambda build: build.copied)] if first.copied else []
    ram = [
        part("of arena", lambda build: build.arena),
        *copied,
        part("of stack", lambda build: build.stack),
    ]
    smallest, *faster = budget.builds
    return [
        f"on {budget.processor}, {budget.compiler} {smallest} ({', '.join(faster)}):",
        f"flash {part('bytes', lambda build: build.flash)}: {', '.join(flash)}",
        f"RAM   {part('bytes', lambda build: build.ram)}: {', '.join(ram)}",
    ]


def budget_table(budget: Budget) -> list[str]:
    """The costs in bytes, layer by layer; what lies in the arena at different times shares it."""
    rows = [
        (row.name, row.const_bytes, row.values_bytes, row.state_bytes, row.scratch_bytes, row.runs)
        for row in budget.layers
    ]
    headers = ("bytes", "constants", "values", "state", "scratch", "runs")
    return table(headers, rows)


def kernel_table(budget: Budget) -> list[str]:
    """What evaluates the layers, and why that."""
    rows = [(k.layer, k.source or "neurons", k.function, k.reason) for k in budget.kernels]
    return table(("layer", "reads", "kernel", "because"), rows)


def timing_lines(cost: Cost | Estimate, mhz: float | None) -> list[str]:
    """Cycles, time and energy, and what is assumed of them. `mhz`: the clock, else the chip's."""
    timing, chip = BOARDS[cost.board].timing, BOARDS[cost.board].chip
    if timing is None or cost.cycles is None:
        return []
    cycles, clock = cost.cycles.mean(), mhz or (chip.mhz if chip else None)
    exact = cost.unit == "cycles"
    lines = []
    if not exact:
        lines.append(
            f"estimated: {round(cycles):,} cycles, {timing.access} more for each access to memory "
            f"and {timing.jump} for each jump; flash without wait states"
        )
    if clock is not None:
        ms = cycles / clock / 1000
        lines.append(f"at {clock:g} MHz: {ms:.3g} ms, {1000 / ms:,.3g} {_one(cost)}s a second")
    if chip is not None:
        lines.append(
            f"estimated: {cycles * chip.nanojoules / 1000:.3g} uJ, of {chip.microamperes:g} uA/MHz "
            f"at {chip.volts:g} V as {chip.name} states for code in flash"
        )
    return lines


def cost_lines(cost: Cost, mhz: float | None) -> list[str]:
    """What a board was seen to need, beside the budget."""
    counts, predicted = cost.counts, cost.predicted
    rows = [
        ("flash", cost.flash_bytes, predicted and predicted.flash),
        ("RAM without stack", cost.ram_bytes, predicted and predicted.ram - predicted.stack),
        ("stack", cost.stack_bytes, predicted and predicted.stack),
    ]
    return [
        f"board {cost.board}: {cost.unit} per {_one(cost)}, on {_many(counts.shape)}",
        *_count_lines(cost, mhz),
        "",
        *table(("bytes, at -O2", "seen", "predicted"), rows),
    ]


def estimated_lines(found: Estimate, mhz: float | None) -> list[str]:
    """What a board is estimated to need, and how far such estimates were off."""
    errors = found.errors
    return [
        f"board {found.board}: {found.unit} per {_one(found)}, on {_many(found.counts.shape)}, "
        "estimated without compiler and emulator",
        f"on other networks it was {errors.network:g} % off, {errors.worst_network:g} % at worst; "
        f"layers {errors.layer:g} %, {errors.worst_layer:g} % at worst",
        *_count_lines(found, mhz),
    ]


def _count_lines(cost: Cost | Estimate, mhz: float | None) -> list[str]:
    """Of images and layers."""
    counts = cost.counts
    parts = [
        (name or "input, class", round(v), f"{100 * v / counts.mean():.1f}")
        for name, v in cost.layers.items()
    ]
    best, mean, worst = (f"{round(each()):,}" for each in (counts.min, counts.mean, counts.max))
    return [
        f"best {best}, mean {mean}, worst {worst}",
        *timing_lines(cost, mhz),
        "",
        *table(("layer", cost.unit, "%"), parts),
    ]


def _one(cost: Cost | Estimate) -> str:
    """What was counted."""
    return "image" if cost.counts.ndim == 1 else "timestep"


def _many(shape: tuple[int, ...]) -> str:
    """Images (n,), or streams (n, T)."""
    return f"{shape[0]:,} images" if len(shape) == 1 else f"{shape[0]:,} streams of {shape[1]:,}"


def evaluation_lines(net: FixedNet, found: Evaluation, budget: Budget) -> list[str]:
    """Accuracy, activity and costs."""
    rows = [
        (row.name, row.neuron, row.neurons, row.rate, row.synops, row.macs) for row in found.layers
    ]
    return [
        network_line(net),
        *_accuracy_lines(found),
        "",
        *table(("layer", "neuron", "neurons", "rate", "synops", "MACs"), rows),
        "",
        f"per image: {found.synops:,.0f} synaptic operations (additions) and "
        f"{found.macs:,} multiply-accumulates of the input",
        *budget_lines(budget),
        "",
        *budget_table(budget),
    ]


def evaluation_json(net: FixedNet, found: Evaluation, budget: Budget) -> dict[str, Any]:
    """The same for programs; rates are fractions of `images`, one per timestep."""
    return {
        "network": {
            "name": net.name,
            "digest": digest(net),
            "method": net.method,
            "timesteps": net.timesteps,
        },
        "images": found.images,
        "accuracy": _rates(found.correct, found.images),
        "correlation_with_cnn": found.likeness,
        "agreement_with_cnn": _rates(found.agreement, found.images),
        "cnn_accuracy": None if found.ann_correct is None else found.ann_correct / found.images,
        "layers": [asdict(row) for row in found.layers],
        "synops": found.synops,
        "macs": found.macs,
        "budget": asdict(budget),
    }


def _rates(counts: NDArray[np.int64] | None, images: int) -> list[float] | None:
    return None if counts is None else [int(n) / images for n in counts]


def _accuracy_lines(found: Evaluation) -> list[str]:
    lines = [f"images   {found.images:,}"]
    if found.correct is not None:
        lines.append(f"accuracy {_percent(found.correct[-1], found.images)}")
    if found.ann_correct is not None:
        lines.append(f"the CNN  {_percent(found.ann_correct, found.images)}")
    if found.agreement is not None:
        lines.append(
            f"same class as the CNN {_percent(found.agreement[-1], found.images)}, "
            f"outputs correlated {found.likeness:.3f}"
        )
    shown = found.correct if found.correct is not None else found.agreement
    if shown is not None and len(shown) > 1:
        steps = [t for t in (2**k for k in range(20)) if t < len(shown)] + [len(shown)]
        curve = ", ".join(f"{t}: {_percent(shown[t - 1], found.images)}" for t in steps)
        lines.append(f"after timestep {curve}")
    return lines


def _percent(count: int, images: int) -> str:
    return f"{100 * int(count) / images:.2f} %"


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape))


def cycle_lines(timing: Timing | None) -> list[str]:
    """Cycles of a simulated chip, and milliseconds where a board gives it a clock."""
    if timing is None:
        return []
    parts = (
        ("latency", timing.latency, "alone in the chip"),
        ("image to image", timing.interval, "behind another"),
    )
    return [
        f"{name}: {_cycles(spread, timing.hertz)}, of {spread.images:,} images {where}"
        for name, spread, where in parts
        if spread is not None
    ]


def _cycles(spread: Spread, hertz: int) -> str:
    kinds = {"best": spread.best, "mean": spread.mean, "worst": spread.worst}
    text = ", ".join(f"{name} {cycles:,.0f}" for name, cycles in kinds.items()) + " cycles"
    if not hertz:
        return text
    times = ", ".join(f"{1000 * cycles / hertz:.3f}" for cycles in kinds.values())
    return f"{text} ({times} ms at {hertz / 1e6:g} MHz)"
