"""Training of networks that convert without loss: layers and losses for a training loop of your
own, with PyTorch. docs/training.md has an example.

Nothing else in snngen imports this package. Raises ToolError where PyTorch is missing.
"""

from snngen.errors import Problem, ToolError

try:
    from snngen.train.activations import QCFS, QuantisedReLU
    from snngen.train.distillation import distillation
    from snngen.train.export import export_onnx
    from snngen.train.over_time import over_time
    from snngen.train.pooling import LearnedPool
    from snngen.train.synops import SynOps
    from snngen.train.weights import beside, integer, ternary
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ToolError(
        Problem("snngen.train", "needs PyTorch", hint="pip install snngen[train]")
    ) from None

__all__ = [
    "QCFS",
    "LearnedPool",
    "QuantisedReLU",
    "SynOps",
    "beside",
    "distillation",
    "export_onnx",
    "integer",
    "over_time",
    "ternary",
]
