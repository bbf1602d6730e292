"""Quantised activations written out in floats: in no spelling may one activation differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from snngen.data import load as load_samples
from snngen.fold import fold
from snngen.graph import Affine, Graph, Staircase, forward
from snngen.onnx_import import import_model, load
from snngen.ops import Conv, Linear
from tests.onnx_import.build import model, refused, rng, weights
from tests.onnx_import.reference import mismatches

node = helper.make_node


def number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


CONSTANTS = {
    "zero": number(0),
    "one": number(1),
    "half": number(0.5),
    "two": number(2),
    "four": number(4),
    "seven": number(7),
    "minus": number(-2),
    "lam": number(1.7),
    "gain": number(0.37),
    "small": number(1e-5),
    "lams": np.array([0.6, 1.7, 2.3], np.float32).reshape(1, 3, 1, 1),
    "signs": np.array([0.6, -1.7, 2.3], np.float32).reshape(1, 3, 1, 1),
    "shifts": np.array([0.1, -0.2, 0.4], np.float32).reshape(3, 1, 1),
}


def chain(*links: str) -> list[onnx.NodeProto]:
    """`"Div lam"`, `"Clip zero four"`, ...: each reads the one before, the first one `c`."""
    nodes, before = [], "c"
    for k, link in enumerate(links):
        op, *names = link.split()
        after = "q" if k == len(links) - 1 else f"t{k}"
        inputs = [before if n == "x" else n for n in names] if "x" in names else [before, *names]
        nodes.append(node(op, inputs, [after], f"n{k}"))
        before = after
    return nodes


def network(nodes: list[onnx.NodeProto], *, pads: int = 1) -> onnx.ModelProto:
    """Conv, the nodes from `c` to `q`, Conv."""
    return model(
        [
            node("Conv", ["x", "w"], ["c"], "conv1", pads=[1, 1, 1, 1]),
            *nodes,
            node("Conv", ["q", "v"], ["y"], "conv2", pads=[pads] * 4),
        ],
        ["N", 2, 6, 6],
        {"w": weights(3, 2, 3, 3), "v": weights(4, 3, 3, 3), **CONSTANTS},
    )


def agrees(proto: onnx.ModelProto) -> Graph:
    x = rng.normal(size=(16, 2, 6, 6)) * 2
    wrong, total = mismatches(proto, x)
    assert total > 3500
    assert wrong == 0
    return fold(import_model(proto, name="test"))


EXACT = {
    "lenet_ref": "Div lam|Clip zero one|Mul four|Add half|Floor|Clip zero four|Div four|Mul lam",
    "qcfs": "Mul four|Div lam|Add half|Floor|Div four|Clip zero one|Mul lam",
    "qcfs per channel": "Mul four|Div lams|Add half|Floor|Div four|Clip zero one|Mul lams",
    "quantised relu": "Relu|Floor|Clip zero seven",
    "clipped before": "Clip zero seven|Floor",
    "clipped far away": "Mul gain|Clip zero four|Div gain|Floor|Mul gain|Mul two",
    "scatter-gather": "Relu|Clip zero two|Mul four|Add small|Round|Div four",
    "half to even": "Clip zero four|Round",
    "ceil": "Clip zero four|Ceil",
    "signed": "Div lam|Clip minus two|Round|Mul lam",
    "max and min": "Max zero|Min four|Round",
    "max and min, swapped": "Min four x|Max zero x|Round",
    "rounded twice": "Mul two|Round|Div four|Floor|Clip zero seven",
    "falling": "Neg|Clip minus two|Round",
    "falling behind": "Clip minus two|Round|Neg",
    "constant minus": "Sub two x|Clip zero four|Floor",
    "gains of both signs": "Mul signs|Clip zero four|Round",
    "shifted levels": "Clip zero four|Round|Add half",
    "shifts of their own": "Clip zero four|Round|Add shifts",
    "batch norm spelt out": "Mul signs|Add shifts|Div lam|Clip zero one|Mul four|Round|Div four",
}


@pytest.mark.parametrize("name", EXACT)
def test_chain(name: str) -> None:
    graph = agrees(network(chain(*EXACT[name].split("|"))))
    ones = name == "shifts of their own"  # a channel of them, for the shift that padding lacks
    assert sum(isinstance(n.op, Staircase) for n in graph.nodes) == 1 + ones


def test_levels_and_thresholds_are_exact() -> None:
    proto = network(chain(*EXACT["half to even"].split("|")))
    (op,) = (n.op for n in fold(import_model(proto, name="t")).nodes if isinstance(n.op, Staircase))
    after = np.nextafter([0.5, 2.5], 9)
    assert op.thresholds.tolist() == [[after[0], 1.5, after[1], 3.5]]
    assert (op.step.tolist(), op.lowest) == ([1.0], 0)
    proto = network(chain(*EXACT["signed"].split("|")))
    (op,) = (n.op for n in fold(import_model(proto, name="t")).nodes if isinstance(n.op, Staircase))
    assert (op.step.tolist(), op.lowest) == ([float(np.float32(1.7))], -2)


def test_ties_on_an_integer_grid() -> None:
    # Sums that meet thresholds exactly, where >= and > differ.
    names = ("half to even", "ceil", "signed", "falling", "gains of both signs", "quantised relu")
    for name in names:
        proto = network(chain(*EXACT[name].split("|")))
        weight = rng.integers(-2, 3, (3, 2, 3, 3)).astype(np.float32)
        proto.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, "w"))
        x = rng.integers(-4, 5, (30, 2, 6, 6)) / 4
        assert mismatches(proto, x)[0] == 0


def test_straight_through_estimators() -> None:
    rounded = [
        node("Clip", ["c", "zero", "four"], ["a"]),
        node("Round", ["a"], ["r"]),
        node("Sub", ["r", "a"], ["d"]),
        node("Add", ["a", "d"], ["s"]),
        node("Mul", ["s", "lam"], ["q"]),
    ]
    graph = agrees(network(rounded))
    assert [type(n.op) for n in graph.nodes] == [Conv, Staircase, Conv]


def test_a_batch_norm_folds_into_the_layer_or_into_thresholds() -> None:
    gain = np.array([1.5, -0.3, 0.7], np.float32)
    norm = {"g": gain, "b": weights(3), "m": weights(3), "s": weights(3) ** 2 + 0.1}
    quantiser = [node("Clip", ["n", "zero", "four"], ["a"]), node("Round", ["a"], ["q"])]
    behind = [node("BatchNormalization", ["c", *norm], ["n"], "bn"), *quantiser]
    proto = network(behind)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in norm.items())
    assert [type(n.op) for n in agrees(proto).nodes] == [Conv, Staircase, Conv]

    added = [
        node("Relu", ["c"], ["r"]),
        node("Add", ["c", "r"], ["e"]),
        node("BatchNormalization", ["e", *norm], ["n"], "bn"),
        *quantiser,
    ]
    proto = network(added)
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(v, k) for k, v in norm.items())
    graph = agrees(proto)
    (sign,) = (n.op for n in graph.nodes if isinstance(n.op, Affine))
    assert sign.scale.ravel().tolist() == [1, -1, 1]
    assert not sign.shift.any()
    (op,) = (n.op for n in graph.nodes if isinstance(n.op, Staircase))
    assert op.thresholds.shape == (3, 4)


def test_a_shift_goes_into_the_next_layer_unless_that_pads() -> None:
    shifted = chain(*EXACT["shifted levels"].split("|"))
    assert [type(n.op) for n in agrees(network(shifted, pads=0)).nodes] == [Conv, Staircase, Conv]
    graph = agrees(network(shifted))
    assert [type(n.op) for n in graph.nodes] == [Conv, Staircase, Conv]
    (op,) = (n.op for n in graph.nodes if isinstance(n.op, Staircase))
    assert (op.step.tolist(), op.lowest, op.thresholds.shape) == ([0.5], 1, (1, 8))


def test_pools_around_a_quantiser() -> None:
    for pool in ("MaxPool", "AveragePool"):
        nodes = [
            node(pool, ["c"], ["p"], "p1", kernel_shape=[2, 2]),
            node("Clip", ["p", "zero", "four"], ["t"]),
            node("Round", ["t"], ["r"], "quantiser"),
            node(pool, ["r"], ["q"], "p2", kernel_shape=[2, 2]),
        ]
        x = rng.normal(size=(16, 2, 6, 6)) * 2
        assert mismatches(network(nodes), x)[0] == 0


def test_a_quantiser_behind_a_pool_of_levels_needs_no_bound() -> None:
    nodes = [
        *chain(*EXACT["quantised relu"].split("|"))[:-1],
        node("Clip", ["t1", "zero", "seven"], ["l"]),
        node("AveragePool", ["l"], ["p"], "pool", kernel_shape=[2, 2]),
        node("Floor", ["p"], ["q"], "cut"),
    ]
    graph = agrees(network(nodes))
    assert graph["cut"].op.thresholds.tolist() == [[1, 2, 3, 4, 5, 6, 7]]


def test_one_activation_quantised_twice() -> None:
    nodes = [
        *chain(*EXACT["clipped before"].split("|"))[:-1],
        node("Floor", ["t0"], ["l"], "first"),
        node("Clip", ["l", "zero", "two"], ["s"]),
        node("Div", ["l", "four"], ["a"]),
        node("Floor", ["a"], ["b"], "second"),
        node("Add", ["s", "b"], ["q"]),
    ]
    agrees(network(nodes))


@pytest.mark.parametrize(
    ("links", "where", "rule", "found"),
    [
        ("Relu|Floor", "n1", "at most 256 levels", "unbounded"),
        ("Clip zero seven|Round|Mul gain|Clip zero two", "n1", "equally", "0.37, 0.15"),
        ("Mul two|Mul two|Mul two|Mul two|Clip zero seven|Div small|Round", "n6", "256", "700"),
        ("Clip minus two", "n0", "Clip must have min 0", "min -2, max 2"),
        ("Clip minus two|Mul two", "n0", "must be part of a quantised", ""),
        ("Clip zero four|Mul zero|Round", "n2", "two levels", "always 0"),
    ],
)
def test_refused(links: str, where: str, rule: str, found: str) -> None:
    (problem,) = refused(network(chain(*links.split("|"))))
    assert problem.where.startswith(f"node '{where}'")
    assert rule in problem.rule
    assert found in problem.found


def test_unbounded_levels_have_a_way_out() -> None:
    (problem,) = refused(network(chain("Relu", "Floor")))
    assert "Clip(0, n)" in problem.hint


def test_constants_per_element_are_refused() -> None:
    proto = network(chain("Mul each", "Clip zero four", "Round"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights(3, 6, 6), "each"))
    (problem,) = refused(proto)
    assert "same all over a channel" in problem.rule


def test_all_quantisers_are_named_at_once() -> None:
    nodes = [node("Floor", ["c"], ["a"], "one"), node("Sigmoid", ["a"], ["b"], "sig"),
             node("Ceil", ["b"], ["q"], "two")]  # fmt: skip
    assert {p.where for p in refused(network(nodes))} == {
        "node 'sig' (Sigmoid)",
        "node 'one' (Floor)",
        "node 'two' (Ceil)",
    }


@pytest.mark.parametrize(("name", "top1"), [("q4", 0.9890), ("q8", 0.9894)])
def test_trained_networks(models_dir: Path, data_dir: Path, name: str, top1: float) -> None:
    path = models_dir / "mnist" / f"lenet_ref_{name}.onnx"
    x = rng.uniform(0, 1, (4, 1, 28, 28))
    assert mismatches(onnx.load(path), x)[0] == 0
    graph = fold(load(path))
    assert [n.op.thresholds.shape for n in graph.nodes if isinstance(n.op, Staircase)] == [
        (1, int(name[1]))
    ] * 3
    assert isinstance(graph.nodes[-1].op, Linear)
    samples = load_samples("mnist:test", graph.input.shape)
    parts = np.split(samples.images / np.float32(255), 40)
    outputs = [forward(graph, part)[graph.output].reshape(len(part), -1) for part in parts]
    guess = np.concatenate(outputs).argmax(axis=1)
    assert np.mean(guess == samples.labels) == pytest.approx(top1, abs=1e-9)
