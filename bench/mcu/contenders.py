"""Networks as C for a board, whoever wrote it: snngen's, dense int8, and that of PyPI's tools.

Those are emx-onnx-cgen and acetone-nnet. deepC 0.1 installs too, but is not Python that runs
(onnx2exe.py, line 38: SyntaxError).
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from bench.mcu.dense import FOLDER, SOURCE, Form, emit_dense
from bench.networks import ROOT
from snngen.fixed import FixedNet
from snngen.targets.c.build import host_compiler, write_tree
from snngen.targets.c.emit import emit
from snngen.targets.c.engine import Engine
from snngen.targets.c.schedule import Optimise, Preference

Bytes = NDArray[np.uint8]
DSP = ("cortex-m4", "cortex-m7", "cortex-m33")
ACETONE = ROOT / "build/acetone/bin/python"
PAGES = " __attribute__((aligned(4096)))"
HEADER = {"contender.h": (FOLDER / "contender.h").read_bytes()}
OURS = """#include "contender.h"
#include "model.h"
#include "snn_model.h"

extern const snn_model model_model;
static model_arena arena;

int32_t contender_run(const uint8_t *image)
{
    return model_run(&arena, sizeof arena, image, NULL);
}

void contender_first(const uint8_t *image)
{
    const snn_run_options options = {.arena = &arena, .arena_bytes = sizeof arena};
    snn_model first = model_model;
    first.layer_count = first.layers_at_once = 1;
    snn_run(&first, image, &options);
}
"""
FLOAT = """#include "contender.h"
#include "network.inc"

static float input[INPUT_BYTES], output[{outputs}];
static const float gain[] = {{{gain}}}, offset[] = {{{offset}}};

int32_t contender_run(const uint8_t *image)
{{
    int32_t best = 0;
    for (uint32_t i = 0; i < INPUT_BYTES; ++i) {{
        const uint32_t c = {channel};
        input[i] = gain[c] * (float)image[i] + offset[c];
    }}
    {call};
    for (int32_t o = 1; o < {outputs}; ++o) {{
        best = output[o] > output[best] ? o : best;
    }}
    return best;
}}

void contender_first(const uint8_t *image)
{{
    (void)image;
}}
"""


def ordered(net: FixedNet, images: Bytes) -> Bytes:
    """Images (n, C, H, W) as the network's user holds them."""
    layout = images if net.input.layout == "CHW" else images.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(layout)


class Contender(Protocol):
    """`label` names it in tables; `net` knows its input. A first layer that cannot be run alone
    counts next to nothing.
    """

    @property
    def label(self) -> str: ...

    @property
    def net(self) -> FixedNet: ...

    def files(self, board: str) -> Mapping[str, bytes]:
        """C files that define what contender.h declares."""

    def classes(self, images: Bytes) -> NDArray[np.int32] | None:
        """What it says of images (n, C, H, W) on this machine; None: what the CNN says."""


@dataclass(frozen=True)
class Ours:
    """What snngen emits of `net`."""

    label: str
    net: FixedNet
    schedule: Preference = "smallest"
    optimise: Optimise = "speed"

    def files(self, board: str) -> Mapping[str, bytes]:
        """The emitted files, the same for all boards, and the two functions."""
        emitted = emit(self.net, schedule=self.schedule, optimise=self.optimise)
        return {**emitted, **HEADER, SOURCE: OURS.encode()}

    def classes(self, images: Bytes) -> NDArray[np.int32]:
        """By the same C, compiled for this machine."""
        files = emit(self.net, schedule=self.schedule, optimise=self.optimise)
        with Engine(self.net, files) as engine:
            parts = [engine.run(images[k : k + 500]).classes for k in range(0, len(images), 500)]
        return np.concatenate(parts)


@dataclass(frozen=True)
class Dense:
    """The int8 CNN that `net`, of 255 levels, is."""

    label: str
    net: FixedNet
    form: Form

    def files(self, board: str) -> Mapping[str, bytes]:
        """The fast form uses the DSP extension where the board has it."""
        return emit_dense(self.net, self.form, dsp=board in DSP)

    def classes(self, images: Bytes) -> NDArray[np.int32]:
        """By the same C, compiled for this machine."""
        return np.array([c for c, _ in self._run(images)], np.int32)

    def sums(self, images: Bytes) -> NDArray[np.int32]:
        """What it sums up for each class, (n, classes)."""
        return np.array([sums for _, sums in self._run(images)], np.int32)

    def _run(self, images: Bytes) -> Iterator[tuple[int, list[int]]]:
        given = ordered(self.net, images)
        with TemporaryDirectory(prefix="snngen-") as name:
            folder = Path(name)
            write_tree(self.files("host"), folder)
            command = [*host_compiler(), "-O2", "-shared", "-fPIC", "-std=gnu99", "-o", "dense.so"]
            define = f"-DINPUT_BYTES={given[0].size}"
            subprocess.run([*command, define, SOURCE], cwd=folder, check=True)
            library = ctypes.CDLL(str(folder / "dense.so"))
            sums = (ctypes.c_int32 * self.net.layers[-1].shape[0]).in_dll(library, "contender_sums")
            for image in given:
                yield library.contender_run(image.ctypes.data_as(ctypes.c_void_p)), list(sums)


@dataclass(frozen=True)
class Emx:
    """The float C of emx-onnx-cgen, of the model at `model`; `net` knows what a byte stands for."""

    label: str
    model: Path
    net: FixedNet

    def files(self, board: str) -> Mapping[str, bytes]:
        """All of it in one file, without heap."""
        with TemporaryDirectory(prefix="snngen-") as name:
            written = Path(name) / "network.c"
            tool = Path(sys.executable).parent / "emx-onnx-cgen"
            options = ["--large-weight-threshold", "0", "--large-temp-threshold", "0"]
            command = [tool, "compile", *options, "--restrict-arrays", self.model, written]
            subprocess.run(command, check=True, capture_output=True)
            text = written.read_text()
        prototype = re.search(r"^void model\(((?:int \w+, )*)", text, re.M)
        assert prototype is not None
        ones = "1, " * prototype.group(1).count("int ")
        shim = _float_shim(self.net, f"model({ones}(void *)input, (void *)output)")
        return {**HEADER, "network.inc": text.encode(), SOURCE: shim}

    def classes(self, images: Bytes) -> None:
        """It computes what the CNN does."""
        return None


def _float_shim(net: FixedNet, call: str) -> bytes:
    """What contender.h declares, around the `call` of a function of floats."""
    channels, height, width = net.input.shape
    is_chw = net.input.layout == "CHW"
    return FLOAT.format(
        outputs=net.layers[-1].shape[0],
        gain=", ".join(f"{v!r}f" for v in map(float, net.input.gain)),
        offset=", ".join(f"{v!r}f" for v in map(float, net.input.offset)),
        channel=f"i / {height * width}" if is_chw else f"i % {channels}",
        call=call,
    ).encode()


@dataclass(frozen=True)
class Acetone:
    """The float C of acetone-nnet, likewise. It lives in an environment of its own (`make
    bench-mcu`), because it needs tensorflow 2.12; and it fails on every Gemm whose alpha is 1
    (layers/gemm/Gemm.py, line 93: IndexError), so that it is given MatMul and Add instead.
    """

    label: str
    model: Path
    net: FixedNet

    def files(self, board: str) -> Mapping[str, bytes]:
        """All of it in one file, without the alignment to pages of 4,096 bytes."""
        with TemporaryDirectory(prefix="snngen-") as name:
            folder = Path(name)
            onnx.save(without_gemm(onnx.load(self.model)), folder / "model.onnx")
            command = [ACETONE, "-m", "acetone_nnet.cli.generate", "--model", "model.onnx"]
            options = ["--function", "infer", "--dataset-size", "1", "--output", "."]
            subprocess.run([*command, *options], cwd=folder, check=True, capture_output=True)
            parts = ("inference.h", "global_vars.c", "inference.c")
            texts = [(folder / part).read_text() for part in parts]
        text = "".join(texts).replace(PAGES, "").replace('#include "inference.h"\n', "")
        shim = _float_shim(self.net, "inference(output, input)")
        return {**HEADER, "network.inc": text.encode(), SOURCE: shim}

    def classes(self, images: Bytes) -> None:
        """It computes what the CNN does."""
        return None


def without_gemm(model: onnx.ModelProto) -> onnx.ModelProto:
    """`model` with MatMul and Add for every Gemm of weights (outputs, inputs) and bias."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        if node.op_type != "Gemm":
            nodes.append(node)
            continue
        source, weight, bias = node.input
        (target,) = node.output
        values = onnx.numpy_helper.to_array(held[weight]).T
        held[weight].CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(values), weight))
        product = f"{target}_product"
        nodes.append(onnx.helper.make_node("MatMul", [source, weight], [product], product))
        nodes.append(onnx.helper.make_node("Add", [product, bias], [target], target))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
