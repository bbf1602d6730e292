"""The benchmark of quantised networks: those in examples/quantised lose nothing, and a single wrong
integer is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from bench.lossless import SUBJECTS, Counts, compare, on_grid
from snngen.convert import Options
from snngen.data import synthetic
from snngen.evaluate import Ann
from snngen.fixed import FixedLayer
from snngen.fold import fold
from snngen.graph import Graph
from snngen.neurons import Level
from snngen.onnx_import import import_model
from snngen.pipeline import Built, build_in_steps
from tests.conftest import Require

IMAGES = 20
DEVIATION = 1e-5  # of outputs, relative to their range
ROUNDED = dict.fromkeys(("resnet8_int4", "resnet8_ternary"), 2**-15)  # output weights of 16 bits
EXAMPLES = [name for name, s in SUBJECTS.items() if s.network.file.startswith("examples/")]


def prepared(name: str) -> tuple[onnx.ModelProto, Graph, Built]:
    subject = SUBJECTS[name]
    model = subject.prepare(subject.network)
    model = model if subject.own_weights else on_grid(model)
    graph = fold(import_model(model, name=name))
    ann = Ann(graph, subject.network.normalisation.preprocess(graph.input.shape[0]))
    images = synthetic(graph.input.shape, 1, seed=0)
    return model, graph, build_in_steps(ann, images, Options(method=subject.method))


def compared(name: str, model: onnx.ModelProto, graph: Graph, made: Built) -> Counts:
    images = synthetic(graph.input.shape, IMAGES, seed=1)
    return compare(model, graph, SUBJECTS[name].network, made, images)[0]


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_integer_differs(name: str, require: Require) -> None:
    require("python:onnxruntime")
    counts = compared(name, *prepared(name))
    assert counts.images == IMAGES
    assert counts.levels > 40_000 * (IMAGES // 10)
    assert (counts.levels_differ, counts.outputs_differ, counts.classes_differ) == (0, 0, 0)
    assert counts.outputs == (10 * IMAGES if name.startswith("brevitas") else 0)
    assert counts.deviation < ROUNDED.get(name, DEVIATION)


def thresholds_moved(layer: FixedLayer) -> FixedLayer:
    assert isinstance(layer.neuron, Level)
    moved = layer.neuron.thresholds.copy()
    moved[0, 0] += 1
    return replace(layer, neuron=replace(layer.neuron, thresholds=moved))


def weight_changed(layer: FixedLayer) -> FixedLayer:
    (synapse,) = layer.synapses
    weight = synapse.op.weight.copy()
    weight.flat[weight.size // 2] += 1
    return replace(layer, synapses=(replace(synapse, op=replace(synapse.op, weight=weight)),))


@pytest.mark.parametrize("fault", [thresholds_moved, weight_changed])
def test_one_wrong_integer_is_counted(fault: Callable[[FixedLayer], FixedLayer]) -> None:
    model, graph, made = prepared("brevitas_qcdq")
    first = next(x for x in made.net.layers if isinstance(x.neuron, Level))
    layers = tuple(fault(x) if x is first else x for x in made.net.layers)
    faulty = replace(made, net=replace(made.net, layers=layers))
    counts = compared("brevitas_qcdq", model, graph, faulty)
    assert 0 < counts.levels_differ < counts.levels / 2


def test_wrong_outputs_and_classes_are_counted() -> None:
    model, graph, made = prepared("brevitas_qcdq")
    *others, last = made.net.layers
    (synapse,) = last.synapses
    gain = synapse.op.weight.copy()
    gain[3] = -gain[3]
    last = replace(last, synapses=(replace(synapse, op=replace(synapse.op, weight=gain)),))
    faulty = replace(made, net=replace(made.net, layers=(*others, last)))
    counts = compared("brevitas_qcdq", model, graph, faulty)
    assert counts.levels_differ == 0
    assert 0 < counts.outputs_differ <= IMAGES
    assert counts.classes_differ > 0


def test_weights_rounded_in_the_file() -> None:
    given = onnx.load(SUBJECTS["qcfs_lenet"].network.path)
    before, after = (
        {t.name: numpy_helper.to_array(t).astype(np.float64) for t in m.graph.initializer}
        for m in (given, on_grid(given))
    )
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert [before[name].shape for name in changed] == [
        (6, 1, 5, 5), (16, 6, 5, 5), (84, 400), (10, 84),
    ]  # fmt: skip
    for name in changed:
        rows = after[name].reshape(1 if name == changed[-1] else len(after[name]), -1)
        unit = np.abs(rows).max(axis=1, keepdims=True) / 127
        np.testing.assert_array_equal(rows / unit, np.rint(rows / unit))
        assert np.abs(rows - before[name].reshape(rows.shape)).max() < 0.51 * unit.max()


def test_ternary_weights_stay() -> None:
    given = onnx.load(SUBJECTS["scatter_gather_lenet"].network.path)
    changed = [
        before.name
        for before, after in zip(
            given.graph.initializer, on_grid(given).graph.initializer, strict=True
        )
        if before != after
    ]
    assert len(changed) == 2  # the first and the last layer
