"""One ONNX node as importers see it: its attributes, its inputs' values and where it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
import onnx

from snngen.graph import Floats
from snngen.onnx_import.network import Network
from snngen.onnx_import.values import Refused, Unknown, Value, View
from snngen.ops.window import Array

FLOATS = (np.float16, np.float32, np.float64)


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """A node whose inputs are known; an omitted optional input is None."""

    proto: onnx.NodeProto
    name: str
    opset: int
    inputs: tuple[Value | None, ...]
    outputs_used: frozenset[str]
    ends_network: bool = False
    """Whether nothing but rearrangement lies between this node and the network's output."""

    @property
    def op(self) -> str:
        return str(self.proto.op_type)

    @property
    def place(self) -> str:
        return f"node '{self.name}' ({self.op})"

    def attribute(self, name: str, kind: int) -> Any:
        """The attribute's value, or None; raises Refused where it is not of `kind`, one of
        onnx.AttributeProto's INT, INTS, FLOAT, ...
        """
        for attribute in self.proto.attribute:
            if attribute.name == name:
                if attribute.type != kind:
                    names = onnx.AttributeProto.AttributeType
                    raise Refused(
                        f"the attribute {name} must be of type {names.Name(kind)}",
                        names.Name(attribute.type),
                    )
                return onnx.helper.get_attribute_value(attribute)
        return None

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        value = self.attribute(name, onnx.AttributeProto.INT)
        return default if value is None else int(value)

    def number(self, name: str, default: float) -> float:
        """A float attribute; raises Refused for NaN."""
        value = self.attribute(name, onnx.AttributeProto.FLOAT)
        if value is not None and isnan(value):
            raise Refused(f"the attribute {name} must be a number", "NaN")
        return default if value is None else float(value)

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        value = self.attribute(name, onnx.AttributeProto.STRING)
        return default if value is None else bytes(value).decode(errors="replace")

    def integer_list(self, name: str) -> list[int] | None:
        """An attribute that is a list of integers; None where it is omitted."""
        value = self.attribute(name, onnx.AttributeProto.INTS)
        return None if value is None else [int(v) for v in value]

    def input(self, k: int) -> Value | None:
        return self.inputs[k] if k < len(self.inputs) else None

    def uses_output(self, k: int) -> bool:
        """Whether output `k` is read by anything that matters."""
        return k < len(self.proto.output) and self.proto.output[k] in self.outputs_used

    def view(self, k: int = 0) -> View:
        """Input `k`, which must be an activation."""
        value = self.input(k)
        if not isinstance(value, View):
            found = "no input" if value is None else "a constant"
            raise Refused(f"input {k} must be an activation", found)
        return value

    def constant(self, k: int) -> Array | None:
        """Input `k`, which must be constant; None where it is omitted."""
        value = self.input(k)
        if isinstance(value, View):
            raise Refused(
                f"input {k} must be constant",
                f"a computed tensor of shape {list(value.shape)}",
                "only one operand may depend on the network's input",
            )
        assert not isinstance(value, Unknown)  # such nodes are not imported
        return value

    def integers(self, k: int) -> list[int] | None:
        """Input `k` as a list of integers; None where it is omitted."""
        value = self.constant(k)
        if value is None:
            return None
        if value.dtype.kind not in "iu" or value.ndim > 1:
            raise Refused(f"input {k} must be a list of integers", f"{value.dtype} {value.shape}")
        return [int(v) for v in value.ravel()]

    def integers_of(self, attribute: str, k: int) -> list[int] | None:
        """What early opsets hold in an attribute and later ones in input `k`."""
        from_attribute = self.integer_list(attribute)
        return self.integers(k) if from_attribute is None else from_attribute

    def weights(self, k: int, what: str) -> Floats:
        """Input `k` as finite float64 numbers, which must be there."""
        value = self.constant(k)
        if value is None:
            raise Refused(f"{what} is missing")
        return finite(value, what)


Importer = Callable[[Network, OnnxNode], Sequence[Value]]
"""Adds what an ONNX node computes to the network and returns its outputs; raises Refused."""


def finite(value: Array, what: str) -> Floats:
    """`value` in float64; raises Refused where it is not a float tensor or not finite."""
    if value.dtype.type not in FLOATS:
        raise Refused(
            f"{what} must be float16, float32 or float64",
            value.dtype,
            "export the float model; snngen quantises by itself",
        )
    with np.errstate(invalid="ignore"):  # a signalling NaN
        numbers: Floats = value.astype(np.float64)
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        where = [int(i) for i in np.argwhere(wrong)[0]]
        raise Refused(
            f"{what} must be finite",
            f"{int(wrong.sum())} values are NaN or infinite, the first at {where}",
            "the training diverged; export a healthy checkpoint",
        )
    return numbers
