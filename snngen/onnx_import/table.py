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
from snngen.onnx_import.softmax import import_softmax

IMPORTERS: Mapping[str, Importer] = MappingProxyType(
    {
        "Add": import_add,
        "AveragePool": import_average_pool,
        "BatchNormalization": import_batch_norm,
        "Cast": import_cast,
        "Clip": import_clip,
        "Concat": import_concat,
        "Conv": import_conv,
        "DepthToSpace": import_movement,
        "Div": import_divide,
        "Dropout": import_dropout,
        "Expand": import_movement,
        "Flatten": import_movement,
        "Gather": import_movement,
        "Gemm": import_gemm,
        "GlobalAveragePool": import_global_average,
        "GlobalMaxPool": import_global_max,
        "Identity": import_identity,
        "LogSoftmax": import_softmax,
        "MatMul": import_matmul,
        "MaxPool": import_max_pool,
        "Mul": import_multiply,
        "Neg": import_negate,
        "Pad": import_pad,
        "ReduceMax": import_reduce,
        "ReduceMean": import_reduce,
        "ReduceSum": import_reduce,
        "Relu": import_relu,
        "Reshape": import_movement,
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
    }
)

_ACTIVATIONS = """
    Celu Elu Erf Gelu HardSigmoid HardSwish LeakyRelu Mish PRelu Selu Sigmoid Softplus Softsign
    Swish Tanh ThresholdedRelu
"""
_QUANTISERS = "BinaryQuant BipolarQuant DequantizeLinear Quant QuantizeLinear Trunc"
_INTEGER_LAYERS = "ConvInteger DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul"
_ROUNDING = "Ceil Floor Round"
_NORMALISATIONS = """
    GroupNormalization InstanceNormalization LayerNormalization LpNormalization LRN
    MeanVarianceNormalization RMSNormalization
"""
_HINTS = {
    _ACTIVATIONS: "a spiking neuron computes a ReLU: replace it by ReLU or Clip(0, max) and "
    "fine-tune",
    _QUANTISERS: "export the float model; snngen quantises by itself",
    _INTEGER_LAYERS: "export the float model; snngen quantises by itself",
    _ROUNDING: "this looks like a quantised activation written out: export the model with a plain "
    "ReLU or Clip(0, max) in its place",
    _NORMALISATIONS: "normalising by statistics of the input has no spiking form; use "
    "BatchNormalization",
    "GRU LSTM RNN Loop Scan": "recurrent layers have no spiking form here; use convolutions over "
    "time",
    "If": "export the model without control flow",
    "Max": "if it is a ReLU, export it as Relu",
}
HINTS: Mapping[str, str] = MappingProxyType(
    {operator: hint for operators, hint in _HINTS.items() for operator in operators.split()}
)
"""The way out for operators that are not imported."""

SHAPE_PRESERVING = frozenset(
    " ".join((_ACTIVATIONS, _QUANTISERS, _ROUNDING, _NORMALISATIONS)).split()
)
"""Operators that are not imported, but whose output has the shape of their first input."""
