"""ONNX in, Graph out.

`load` reads a file, `import_model` a model in memory. All problems are found in one pass and raised
together as one ModelError. See `table.IMPORTERS` for what is supported.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx

from snngen.errors import ModelError, Problem
from snngen.graph import Graph, GraphInput, Layout, check_graph
from snngen.onnx_import.chain import resolve
from snngen.onnx_import.network import INPUT, Network
from snngen.onnx_import.plan import Plan, input_dims, make_plan, without_epsilon
from snngen.onnx_import.reader import parse
from snngen.onnx_import.table import IMPORTERS
from snngen.onnx_import.values import Index, Refused, Value, View, as_chw, guard_size
from snngen.onnx_import.walk import Arrangement, Walk

__all__ = ["IMPORTERS", "import_model", "load"]


def load(
    path: Path,
    *,
    input_shape: tuple[int, ...] | None = None,
    output: str | None = None,
    keep_epsilon: bool = True,
) -> Graph:
    """Import the ONNX file; weights in other files must lie in its folder.

    `input_shape` fills in dimensions that the model leaves open; `output` chooses among several
    outputs; without `keep_epsilon` every batch norm loses its epsilon, the mistake that paper 1
    corrects. Raises FileError for a file that cannot be read, ModelError with all problems found.
    """
    return import_model(
        parse(path),
        name=path.stem,
        base_dir=path.parent,
        input_shape=input_shape,
        output=output,
        keep_epsilon=keep_epsilon,
    )


def import_model(
    model: onnx.ModelProto,
    *,
    name: str,
    base_dir: Path | None = None,
    input_shape: tuple[int, ...] | None = None,
    output: str | None = None,
    keep_epsilon: bool = True,
) -> Graph:
    """Like `load`, for a model in memory; `base_dir` is the folder of its external data."""
    plan = make_plan(model, base_dir, output)
    if not keep_epsilon:
        plan = without_epsilon(plan)
    batch, sample = input_dims(plan.input, input_shape)
    try:
        guard_size((batch or 2, *sample), "the input")
    except Refused as refused:
        raise ModelError(refused.at(f"input '{plan.input.name}'")) from None
    if batch is not None:
        attempt = _import(plan, batch, sample)
    else:
        # Two samples show whether the model mixes them. A model that does is exact for one.
        attempt = _import(plan, 2, sample)
        if attempt.net.problems:
            single = _import(plan, 1, sample)
            if len(single.net.problems) < len(attempt.net.problems):
                single.net.notes.append(
                    "the model is imported for one sample at a time: it does not treat the "
                    "samples of a batch separately"
                )
                attempt = single
    if batch is not None and batch > 1:
        attempt.net.notes.append(f"the model has a fixed batch of {batch}; one sample is imported")
    return _as_graph(attempt, plan, name)


@dataclass(frozen=True, eq=False)
class _Attempt:
    """An import under one assumption about the batch and the input's layout."""

    net: Network
    arrangement: Arrangement
    result: tuple[str, Layout] | None  # the output's node and layout; None with problems in `net`


def _import(plan: Plan, batch: int, sample: tuple[int, ...]) -> _Attempt:
    """The first attempt in which no operator needs another layout of the input, or else the plain
    one.
    """
    plain: Index = np.arange(prod(sample), dtype=np.int32)
    first = _attempt(plan, batch, Arrangement(plain.reshape(as_chw(sample)), "CHW", sample))
    demands = first.net.input_demands
    if not demands:
        return first
    candidates = [Arrangement(d, layout, sample) for d in demands if (layout := _layout(d))]
    if len(sample) > 1:
        channels_last = np.moveaxis(plain.reshape(sample), -1, 0)
        order = channels_last.reshape(as_chw(channels_last.shape))
        candidates.append(Arrangement(order, "HWC", sample))
    tried: list[Index] = []
    for candidate in candidates:
        if any(np.array_equal(candidate.order, order) for order in tried):
            continue
        tried.append(candidate.order)
        attempt = _attempt(plan, batch, candidate)
        if not attempt.net.input_demands:
            return attempt
    return first


def _attempt(plan: Plan, batch: int, arrangement: Arrangement) -> _Attempt:
    net, value = Walk(plan, batch, arrangement).run()
    return _Attempt(net, arrangement, _finish(net, value))


def _as_graph(attempt: _Attempt, plan: Plan, name: str) -> Graph:
    net, arrangement = attempt.net, attempt.arrangement
    complete = attempt.result is not None and not net.problems
    nodes = resolve(net, attempt.result[0] if complete and attempt.result else None)
    if net.problems or attempt.result is None:
        raise ModelError(*net.problems)
    shape = net.shapes[INPUT]
    unit, zero = np.ones(shape[0]), np.zeros(shape[0])
    source = GraphInput(INPUT, shape, arrangement.layout, arrangement.model_shape, unit, zero)
    output, layout = attempt.result
    notes = (*plan.notes, *net.notes)
    graph = Graph(name, source, nodes, output, layout, notes)
    check_graph(graph)
    return graph


def _layout(order: Index) -> Layout | None:
    """The layout in which flat positions `order` (C, H, W) are 0, 1, 2, ...; None if neither."""
    count = np.arange(order.size)
    if np.array_equal(order.ravel(), count):
        return "CHW"
    if np.array_equal(order.transpose(1, 2, 0).ravel(), count):
        return "HWC"
    return None


def _finish(net: Network, value: Value) -> tuple[str, Layout] | None:
    """The node and layout of the model's output; None, with a problem noted, if it has none."""
    if not isinstance(value, View):
        if not net.problems:
            net.problems.append(Problem("the model", "its output does not depend on its input"))
        return None
    try:
        view = net.materialise("output", value)
        order = np.argsort(net.per_sample(view).ravel(), kind="stable")
        layout = _layout(order.astype(np.int32).reshape(net.shapes[view.source]))
        if layout is None:
            raise Refused(
                "its elements must be in the order of channels, height, width, or channels last",
                f"shape {list(value.shape)}",
                "remove the last Transpose or Reshape",
            )
    except Refused as refused:
        net.problems.append(refused.at("the output"))
        return None
    return view.source, layout
