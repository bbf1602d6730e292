"""Every rule of fold: what it makes of a graph, and that the graph computes the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snngen.errors import ModelError
from snngen.fold import RULES, fold
from snngen.graph import (
    Add,
    Affine,
    Concat,
    Graph,
    GraphInput,
    GraphOp,
    Node,
    Relu,
    Staircase,
    check_graph,
    forward,
    shapes,
)
from snngen.ops import Conv, Linear, MaxPool, Select, Shape, SumPool, Window
from tests.onnx_import.build import rng

IMAGE = (2, 6, 6)


def affine(channels: int, *, positive: bool = True, shift: bool = True) -> Affine:
    scale = rng.uniform(0.5, 2, (channels, 1, 1)) * (1 if positive else -1)
    return Affine(scale, rng.normal(size=(channels, 1, 1)) * shift)


def stairs(channels: int, lowest: int = 0) -> Staircase:
    """Of `channels` different channels; 1 for any number of them."""
    thresholds = np.sort(rng.normal(size=(channels, 3)))
    return Staircase(thresholds, rng.uniform(0.5, 2, channels), lowest)


def conv(inputs: int, outputs: int, pads: tuple[int, int, int, int] = (0, 0, 0, 0)) -> Conv:
    return Conv(rng.normal(size=(outputs, inputs, 3, 3)), Window((3, 3), pads=pads))


def linear(outputs: int, *shape: int) -> Linear:
    return Linear(rng.normal(size=(outputs, *shape)))


def average(pads: tuple[int, int, int, int] = (0, 0, 0, 0)) -> SumPool:
    return SumPool(Window((2, 2), (2, 2), pads), 4)


def zero_pad(shape: Shape, rows: tuple[int, int], columns: tuple[int, int]) -> Select:
    vertical = np.pad(np.arange(shape[1], dtype=np.int32), rows, constant_values=-1)
    horizontal = np.pad(np.arange(shape[2], dtype=np.int32), columns, constant_values=-1)
    return Select(np.arange(shape[0], dtype=np.int32), vertical, horizontal)


def chain(shape: Shape, *ops: GraphOp) -> Graph:
    """The operators one behind the other, named a, b, c, .."""
    names = ["input", *"abcdefghijklmnopqrstuvwxyz"[: len(ops)]]
    nodes = [Node(n, op, (before,)) for before, n, op in zip(names, names[1:], ops, strict=False)]
    return graph(shape, *nodes)


def graph(shape: Shape, *nodes: Node) -> Graph:
    c = shape[0]
    source = GraphInput("input", shape, "CHW", shape, np.ones(c), np.zeros(c))
    return Graph("test", source, nodes, nodes[-1].name)


def same(before: Graph) -> Graph:
    """`before` folded, which computes the same."""
    check_graph(before)
    after = fold(before)
    x = rng.normal(size=(2, *before.input.shape))
    np.testing.assert_allclose(
        forward(after, x)[after.output], forward(before, x)[before.output], rtol=1e-9, atol=1e-9
    )
    return after


def folded(before: Graph, *kinds: type) -> Graph:
    """`before` folded, which computes the same with these operators."""
    after = same(before)
    assert [type(n.op) for n in after.nodes] == list(kinds)
    return after


def test_affine_behind_conv_and_linear() -> None:
    folded(chain(IMAGE, conv(2, 3), affine(3), Relu(), affine(3)), Conv, Relu, Affine)
    after = folded(chain(IMAGE, linear(5, *IMAGE), affine(5, positive=False)), Linear)
    assert after["a"].bias is not None


def test_affine_before_conv() -> None:
    folded(chain(IMAGE, Relu(), affine(2), conv(2, 3)), Relu, Conv)
    padded = conv(2, 3, (1, 0, 1, 1))
    folded(chain(IMAGE, Relu(), affine(2, shift=False), padded), Relu, Conv)


WITH_ONES = (Relu, Select, Affine, Relu, Conv, Conv, Add)


def test_a_shift_that_padding_lacks_goes_to_a_channel_of_ones() -> None:
    padded = conv(2, 3, (1, 0, 1, 1))
    after = folded(chain(IMAGE, Relu(), affine(2), padded), *WITH_ONES)
    assert after.output == "c"
    ones = forward(after, rng.normal(size=(2, *IMAGE)), keep=["b_ones"])["b_ones"]
    np.testing.assert_array_equal(ones, np.ones((2, 1, 6, 6)))
    grouped = Conv(rng.normal(size=(6, 1, 3, 3)), Window((3, 3), pads=(1, 1, 1, 1)), 2)
    folded(chain(IMAGE, Relu(), affine(2), grouped), *WITH_ONES)
    best = MaxPool(Window((2, 2), (2, 2)))
    folded(chain(IMAGE, Relu(), affine(2), best, padded), Relu, MaxPool, *WITH_ONES[1:])
    folded(chain(IMAGE, stairs(2), affine(2), padded), *(
        Staircase if kind is Relu else kind for kind in WITH_ONES
    ))  # fmt: skip
    two = graph(
        IMAGE,
        Node("a", Relu(), ("input",)),
        Node("b", affine(2), ("a",)),
        Node("c", padded, ("b",)),
        Node("d", padded, ("b",)),
        Node("e", Add(), ("c", "d")),
    )
    both = same(two)
    assert sum(isinstance(node.op, Relu) for node in both.nodes) == 2  # one channel serves both


def test_batch_norm_and_relu_pass_joins_to_the_convs() -> None:
    before = graph(
        IMAGE,
        Node("a", Relu(), ("input",)),
        Node("b", conv(2, 2, (1, 1, 1, 1)), ("a",)),
        Node("c", Add(), ("b", "a")),
        Node("d", affine(2), ("c",)),
        Node("e", Relu(), ("d",)),
    )
    folded(before, Relu, Conv, Affine, Add, Relu)  # the shortcut keeps the scale
    before = graph(
        IMAGE,
        Node("a", conv(2, 2, (1, 1, 1, 1)), ("input",)),
        Node("b", conv(2, 3, (1, 1, 1, 1)), ("input",)),
        Node("c", Concat(), ("a", "b")),
        Node("d", affine(5), ("c",)),
        Node("e", Relu(), ("d",)),
    )
    folded(before, Conv, Conv, Relu, Relu, Concat)
    shared = replace(before, nodes=(*before.nodes, Node("f", Concat(), ("a", "e"))), output="f")
    folded(shared, Conv, Conv, Affine, Relu, Relu, Concat, Concat)
    for channels in (1, 5):
        quantised = Node("e", stairs(channels), ("d",))
        before = replace(before, nodes=(*before.nodes[:-1], quantised))
        folded(before, Conv, Conv, Staircase, Staircase, Concat)


def test_a_pointwise_conv_follows_the_average_that_has_fewer_positions() -> None:
    pointwise = Conv(rng.normal(size=(3, 2, 1, 1)), Window((1, 1)))
    before = chain(IMAGE, Relu(), pointwise, average())
    folded(before, Relu, SumPool, Conv)
    biased = replace(before.nodes[1], bias=rng.normal(size=3))
    folded(replace(before, nodes=(before.nodes[0], biased, before.nodes[2])), Relu, SumPool, Conv)
    padded = replace(before.nodes[2], op=average((1, 1, 1, 1)))
    folded(replace(before, nodes=(before.nodes[0], biased, padded)), Relu, Conv, SumPool)
    every = SumPool(Window((3, 3), pads=(1, 1, 1, 1)), 9)
    folded(chain(IMAGE, Relu(), pointwise, every), Relu, Conv, SumPool)


def test_affine_before_grouped_conv() -> None:
    grouped = Conv(rng.normal(size=(6, 1, 3, 3)), Window((3, 3)), 2)
    folded(chain(IMAGE, Relu(), affine(2), grouped), Relu, Conv)


def test_affine_per_element_before_linear() -> None:
    per_element = Affine(rng.normal(size=IMAGE), rng.normal(size=IMAGE))
    folded(chain(IMAGE, Relu(), per_element, linear(3, *IMAGE)), Relu, Linear)


def test_affine_per_element_elsewhere_is_refused() -> None:
    per_element = Affine(np.ones((2, 1, 1)), rng.normal(size=IMAGE))
    with pytest.raises(ModelError) as caught:
        fold(chain(IMAGE, Relu(), per_element, conv(2, 3)))
    (problem,) = caught.value.problems
    assert problem.where == "node 'b' (Affine)"
    assert "(2, 6, 6)" in problem.found


def test_affine_that_only_looks_per_element() -> None:
    shift = np.broadcast_to(np.array([1.0, 2])[:, None, None], IMAGE)
    before = chain(IMAGE, Relu(), Affine(np.full(IMAGE, 2.0), shift), Relu())
    op = folded(before, Relu, Affine, Relu)["b"].op
    assert isinstance(op, Affine)
    assert op.scale.shape == op.shift.shape == (2, 1, 1)


def test_normalisation_goes_to_the_input() -> None:
    after = folded(chain(IMAGE, affine(2), affine(2), conv(2, 3, (1, 1, 1, 1))), Conv)
    assert not np.all(after.input.scale == 1)
    assert not np.all(after.input.shift == 0)


def test_input_with_a_second_reader_keeps_its_values() -> None:
    before = graph(IMAGE, Node("a", affine(2), ("input",)), Node("b", Add(), ("a", "input")))
    assert np.all(folded(before, Affine, Add).input.scale == 1)


def test_affine_stays_where_others_read_the_conv() -> None:
    before = graph(
        IMAGE,
        Node("a", conv(2, 2), ("input",)),
        Node("b", affine(2), ("a",)),
        Node("c", Add(), ("a", "b")),
    )
    folded(before, Conv, Affine, Add)


def test_affine_passes_pools_to_a_weighted_layer() -> None:
    best = MaxPool(Window((2, 2)))
    below = chain(IMAGE, Relu(), affine(2), best, average(), linear(3, 2, 2, 2))
    folded(below, Relu, MaxPool, SumPool, Linear)
    folded(chain(IMAGE, conv(2, 3), best, affine(3), Relu()), Conv, Relu, MaxPool)
    folded(chain(IMAGE, conv(2, 3), average(), affine(3, positive=False)), Conv, SumPool)


def test_affine_does_not_pass_where_it_would_not_be_exact() -> None:
    negative = affine(2, positive=False)
    pool = MaxPool(Window((2, 2), (2, 2)))
    before = chain(IMAGE, Relu(), negative, pool, linear(3, 2, 3, 3))
    folded(before, Relu, Affine, MaxPool, Linear)
    border = average((1, 1, 1, 1))
    shifted = chain(IMAGE, Relu(), affine(2), border, linear(3, 2, 4, 4))
    folded(shifted, Relu, Affine, SumPool, Linear)
    scaled = chain(IMAGE, Relu(), affine(2, shift=False), border, linear(3, 2, 4, 4))
    folded(scaled, Relu, SumPool, Linear)


def test_average_over_the_taps_on_the_input_keeps_constants() -> None:
    window = Window((2, 2), (2, 2), (1, 1, 1, 1))
    pool = SumPool.average(window, window.taps_inside(6, 6))
    folded(chain(IMAGE, Relu(), affine(2), pool, linear(3, 2, 4, 4)), Relu, SumPool, Linear)


def test_relu_moves_before_max_pool() -> None:
    before = chain(IMAGE, conv(2, 3), MaxPool(Window((2, 2))), Relu(4.0))
    after = folded(before, Conv, Relu, MaxPool)
    assert after.output == "b"
    assert after["c"].op == Relu(4.0)


def test_relus_merge() -> None:
    assert folded(chain(IMAGE, Relu(), Relu(6.0)), Relu)["b"].op == Relu(6.0)
    assert folded(chain(IMAGE, Relu(1.0), Relu(6.0)), Relu)["a"].op == Relu(1.0)


def test_padding_becomes_the_windows_own() -> None:
    pad = zero_pad(IMAGE, (1, 2), (0, 3))
    op = folded(chain(IMAGE, pad, conv(2, 3, (1, 1, 0, 0))), Conv)["b"].op
    assert isinstance(op, Conv)
    assert op.window.pads == (2, 1, 2, 3)
    folded(chain(IMAGE, pad, average()), SumPool)


def test_zeros_before_a_max_pool_count_unless_all_else_is_positive() -> None:
    thin, pool = zero_pad(IMAGE, (1, 1), (1, 1)), MaxPool(Window((2, 2)))
    folded(chain(IMAGE, Relu(), thin, pool), Relu, MaxPool)
    folded(chain(IMAGE, thin, pool), Select, MaxPool)
    thick = zero_pad(IMAGE, (2, 2), (2, 2))
    folded(chain(IMAGE, Relu(), thick, pool), Relu, Select, MaxPool)


def test_other_selections_stay() -> None:
    both, six = np.arange(2, dtype=np.int32), np.arange(6, dtype=np.int32)
    folded(chain(IMAGE, Select(both, six[1:5], six), conv(2, 3)), Select, Conv)
    hole = np.array([0, 1, 2, -1, 3, 4, 5], np.int32)
    folded(chain(IMAGE, Select(both, hole, six), conv(2, 3)), Select, Conv)


def test_selections_compose_and_vanish() -> None:
    six = np.arange(6, dtype=np.int32)
    flip = Select(np.array([1, 0], np.int32), six, six[::-1])
    folded(chain(IMAGE, flip, flip, Relu()), Relu)
    twice = (zero_pad(IMAGE, (1, 1), (1, 1)), zero_pad((2, 8, 8), (1, 0), (0, 0)))
    folded(chain(IMAGE, *twice), Select)


def test_nodes_that_do_nothing_vanish() -> None:
    idle = (
        Affine(np.ones((2, 1, 1)), np.zeros((2, 1, 1))),
        Select.identity(IMAGE),
        MaxPool(Window((1, 1))),
        SumPool(Window((1, 1)), 1),
        Add(),
        Concat(),
    )
    folded(chain(IMAGE, Relu(), *idle), Relu)
    assert same(chain(IMAGE, *idle)).output == "input"


def test_dead_nodes_vanish() -> None:
    before = graph(IMAGE, Node("a", conv(2, 3), ("input",)), Node("b", Relu(), ("input",)))
    folded(before, Relu)


@st.composite
def random_graphs(draw: st.DrawFn) -> Graph:
    """Up to eight operators, each reading one or two earlier values."""
    start = (2, 8, 8)
    nodes: list[Node] = []
    known: dict[str, Shape] = {"input": start}
    for k in range(draw(st.integers(1, 8))):
        source = draw(st.sampled_from(list(known)[-3:]))
        c, h, w = known[source]
        choices: list[GraphOp] = [Add(), Concat(), Relu(draw(st.sampled_from([1.0, np.inf])))]
        choices += [affine(c, positive=draw(st.booleans()), shift=draw(st.booleans()))] * 3
        choices += [stairs(draw(st.sampled_from([1, c])), draw(st.integers(-2, 1)))] * 2
        if min(h, w) >= 3:
            side = draw(st.integers(0, 1))
            choices += [conv(c, 2, (side, 0, side, 1)), zero_pad((c, h, w), (side, 1), (0, side))]
            choices += [MaxPool(Window((2, 2), pads=(side, 0, 0, 0))), average((0, side, 0, side))]
        op = draw(st.sampled_from(choices))
        alike = [n for n, shape in known.items() if shape == (c, h, w)]
        second = (draw(st.sampled_from(alike)),) if isinstance(op, Add | Concat) else ()
        bias = rng.normal(size=2) if isinstance(op, Conv) else None
        nodes.append(Node(f"n{k}", op, (source, *second), bias))
        known = shapes(graph(start, *nodes))
    return graph(start, *nodes)


@settings(max_examples=150, deadline=None)
@given(random_graphs())
def test_random_graphs_compute_the_same_and_nothing_is_left_to_do(before: Graph) -> None:
    after = same(before)
    known = shapes(after)
    assert all(rule(after, known, node) is None for rule in RULES for node in after.nodes)
