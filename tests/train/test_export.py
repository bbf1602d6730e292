"""Trained, exported, converted: not one level differs from what torch computes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from snngen import golden
from snngen.fixed import FixedNet
from snngen.neurons import Level
from snngen.train import QCFS, QuantisedReLU, export_onnx, integer
from tests.train.nets import MODELS, Case


def differences(case: Case, net: FixedNet) -> int:
    """Levels and classes of `net` that are not the model's; its outputs must be about the same."""
    *levels, scores = case.levels()
    trace = golden.trace(net, case.images)
    layers = [layer for layer in net.layers if isinstance(layer.neuron, Level)]
    wrong = 0
    for layer, want in zip(layers, levels, strict=True):
        wrong += int((trace[layer.name].output[:, -1].reshape(want.shape) != want).sum())
    outputs = trace[net.layers[-1].name].output[:, -1].reshape(scores.shape) * net.output_scale
    if not wrong:
        np.testing.assert_allclose(outputs, scores, atol=2e-4 * np.ptp(scores))
    return wrong + int((outputs.argmax(1) != scores.argmax(1)).sum())


@pytest.mark.parametrize("name", MODELS)
def test_no_level_differs(name: str, tmp_path) -> None:
    make, method = MODELS[name]
    case = Case.of(make)
    net = case.converted(method, tmp_path)
    assert all(level.any() for level in case.levels()[:-1]), "a dead layer shows nothing"
    assert differences(case, net) == 0


@pytest.mark.parametrize("name", MODELS)
def test_a_changed_weight_and_a_changed_threshold_are_found(name: str, tmp_path) -> None:
    make, method = MODELS[name]
    case = Case.of(make)
    net = case.converted(method, tmp_path)
    first = net.layers[0]
    higher = first.neuron.thresholds + first.neuron.thresholds.max() // 8
    op = first.synapses[0].op
    weight = op.weight.copy()
    weight[0] = -weight[0]
    synapse = replace(first.synapses[0], op=replace(op, weight=weight))
    raised = replace(first, neuron=replace(first.neuron, thresholds=higher))
    for fault in (raised, replace(first, synapses=(synapse,))):
        assert differences(case, replace(net, layers=(fault, *net.layers[1:]))) > 0


def test_the_file_is_standard_small_and_alone(tmp_path) -> None:
    case = Case.of(MODELS["lenet"][0])
    export_onnx(case.model, case.inputs, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    assert {node.domain for node in model.graph.node} == {""}
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    kinds = {t.name: t.data_type for t in model.graph.initializer}
    assert [kinds[f"{k}.weight.int8"] for k in (0, 3, 7, 10)] == [onnx.TensorProto.INT8] * 4


def test_equal_weights_and_shared_ones_and_a_model_of_one_layer(tmp_path) -> None:
    one, other = nn.Linear(4, 4), nn.Linear(4, 4)
    other.load_state_dict(one.state_dict())
    shared = integer(one)
    models = [nn.Sequential(shared, QCFS(4), integer(other)), nn.Sequential(shared, shared), shared]
    for model in models:
        export_onnx(model, torch.zeros(1, 4), tmp_path / "model.onnx")
        found = onnx.load(tmp_path / "model.onnx")
        kinds = [t.data_type for t in found.graph.initializer if len(t.dims) == 2]
        assert kinds == [onnx.TensorProto.INT8]


def test_onnxruntime_computes_the_same(tmp_path, require) -> None:
    require("python:onnxruntime")
    import onnxruntime

    for make, _ in MODELS.values():
        case = Case.of(make)
        export_onnx(case.model, case.inputs, tmp_path / "model.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
        (scores,) = session.run(None, {"image": case.inputs.numpy()})
        np.testing.assert_allclose(scores, case.levels()[-1], rtol=1e-4, atol=1e-5)


def test_the_model_can_be_trained_on(tmp_path) -> None:
    """Nothing of it changes, the training mode included; twice the same file."""
    case = Case.of(MODELS["lenet"][0])
    case.model.train()
    before = {k: v.clone() for k, v in case.model.state_dict().items()}
    for name in "ab":
        export_onnx(case.model, case.inputs, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert case.model.training
    assert before.keys() == case.model.state_dict().keys()
    assert all(torch.equal(v, before[k]) for k, v in case.model.state_dict().items())
    case.model(case.inputs).sum().backward()


def test_what_was_unbounded_is_exported_with_the_bound_that_it_has(tmp_path) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(
        integer(nn.Conv2d(2, 4, 3), 8), QuantisedReLU(2, rounding="down"), nn.Flatten(),
        integer(nn.Linear(400, 5), 8),
    )  # fmt: skip
    case = Case(model, Case.of(MODELS["lenet"][0]).images)
    model.train()
    with torch.no_grad():
        model(case.inputs[:3] * 0.6)
    model.eval()
    net = case.converted("quantized", tmp_path)
    assert net.layers[0].neuron.thresholds.shape[1] == model[1].levels == int(model[1].seen)
    assert differences(case, net) == 0
    assert case.levels()[0].max() == model[1].levels, "it was to be clipped"


def test_qcfs_over_time_begins_at_half_a_threshold(tmp_path) -> None:
    """Its first layer, over T = levels timesteps, sends as many spikes as levels."""
    from snngen.convert import Options
    from snngen.evaluate import Ann
    from snngen.pipeline import Normalisation, build, read_model

    case = Case.of(lambda: nn.Sequential(
        integer(nn.Conv2d(2, 4, 3), 8), QCFS(8, 0.7), nn.Flatten(), integer(nn.Linear(400, 5), 8)
    ))  # fmt: skip
    export_onnx(case.model, case.inputs, tmp_path / "model.onnx")
    ann = Ann(read_model(tmp_path / "model.onnx"), Normalisation().preprocess(2))
    net = build(ann, case.images[:1], Options("quantized", "if", timesteps=8))
    sent = golden.trace(net, case.images)[net.layers[0].name].output.sum(1)
    off = np.abs(sent - case.levels()[0])
    assert off.max() <= 1 and (off > 0).mean() < 1e-3  # the threshold is rounded to an integer
