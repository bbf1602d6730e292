"""Quantised networks as spiking networks, against themselves: every level, output and class.

    python -m bench.lossless [NAME ...]

For each network, on the whole test set, without calibration: the integers of the spiking network
against its ONNX file, which ONNX's reference evaluator runs node by node in float64, so that no
level depends on how sums are rounded. Integers differ where they are off by a thousandth of a level
or more. Where weights are real numbers, conversion rounds them to 8 bits, as it must; the file that
is compared is then the model with its weights rounded in the file itself (`on_grid`). Then the same
file in onnxruntime; and emitted C against the integer network on all images, every spike and
membrane on 100 of them.

Networks "ort ..." are quantised here, by onnxruntime, calibrated on training images. Needs
SNNGEN_DATA and SNNGEN_MODELS. Writes bench/results/lossless.json and docs/benchmarks/lossless.md;
with names, only those rows are measured anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from bench.networks import BYTES, FEW_LEVELS, ROOT, SCATTER_GATHER, UNIT, Network
from snngen.convert import Options
from snngen.data import load
from snngen.evaluate import Ann
from snngen.fixed import FixedNet
from snngen.fold import fold
from snngen.graph import Graph, Staircase, in_layout, shapes
from snngen.neurons import Level
from snngen.onnx_import import import_model
from snngen.pipeline import Built, build_in_steps
from snngen.simulate import simulate
from snngen.verify import verify
from tests.onnx_import.reference import QONNX, Float64Model

RESULTS = ROOT / "bench/results/lossless.json"
TABLE = ROOT / "docs/benchmarks/lossless.md"
BATCH = 250
TRACED = 100
CALIBRATION = 200  # training images for onnxruntime's quantiser
LEAST = 1e-3  # of a level, that counts as a difference
UNIT_BITS = 16  # of a weight's unit, so that float32 holds its multiples exactly

HEADER = f"""# Quantised networks, level by level

Printed by `python -m bench.lossless`; the top of that file says what is measured, on all 10,000
test images of MNIST (CIFAR-10 for the ResNet-8s and the VGG). *Weights*: the model's own, where
they are integers times a unit; else rounded to 8 bits in the ONNX file that everything but *real*
is compared with. *Levels*, *outputs*, *classes*: how many of the spiking network's are not those
that this file gives in float64. Where no quantiser makes outputs integers they are real numbers,
and the largest deviation is given, relative to the range of all. *Top-1* in %: the spiking
network's, and that of the model with its *real* weights. *onnxruntime*: images to which it gives
another class, node by node in float32; with nodes fused to its own integer kernels, as it runs by
default. It cannot read QONNX. *C*: the emitted C equals the spiking network on all images, in every
spike and membrane on {TRACED} of them.

| network | method | weights | levels | outputs | classes | top-1 | real | onnxruntime | C |
|---|---|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Subject:
    """A quantised network. `own_weights`: its weights are integers times a unit as they are, or
    become so in `prepare`, which makes the model from the file.
    """

    network: Network
    own_weights: bool
    method: str = "quantized"
    prepare: Callable[[Network], onnx.ModelProto] = lambda network: onnx.load(network.path)


def quantised_by_onnxruntime(network: Network) -> onnx.ModelProto:
    """Static quantisation in QDQ format: int8 weights per channel, uint8 activations."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self, inputs: Iterator[dict[str, np.ndarray]]) -> None:
            self.inputs = inputs

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.inputs, None)

    with TemporaryDirectory() as folder:
        ready, quantised = Path(folder) / "ready.onnx", Path(folder) / "quantised.onnx"
        quant_pre_process(str(network.path), str(ready), skip_symbolic_shape=True)
        graph = import_model(onnx.load(ready), name="ready")
        source = onnxruntime.InferenceSession(ready).get_inputs()[0].name
        images = load(network.data, graph.input.shape, split="train", limit=CALIBRATION).images
        values = given(graph, network, images).astype(np.float32)
        quantize_static(
            str(ready),
            str(quantised),
            Reader({source: value[None]} for value in values),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
        )
        return onnx.load(quantised)


EXAMPLES = "examples/quantised"
SUBJECTS = {
    "qcfs_lenet": Subject(Network(f"{EXAMPLES}/qcfs_lenet.onnx", "mnist", UNIT, None), False),
    "lenet_ref_q4": Subject(Network("mnist/lenet_ref_q4.onnx", "mnist", UNIT, 98.90), False),
    "lenet_ref_q8": Subject(Network("mnist/lenet_ref_q8.onnx", "mnist", UNIT, 98.94), False),
    "scatter_gather_lenet": Subject(
        Network(f"{EXAMPLES}/scatter_gather_lenet.onnx", "mnist", UNIT, None),
        False,
        "scatter-gather",
    ),
    **{name: Subject(net, True) for name, net in (SCATTER_GATHER | FEW_LEVELS).items()},
    "brevitas_qcdq": Subject(Network(f"{EXAMPLES}/brevitas_qcdq.onnx", "mnist", UNIT, None), True),
    "brevitas_qonnx": Subject(
        Network(f"{EXAMPLES}/brevitas_qonnx.onnx", "mnist", UNIT, None), True
    ),
    "qonnx_TFC_1W2A": Subject(Network("qonnx/qonnx_TFC_1W2A.onnx", "mnist", UNIT, None), True),
    "ort lenet_ref": Subject(
        Network("mnist/lenet_ref.onnx", "mnist", UNIT, None),
        True,
        prepare=quantised_by_onnxruntime,
    ),
    "ort ic_resnet8": Subject(
        Network("mlperf_tiny/ic_pretrainedResnet.onnx", "cifar10", BYTES, None),
        True,
        prepare=quantised_by_onnxruntime,
    ),
}


def on_grid(model: onnx.ModelProto, bits: int = 8) -> onnx.ModelProto:
    """`model` with the real weights of every Conv, Gemm and MatMul rounded to integers of `bits`
    bits times a unit of their output channel; of the last of these layers, one unit for all.

    Weights that are ternary already stay.
    """
    made = onnx.ModelProto.FromString(model.SerializeToString())
    constants = {t.name: t for t in made.graph.initializer}
    layers = [n for n in made.graph.node if n.op_type in ("Conv", "Gemm", "MatMul")]
    for layer in layers:
        tensor = constants.get(layer.input[1])
        if tensor is None:
            continue
        weight = numpy_helper.to_array(tensor).astype(np.float64)
        transposed = any(a.name == "transB" and a.i for a in layer.attribute)
        axis = 0 if layer.op_type == "Conv" or transposed else 1
        others = tuple(k for k in range(weight.ndim) if k != axis or layer is layers[-1])
        unit = np.abs(weight).max(axis=others, keepdims=True) / (2 ** (bits - 1) - 1)
        fraction, exponent = np.frexp(unit)
        unit = np.ldexp(np.ceil(fraction * 2**UNIT_BITS), exponent - UNIT_BITS)
        rounded = (np.rint(weight / unit) * unit).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    return made


def given(graph: Graph, network: Network, images: np.ndarray) -> np.ndarray:
    """What the model reads for bytes (N, C, H, W), in its own layout and shape: float64."""
    normalisation = network.normalisation
    mean, std = (np.reshape(v, (-1, 1, 1)) for v in (normalisation.mean, normalisation.std))
    values = (images / normalisation.scale - mean) / std
    if graph.input.layout == "HWC":
        values = values.transpose(0, 2, 3, 1)
    return values.reshape(len(images), *graph.input.model_shape)


@dataclass
class Counts:
    """How many numbers were compared, and how many of them differ; `outputs` where the model
    quantises them, else `deviation`: of an output, relative to the range of all, at most.
    """

    images: int = 0
    levels: int = 0
    levels_differ: int = 0
    outputs: int = 0
    outputs_differ: int = 0
    deviation: float = 0.0
    classes_differ: int = 0


def compare(
    model: onnx.ModelProto, graph: Graph, network: Network, made: Built, images: np.ndarray
) -> tuple[Counts, np.ndarray]:
    """The integers of `made.net`, converted from `graph`, against `model` in float64; and the
    classes (N,) that the integers give.
    """
    reference, net, counts, classes = Float64Model(model), made.net, Counts(), []
    seen = watched(graph, net, reference.run(given(graph, network, images[:1])))
    last, output = scoring_node(model), graph[graph.output].op
    for k in range(0, len(images), BATCH):
        part = images[k : k + BATCH]
        want = reference.run(given(graph, network, part))
        trace = simulate(net, part, trace=True).trace
        assert trace is not None
        for layer, node in seen.items():
            got = trace[layer].output[:, -1]
            wanted = want[node].reshape(got.shape) / made.units[layer].amplitude[:, None, None]
            counts.levels += got.size
            counts.levels_differ += int((np.abs(wanted - got) >= LEAST).sum())
        scores = want[last].reshape(len(part), -1)
        outputs = trace[net.layers[-1].name].output[:, -1].reshape(len(part), -1)
        ours = in_layout(outputs * net.output_scale, net.layers[-1].shape, net.output_layout)
        off = np.abs(ours - scores)
        if isinstance(output, Staircase):
            counts.outputs += scores.size
            counts.outputs_differ += int((off >= LEAST * output.step.min()).sum())
        else:
            counts.deviation = max(counts.deviation, float(off.max() / np.ptp(scores)))
        counts.images += len(part)
        classes.append(net.classes(outputs))
        counts.classes_differ += int((classes[-1] != scores.argmax(1)).sum())
    return counts, np.concatenate(classes)


def watched(graph: Graph, net: FixedNet, want: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Layer -> the ONNX node whose tensor, in `want`, is what the layer sends: for every level
    layer.

    A quantiser behind a max pool was moved in front of it; what the pool sends is its tensor then.
    """
    levels = {layer.name for layer in net.layers if isinstance(layer.neuron, Level)}
    known, seen = shapes(graph), {}
    for node in graph.nodes:
        name = node.name if node.name in levels else node.inputs[0]
        if not isinstance(node.op, Staircase) or name not in levels:
            continue  # the input's quantiser is no layer, but a table
        levels.remove(name)
        if want[node.name][0].size != np.prod(known[node.name]):
            (pool,) = graph.consumers(node.name)
            name = pool.name
        seen[name] = node.name
    assert not levels, f"nothing to compare with {sorted(levels)}"
    return seen


def scoring_node(model: onnx.ModelProto) -> str:
    """The node that computes the outputs; before the Softmax, where there is one at the end."""
    producer = {o: node for node in model.graph.node for o in node.output}
    last = producer[model.graph.output[0].name]
    node: onnx.NodeProto | None = last
    while node is not None and node.op_type in ("DequantizeLinear", "QuantizeLinear", "Softmax"):
        if node.op_type == "Softmax":
            last = producer[node.input[0]]
        node = producer.get(node.input[0])
    return last.name or last.output[0]


def in_onnxruntime(
    model: onnx.ModelProto, graph: Graph, network: Network, images: np.ndarray, *, fused: bool
) -> np.ndarray:
    """The classes (N,) that the model gives: node by node, or with its nodes fused to kernels."""
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if fused else levels.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    source = session.get_inputs()[0]
    size = source.shape[0] if isinstance(source.shape[0], int) else BATCH
    classes = []
    for k in range(0, len(images), size):
        values = given(graph, network, images[k : k + size]).astype(np.float32)
        scores = session.run(None, {source.name: values})[0]
        classes.append(scores.reshape(len(values), -1).argmax(1))
    return np.concatenate(classes)


def real_classes(
    model: onnx.ModelProto, graph: Graph, network: Network, images: np.ndarray
) -> np.ndarray:
    """The classes (N,) that the model gives in float64."""
    reference, last = Float64Model(model), scoring_node(model)
    parts = (images[k : k + BATCH] for k in range(0, len(images), BATCH))
    found = (reference.run(given(graph, network, part))[last] for part in parts)
    return np.concatenate([scores.reshape(len(scores), -1).argmax(1) for scores in found])


def measure(name: str) -> dict[str, Any]:
    subject = SUBJECTS[name]
    network = subject.network
    own = subject.prepare(network)
    model = own if subject.own_weights else on_grid(own)
    graph = fold(import_model(model, name=name))
    samples = network.test(graph.input.shape)
    ann = Ann(graph, network.normalisation.preprocess(graph.input.shape[0]))
    made = build_in_steps(ann, samples.images[:1], Options(method=subject.method))
    counts, classes = compare(model, graph, network, made, samples.images)
    result = verify(made.net, samples.images, full_trace_images=TRACED)
    row = {
        "network": name,
        "method": subject.method,
        "data": network.data,
        "rounded": not subject.own_weights,
        **vars(counts),
        "correct": int((classes == samples.labels).sum()),
        "verified": str(result),
        "equal": result.is_equal,
    }
    if not any(node.domain in QONNX for node in model.graph.node):
        for fused, key in ((False, "float32_differ"), (True, "fused_differ")):
            theirs = in_onnxruntime(model, graph, network, samples.images, fused=fused)
            row[key] = int((classes != theirs).sum())
    if not subject.own_weights:
        real = real_classes(own, graph, network, samples.images)
        row["real_weights_correct"] = int((real == samples.labels).sum())
        row["real_weights_differ"] = int((real != classes).sum())
    return row


def line(row: Mapping[str, Any]) -> str:
    outputs = f"{row['outputs_differ']} of {row['outputs']:,}"
    theirs = f"{row['float32_differ']}, {row['fused_differ']}" if "fused_differ" in row else "-"
    real = f"{row['real_weights_correct'] / row['images'] * 100:.2f}" if row["rounded"] else "-"
    cells = (
        row["network"],
        row["method"],
        "rounded" if row["rounded"] else "own",
        f"{row['levels_differ']} of {row['levels']:,}",
        outputs if row["outputs"] else f"within {row['deviation']:.0e}",
        f"{row['classes_differ']} of {row['images']:,}",
        f"{row['correct'] / row['images'] * 100:.2f}",
        real,
        theirs,
        "yes" if row["equal"] else "NO",
    )
    return f"| {' | '.join(cells)} |"


def main(names: list[str]) -> None:
    known = {r["network"]: r for r in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    for name in names or SUBJECTS:
        known[name] = measure(name)
        print(line(known[name]), flush=True)
        rows = [known[n] for n in SUBJECTS if n in known]
        RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
        TABLE.write_text("\n".join([HEADER, *map(line, rows)]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
