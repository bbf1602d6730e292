"""Broken inputs: how each is made, the command that meets it, and what the message must name.

Run as a program it tries all of them in one process of limited memory and prints what happened.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import resource
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from snngen import fixed_file
from snngen.cli import run
from tests.test_fixed_file import small_net

ADDRESS_SPACE = 6 * 2**30  # libraries reserve far more than they use
DIGITS = files("snngen") / "demo_data" / "digits.onnx"
CONVERT = ["convert", "m.onnx", "-o", "n.snn"]


@dataclass(frozen=True)
class Case:
    """`make` prepares the current folder; `words` then must fail and name `message`."""

    make: Callable[[], object]
    words: list[str]
    message: str


def digits() -> bytes:
    return DIGITS.read_bytes()


def write(name: str, content: bytes) -> Callable[[], object]:
    return lambda: Path(name).write_bytes(content)


def valid() -> None:
    Path("m.onnx").write_bytes(digits())


def model(
    nodes: list[onnx.NodeProto],
    *,
    weights: dict[str, np.ndarray] | None = None,
    shape: list[int | str | None] | None = None,
    dtype: int = TensorProto.FLOAT,
    out: str = "y",
    opset: int = 17,
) -> Callable[[], object]:
    def make() -> None:
        graph = helper.make_graph(
            nodes,
            "g",
            [helper.make_tensor_value_info("x", dtype, shape or [1, 1, 8, 8])],
            [helper.make_tensor_value_info(out, dtype, None)],
            [numpy_helper.from_array(v, k) for k, v in (weights or {}).items()],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        Path("m.onnx").write_bytes(made.SerializeToString())

    return make


def conv(weight: np.ndarray | None = None, **kwargs) -> Callable[[], object]:
    name = kwargs.pop("name", "conv")
    node = helper.make_node("Conv", ["x", "w"], ["y"], name=name)
    weight = np.ones((2, 1, 3, 3), np.float32) if weight is None else weight
    return model([node], weights={"w": weight}, **kwargs)


def poisoned(value: float) -> Callable[[], object]:
    weight = np.ones((2, 1, 3, 3), np.float32)
    weight[1, 0, 2, 2] = value
    return conv(weight)


def cyclic() -> Callable[[], object]:
    return model(
        [
            helper.make_node("Add", ["x", "b"], ["a"]),
            helper.make_node("Relu", ["a"], ["b"]),
            helper.make_node("Relu", ["b"], ["y"]),
        ]
    )


def external(location: str, prepare: Callable[[], object] = lambda: None) -> Callable[[], object]:
    def make() -> None:
        prepare()
        conv()()
        made = onnx.load("m.onnx", load_external_data=False)
        tensor = made.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)
        Path("m.onnx").write_bytes(made.SerializeToString())

    return make


def claimed(dims: list[int]) -> Callable[[], object]:
    def make() -> None:
        conv()()
        made = onnx.load("m.onnx")
        made.graph.initializer[0].dims[:] = dims
        Path("m.onnx").write_bytes(made.SerializeToString())

    return make


def snn(change: Callable[[bytearray], object] = lambda body: None, *, seal: bool = True):
    """A network in n.snn, changed; with `seal` under a right digest."""

    def make() -> None:
        body = bytearray(fixed_file.dumps(small_net()))
        if seal:
            del body[-32:]
        change(body)
        tail = sha256(body).digest() if seal else b""
        Path("n.snn").write_bytes(bytes(body) + tail)

    return make


def npz(**arrays: np.ndarray) -> Callable[[], object]:
    def make() -> None:
        valid()
        np.savez("a.npz", **arrays)

    return make


def zip_bomb() -> None:
    valid()
    with zipfile.ZipFile("a.npz", "w", zipfile.ZIP_DEFLATED) as file, file.open("x.npy", "w") as x:
        x.write(b"\x93NUMPY\x01\x00")
        for _ in range(600):
            x.write(bytes(2**20))


def data_file(name: str, content: bytes) -> Callable[[], object]:
    def make() -> None:
        valid()
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(content)

    return make


class Hostile:
    def __reduce__(self):
        return exec, ("open('executed', 'w')",)


def png_bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9)))


def png(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("L", size).save(file, "PNG")
    return file.getvalue()


def users_folder() -> None:
    snn()()
    Path("out").mkdir()
    Path("out/thesis.tex").write_text("precious")


def folder(*names: str) -> Callable[[], object]:
    return lambda: [Path(name).mkdir() for name in names]


def both(*makes: Callable[[], object]) -> Callable[[], object]:
    return lambda: [make() for make in makes]


CHECK = ["check", "m.onnx"]
INFO = ["info", "n.snn"]
WITH_NPZ = [*CONVERT, "--data", "a.npz"]
WITH_FOLDER = [*CONVERT, "--data", "images"]
EMIT = ["emit", "n.snn", "--target", "c", "-o", "out"]


def option(name: str, value: str, message: str) -> Case:
    return Case(valid, [*CONVERT, name, value], message)


CASES: dict[str, Case] = {
    # the model as a file
    "absent": Case(lambda: None, CHECK, "m.onnx"),
    "empty": Case(write("m.onnx", b""), CHECK, "m"),
    "folder": Case(folder("m.onnx"), CHECK, "is not a file"),
    "text": Case(write("m.onnx", b"hello\n" * 100), CHECK, "not an ONNX model"),
    "git-lfs": Case(
        write("m.onnx", b"version https://git-lfs.github.com/spec/v1\n"), CHECK, "not an ONNX model"
    ),
    "part-of-path-is-file": Case(write("a", b""), ["check", "a/m.onnx"], "a/m.onnx"),
    "zero-byte-in-path": Case(lambda: None, ["check", "m\0.onnx"], "m"),
    "dangling-link": Case(lambda: Path("m.onnx").symlink_to("absent"), CHECK, "m.onnx"),
    "device": Case(lambda: None, ["check", "/dev/zero"], "is not a file"),
    **{
        f"cut-{percent}": Case(
            write("m.onnx", digits()[: len(digits()) * percent // 100]), CHECK, ""
        )
        for percent in (1, 10, 50, 90, 99)
    },
    # the model's content
    "nan": Case(poisoned(np.nan), CHECK, "w"),
    "inf": Case(poisoned(np.inf), CHECK, "w"),
    "cyclic": Case(cyclic(), CHECK, ""),
    "no-shape": Case(conv(shape=[1, 1, "h", "w"]), CHECK, "--input-shape"),
    "integer-input": Case(conv(dtype=TensorProto.STRING), CHECK, "x"),
    "zero-size": Case(conv(shape=[1, 1, 0, 8]), CHECK, "x"),
    "ten-billion": Case(conv(shape=[1, 1, 100_000, 100_000]), CHECK, "x"),
    "claims-ten-billion": Case(claimed([100_000, 1, 1000, 100]), CHECK, "conv"),
    "negative-dims": Case(claimed([-2, 1, 3, 3]), CHECK, "conv"),
    "wrong-channels": Case(conv(np.ones((2, 3, 3, 3), np.float32)), CHECK, "conv"),
    "unknown-operator": Case(model([helper.make_node("LSTM", ["x"], ["y"])]), CHECK, "LSTM"),
    "unknown-input": Case(model([helper.make_node("Relu", ["z"], ["y"])]), CHECK, "z"),
    "no-output": Case(model([helper.make_node("Relu", ["x"], ["y"])], out="q"), CHECK, "q"),
    "old-opset": Case(conv(opset=1), CHECK, "1"),
    "new-opset": Case(conv(opset=999), CHECK, "999"),
    "no-nodes": Case(model([], out="x"), CONVERT, ""),
    "escapes-folder": Case(external("../../../etc/passwd"), CHECK, "w"),
    "absolute-data": Case(external("/etc/passwd"), CHECK, "w"),
    "linked-data": Case(
        external("w.bin", lambda: Path("w.bin").symlink_to("/etc/passwd")), CHECK, "w.bin"
    ),
    "missing-data": Case(external("absent.bin"), CHECK, "absent.bin"),
    "hostile-name-c": Case(
        conv(np.ones((2, 3, 3, 3), np.float32), name="x;}int main("), CHECK, "x;}int main("
    ),
    "hostile-name-comment": Case(
        conv(np.ones((2, 3, 3, 3), np.float32), name="*/ #error"), CHECK, "*/ #error"
    ),
    "hostile-name-ansi": Case(
        conv(np.ones((2, 3, 3, 3), np.float32), name="a\x1b[31m\nerror: b"), CHECK, "\\x1b[31m\\n"
    ),
    "hostile-name-markup": Case(
        conv(np.ones((2, 3, 3, 3), np.float32), name="[red]a[/]"), CHECK, "[red]a[/]"
    ),
    # the network file
    "snn-absent": Case(lambda: None, INFO, "No such file"),
    "snn-empty": Case(write("n.snn", b""), INFO, "not an .snn file"),
    "snn-text": Case(write("n.snn", b"hello"), INFO, "not an .snn file"),
    "snn-folder": Case(folder("n.snn"), INFO, "a folder"),
    "snn-is-onnx": Case(write("n.snn", digits()), INFO, "not an .snn file"),
    "snn-future": Case(snn(lambda b: b.__setitem__(8, 9)), INFO, "install a newer snngen"),
    "snn-old": Case(snn(lambda b: b.__setitem__(8, 0)), INFO, "version 0"),
    "snn-cut": Case(snn(lambda b: b.__delitem__(slice(500, None)), seal=False), INFO, "digest"),
    "snn-flipped": Case(snn(lambda b: b.__setitem__(700, b[700] ^ 1), seal=False), INFO, "digest"),
    "snn-header-length": Case(snn(lambda b: b.__setitem__(16, 255)), INFO, "header"),
    "snn-longer": Case(snn(lambda b: b.extend(bytes(9))), INFO, "no array claims"),
    "snn-weight-changed": Case(snn(lambda b: b.__setitem__(-1, b[-1] ^ 64)), INFO, "not proven"),
    "snn-with-options": Case(snn(), [*EMIT, "--timesteps", "4"], "converted already"),
    # the data
    "data-unknown": option("--data", "mnist5", "not a source of images"),
    "data-absent": option("--data", "absent.npz", "No such file"),
    "data-unset": option("--data", "mnist", "SNNGEN_DATA is not set"),
    "data-split": option("--data", "mnist:all", "the splits are"),
    "npz-text": Case(data_file("a.npz", b"hello"), WITH_NPZ, "not a readable .npz"),
    "npz-cut": Case(
        both(npz(x=np.zeros((9, 8, 8), np.uint8)),
             lambda: Path("a.npz").write_bytes(Path("a.npz").read_bytes()[:200])),
        WITH_NPZ, "not a readable .npz",
    ),
    "npz-size": Case(npz(x=np.zeros((2, 9, 9), np.uint8)), WITH_NPZ, "the network reads 1x8x8"),
    "npz-float": Case(npz(x=np.full((2, 8, 8), 0.5)), WITH_NPZ, "whole numbers 0..255"),
    "npz-empty": Case(npz(x=np.zeros((0, 8, 8), np.uint8)), WITH_NPZ, "holds no samples"),
    "npz-names": Case(npz(z=np.zeros(1)), WITH_NPZ, "'x' or 'images'"),
    "npz-object": Case(npz(x=np.array([Hostile()])), WITH_NPZ, "array of numbers"),
    "npz-bomb": Case(zip_bomb, WITH_NPZ, "not a .npy array"),
    "labels-beyond-outputs": Case(
        both(snn(), npz(x=np.zeros((2, 6, 6), np.uint8), y=np.array([3, 4]))),
        ["evaluate", "n.snn", "--data", "a.npz"], "labels must be 0..3",
    ),
    "npy-pickle": Case(
        data_file("a.npy", pickle.dumps(Hostile())), [*CONVERT, "--data", "a.npy"], "not a .npy"
    ),
    "images-empty": Case(both(valid, folder("images")), WITH_FOLDER, "no images"),
    "events-cut": Case(data_file("images/a.bin", b"1234"), WITH_FOLDER, "a.bin"),
    "events-text": Case(data_file("images/a.aedat", b"hello"), WITH_FOLDER, "a.aedat"),
    "events-empty": Case(data_file("images/a.aedat4", b""), WITH_FOLDER, "a.aedat4"),
    "events-mixed": Case(
        both(data_file("images/a.bin", bytes(5)), write("images/b.txt", b"")), WITH_FOLDER, "b.txt"
    ),
    "images-text": Case(data_file("images/a.png", b"hello"), WITH_FOLDER, "a.png"),
    "images-cut": Case(data_file("images/a.png", png((8, 8))[:40]), WITH_FOLDER, "a.png"),
    "images-size": Case(data_file("images/a.png", png((9, 8))), WITH_FOLDER, "8 wide and 8 high"),
    "images-bomb": Case(data_file("images/a.png", png_bomb()), WITH_FOLDER, "a.png"),
    "images-notes": Case(data_file("images/notes.txt", b"x"), WITH_FOLDER, "notes.txt"),
    # options
    "timesteps-0": option("--timesteps", "0", "--timesteps"),
    "timesteps-huge": option("--timesteps", "1000000000", "--timesteps"),
    "timesteps-word": option("--timesteps", "many", "--timesteps"),
    "bits-1": option("--bits", "1", "--bits"),
    "bits-9": option("--bits", "9", "--bits"),
    "levels-0": option("--levels", "0", "--levels"),
    "percentile-101": option("--percentile", "101", "--percentile"),
    "percentile-nan": option("--percentile", "nan", "--percentile"),
    "method": option("--method", "magic", "--method"),
    "neuron": option("--neuron", "lif", "--neuron"),
    "samples-0": option("--samples", "0", "at least 1"),
    "scale-0": option("--scale", "0", "--scale"),
    "std-0": option("--std", "0", "--std"),
    "mean-three": option("--mean", "1,2,3", "--mean"),
    "bins-word": option("--bins", "many", "--bins"),
    "bins-0": option("--bins", "0", "--bins"),
    "bins-0ms": option("--bins", "4x0ms", "--bins"),
    "bins-unit": option("--bins", "4x10min", "--bins"),
    "shrink-0": option("--shrink", "0", "--shrink"),
    "mean-word": option("--mean", "dark", "--mean"),
    "input-shape-word": option("--input-shape", "big", "--input-shape"),
    "input-shape-zero": option("--input-shape", "1,0,8", "--input-shape"),
    "output-name": option("--output", "absent", "absent"),
    "target": Case(snn(), ["emit", "n.snn", "--target", "vhdl", "-o", "out"], "--target"),
    "prefix": Case(snn(), [*EMIT, "--prefix", "x;}int main("], "C identifier"),
    "schedule": Case(snn(), [*EMIT, "--schedule", "best"], "--schedule"),
    "max-ram": Case(snn(), [*EMIT, "--max-ram", "foo"], "--max-ram"),
    "limit-0": Case(snn(), ["verify", "n.snn", "--limit", "0"], "at least 1"),
    "no-command": Case(lambda: None, ["transmogrify"], "transmogrify"),
    # the output
    "out-suffix": Case(valid, ["convert", "m.onnx", "-o", "n.txt"], "ends in .snn"),
    "out-is-folder": Case(both(valid, folder("n.snn")), CONVERT, "a folder"),
    "out-no-parent": Case(valid, ["convert", "m.onnx", "-o", "absent/n.snn"], "No such file"),
    "out-in-file": Case(both(snn(), write("a", b"")),
                        ["emit", "n.snn", "-o", "a/out"], "not a folder"),
    "out-users-files": Case(users_folder, EMIT, "thesis.tex"),
    "out-is-file": Case(both(snn(), write("out", b"x")), EMIT, "not a folder"),
    "out-is-link": Case(
        both(snn(), folder("real"), lambda: Path("out").symlink_to("real")), EMIT, "symbolic link"
    ),
    "out-name-too-long": Case(snn(), ["emit", "n.snn", "-o", "x" * 300], "too long"),
    "verify-foreign": Case(both(snn(), folder("out")),
                           ["verify", "n.snn", "--out", "out"], "snngen.json"),
}  # fmt: skip


def bit_flips() -> dict[str, Case]:
    """The digits model with single bits flipped all over; some remain valid models."""
    content = digits()
    cases = {}
    for k in range(40):
        position = k * len(content) // 40 + k
        flipped = bytearray(content)
        flipped[position] ^= 1 << k % 8
        cases[f"flip-{position}"] = Case(write("m.onnx", bytes(flipped)), CHECK, "")
    return cases


def contents(top: Path) -> dict[str, str]:
    """Every path below `top` with a digest of what it holds."""
    return {
        str(p): sha256(p.read_bytes()).hexdigest() if p.is_file() else "" for p in top.rglob("*")
    }


def try_case(case: Case, top: Path) -> dict[str, object]:
    """Run `case` in the new folder `top`: exit code, output, and what it left changed."""
    top.mkdir()
    os.chdir(top)
    case.make()
    before = contents(top)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(case.words)
    return {
        "code": code,
        "out": out.getvalue(),
        "err": err.getvalue(),
        "unchanged": contents(top) == before,
    }


if __name__ == "__main__":
    home = Path(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    os.environ.pop("SNNGEN_DATA", None)
    found = {
        name: try_case(case, home / str(k))
        for k, (name, case) in enumerate({**CASES, **bit_flips()}.items())
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cases": found, "peak": peak}))
