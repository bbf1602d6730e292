"""Which ONNX operator is imported by which function, and what to do about some that are not."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snngen.onnx_import.conv import import_conv
from snngen.onnx_import.elementwise import (
    import_add,
    import_batch_norm,
    import_cast,
    import_clip,
    import_divide,
    import_dropout,
    import_extremum,
    import_identity,
    import_multiply,
    import_negate,
    import_relu,
    import_subtract,
)
from snngen.onnx_import.evaluate import import_movement, import_pad
from snngen.onnx_import.linear import import_gemm, import_matmul
from snngen.onnx_import.merge import import_concat
from snngen.onnx_import.onnx_node import Importer
from snngen.onnx_import.pool import (
    import_average_pool,
    import_global_average,
    import_global_max,
    import_max_pool,
    import_reduce,
)
from snngen.onnx_import.quantisers import (
    import_bipolar_quant,
    import_dequantize_linear,
    import_quant,
    import_quantize_linear,
    import_rounding,
    import_trunc,
)
from snngen.onnx_import.reader import STANDARD_DOMAINS
from snngen.onnx_import.resize import import_resize
from snngen.onnx_import.softmax import import_sigmoid, import_softmax

IMPORTERS: Mapping[str, Importer] = MappingProxyType(
    {
        "Add": import_add,
        "AveragePool": import_average_pool,
        "BatchNormalization": import_batch_norm,
        "Cast": import_cast,
        "Ceil": import_rounding,
        "Clip": import_clip,
        "Concat": import_concat,
        "Conv": import_conv,
        "DepthToSpace": import_movement,
        "DequantizeLinear": import_dequantize_linear,
        "Div": import_divide,
        "Dropout": import_dropout,
        "Expand": import_movement,
        "Flatten": import_movement,
        "Floor": import_rounding,
        "Gather": import_movement,
        "Gemm": import_gemm,
        "GlobalAveragePool": import_global_average,
        "GlobalMaxPool": import_global_max,
        "Identity": import_identity,
        "LogSoftmax": import_softmax,
        "MatMul": import_matmul,
        "Max": import_extremum,
        "MaxPool": import_max_pool,
        "Min": import_extremum,
        "Mul": import_multiply,
        "Neg": import_negate,
        "Pad": import_pad,
        "QuantizeLinear": import_quantize_linear,
        "ReduceMax": import_reduce,
        "ReduceMean": import_reduce,
        "ReduceSum": import_reduce,
        "Relu": import_relu,
        "Reshape": import_movement,
        "Resize": import_resize,
        "Round": import_rounding,
        "Sigmoid": import_sigmoid,
        "Slice": import_movement,
        "Softmax": import_softmax,
        "SpaceToDepth": import_movement,
        "Split": import_movement,
        "Squeeze": import_movement,
        "Sub": import_subtract,
        "Sum": import_add,
        "Tile": import_movement,
        "Transpose": import_movement,
        "Unsqueeze": import_movement,
        "Upsample": import_resize,
    }
)

QONNX_DOMAINS = (
    "qonnx.custom_op.general",
    "finn.custom_op.general",
    "onnx.brevitas",
)
QONNX_IMPORTERS: Mapping[str, Importer] = MappingProxyType(
    {
        "BipolarQuant": import_bipolar_quant,
        "IntQuant": import_quant,
        "Quant": import_quant,
        "Trunc": import_trunc,
    }
)

FOLD_THEMSELVES = frozenset(["DequantizeLinear", "QuantizeLinear", *QONNX_IMPORTERS])
"""Operators whose importers take constants too: weights are quantised exactly."""

_ACTIVATIONS = """
    Celu Elu Erf Gelu HardSigmoid HardSwish LeakyRelu Mish PRelu Selu Softplus Softsign
    Swish Tanh ThresholdedRelu
"""
_QUANTISERS = "BinaryQuant FloatQuant MultiThreshold QuantAvgPool2d"
_INTEGER_LAYERS = """
    ConvInteger DynamicQuantizeLinear MatMulInteger QGemm QLinearAdd QLinearAveragePool
    QLinearConcat QLinearConv QLinearGlobalAveragePool QLinearMatMul QLinearMul
"""
_NORMALISATIONS = """
    GroupNormalization InstanceNormalization LayerNormalization LpNormalization LRN
    MeanVarianceNormalization RMSNormalization
"""
_HINTS = {
    _ACTIVATIONS: "a spiking neuron computes a ReLU: replace it by ReLU or Clip(0, max) and "
    "fine-tune",
    _QUANTISERS: "of QONNX, Quant, BipolarQuant and Trunc are supported",
    _INTEGER_LAYERS: "quantise statically in the QDQ format (QuantizeLinear, DequantizeLinear); in "
    "onnxruntime: quantize_static(..., quant_format=QuantFormat.QDQ)",
    _NORMALISATIONS: "normalising by statistics of the input has no spiking form; use "
    "BatchNormalization",
    "GRU LSTM RNN Loop Scan": "recurrent layers have no spiking form here; use convolutions over "
    "time",
    "If": "export the model without control flow",
}
HINTS: Mapping[str, str] = MappingProxyType(
    {operator: hint for operators, hint in _HINTS.items() for operator in operators.split()}
)
"""The way out for operators that are not imported."""

SHAPE_PRESERVING = frozenset(
    " ".join((_ACTIVATIONS, _NORMALISATIONS, "Sigmoid Quant BipolarQuant FloatQuant Trunc")).split()
)
"""Operators that may be refused, but whose output has the shape of their first input."""


def find_importer(domain: str, op: str) -> Importer | None:
    """The importer of an operator, None where there is none."""
    if domain in STANDARD_DOMAINS:
        return IMPORTERS.get(op)
    return QONNX_IMPORTERS.get(op) if domain in QONNX_DOMAINS else None
