"""Method ecc: the paper's closed form, what shares a lambda, and what each technique does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from snngen.cli import run
from snngen.convert import Options, convert, populations
from snngen.convert.ecc import activation_maxima, shared, with_firing_pools
from snngen.convert.propagate import Propagation, fire
from snngen.errors import ConversionError, ModelError
from snngen.evaluate import Ann, evaluate
from snngen.graph import Add, Concat, Graph, Relu, forward
from snngen.neurons import IF, Level
from snngen.ops import MaxPool, Select, SumPool, Window
from snngen.pipeline import build, read_model
from snngen.simulate import simulate
from snngen.spiking import SpikingNet
from tests import graphs


def residual_with_pools() -> Graph:
    """An identity shortcut, one through a slice, max and average pools, a concatenation."""
    half = Select(*(np.arange(0, n, k, dtype=np.int32) for n, k in ((4, 1), (8, 2), (8, 2))))
    two = Window((2, 2), (2, 2))
    return graphs.graph(
        (2, 8, 8),
        ("conv1", graphs.conv(4, 2, 3, 0, pad=1), ["input"]),
        ("relu1", Relu(), ["conv1"]),
        ("conv2", graphs.conv(4, 4, 3, 1, pad=1), ["relu1"]),
        ("add2", Add(), ["conv2", "relu1"]),
        ("relu2", Relu(), ["add2"]),
        ("conv3", graphs.conv(4, 4, 3, 2, pad=1, stride=2), ["relu2"]),
        ("half", half, ["relu2"]),
        ("add3", Add(), ["conv3", "half"]),
        ("relu3", Relu(1.5), ["add3"]),
        ("average", SumPool(two, 4), ["relu3"]),
        ("max", MaxPool(two), ["relu3"]),
        ("both", Concat(), ["average", "max"]),
        ("conv4", graphs.conv(6, 8, 1, 3), ["both"]),
        ("relu4", Relu(), ["conv4"]),
        ("mean", SumPool(two, 4), ["relu4"]),
        ("fc", graphs.linear(5, (6, 1, 1), 5), ["mean"]),
    )


NEURONS = ("relu1", "relu2", "relu3", "average", "relu4", "mean")
NAMES = dict(zip(NEURONS, ("conv1", "add2", "add3", "average", "conv4", "mean"), strict=True))
MEET = ("relu1", "relu2", "relu3")  # in the two Adds


def paper(g: Graph, x: np.ndarray, eta: float, levels: int) -> dict[str, np.ndarray]:
    """n_l of the paper, node by node of the graph: float64, with thresholds lambda_l.

    q = T (W_l x_(l-1) + b_l) with x_(l-1) = n_(l-1) lambda_(l-1) / T, all in the CNN's units.
    """
    cnn = forward(g, x, keep=[n.name for n in g.nodes])
    lambdas = {name: float(cnn[name].max()) for name in NEURONS}
    lambdas |= dict.fromkeys(MEET, max(lambdas[name] for name in MEET))
    values, counts = {"input": x}, {}
    for node in g.nodes:
        xs = [values[i] for i in node.inputs]
        match node.op:
            case Relu():
                z = xs[0]
            case Add():
                z = xs[0] + xs[1]
            case Concat():
                z = np.concatenate(xs, 1)
            case SumPool(_, divisor):
                z = node.op.forward(xs[0]) / divisor
            case op:
                z = op.forward(xs[0]) + (0 if node.bias is None else node.bias[:, None, None])
        if node.name in lambdas:
            theta = lambdas[node.name]
            if isinstance(node.op, Relu):
                theta = min(theta, node.op.maximum)
            n = np.floor((np.maximum(levels * z, 0) + eta * theta) / theta)
            counts[node.name] = np.clip(n, 0, levels)
            z = counts[node.name] * theta / levels
        values[node.name] = z
    return counts


def counts_of(net: SpikingNet, x: np.ndarray) -> dict[str, np.ndarray]:
    """What the real-valued spiking network sends in all."""
    motion = Propagation(x, net.timesteps, [s.source for p in net.layers for s in p.synapses])
    counts = {}
    for layer in net.layers[:-1]:
        sent = motion.current(layer.synapses, layer.bias)
        if isinstance(layer.neuron, IF | Level):
            sent = fire(layer.neuron, sent, net.timesteps)
            counts[layer.name] = sent.sum(0)
        motion.send(layer.name, sent, layer.amplitude)
    return counts


@pytest.mark.parametrize("without", [(), ("tre",)])
@pytest.mark.parametrize("levels", [4, 15, 255])
def test_level_neurons_are_the_papers_closed_form(levels: int, without: tuple[str, ...]) -> None:
    g = residual_with_pools()
    ann, images = graphs.ann(g), graphs.images(g, 16)
    options = Options("ecc", "level", levels=levels, without=without)
    found = counts_of(convert(g, ann.preprocess, images, options), images / 255)
    wanted = paper(g, images / 255, 0.0 if without else 0.5, levels)
    for node, layer in NAMES.items():
        assert wanted[node].max() >= 1
        off = np.abs(found[layer] - wanted[node])
        assert off.max() <= 1 and np.mean(off > 0) < 2e-3, layer  # float32 beside float64, at ties
    other = paper(g, images / 255, 0.5 if without else 0.0, levels)
    assert any(np.mean(found[NAMES[n]] != other[n]) > 0.05 for n in NEURONS)


def test_if_neurons_round_the_first_layer_alike() -> None:
    g = residual_with_pools()
    ann, images = graphs.ann(g), graphs.images(g, 8)
    net = convert(g, ann.preprocess, images, Options("ecc", timesteps=16))
    found, wanted = counts_of(net, images / 255), paper(g, images / 255, 0.5, 16)
    assert np.mean(found["conv1"] != wanted["relu1"]) < 2e-3


def test_what_meets_in_an_add_shares_one_lambda() -> None:
    g = residual_with_pools()
    parts = with_firing_pools(populations(g))
    x = graphs.images(g, 16) / 255
    alone = activation_maxima(parts, x)
    together = shared(parts, alone)
    cnn = forward(g, x, keep=NEURONS)
    for node, layer in NAMES.items():
        assert alone[layer] == pytest.approx(cnn[node].max(), rel=1e-5)
    meeting = {NAMES[n] for n in MEET}
    assert {together[n] for n in meeting} == {max(alone[n] for n in meeting)}
    assert {n: together[n] for n in together if n not in meeting} == {
        n: alone[n] for n in alone if n not in meeting
    }


def test_an_average_pool_of_rates_fires_and_one_of_currents_does_not() -> None:
    g = graphs.graph(
        (1, 8, 8),
        ("pixels", SumPool(Window((2, 2), (2, 2)), 4), ["input"]),
        ("conv1", graphs.conv(4, 1, 3, 0, pad=1), ["pixels"]),
        ("currents", SumPool(Window((2, 2), (2, 2)), 4), ["conv1"]),
        ("relu1", Relu(), ["currents"]),
        ("rates", SumPool(Window((2, 2), (2, 2)), 4), ["relu1"]),
        ("fc", graphs.linear(3, (4, 1, 1), 5), ["rates"]),
    )
    ann, images = graphs.ann(g), graphs.images(g, 12)
    net = convert(g, ann.preprocess, images, Options("ecc"))
    kinds = {layer.name: layer.neuron is not None for layer in net.layers[:-1]}
    assert kinds.pop("rates") and not kinds.pop("rates_sum")
    assert not kinds["pixels"] and not kinds["currents"] and sum(kinds.values()) == 1
    pool = next(layer for layer in net.layers if layer.name == "rates")
    assert isinstance(pool.neuron, IF)
    largest = forward(g, images / 255, keep=["rates"])["rates"].max()
    np.testing.assert_allclose(pool.neuron.threshold, largest, rtol=1e-5)


def loss(ann: Ann, images: np.ndarray, **options: object) -> float:
    """Root of the mean squared error of the outputs, relative to that of the outputs."""
    net = build(ann, images, Options("ecc", "level", **options))  # type: ignore[arg-type]
    want = ann.outputs(images)
    got = simulate(net, images).outputs[:, -1] * net.output_scale
    return float(np.sqrt(np.square(got - want).mean() / np.square(want).mean()))


def test_each_technique_makes_the_network_more_like_the_cnn() -> None:
    """With activations far from 1, unnormalised currents are lost; rounding beats rounding down."""
    g = residual_with_pools()
    g = replace(g, nodes=tuple(
        replace(n, op=replace(n.op, weight=n.op.weight * 6)) if n.name == "conv1" else n
        for n in g.nodes
    ))  # fmt: skip
    ann, images = graphs.ann(g), graphs.images(g, 24)
    full = loss(ann, images, levels=15)
    assert full < loss(ann, images, levels=15, without=("tre",))
    assert full < 0.5 * loss(ann, images, levels=15, without=("cn",))
    assert loss(ann, images, levels=255) < 0.02
    without = Options("ecc", without=("cn",))
    net = convert(g, ann.preprocess, images, without)
    assert {float(layer.neuron.threshold.max()) for layer in net.layers if layer.neuron
            and isinstance(layer.neuron, IF)} == {1.0}  # fmt: skip


def batch_norm_model(path: Path, epsilon: float | None) -> Path:
    """Conv, batch norm of small variances, ReLU, Flatten, Gemm; without batch norm if None."""
    rng = np.random.default_rng(3)
    constants = {
        "w": rng.normal(0, 1, (4, 1, 3, 3)), "scale": np.ones(4), "bias": rng.normal(0, 0.2, 4),
        "mean": np.zeros(4), "variance": np.full(4, 0.02), "v": rng.normal(0, 1, (3, 144)),
    }  # fmt: skip
    norm = ["scale", "bias", "mean", "variance"]
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"])]
    if epsilon is not None:
        nodes.append(helper.make_node("BatchNormalization", ["c", *norm], ["n"], epsilon=epsilon))
    nodes += [
        helper.make_node("Relu", ["c" if epsilon is None else "n"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes, "t",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_batch_norm_without_its_epsilon(tmp_path: Path) -> None:
    path = batch_norm_model(tmp_path / "bn.onnx", 0.01)
    exact, careless = read_model(path), read_model(path, keep_epsilon=False)
    gain = careless.nodes[0].op.weight / exact.nodes[0].op.weight  # type: ignore[union-attr]
    np.testing.assert_allclose(gain, np.sqrt(0.03 / 0.02), rtol=1e-5)
    ann, images = graphs.ann(exact), graphs.images(exact, 20)
    off = evaluate(build(graphs.ann(careless), images, Options("ecc")), images, ann=ann)
    on = evaluate(build(ann, images, Options("ecc")), images, ann=ann)
    assert on.likeness is not None and off.likeness is not None and on.likeness > off.likeness


def test_no_batch_norm_no_epsilon_to_leave_out(tmp_path: Path) -> None:
    path = batch_norm_model(tmp_path / "plain.onnx", None)
    with pytest.raises(ModelError, match="no batch norm whose epsilon could be left out"):
        read_model(path, keep_epsilon=False)


def test_cmb_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The network is another one; what it is compared with stays the CNN as it is."""
    model = batch_norm_model(tmp_path / "bn.onnx", 0.05)
    images = tmp_path / "images.npy"
    np.save(images, graphs.images(read_model(model), 20)[:, 0])
    found = {}
    for without in ("cn,tre", "cn,tre,cmb"):
        words = f"evaluate {model} --method ecc --without {without} --data {images} --json"
        assert run(words.split()) == 0
        found[without] = json.loads(capsys.readouterr().out)
    digests = {result["network"]["digest"] for result in found.values()}
    assert len(digests) == 2
    plain = batch_norm_model(tmp_path / "plain.onnx", None)
    words = f"convert {plain} --method ecc --without cmb --data {images}"
    assert run(words.split()) == 2
    assert "no batch norm whose epsilon could be left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (Options("ecc", without=("cn", "magic")), "must be some of cn,tre,cmb"),
        (Options("channel-max", without=("cn",)), "is not read by method channel-max"),
        (Options("ecc", percentile=99.0), "is not read by method ecc"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: Options, rule: str) -> None:
    g = graphs.lenet()
    with pytest.raises(ConversionError, match=rule):
        build(graphs.ann(g), graphs.images(g, 2), options)
