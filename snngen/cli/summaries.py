"""Results as lines of text and as JSON."""

from __future__ import annotations

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
from snngen.targets.c.boards.cost import Cost
from snngen.targets.c.budget import Budget

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
    """What a network will cost on a device."""
    return [
        f"flash {budget.const_bytes:,} bytes of constants; estimated: "
        f"{budget.descriptor_bytes_estimate:,} of descriptors, "
        f"{budget.code_bytes_estimate:,} of code",
        f"RAM   {budget.arena_bytes:,} bytes of arena; estimated: "
        f"{budget.stack_bytes_estimate:,} of stack",
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


def cost_lines(cost: Cost) -> list[str]:
    """What a board was seen to need, beside the budget."""
    counts, footprint, budget = cost.counts, cost.footprint, cost.budget
    descriptors, code = budget.descriptor_bytes_estimate, budget.code_bytes_estimate
    rows = [
        ("constants and descriptors", footprint.constants, budget.const_bytes + descriptors),
        ("code", footprint.code, code),
        ("arena", footprint.arena, budget.arena_bytes),
        ("stack", cost.stack_bytes, budget.stack_bytes_estimate),
    ]
    return [
        f"board {cost.board}: {cost.unit} per image, on {len(counts):,} images",
        f"best {counts.min():,}, mean {round(counts.mean()):,}, worst {counts.max():,}",
        "",
        *table(("bytes", "at -O2", "predicted, code for -Os"), rows),
    ]


def evaluation_lines(net: FixedNet, found: Evaluation, budget: Budget) -> list[str]:
    """Accuracy, activity and costs."""
    rows = [
        (row.name, row.neuron, row.neurons, row.rate, row.synops, row.macs) for row in found.layers
    ]
    return [
        network_line(net),
        *_accuracy_lines(net, found),
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


def _accuracy_lines(net: FixedNet, found: Evaluation) -> list[str]:
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
    if shown is not None and net.timesteps > 1:
        steps = [t for t in (2**k for k in range(20)) if t < net.timesteps] + [net.timesteps]
        curve = ", ".join(f"{t}: {_percent(shown[t - 1], found.images)}" for t in steps)
        lines.append(f"after timestep {curve}")
    return lines


def _percent(count: int, images: int) -> str:
    return f"{100 * int(count) / images:.2f} %"


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape))
