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

_HINTS = {
    "a spiking neuron computes a ReLU: replace it by ReLU or Clip(0, max) and fine-tune": """
        Celu Elu Erf Gelu HardSigmoid HardSwish LeakyRelu Mish PRelu Selu Sigmoid Softplus Softsign
        Swish Tanh ThresholdedRelu""",
    "recurrent layers have no spiking form here; use convolutions over time": """
        GRU LSTM RNN Loop Scan""",
    "export the float model; snngen quantises by itself": """
        BinaryQuant BipolarQuant ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger
        QLinearConv QLinearMatMul Quant QuantizeLinear Trunc""",
    "this looks like a quantised activation written out: export the model with a plain ReLU or "
    "Clip(0, max) in its place": """
        Ceil Floor Mod Round""",
    "normalising by statistics of the input has no spiking form; use BatchNormalization": """
        GroupNormalization InstanceNormalization LayerNormalization LpNormalization LRN
        MeanVarianceNormalization RMSNormalization""",
    "export the model without control flow": "If",
    "if it is a ReLU, export it as Relu": "Max",
}
HINTS: Mapping[str, str] = MappingProxyType(
    {operator: hint for hint, operators in _HINTS.items() for operator in operators.split()}
)
"""The way out for operators that are not imported."""
