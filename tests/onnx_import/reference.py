"""An independent judge of quantised models: ONNX's reference evaluator in float64.

In float32 the rounding of a sum decides on which side of a threshold it falls, and every runtime
adds in another order. In float64 such accidents are too rare to meet, so that not a single
activation may differ.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from snngen.fold import fold
from snngen.graph import Staircase, forward
from snngen.onnx_import import import_model
from tests.onnx_import.build import canonical, run

QONNX = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")


class QuantizeLinear(OpRun):
    """As ONNX defines it; the result stays in float64, and its type is in the zero point."""

    op_domain = ""

    def _run(self, x, scale, zero=None, axis=1, **_):  # type: ignore[no-untyped-def]
        info = np.iinfo(np.uint8 if zero is None else zero.dtype)
        offset = 0 if zero is None else zero.astype(np.float64)
        scale, offset = along(x, scale, axis), along(x, offset, axis)
        return (np.clip(np.rint(x / scale) + offset, info.min, info.max),)


class DequantizeLinear(OpRun):
    op_domain = ""

    def _run(self, x, scale, zero=None, axis=1, **_):  # type: ignore[no-untyped-def]
        offset = 0 if zero is None else zero.astype(np.float64)
        return ((x.astype(np.float64) - along(x, offset, axis)) * along(x, scale, axis),)


class BatchNormalization(OpRun):
    """With its running statistics, which the evaluator's own forgets before opset 14."""

    op_domain = ""

    def _run(self, x, scale, bias, mean, variance, epsilon=1e-5, **_):  # type: ignore[no-untyped-def]
        scale, bias, mean, variance = (along(x, v, 1) for v in (scale, bias, mean, variance))
        return (scale * (x - mean) / np.sqrt(variance + epsilon) + bias,)


class Conv(OpRun):
    """As ONNX defines it, as one product of matrices: the evaluator's own takes hours."""

    op_domain = ""

    def _run(self, x, w, b=None, auto_pad=None, dilations=None, group=1, kernel_shape=None,
             pads=None, strides=None):  # type: ignore[no-untyped-def]  # fmt: skip
        taken = windows(x, w.shape[2:], auto_pad, dilations, pads, strides, 0.0)
        taken = taken.reshape(len(x), group, -1, *taken.shape[2:])  # N, G, C / G, Y, X, KY, KX
        filters = w.reshape(group, -1, *w.shape[1:])
        parts = [
            np.tensordot(taken[:, g], filters[g], ((1, 4, 5), (1, 2, 3))) for g in range(group)
        ]
        y = np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)
        return (y if b is None else y + along(y, b, 1),)


class MaxPool(OpRun):
    op_domain = ""

    def _run(self, x, auto_pad=None, ceil_mode=0, dilations=None, kernel_shape=None, pads=None,
             storage_order=0, strides=None):  # type: ignore[no-untyped-def]  # fmt: skip
        assert not ceil_mode
        taken = windows(x, kernel_shape, auto_pad, dilations, pads, strides, -np.inf)
        return (taken.max(axis=(4, 5)),)


class AveragePool(OpRun):
    op_domain = ""

    def _run(self, x, auto_pad=None, ceil_mode=0, count_include_pad=0, dilations=None,
             kernel_shape=None, pads=None, strides=None):  # type: ignore[no-untyped-def]  # fmt: skip
        assert not ceil_mode
        window = (kernel_shape, auto_pad, dilations, pads, strides)
        total = windows(x, *window, 0.0).sum(axis=(4, 5))
        if count_include_pad:
            return (total / np.prod(kernel_shape),)
        return (total / windows(np.ones_like(x), *window, 0.0).sum(axis=(4, 5)),)


def windows(  # type: ignore[no-untyped-def]
    x: np.ndarray, kernel, auto_pad, dilations, pads, strides, padding: float
) -> np.ndarray:
    """What each output position of a Conv or pool sees: (N, C, Y, X, KY, KX)."""
    assert len(kernel) == 2
    dilations, strides = dilations or [1, 1], strides or [1, 1]
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    pads = list(pads or [0, 0, 0, 0])
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        for axis, size in enumerate(x.shape[2:]):
            missing = max(0, (-(-size // strides[axis]) - 1) * strides[axis] + reach[axis] - size)
            half = missing // 2
            ends = (half, missing - half) if auto_pad == "SAME_UPPER" else (missing - half, half)
            pads[axis], pads[axis + 2] = ends
    sides = [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])]
    padded = np.pad(x, sides, constant_values=padding)
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(2, 3))
    return views[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]


def along(x: np.ndarray, vector: np.ndarray | float, axis: int) -> np.ndarray:
    vector = np.asarray(vector, np.float64)
    if vector.size == 1:
        return vector.reshape(())
    shape = [1] * x.ndim
    shape[axis] = -1
    return vector.reshape(shape)


def resolve(mode: str):  # type: ignore[no-untyped-def]
    """QONNX's rounding modes, in the words of its own specification."""
    return {
        "ROUND": np.round,
        "HALF_EVEN": np.round,
        "CEIL": np.ceil,
        "FLOOR": np.floor,
        "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
        "DOWN": np.fix,
        "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
        "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
    }[mode.upper()]


def limits(bits: float, signed: int, narrow: int) -> tuple[float, float]:
    if signed:
        return -(2.0 ** (bits - 1)) + narrow, 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1 - narrow


class Quant(OpRun):
    op_domain = QONNX[0]

    def _run(self, x, scale, zero, bits, signed=1, narrow=0, rounding_mode="ROUND"):  # type: ignore[no-untyped-def]
        y = x / scale + zero
        if bits == 1 and signed:
            y = np.where(y >= 0, 1.0, -1.0)
        else:
            y = resolve(rounding_mode)(np.clip(y, *limits(float(bits), signed, narrow)))
        return ((y - zero) * scale,)


class BipolarQuant(OpRun):
    op_domain = QONNX[0]

    def _run(self, x, scale):  # type: ignore[no-untyped-def]
        return (np.where(x >= 0, 1.0, -1.0) * scale,)


class Trunc(OpRun):
    op_domain = QONNX[0]

    def _run(self, x, scale, zero, bits, *rest, rounding_mode="FLOOR", signed=1, narrow=0):  # type: ignore[no-untyped-def]
        y = np.round(x / scale + zero)
        if len(rest) == 1:
            y = resolve(rounding_mode)(y / 2.0 ** (bits - rest[0]))
            return ((y - zero) * scale,)
        out_scale, out_bits = rest
        shrink = 2.0 ** np.round(np.log2(out_scale / scale))
        y = np.clip(y / shrink, *limits(float(out_bits), signed, narrow))
        return ((resolve(rounding_mode)(y) - zero / shrink) * out_scale,)


def in_float64(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every number and type as float64, sizes aside, and one domain for QONNX."""
    wide = onnx.ModelProto.FromString(model.SerializeToString())
    for tensor in wide.graph.initializer:
        _widen(tensor)
    for value in (*wide.graph.input, *wide.graph.output):
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    del wide.graph.value_info[:]
    for node in wide.graph.node:
        if node.domain in QONNX:
            node.domain = QONNX[0]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
            if node.op_type == "Cast" and attribute.name == "to":
                is_size = attribute.i == TensorProto.INT64
                attribute.i = TensorProto.INT64 if is_size else TensorProto.DOUBLE
    if QONNX[0] not in [o.domain for o in wide.opset_import]:
        wide.opset_import.append(helper.make_opsetid(QONNX[0], 1))
    return wide


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        array = numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


OPERATORS = (
    AveragePool, BatchNormalization, BipolarQuant, Conv, DequantizeLinear, MaxPool, Quant,
    QuantizeLinear, Trunc,
)  # fmt: skip


class Float64Model:
    """`model` in float64, node by node as the file has them, with all that it computes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        wide = in_float64(model)
        self.names = {node.name or node.output[0]: node.output[0] for node in wide.graph.node}
        del wide.graph.output[:]
        wide.graph.output.extend(onnx.ValueInfoProto(name=n) for n in self.names.values())
        self._evaluator = ReferenceEvaluator(wide, new_ops=list(OPERATORS))
        initializers = {t.name for t in wide.graph.initializer}
        self._input = next(i.name for i in wide.graph.input if i.name not in initializers)

    def run(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Every tensor that a node computes from `x`, by the name that the importer gives the
        node.
        """
        results = self._evaluator.run(None, {self._input: x.astype(np.float64)})
        return dict(zip(self.names, results, strict=True))


def mismatches(model: onnx.ModelProto, x: np.ndarray) -> tuple[int, int]:
    """(how many values of the imported network differ from the reference, of how many).

    All quantised activations count, and the output before and after folding. A difference is one
    of a thousandth of a step or more.
    """
    want = Float64Model(model).run(x)
    graph = import_model(model, name="test")
    quantised = [n for n in graph.nodes if isinstance(n.op, Staircase)]
    got = forward(graph, canonical(graph, x.astype(np.float64)), [n.name for n in graph.nodes])
    wrong = total = 0
    for node in quantised:
        name = node.name.removesuffix("_levels")  # these still lack a constant
        assert isinstance(node.op, Staircase)
        wrong += _differing(got[name], want[name], node.op.step.min())
        total += got[name].size
    result = want[next(reversed(want))]
    for variant in (graph, fold(graph)):
        values = run(variant, x)
        wrong += _differing(values, result, np.ptp(result))
        total += values.size
    return wrong, total


def _differing(got: np.ndarray, want: np.ndarray, step: float) -> int:
    return int((np.abs(got.ravel() - want.ravel()) > 1e-3 * step).sum())
