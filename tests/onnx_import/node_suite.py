"""ONNX's own node tests as a judge of the importer; run as a script, it writes the support page.

A node test gives a one-node model, inputs and expected outputs. One float input becomes the
network's input, the others initializers. Two ways of embedding are tried: as it is, the first
axis being the batch; and as one sample, between a Reshape and an identity matrix, which suits
tests whose operands differ along the first axis or whose result has no batch.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

from snngen.errors import ModelError
from snngen.fold import fold
from snngen.graph import Graph
from snngen.onnx_import import IMPORTERS, import_model
from snngen.onnx_import.evaluate import import_movement, import_pad
from snngen.onnx_import.quantisers import import_dequantize_linear
from tests.onnx_import.build import run

PAGE = Path(__file__).parents[2] / "docs" / "operator-support.md"
LARGEST_IDENTITY = 4096
ROUNDING = ("Ceil", "Floor", "Round")  # without a bound they are no quantised activation


@dataclass(frozen=True)
class Outcome:
    """How a node test ended: `passed`, or the reason of its refusal, or what is wrong."""

    name: str
    op: str
    passed: bool
    refusal: str = ""
    wrong: str = ""


def cases() -> list[TestCase]:
    """The node tests of every operator that has an importer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, on the suite's deliberate overflows
        tests = load_model_tests(kind="node")
    return sorted(
        (
            t
            for t in tests
            if len(t.model.graph.node) == 1
            and t.model.graph.node[0].op_type in IMPORTERS
            and not t.name.endswith("_expanded")  # another operator, written out
        ),
        key=lambda t: t.name,
    )


def judge(case: TestCase) -> Outcome:
    """Import and run every output of the test; a refusal by all embeddings is no failure."""
    op = case.model.graph.node[0].op_type
    refusals, wrong = [], []
    for raw_inputs, raw_outputs in case.data_sets:
        for k, raw_expected in enumerate(raw_outputs):
            arrays = [_array(v) for v in (*raw_inputs, raw_expected)]
            if any(a is None for a in arrays):
                refusals.append("sequences and optional values are not supported")
                continue
            *inputs, expected = (a for a in arrays if a is not None)
            refusal = ""
            tested = _bounded(case.model, expected) if op in ROUNDING else case.model
            for model, x in _embeddings(tested, inputs, k, expected.size):
                try:
                    graph = import_model(model, name=case.name)
                except ModelError as error:
                    problem = error.problems[0]
                    refusal = refusal or problem.rule
                    continue
                refusal = ""
                wrong += _differences(op, graph, x, expected)
                break
            refusals += [refusal] * bool(refusal)
    return Outcome(
        case.name,
        op,
        not refusals and not wrong,
        "; ".join(dict.fromkeys(refusals)),
        "".join(wrong),
    )


def _array(value: object) -> np.ndarray | None:
    """A tensor of the suite, which holds some as scalars or protobufs; None for other things."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.ndarray | np.generic) else None


def _differences(op: str, graph: Graph, x: np.ndarray, expected: np.ndarray) -> Iterator[str]:
    variants = [graph]
    # Constants may differ within a channel; the unfolded graph is judged all the same.
    with suppress(ModelError):
        variants.append(fold(graph))
    for variant in variants:
        got = run(variant, x)
        if op in ("Softmax", "LogSoftmax"):  # dropped by design: bring it back
            got = got - got.max(axis=1, keepdims=True)
            got = got - np.log(np.exp(got).sum(axis=1, keepdims=True))
            got = got if op == "LogSoftmax" else np.exp(got)
        if op == "Sigmoid":
            got = 1 / (1 + np.exp(-got))
        want = expected.astype(np.float64).ravel()
        tolerance = 2e-3 if expected.dtype == np.float16 else 1e-5
        if got.size != want.size:
            yield f"{got.size} values, expected {want.size}"
        elif not np.allclose(got.ravel(), want, rtol=1e-3, atol=tolerance, equal_nan=True):
            yield f"differs by up to {np.abs(got.ravel() - want).max():g}"


def _embeddings(
    model: onnx.ModelProto, inputs: list[np.ndarray], output: int, expected_size: int
) -> Iterator[tuple[onnx.ModelProto, np.ndarray]]:
    importer = IMPORTERS[model.graph.node[0].op_type]
    if importer in (import_movement, import_pad, import_dequantize_linear):
        model, inputs = _as_floats(model, inputs)
    floats = [k for k, value in enumerate(inputs) if value.dtype.kind == "f"]
    for k in dict.fromkeys([0, *floats]):
        if inputs[k].ndim and len(inputs[k]):
            yield _bound(model, inputs, k, output), inputs[k]
        if inputs[k].size and expected_size <= LARGEST_IDENTITY:
            yield _wrapped(_bound(model, inputs, k, output), inputs[k]), inputs[k].reshape(1, -1)
        if inputs[k].ndim == 2:
            yield _transposed(_bound(model, inputs, k, output)), inputs[k].T
    if len(floats) == len(inputs) > 1 and len({v.shape for v in (*inputs,)}) == 1:
        yield _split(model, output, axis=1), np.stack(inputs, axis=1)
        x = np.stack(inputs)
        yield _wrapped(_split(model, output, axis=0), x), x.reshape(1, -1)


def _as_floats(
    model: onnx.ModelProto, inputs: list[np.ndarray]
) -> tuple[onnx.ModelProto, list[np.ndarray]]:
    """The test with its first input in float, where the type of its elements does not matter."""
    retyped = onnx.ModelProto()
    retyped.CopyFrom(model)
    retyped.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return retyped, [inputs[0].astype(np.float32), *inputs[1:]]


def _bounded(model: onnx.ModelProto, expected: np.ndarray) -> onnx.ModelProto:
    """The test with a Clip behind that changes nothing."""
    bounded = onnx.ModelProto()
    bounded.CopyFrom(model)
    graph = bounded.graph
    for bound, value in (("low", expected.min() - 1), ("high", expected.max() + 1)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), bound))
    name = graph.output[0].name
    graph.node[0].output[0] = "unbounded"
    graph.node.append(helper.make_node("Clip", ["unbounded", "low", "high"], [name]))
    return bounded


def _bound(
    model: onnx.ModelProto, inputs: list[np.ndarray], activation: int, output: int
) -> onnx.ModelProto:
    """The test with all inputs but one as initializers, and only output number `output`."""
    bound = onnx.ModelProto()
    bound.CopyFrom(model)
    graph = bound.graph
    for k, value in enumerate(inputs):
        if k != activation:
            graph.initializer.append(numpy_helper.from_array(value, graph.input[k].name))
    only = onnx.ValueInfoProto()
    only.CopyFrom(graph.output[output])
    del graph.output[:]
    graph.output.append(only)
    return bound


def _wrapped(bound: onnx.ModelProto, x: np.ndarray) -> onnx.ModelProto:
    """(1, n) -> Reshape -> the node -> Reshape to (1, m) -> identity matrix."""
    constants = {t.name for t in bound.graph.initializer}
    source = next(i for i in bound.graph.input if i.name not in constants)
    target = bound.graph.output[0]
    m = int(np.prod([d.dim_value for d in target.type.tensor_type.shape.dim]))
    kind = source.type.tensor_type.elem_type
    flat = helper.make_tensor_value_info("flat", kind, (1, x.size))
    bound.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(x.shape, np.int64), "in_shape"),
            numpy_helper.from_array(np.array([1, -1], np.int64), "out_shape"),
            numpy_helper.from_array(np.eye(m, dtype=np.float32), "identity"),
        ]
    )
    nodes = [
        helper.make_node("Reshape", ["flat", "in_shape"], [source.name]),
        *bound.graph.node,
        helper.make_node("Reshape", [target.name, "out_shape"], ["row"]),
        helper.make_node("MatMul", ["row", "identity"], ["result"]),
    ]
    del bound.graph.node[:]
    bound.graph.node.extend(nodes)
    kept = [i for i in bound.graph.input if i.name in constants]
    del bound.graph.input[:]
    bound.graph.input.extend([flat, *kept])
    del bound.graph.output[:]
    bound.graph.output.append(helper.make_tensor_value_info("result", 1, (1, m)))
    return bound


def _transposed(bound: onnx.ModelProto) -> onnx.ModelProto:
    """The node behind a Transpose of its input, a matrix: for tests whose batch is axis 1."""
    constants = {t.name for t in bound.graph.initializer}
    source = next(i for i in bound.graph.input if i.name not in constants)
    tensor = source.type.tensor_type
    dims = [d.dim_value for d in tensor.shape.dim][::-1]
    nodes = [helper.make_node("Transpose", ["turned"], [source.name]), *bound.graph.node]
    del bound.graph.node[:]
    bound.graph.node.extend(nodes)
    source.CopyFrom(helper.make_tensor_value_info("turned", tensor.elem_type, dims))
    return bound


def _split(model: onnx.ModelProto, output: int, axis: int) -> onnx.ModelProto:
    """The node on activations only: slices, along a new axis, of a single input."""
    joined = _bound(model, [], -1, output)
    graph = joined.graph
    tensor = graph.input[0].type.tensor_type
    dims = [d.dim_value for d in tensor.shape.dim]
    dims.insert(axis, len(graph.input))
    nodes = list(graph.node)
    for k, value in enumerate(graph.input):
        graph.initializer.append(numpy_helper.from_array(np.array(k), f"number_{k}"))
        nodes.insert(k, helper.make_node("Gather", ["all", f"number_{k}"], [value.name], axis=axis))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("all", tensor.elem_type, dims))
    return joined


def page(outcomes: list[Outcome]) -> str:
    """docs/operator-support.md."""
    by_op: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_op[outcome.op].append(outcome)
    lines = [
        "# Operator support",
        "",
        "Written by `python -m tests.onnx_import.node_suite`; do not edit.",
        "",
        f"Each operator is judged by the node tests of onnx {onnx.__version__}: a test passes when "
        "the imported network gives the expected numbers, before and after folding. What is "
        "refused is refused with a message; nothing gives a wrong number.",
        f"Operator sets 7 to {onnx.defs.onnx_opset_version()} are accepted.",
        "",
        "| operator | node tests passed |",
        "|---|---|",
    ]
    for op in sorted(IMPORTERS):
        group = by_op.get(op, [])
        passed = sum(o.passed for o in group)
        lines.append(f"| {op} | {f'{passed} of {len(group)}' if group else 'no node tests'} |")
    lines += ["", "## Refused node tests", ""]
    for op in sorted(IMPORTERS):
        reasons: dict[str, list[str]] = defaultdict(list)
        for o in by_op.get(op, []):
            if not o.passed:
                reasons[o.wrong or o.refusal].append(f"`{o.name}`")
        if reasons:
            lines += [f"### {op}", ""]
            lines += [f"- {reason}: {', '.join(names)}" for reason, names in reasons.items()]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page([judge(case) for case in cases()]), encoding="utf-8")
