"""Damaged and hostile models: each one clear problem, never a traceback, never much memory."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from snngen.errors import FileError, ModelError, SnngenError
from snngen.onnx_import import import_model, load
from tests.onnx_import.build import model, refused, weights

node = helper.make_node


def dense(**constants: np.ndarray) -> onnx.ModelProto:
    return model(
        [node("Gemm", ["x", "w", "b"], ["h"], "fc", transB=1), node("Relu", ["h"], ["y"])],
        ["N", 4],
        {"w": weights(3, 4), "b": weights(3), **constants},
    )


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        load(tmp_path / "none.onnx")
    with pytest.raises(FileError, match="not a file"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"version https://git-lfs.github.com/spec/v1", b"\xff" * 99]
)
def test_no_onnx_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        load(path)


def test_truncated_anywhere(tmp_path: Path) -> None:
    content = dense().SerializeToString()
    path = tmp_path / "model.onnx"
    for length in range(0, len(content), 5):
        path.write_bytes(content[:length])
        with pytest.raises(ModelError):
            load(path)


def test_flipped_bits_raise_nothing_else() -> None:
    content = bytearray(dense().SerializeToString())
    chooser = random.Random(3)
    for _ in range(300):
        damaged = content.copy()
        for _ in range(chooser.randint(1, 3)):
            damaged[chooser.randrange(len(damaged))] ^= 1 << chooser.randrange(8)
        proto = onnx.ModelProto()
        try:
            proto.ParseFromString(bytes(damaged))
        except Exception:
            continue
        try:
            import_model(proto, name="damaged")
        except SnngenError:
            continue


@pytest.mark.parametrize(
    ("constants", "rule", "found"),
    [
        (
            {"w": np.full((3, 4), np.nan, np.float32)},
            "B must be finite",
            "12",
        ),
        ({"b": np.array([1, np.inf, 2], np.float32)}, "C must be finite", r"at \[1\]"),
        ({"w": np.ones((3, 4), np.int8)}, "B must be float16", "int8"),
        ({"w": np.ones((3, 5), np.float32)}, "weight does not fit", "5"),
        ({"b": np.ones(4, np.float32)}, "cannot be broadcast", r"\[4\] for 3"),
    ],
)
def test_bad_weights(constants: dict[str, np.ndarray], rule: str, found: str) -> None:
    (problem,) = refused(dense(**constants))
    assert problem.where == "node 'fc' (Gemm)"
    assert re.search(rule, problem.rule)
    assert re.search(found, problem.found)


def test_all_problems_at_once() -> None:
    proto = model(
        [
            node("Sigmoid", ["x"], ["a"], "s1"),
            node("Conv", ["a", "w"], ["b"], "c1"),
            node("Tanh", ["b"], ["c"], "t1"),
            node("Conv", ["c", "nan"], ["d"], "c2"),
            node("Magic", ["d"], ["e"], "m1", domain="com.example"),
            node("Elu", ["e"], ["y"], "e1"),
        ],
        ["N", 2, 6, 6],
        {"w": weights(2, 2, 3, 3), "nan": np.full((2, 2, 3, 3), np.nan, np.float32)},
    )
    assert [p.where for p in refused(proto)] == [
        "node 's1' (Sigmoid)",
        "node 't1' (Tanh)",
        "node 'c2' (Conv)",
        "node 'm1' (Magic)",
        "node 'e1' (Elu)",
    ]


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        (["N", 0], "at least 1"),
        (["N", -3], "at least 1"),
        (["N", "M"], "only the batch"),
        (["N", 2**20, 2**20], "at most"),
        ([2**40, 4], "at most"),
        ([], "batch axis"),
    ],
)
def test_bad_input_shapes(shape: list[int | str], match: str) -> None:
    (problem,) = refused(model([node("Relu", ["x"], ["y"])], shape))
    assert match in problem.rule
    assert problem.where == "input 'x'"


def test_input_shape_fills_open_dimensions() -> None:
    proto = model([node("Relu", ["x"], ["y"])], ["N", "C", 5])
    assert import_model(proto, name="t", input_shape=(3, 5)).input.model_shape == (3, 5)
    assert import_model(proto, name="t", input_shape=(1, 3, 5)).input.model_shape == (3, 5)
    assert "contradicts" in refused(proto, input_shape=(3, 6))[0].rule
    assert "contradicts" in refused(proto, input_shape=(3,))[0].rule
    del proto.graph.input[0].type.tensor_type.shape.dim[:]
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    assert "no shape" in refused(proto)[0].rule
    assert import_model(proto, name="t", input_shape=(3, 5)).input.model_shape == (3, 5)


def test_no_tensor_of_floats() -> None:
    proto = model([node("Relu", ["x"], ["y"])], ["N", 4], elem_type=onnx.TensorProto.UINT8)
    assert refused(proto)[0].found == "UINT8"


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        ([node("Relu", ["z"], ["y"])], "nothing defines"),
        ([node("Relu", ["x"], ["z"])], "no node computes"),
        (
            [
                node("Add", ["x", "b"], ["a"]),
                node("Relu", ["a"], ["b"]),
                node("Relu", ["b"], ["y"]),
            ],
            "cycle",
        ),
        ([node("Relu", ["x"], ["y"]), node("Relu", ["x"], ["y"])], "defined only once"),
        ([node("Relu", ["x"], ["x"]), node("Relu", ["x"], ["y"])], "defined only once"),
        ([], "no graph"),
    ],
)
def test_ill_formed_graphs(nodes: list[onnx.NodeProto], match: str) -> None:
    assert match in refused(model(nodes, ["N", 4]))[0].rule


def test_unsorted_nodes_are_sorted() -> None:
    proto = model([node("Relu", ["h"], ["y"]), node("Neg", ["x"], ["h"])], ["N", 4])
    assert [n.name for n in import_model(proto, name="t").nodes] == ["h", "y"]


def test_opsets() -> None:
    for opset, accepted in ((6, False), (7, True), (onnx.defs.onnx_opset_version() + 1, False)):
        proto = model([node("Relu", ["x"], ["y"])], ["N", 4], opset=opset)
        if accepted:
            import_model(proto, name="t")
        else:
            assert f"opset {opset}" in refused(proto)[0].found
    del proto.opset_import[:]
    assert "no operator set" in refused(proto)[0].rule


def test_inputs_and_outputs() -> None:
    proto = dense()
    proto.graph.output.append(onnx.ValueInfoProto(name="h"))
    assert "not used: h" in import_model(proto, name="t").notes[0]
    assert import_model(proto, name="t", output="h").output == "fc"
    assert refused(proto, output="nope")[0].hint == "its outputs: y, h"
    two = model([node("Add", ["x", "z"], ["y"])], ["N", 4])
    two.graph.input.append(helper.make_tensor_value_info("z", 1, ["N", 4]))
    assert refused(two)[0].found == "x, z"
    constant = model([node("Relu", ["w"], ["y"])], ["N", 4], {"w": weights(1, 4)})
    assert "no input" in refused(constant)[0].rule


@pytest.mark.parametrize(
    ("operator", "constants"),
    [
        ("ConstantOfShape", {"a": np.array([2**20, 2**20])}),
        ("Expand", {"a": np.ones((1, 1), np.float32), "b": np.array([2**20, 2**20])}),
        ("Tile", {"a": np.ones((9, 9), np.float32), "b": np.array([2**20, 2**20])}),
        ("Range", {"a": np.array(0), "b": np.array(2**62), "c": np.array(1)}),
        ("Add", {"a": np.ones((2**20, 1), np.float32), "b": np.ones((1, 2**20), np.float32)}),
    ],
)
def test_huge_constants_are_never_made(operator: str, constants: dict[str, np.ndarray]) -> None:
    proto = model(
        [node(operator, list(constants), ["huge"], "n"), node("Add", ["x", "huge"], ["y"])],
        ["N", 4],
        constants,
    )
    problems = refused(proto)
    assert problems[0].where == f"node 'n' ({operator})"
    assert "at most" in problems[0].rule


def test_huge_views_are_never_made() -> None:
    for operator, constant in (("Tile", [1, 2**40]), ("Expand", [2, 2**20, 2**20, 4])):
        proto = model([node(operator, ["x", "c"], ["y"])], ["N", 4], {"c": np.array(constant)})
        assert "at most" in refused(proto)[0].rule
    proto = model([node("Pad", ["x", "c"], ["y"])], ["N", 4], {"c": np.array([0, 0, 0, 2**40])})
    assert "at most" in refused(proto)[0].rule


def test_the_largest_model_stays_below_a_gibibyte() -> None:
    pytest.importorskip("resource", reason="memory is measured with getrusage")
    script = """
import resource
from onnx import helper
from snngen.onnx_import import import_model
from tests.onnx_import.build import model
nodes = [("Relu", "x", "a"), ("Neg", "a", "b"), ("Relu", "b", "y")]
nodes = [helper.make_node(op, [i], [o]) for op, i, o in nodes]
import_model(model(nodes, [1, 16, 1024, 1024]), name="t")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 2**20  # KiB


def test_tensors_that_lie_about_their_size() -> None:
    for dims in ([2**40, 4], [-3, 4], [3, 5]):
        proto = dense()
        del proto.graph.initializer[0].dims[:]
        proto.graph.initializer[0].dims.extend(dims)
        assert refused(proto)[0].where == "node 'fc' (Gemm)"


def external(folder: Path, location: str, **entries: object) -> onnx.ModelProto:
    proto = dense()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return proto


def test_external_data(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    numbers = weights(3, 4)
    (folder / "w.bin").write_bytes(b"1234" + numbers.tobytes())
    (tmp_path / "outside.bin").write_bytes(numbers.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "outside.bin")
    path = folder / "model.onnx"

    path.write_bytes(external(folder, "w.bin", offset=4, length=48).SerializeToString())
    np.testing.assert_array_equal(load(path).nodes[0].op.weight[:, :, 0, 0], numbers)

    for location, entries, match in [
        ("../outside.bin", {}, "in the model's folder"),
        (str(tmp_path / "outside.bin"), {}, "in the model's folder"),
        ("link.bin", {}, "in the model's folder"),
        ("", {}, "in the model's folder"),
        ("gone.bin", {}, "missing"),
        ("w.bin", {"offset": 8}, "truncated"),
        ("w.bin", {"length": 2**40}, "wrong length"),
        ("w.bin", {"offset": -4}, "wrong length"),
        ("w.bin", {"offset": "many"}, "described wrongly"),
    ]:
        path.write_bytes(external(folder, location, **entries).SerializeToString())
        with pytest.raises(ModelError, match=match):
            load(path)
    assert "another file" in refused(external(folder, "w.bin"))[0].rule


def test_names_are_unique_and_never_the_input() -> None:
    proto = model(
        [
            node("Relu", ["x"], ["a"], "input"),
            node("Neg", ["a"], ["b"], "n"),
            node("Relu", ["b"], ["y"], "n"),
        ],
        ["N", 4],
    )
    names = [n.name for n in import_model(proto, name="t").nodes]
    assert len({"input", *names}) == 4


def test_control_flow_and_sparse_tensors() -> None:
    then = helper.make_graph([node("Relu", ["x"], ["t"])], "g", [], [onnx.ValueInfoProto(name="t")])
    proto = model(
        [
            node("If", ["c"], ["y"], "i", then_branch=then, else_branch=then),
        ],
        ["N", 4],
        {"c": np.array(True)},
    )
    assert "no input" in refused(proto)[0].rule
    one, first = np.ones(1, np.float32), np.zeros(1, np.int64)
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(one, "values"), numpy_helper.from_array(first, "indices"), [4]
    )
    nodes = [node("Constant", [], ["c"], "k", sparse_value=sparse), node("Add", ["x", "c"], ["y"])]
    assert "dense tensor" in refused(model(nodes, ["N", 4]))[0].rule


@pytest.mark.parametrize(
    ("attributes", "match"),
    [
        ({"kernel_shape": 2}, "must be of type INTS"),
        ({"kernel_shape": [2]}, "the kernel must have 2 dimensions"),
        ({"kernel_shape": [2, 2], "strides": [0, 1]}, "at least 1"),
        ({"kernel_shape": [2, 2], "strides": [1]}, "strides and dilations need 2"),
        ({"kernel_shape": [2, 2], "strides": [2**62, 1], "ceil_mode": 1}, "strides may be at most"),
        ({"kernel_shape": [2, 2], "pads": [0, 0, 2**31, 0]}, "at most"),
        ({"kernel_shape": [2, 2], "pads": [0, 0, -1, 0]}, "at least 0"),
        ({"kernel_shape": [9, 9]}, "does not fit"),
        ({"kernel_shape": [2, 2], "pads": [2, 0, 0, 0]}, "wholly on padding"),
        ({"kernel_shape": [2, 2], "auto_pad": "SOME"}, "auto_pad must be"),
        ({"kernel_shape": [2, 2], "ceil_mode": "yes"}, "must be of type INT"),
    ],
)
@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
def test_bad_windows(operator: str, attributes: dict[str, object], match: str) -> None:
    proto = model([node(operator, ["x"], ["y"], "p", **attributes)], ["N", 2, 6, 6])
    (problem,) = refused(proto)
    assert problem.where == f"node 'p' ({operator})"
    assert match in f"{problem.rule} {problem.found}"


@pytest.mark.parametrize(
    "broken",
    [
        node("Shape", [], ["y"], "n"),
        node("Reshape", ["x", "four"], ["y"], "n"),
        node("Slice", ["x", "four", "four"], ["y"], "n"),
        node("Gather", ["x", "four"], ["y"], "n", axis=7),
        node("Transpose", ["x"], ["y"], "n", perm=[0, 0]),
        node("Concat", ["x", "x"], ["y"], "n", axis=9),
        node("Pad", ["x", "four", "pair"], ["y"], "n"),
        node("Softmax", ["x"], ["y"], "n", axis=[1]),
        node("Gemm", ["x", "four"], ["y"], "n", alpha=float("nan")),
        node("Mul", ["x", "x"], ["y"], "n"),
        node("Div", ["x", "zero"], ["y"], "n"),
    ],
    ids=lambda broken: broken.op_type,
)
def test_bad_operands(broken: onnx.NodeProto) -> None:
    constants = {
        "four": np.array([0, 4, 0, 0]),
        "pair": np.ones(2, np.float32),
        "zero": np.zeros(1, np.float32),
    }
    nodes = [broken, node("Add", ["y", "x"], ["z"])]
    (problem,) = refused(model(nodes, ["N", 4], constants, output="z"))
    assert problem.where == f"node 'n' ({broken.op_type})"
