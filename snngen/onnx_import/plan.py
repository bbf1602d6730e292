"""What of the ONNX graph matters, in which order: chosen output, reachable nodes, the one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from math import prod
from pathlib import Path

import onnx
from onnx import inliner

from snngen.errors import ModelError, Problem
from snngen.onnx_import.reader import STANDARD_DOMAINS, standard_opset

SHAPE_HINT = "give the shape of one sample with --input-shape, for example 1,28,28"
_DROPPED = frozenset(["Softmax", "LogSoftmax", "Sigmoid"])  # at the network's end
# What may lie between these and the network's output without giving them a meaning.
_TRAILING = _DROPPED | {"Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast"}


@dataclass(frozen=True, eq=False)
class Plan:
    """An ONNX graph made ready to walk; nothing in it has been evaluated."""

    proto: onnx.ModelProto
    opset: int
    nodes: tuple[onnx.NodeProto, ...]  # reachable from the output, in topological order
    initializers: Mapping[str, onnx.TensorProto]
    input: onnx.ValueInfoProto
    output: str
    ending: frozenset[str]  # tensors between which and the output nothing is computed
    base_dir: Path | None
    notes: tuple[str, ...]


def make_plan(model: onnx.ModelProto, base_dir: Path | None, output: str | None) -> Plan:
    """Raises ModelError for a graph that is not well formed, or has not exactly one input."""
    if not model.HasField("graph") or not model.graph.node:
        raise ModelError(
            Problem("the model", "contains no graph", "", "is this an ONNX file? export it again")
        )
    opset = standard_opset(model)
    if model.functions:
        try:
            model = inliner.inline_local_functions(model)
        except Exception as error:  # a C++ library: the kind of exception is not documented
            raise ModelError(
                Problem("the model", "its local functions cannot be inlined", str(error))
            ) from None
    graph = model.graph
    _check_single_definitions(graph)
    chosen, notes = _choose_output(graph, output)
    initializers = {t.name: t for t in graph.initializer}
    nodes = _without_quantised_end(_reachable(graph, chosen), chosen, initializers)
    source = _only_input(graph, nodes, chosen)
    return Plan(
        model,
        opset,
        nodes,
        initializers,
        source,
        chosen,
        _ending(nodes, chosen),
        base_dir,
        tuple(notes),
    )


def without_epsilon(plan: Plan) -> Plan:
    """With epsilon 0 in every BatchNormalization; ModelError where there is none left to change."""
    nodes = []
    for node in plan.nodes:
        if node.op_type == "BatchNormalization":
            changed = onnx.NodeProto()
            changed.CopyFrom(node)
            del changed.attribute[:]
            changed.attribute.extend(a for a in node.attribute if a.name != "epsilon")
            changed.attribute.append(onnx.helper.make_attribute("epsilon", 0.0))
            node = changed
        nodes.append(node)
    if not any(node.op_type == "BatchNormalization" for node in nodes):
        raise ModelError(
            Problem(
                "the model",
                "there is no batch norm whose epsilon could be left out",
                "no node BatchNormalization",
                "leave cmb out of --without, or export the model without folding batch norm",
            )
        )
    return replace(plan, nodes=tuple(nodes))


def label(proto: onnx.NodeProto) -> str:
    """A name for messages and for the graph: the node's own, or that of what it computes."""
    return proto.name or next((o for o in proto.output if o), proto.op_type) or "node"


def place(proto: onnx.NodeProto) -> str:
    """How messages name the node."""
    return f"node '{label(proto)}' ({proto.op_type})"


def _check_single_definitions(graph: onnx.GraphProto) -> None:
    initializers = [t.name for t in graph.initializer]
    inputs = [i.name for i in graph.input if i.name not in set(initializers)]
    defined: set[str] = set()
    problems = []
    for where, names in [
        ("the initializers", initializers),
        ("the inputs", inputs),
        *((place(n), [o for o in n.output if o]) for n in graph.node),
    ]:
        for name in names:
            if name in defined:
                problems.append(
                    Problem(where, "a tensor may be defined only once", f"'{name}' again")
                )
            defined.add(name)
    if problems:
        raise ModelError(*problems)


def _choose_output(graph: onnx.GraphProto, wanted: str | None) -> tuple[str, list[str]]:
    names = [o.name for o in graph.output]
    if not names:
        raise ModelError(Problem("the model", "has no output", "", "export it again"))
    if wanted is not None and wanted not in names:
        raise ModelError(
            Problem("the model", "has no such output", wanted, f"its outputs: {', '.join(names)}")
        )
    chosen = names[0] if wanted is None else wanted
    unused = [n for n in names if n != chosen]
    if not unused:
        return chosen, []
    return chosen, [f"output '{chosen}' is used; not used: {', '.join(unused)}"]


def _reachable(graph: onnx.GraphProto, output: str) -> tuple[onnx.NodeProto, ...]:
    """The nodes that the output depends on, every one after those that it reads."""
    producer = {o: k for k, node in enumerate(graph.node) for o in node.output if o}
    given = {t.name for t in graph.initializer} | {i.name for i in graph.input}
    problems = []
    dependencies: dict[int, list[int]] = {}
    if output not in producer and output not in given:
        raise ModelError(Problem("the model", "no node computes its output", output))
    pending = [producer[output]] if output in producer else []
    while pending:
        k = pending.pop()
        if k in dependencies:
            continue
        node = graph.node[k]
        dependencies[k] = []
        for name in node.input:
            if name in producer:
                dependencies[k].append(producer[name])
            elif name and name not in given:
                problems.append(
                    Problem(place(node), "reads a tensor that nothing defines", f"'{name}'")
                )
        pending += dependencies[k]
    if problems:
        raise ModelError(*problems)
    # Handed over in the file's order, which is then kept wherever it is a valid one.
    sorter = TopologicalSorter({k: dependencies[k] for k in sorted(dependencies)})
    try:
        order = list(sorter.static_order())
    except CycleError as error:
        cycle = " -> ".join(label(graph.node[k]) for k in error.args[1])
        raise ModelError(Problem("the model", "must not contain a cycle", cycle)) from None
    if all(i < k for k, inputs in dependencies.items() for i in inputs):
        order = sorted(order)
    return tuple(graph.node[k] for k in order)


def _only_input(
    graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto], output: str
) -> onnx.ValueInfoProto:
    initializers = {t.name for t in graph.initializer}
    read = {name for node in nodes for name in node.input} | {output}
    inputs = [i for i in graph.input if i.name not in initializers and i.name in read]
    if not inputs:
        raise ModelError(
            Problem("the model", "its output depends on no input", f"output '{output}'")
        )
    if len(inputs) > 1:
        raise ModelError(
            Problem(
                "the model",
                "a network has exactly one input",
                ", ".join(i.name for i in inputs),
                "make the others initializers (constants), or split the model",
            )
        )
    only: onnx.ValueInfoProto = inputs[0]
    return only


def _without_quantised_end(
    nodes: tuple[onnx.NodeProto, ...], output: str, initializers: Mapping[str, onnx.TensorProto]
) -> tuple[onnx.NodeProto, ...]:
    """Identities in place of what quantises a final Softmax or Sigmoid, which will be dropped, and
    with it the values that they are meant for.
    """
    producer = {o: node for node in nodes for o in node.output}
    quantisers = []
    last = producer.get(output)
    while last is not None and last.op_type in _TRAILING | {"QuantizeLinear", "DequantizeLinear"}:
        if last.op_type in _DROPPED:
            return tuple(
                onnx.helper.make_node("Identity", node.input[:1], node.output, node.name)
                if node in quantisers
                else node
                for node in nodes
            )
        if last.op_type not in _TRAILING:
            scale = initializers.get(last.input[1]) if len(last.input) > 1 else None
            if scale is None or prod(scale.dims) != 1:
                break  # which class is the largest may depend on it
            quantisers.append(last)
        last = producer.get(last.input[0]) if last.input else None
    return nodes


def _ending(nodes: Sequence[onnx.NodeProto], output: str) -> frozenset[str]:
    """The tensors from the output back over nodes that change neither values nor their ranks."""
    producer = {o: node for node in nodes for o in node.output}
    ending = {output}
    name = output
    while name in producer and producer[name].op_type in _TRAILING:
        name = producer[name].input[0] if producer[name].input else ""
        ending.add(name)
    return frozenset(ending)


def is_standard(proto: onnx.NodeProto) -> bool:
    """Whether the node's operator belongs to ONNX itself."""
    return proto.domain in STANDARD_DOMAINS


def input_dims(
    value: onnx.ValueInfoProto, given: tuple[int, ...] | None
) -> tuple[int | None, tuple[int, ...]]:
    """(batch or None where it is free, shape of one sample) of the graph's input.

    `given` holds the dimensions of one sample, or those of the whole tensor. Raises ModelError.
    """
    where = f"input '{value.name}'"
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or kind.elem_type not in (1, 10, 11):
        raise ModelError(
            Problem(
                where,
                "must be a tensor of float16, float32 or float64",
                onnx.TensorProto.DataType.Name(kind.elem_type)
                if value.type.HasField("tensor_type")
                else "no tensor",
                "export the float model without casts from bytes",
            )
        )
    declared: list[int | str | None]
    if not kind.HasField("shape"):
        if given is None:
            raise ModelError(Problem(where, "has no shape", "", SHAPE_HINT))
        declared = [None] * (len(given) + 1)
    else:
        declared = [
            d.dim_value if d.HasField("dim_value") else (d.dim_param or "?") for d in kind.shape.dim
        ]
    if not declared:
        raise ModelError(Problem(where, "must have a batch axis", "a scalar"))
    if given is not None:
        declared = _override(where, declared, given)
    batch, *sample = declared
    found = f"[{', '.join(str(d) for d in declared)}]"
    if any(isinstance(d, int) and d < 1 for d in declared):
        raise ModelError(Problem(where, "dimensions must be at least 1", found, SHAPE_HINT))
    fixed = [d for d in sample if isinstance(d, int)]
    if len(fixed) != len(sample):
        raise ModelError(Problem(where, "only the batch may be left open", found, SHAPE_HINT))
    return (batch if isinstance(batch, int) else None), tuple(fixed)


def _override(
    where: str, declared: list[int | str | None], given: tuple[int, ...]
) -> list[int | str | None]:
    if len(given) == len(declared) - 1:
        wanted: list[int | str | None] = [declared[0], *given]
    elif len(given) == len(declared):
        wanted = list(given)
    else:
        wanted = []
    fits = len(wanted) == len(declared) and all(
        w == d or not isinstance(d, int) or d < 1 for w, d in zip(wanted, declared, strict=True)
    )
    if not fits:
        raise ModelError(
            Problem(
                where,
                "the given input shape contradicts the model's",
                f"{list(given)} given, {declared} in the file",
                "only open dimensions can be given",
            )
        )
    return wanted
