"""Each importer against onnxruntime, in forms that ONNX's node tests do not cover."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from snngen.errors import ModelError
from snngen.graph import Add, Affine, Concat, Relu
from snngen.onnx_import import import_model
from snngen.onnx_import.table import HINTS, IMPORTERS
from snngen.ops import Conv, Linear, MaxPool, Select, SumPool
from tests.onnx_import.build import agrees, model, refused, weights

node = helper.make_node


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def kinds(proto: onnx.ModelProto) -> list[type]:
    return [type(n.op) for n in agrees(proto).nodes]


CONV = {
    "plain": ((6, 4, 3, 3), {}),
    "stride": ((6, 4, 3, 3), {"strides": [2, 3]}),
    "pads": ((6, 4, 3, 3), {"pads": [1, 0, 2, 3]}),
    "dilation": ((6, 4, 3, 2), {"dilations": [2, 3]}),
    "groups": ((6, 2, 3, 3), {"group": 2}),
    "depthwise": ((4, 1, 3, 3), {"group": 4, "pads": [1, 1, 1, 1]}),
    "multiplier": ((8, 1, 3, 3), {"group": 4}),
    "same upper": ((6, 4, 2, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "same lower": ((6, 4, 2, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
    "valid": ((6, 4, 3, 3), {"auto_pad": "VALID", "strides": [2, 2]}),
}


@pytest.mark.parametrize("case", CONV)
def test_conv(case: str) -> None:
    shape, attributes = CONV[case]
    constants = {"w": weights(*shape), "b": weights(shape[0])}
    for inputs in (["x", "w"], ["x", "w", "b"]):
        proto = model([node("Conv", inputs, ["y"], **attributes)], ["N", 4, 9, 11], constants)
        assert kinds(proto) == [Conv]


@pytest.mark.parametrize(
    "attributes",
    [{}, {"strides": [2], "pads": [1, 2]}, {"dilations": [3]}, {"auto_pad": "SAME_UPPER"}],
)
def test_conv_1d(attributes: dict[str, object]) -> None:
    proto = model(
        [
            node("Conv", ["x", "w"], ["h"], **attributes),
            node("Relu", ["h"], ["r"]),
            node("MaxPool", ["r"], ["m"], kernel_shape=[2], strides=[2]),
            node("AveragePool", ["m"], ["a"], kernel_shape=[2], pads=[1, 0]),
            node("GlobalAveragePool", ["a"], ["y"]),
        ],
        ["N", 3, 20],
        {"w": weights(5, 3, 4)},
    )
    assert kinds(proto) == [Conv, Relu, MaxPool, SumPool, SumPool]


@pytest.mark.parametrize("name", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 0, 1, 1]},
        {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1, 1, 0, 0]},
        {"kernel_shape": [2, 3], "dilations": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 3], "auto_pad": "SAME_LOWER", "strides": [2, 2]},
    ],
)
def test_pool(name: str, ceil_mode: int, include: int, attributes: dict[str, object]) -> None:
    extra = {"count_include_pad": include} if name == "AveragePool" else {}
    if "auto_pad" in attributes and ceil_mode:
        return  # auto_pad already fixes the output's size
    proto = model(
        [node(name, ["x"], ["y"], ceil_mode=ceil_mode, **extra, **attributes)],
        ["N", 2, 8, 9],
        opset=19,
    )
    agrees(proto)


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("operator", ["ReduceMean", "ReduceSum", "ReduceMax"])
@pytest.mark.parametrize("axes", [[2, 3], [-1], [2], [-2, -1]])
def test_reduce_over_space(operator: str, axes: list[int], keep: int) -> None:
    by_attribute = node(operator, ["x"], ["y"], axes=axes, keepdims=keep)
    by_input = node(operator, ["x", "a"], ["y"], keepdims=keep)
    agrees(model([by_attribute], ["N", 3, 4, 5], opset=12))
    agrees(model([by_input], ["N", 3, 4, 5], {"a": ints(*axes)}, opset=18))


def test_reduce_everything_and_channels_last() -> None:
    agrees(model([node("ReduceMean", ["x"], ["y"], axes=[1, 2, 3])], ["N", 3, 4, 5]))
    nhwc = [
        node("Conv", ["x", "w"], ["h"]),
        node("Transpose", ["h"], ["t"], perm=[0, 2, 3, 1]),
        node("ReduceMean", ["t"], ["y"], axes=[1, 2], keepdims=0),
    ]
    assert kinds(model(nhwc, ["N", 3, 4, 5], {"w": weights(2, 3, 2, 2)})) == [Conv, SumPool]


@pytest.mark.parametrize("bias", [None, (), (1,), (3,), (1, 3)])
@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(bias: tuple[int, ...] | None, transposed: int) -> None:
    constants = {"w": weights(3, 4) if transposed else weights(4, 3)}
    if bias is not None:
        constants["b"] = np.asarray(weights(*bias), np.float32)
    gemm = node(
        "Gemm",
        ["x", *constants],
        ["y"],
        transB=transposed,
        alpha=0.5,
        beta=2.0,
    )
    assert kinds(model([gemm], ["N", 4], constants)) == [Linear]


@pytest.mark.parametrize("shape", [["N", 4], ["N", 6, 4], ["N", 5, 6, 4], ["N", 1, 1, 4]])
def test_matmul(shape: list[int | str]) -> None:
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Add", ["b", "h"], ["y"])]
    proto = model(nodes, shape, {"w": weights(4, 3), "b": weights(3)})
    assert kinds(proto) == [Conv if shape[1] in (5, 6) else Linear]


def test_matmul_by_a_constant_on_the_left() -> None:
    proto = model([node("MatMul", ["w", "x"], ["y"])], ["N", 4, 6], {"w": weights(3, 4)})
    assert kinds(proto) == [Conv]


@pytest.mark.parametrize("perm", [[0, 1, 2, 3], [0, 2, 3, 1], [0, 3, 1, 2], [0, 2, 1, 3]])
def test_a_dense_layer_takes_any_order(perm: list[int]) -> None:
    proto = model(
        [
            node("Conv", ["x", "w"], ["h"]),
            node("Relu", ["h"], ["r"]),
            node("Transpose", ["r"], ["t"], perm=perm),
            node("Slice", ["t", "start", "end", "axes", "step"], ["s"]),
            node("Flatten", ["s"], ["f"]),
            node("MatMul", ["f", "v"], ["y"]),
        ],
        ["N", 2, 4, 6],
        {
            "w": weights(3, 2, 1, 1),
            "start": ints(-1),
            "end": ints(-(2**63)),
            "axes": ints(-1),
            "step": ints(-1),
            "v": weights(3 * 4 * 6, 5),
        },
    )
    assert kinds(proto) == [Conv, Relu, Linear]


def test_channels_last_model_becomes_canonical() -> None:
    proto = model(
        [
            node("Sub", ["x", "mean"], ["s"]),
            node("Div", ["s", "std"], ["n"]),
            node("Transpose", ["n"], ["t"], perm=[0, 3, 1, 2]),
            node("Conv", ["t", "w"], ["h"], pads=[1, 1, 1, 1]),
            node("Transpose", ["h"], ["y"], perm=[0, 2, 3, 1]),
        ],
        ["N", 5, 6, 3],
        {"mean": weights(3), "std": 1 + weights(3) ** 2, "w": weights(4, 3, 3, 3)},
    )
    graph = agrees(proto)
    assert (graph.input.shape, graph.input.layout, graph.output_layout) == ((3, 5, 6), "HWC", "HWC")
    assert graph.input.model_shape == (5, 6, 3)
    assert [type(n.op) for n in graph.nodes] == [Conv]
    assert not np.all(graph.input.shift == 0)


def test_channels_last_crop() -> None:
    proto = model(
        [
            node("Slice", ["x", "start", "end", "axes"], ["s"]),
            node("Transpose", ["s"], ["t"], perm=[0, 3, 1, 2]),
            node("Conv", ["t", "w"], ["y"]),
        ],
        ["N", 8, 9, 3],
        {"start": ints(1, 2), "end": ints(7, 9), "axes": ints(1, 2), "w": weights(4, 3, 3, 3)},
    )
    graph = agrees(proto)
    assert (graph.input.layout, [type(n.op) for n in graph.nodes]) == ("HWC", [Select, Conv])


def test_flat_input_reshaped_to_an_image() -> None:
    proto = model(
        [node("Reshape", ["x", "s"], ["i"]), node("Conv", ["i", "w"], ["y"])],
        ["N", 36],
        {"s": ints(-1, 1, 6, 6), "w": weights(2, 1, 3, 3)},
    )
    graph = agrees(proto)
    assert (graph.input.shape, graph.input.layout) == ((1, 6, 6), "CHW")


def test_input_in_no_known_order_is_refused() -> None:
    proto = model(
        [node("Transpose", ["x"], ["t"], perm=[0, 2, 1, 3]), node("Conv", ["t", "w"], ["y"])],
        ["N", 5, 3, 6],
        {"w": weights(2, 3, 2, 2)},
    )
    assert "rearranged" in refused(proto)[0].rule


def test_channel_shuffle_split_and_concat() -> None:
    proto = model(
        [
            node("Relu", ["x"], ["r"]),
            node("Reshape", ["r", "five"], ["a"]),
            node("Transpose", ["a"], ["b"], perm=[0, 2, 1, 3, 4]),
            node("Reshape", ["b", "four"], ["c"]),
            node("Split", ["c"], ["d", "e"], axis=1),
            node("Conv", ["e", "w"], ["f"], pads=[1, 1, 1, 1]),
            node("Concat", ["d", "f"], ["y"], axis=1),
        ],
        ["N", 6, 4, 4],
        {"five": ints(0, 2, 3, 4, 4), "four": ints(0, 6, 4, 4), "w": weights(3, 3, 3, 3)},
    )
    names = sorted(k.__name__ for k in kinds(proto))
    assert names == ["Concat", "Conv", "Relu", "Select", "Select"]


def test_concat_of_flattened_branches() -> None:
    proto = model(
        [
            node("Conv", ["x", "v"], ["a"]),
            node("Conv", ["x", "w"], ["b"]),
            node("Flatten", ["a"], ["c"]),
            node("Flatten", ["b"], ["d"]),
            node("Concat", ["c", "d"], ["e"], axis=1),
            node("MatMul", ["e", "m"], ["y"]),
        ],
        ["N", 2, 4, 4],
        {"v": weights(3, 2, 1, 1), "w": weights(2, 2, 1, 1), "m": weights(80, 4)},
    )
    assert kinds(proto) == [Conv, Conv, Concat, Linear]


@pytest.mark.parametrize("pad", ["Pad", "Concat"])
def test_option_a_shortcut(pad: str) -> None:
    if pad == "Pad":
        padded = [node("Pad", ["s", "p"], ["q"])]
    else:
        padded = [node("Concat", ["z", "s", "z"], ["q"], axis=1)]
    proto = model(
        [
            node("Relu", ["x"], ["r"]),
            node("Conv", ["r", "w"], ["h"], strides=[2, 2], pads=[1, 1, 1, 1]),
            node("Slice", ["r", "start", "end", "axes", "step"], ["s"]),
            *padded,
            node("Add", ["q", "h"], ["y"]),
        ],
        [1, 2, 6, 6],
        {
            "w": weights(4, 2, 3, 3),
            "start": ints(0, 0),
            "end": ints(2**63 - 1, 2**63 - 1),
            "axes": ints(2, 3),
            "step": ints(2, 2),
            "p": ints(0, 1, 0, 0, 0, 1, 0, 0),
            "z": np.zeros((1, 1, 3, 3), np.float32),
        },
    )
    assert kinds(proto) == [Relu, Conv, Select, Add]


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge"])
def test_pad(mode: str) -> None:
    by_input = [node("Pad", ["x", "p"], ["h"], mode=mode), node("Conv", ["h", "w"], ["y"])]
    by_attribute = [
        node("Pad", ["x"], ["h"], mode=mode, pads=[0, 0, 1, 2, 0, 0, 2, 0]),
        node("Conv", ["h", "w"], ["y"]),
    ]
    constants = {"p": ints(0, 0, 1, 2, 0, 0, 2, 0), "w": weights(2, 3, 2, 2)}
    wanted = [Conv] if mode == "constant" else [Select, Conv]
    assert kinds(model(by_input, ["N", 3, 5, 6], constants)) == wanted
    assert kinds(model(by_attribute, ["N", 3, 5, 6], constants, opset=9)) == wanted


def test_negative_pads_crop() -> None:
    proto = model(
        [node("Pad", ["x", "p"], ["h"]), node("Relu", ["h"], ["y"])],
        ["N", 3, 5, 6],
        {"p": ints(0, 0, -1, 1, 0, 0, 0, -2)},
    )
    agrees(proto)


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([node("Add", ["x", "c"], ["y"])], {"c": weights(3, 1, 1)}),
        ([node("Add", ["c", "x"], ["y"])], {"c": weights(1)}),
        ([node("Sub", ["c", "x"], ["y"])], {"c": weights(3, 1, 1)}),
        ([node("Mul", ["c", "x"], ["y"])], {"c": np.array(3, np.float32)}),
        ([node("Div", ["x", "c"], ["y"])], {"c": 1 + weights(1, 3, 1, 1) ** 2}),
        ([node("Neg", ["x"], ["y"])], {}),
        ([node("Sum", ["x", "c", "x"], ["y"])], {"c": weights(3, 1, 1)}),
        ([node("Relu", ["x"], ["r"]), node("Sub", ["r", "x"], ["y"])], {}),
        ([node("Identity", ["x"], ["i"]), node("Dropout", ["i"], ["y"])], {}),
    ],
)
def test_arithmetic(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> None:
    agrees(model(nodes, ["N", 3, 4, 5], constants))


def test_constants_per_element_only_before_a_dense_layer() -> None:
    shifted = node("Add", ["x", "c"], ["s"])
    constants = {"c": weights(3, 4, 4), "w": weights(48, 2), "v": weights(2, 3, 1, 1)}
    flat = [shifted, node("Flatten", ["s"], ["f"]), node("MatMul", ["f", "w"], ["y"])]
    assert kinds(model(flat, ["N", 3, 4, 4], constants)) == [Linear]
    with pytest.raises(ModelError, match="same all over a channel"):
        agrees(model([shifted, node("Conv", ["s", "v"], ["y"])], ["N", 3, 4, 4], constants))


@pytest.mark.parametrize("rank", [2, 3, 4])
def test_batch_norm(rank: int) -> None:
    constants = {"g": weights(3), "b": weights(3), "m": weights(3), "v": weights(3) ** 2}
    proto = model(
        [node("BatchNormalization", ["x", *constants], ["y"], epsilon=1e-2)],
        ["N", 3, 4, 5][:rank],
        constants,
    )
    graph = agrees(proto)
    assert graph.nodes == ()
    assert not np.all(graph.input.scale == 1)


@pytest.mark.parametrize("opset", [7, 11, 13])
def test_clip(opset: int) -> None:
    if opset < 11:
        proto = model([node("Clip", ["x"], ["y"], min=0.0, max=1.5)], ["N", 4], opset=opset)
    else:
        bounds = {"lo": np.array(0, np.float32), "hi": np.array(1.5, np.float32)}
        proto = model([node("Clip", ["x", "lo", "hi"], ["y"])], ["N", 4], bounds, opset=opset)
    (only,) = agrees(proto).nodes
    assert only.op == Relu(1.5)


def test_clip_bounds() -> None:
    zero, largest = np.array(0, np.float32), np.array(np.finfo(np.float32).max)
    proto = model([node("Clip", ["x", "lo"], ["y"])], ["N", 4], {"lo": zero})
    assert agrees(proto).nodes[0].op == Relu()
    proto = model([node("Clip", ["x", "lo", "hi"], ["y"])], ["N", 4], {"lo": zero, "hi": largest})
    assert agrees(proto).nodes[0].op == Relu()
    (problem,) = refused(model([node("Clip", ["x"], ["y"], min=-1.0, max=1.0)], ["N", 4], opset=9))
    assert problem.found == "min -1, max 1"
    assert "ReLU" in problem.hint


def test_sigmoid_is_dropped_only_at_the_end() -> None:
    last = [node("Relu", ["x"], ["r"]), node("Sigmoid", ["r"], ["y"], "act")]
    graph = agrees(model(last, ["N", 4]), tensor="r")
    assert "node 'act' (Sigmoid) is dropped" in graph.notes[0]
    swish = [node("Sigmoid", ["x"], ["s"], "act"), node("Mul", ["x", "s"], ["y"])]
    first, _ = refused(model(swish, ["N", 4]))
    assert first.where == "node 'act' (Sigmoid)"
    assert "ReLU" in first.hint


def test_max_and_min_are_clips() -> None:
    constants = {"lo": np.zeros(1, np.float32), "hi": np.full((1, 1), 6, np.float32)}
    one = [node("Max", ["x", "lo"], ["y"])]
    both = [node("Max", ["lo", "x"], ["m"]), node("Min", ["m", "hi"], ["y"])]
    swapped = [node("Min", ["x", "hi"], ["m"]), node("Max", ["m", "lo"], ["y"])]
    for nodes, relu in ((one, Relu()), (both, Relu(6.0)), (swapped, Relu(6.0))):
        (only,) = agrees(model(nodes, ["N", 4], constants)).nodes
        assert only.op == relu
    (problem,) = refused(model([node("Max", ["x", "b"], ["y"])], ["N", 4], {"b": weights(4)}))
    assert "with scalars" in problem.rule
    assert "Relu" in problem.hint


@pytest.mark.parametrize("kind", [onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE])
def test_other_float_types(kind: int) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    constants = {"w": weights(5, 3).astype(dtype), "b": weights(3).astype(dtype)}
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Add", ["h", "b"], ["y"])]
    agrees(model(nodes, ["N", 5], constants, elem_type=kind))


def test_shape_chain_is_folded() -> None:
    proto = model(
        [
            node("Relu", ["x"], ["r"]),
            node("Shape", ["r"], ["s"]),
            node("Gather", ["s", "zero"], ["n"]),
            node("Unsqueeze", ["n", "axis"], ["u"]),
            node("Constant", [], ["m"], value_ints=[-1]),
            node("Concat", ["u", "m"], ["t"], axis=0),
            node("Reshape", ["r", "t"], ["f"]),
            node("MatMul", ["f", "w"], ["y"]),
        ],
        ["N", 3, 2, 2],
        {"zero": np.array(0), "axis": ints(0), "w": weights(12, 5)},
    )
    assert kinds(proto) == [Relu, Linear]


def test_squeeze_and_unsqueeze_in_both_forms() -> None:
    for opset, squeeze, unsqueeze in (
        (11, node("Squeeze", ["x"], ["s"], axes=[2]), node("Unsqueeze", ["s"], ["u"], axes=[-1])),
        (13, node("Squeeze", ["x", "a"], ["s"]), node("Unsqueeze", ["s", "b"], ["u"])),
    ):
        proto = model(
            [squeeze, unsqueeze, node("Relu", ["u"], ["y"])],
            ["N", 3, 1, 5],
            {"a": ints(2), "b": ints(-1)},
            opset=opset,
        )
        agrees(proto)


def test_a_model_that_mixes_samples_is_imported_for_one() -> None:
    proto = model(
        [node("Reshape", ["x", "s"], ["f"]), node("MatMul", ["f", "w"], ["y"])],
        ["N", 3, 4],
        {"s": ints(1, 12), "w": weights(12, 2)},
    )
    graph = agrees(proto, samples=1)
    assert "one sample at a time" in graph.notes[-1]


def test_mixed_samples_of_a_fixed_batch_are_refused() -> None:
    proto = model(
        [node("Transpose", ["x"], ["t"], perm=[1, 0]), node("MatMul", ["t", "w"], ["y"])],
        [4, 4],
        {"w": weights(4, 2)},
    )
    assert "mixed" in refused(proto)[0].rule


def test_fixed_batch_is_noted() -> None:
    graph = agrees(model([node("Relu", ["x"], ["y"])], [8, 4]))
    assert graph.notes == ("the model has a fixed batch of 8; one sample is imported",)


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_softmax_is_dropped_only_at_the_end(name: str) -> None:
    last = [
        node("Relu", ["x"], ["r"]),
        node(name, ["r"], ["s"], "sm"),
        node("Flatten", ["s"], ["y"]),
    ]
    graph = agrees(model(last, ["N", 4]), tensor="r")
    assert "is dropped" in graph.notes[0]
    quantised = [
        *last[:2],
        node("QuantizeLinear", ["s", "scale"], ["q"]),
        node("DequantizeLinear", ["q", "scale"], ["y"]),
    ]
    for scale, dropped in ((np.array(0.1), True), (np.full(4, 0.1), False)):
        proto = model(quantised, ["N", 4], {"scale": scale.astype(np.float32)})
        if dropped:
            assert [type(n.op) for n in agrees(proto, tensor="r").nodes] == [Relu]
        else:
            assert "only supported as the last" in refused(proto)[0].rule
    middle = [node(name, ["x"], ["s"], "sm"), node("Relu", ["s"], ["y"])]
    (problem,) = refused(model(middle, ["N", 4]))
    assert problem.where == f"node 'sm' ({name})"
    per_row = [node("Relu", ["x"], ["r"]), node(name, ["r"], ["y"], axis=-1)]
    assert "cover all" in refused(model(per_row, ["N", 3, 4]))[0].rule


def test_local_functions_are_inlined() -> None:
    proto = model([node("Twice", ["x"], ["y"], domain="local")], ["N", 4])
    body = [node("Relu", ["a"], ["b"]), node("Neg", ["b"], ["c"])]
    imports = [helper.make_opsetid("", 13)]
    proto.functions.append(helper.make_function("local", "Twice", ["a"], ["c"], body, imports))
    proto.opset_import.append(helper.make_opsetid("local", 1))
    assert [type(n.op) for n in agrees(proto).nodes] == [Relu, Affine]


def test_dead_nodes_do_not_matter() -> None:
    proto = model([node("Sigmoid", ["x"], ["dead"]), node("Relu", ["x"], ["y"])], ["N", 4])
    assert [type(n.op) for n in import_model(proto, name="t").nodes] == [Relu]


def test_every_hint_is_for_something_unsupported() -> None:
    assert not HINTS.keys() & IMPORTERS.keys()


@pytest.mark.parametrize("name", ["LeakyRelu", "PRelu", "HardSwish", "Tanh", "Gelu"])
def test_activations_without_a_spiking_form(name: str) -> None:
    (problem,) = refused(model([node(name, ["x"], ["y"], "act")], ["N", 4], opset=20))
    assert problem.where == f"node 'act' ({name})"
    assert "ReLU" in problem.hint
