"""The C constants of an emitted network, as the template prints them: names, numbers, literals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snngen.targets.c.storage import Element

LINE = 96
Width = Literal["any", "8 bit", "more"]  # of a processor
CONDITIONS: Mapping[Width, list[str]] = {
    "any": [],
    "8 bit": ["#if SNN_8_BIT"],
    "more": ["#if !SNN_8_BIT"],
}


@dataclass(frozen=True)
class ArrayView:
    """A constant array; `owner` is the layer, or the input, to which its bytes are charged. Its
    `values` are the numbers of structs where an element has several, `fields`, or of a `macro`.
    `width`: which processors have it.
    """

    name: str
    element: Element
    values: NDArray[np.int64]
    owner: str
    comment: str
    fields: int = 1
    macro: str = ""
    width: Width = "any"

    @property
    def bytes(self) -> int:
        """On processors of more than 8 bits."""
        return 0 if self.width == "8 bit" else self.element.bytes * self.length

    @property
    def bytes_on_8_bit(self) -> int:
        """On processors of 8 bits, where a pair has as many as weights."""
        if self.width == "more":
            return 0
        return (self.fields if self.macro else self.element.bytes) * self.length

    @property
    def condition(self) -> list[str]:
        """The line that begins what only some processors have."""
        return CONDITIONS[self.width]

    @property
    def end(self) -> list[str]:
        return ["#endif"] if self.condition else []

    @property
    def length(self) -> int:
        return self.values.size // self.fields

    @property
    def lines(self) -> list[str]:
        """The elements, each followed by a comma, wrapped."""
        numbers = [c_int(int(v)) for v in self.values]
        if self.fields == 1:
            return wrapped(numbers)
        parts = (numbers[k : k + self.fields] for k in range(0, len(numbers), self.fields))
        begin, end = (f"{self.macro}(", ")") if self.macro else ("{", "}")
        return wrapped([f"{begin}{', '.join(part)}{end}" for part in parts])

    @property
    def reference(self) -> str:
        """An initialiser for an snn_array."""
        return f"{{{self.name}, {self.element.name}}}"


NO_ARRAY = "{NULL, SNN_I8}"
NOT_LOOKED_UP = "{NULL, SNN_U8}"


@dataclass(frozen=True)
class ValuesView:
    """An snn_values."""

    name: str
    channels: int
    height: int
    width: int
    planes: int
    element: str
    row_bytes: int
    plane_bytes: int
    offset: int
    comment: str


@dataclass(frozen=True)
class StructView:
    """An operator's or a neuron's constant struct: C type, name, and initialisers in order."""

    ctype: str
    name: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SynapseView:
    """An snn_synapse; `place` is its own among the layer's synapses."""

    place: int
    add: str
    op: str
    source: str
    channels: int
    width: int
    prepare: str = "NULL"
    prepared: int = 0
    prepared_bytes: int = 0


@dataclass(frozen=True)
class LayerView:
    """An snn_layer and the synapses that it points to."""

    number: int
    comment: str
    run: str
    output: str
    pooled: str
    synapses_name: str
    synapses: tuple[SynapseView, ...]
    constant_synapses: int
    bias: str
    fire: str
    neuron: str
    initial: str
    membrane: str
    balance: str
    scratch: int
    has_membrane: str
    has_balance: str
    is_constant: str


@dataclass(frozen=True)
class ModelView:
    """All constants of model.c, in the order in which they refer to each other."""

    arrays: list[ArrayView]
    values: list[ValuesView]
    structs: list[StructView]
    layers: list[LayerView]
    input: str
    table: str
    lowest: str
    highest: str
    channels_differ: str
    output_position: int
    image_is_chw: str
    output_is_chw: str
    progress: int

    @property
    def const_bytes(self) -> int:
        return sum(array.bytes for array in self.arrays)


def c_int(value: int) -> str:
    """A literal whose type is no wider than its value needs."""
    return str(value) if value != -(2**31) else "(-2147483647 - 1)"


def c_bool(value: bool) -> str:
    """A literal of stdbool.h."""
    return "true" if value else "false"


def harmless(text: str) -> str:
    """`text` reduced to what can stand in any C comment, at most 60 characters."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", text)[:60]


def wrapped(items: list[str]) -> list[str]:
    """Items, each followed by a comma, in lines of at most LINE characters."""
    lines: list[str] = []
    line = ""
    for item in items:
        if line and len(line) + len(item) + 2 > LINE:
            lines.append(line)
            line = ""
        line += f"{' ' if line else ''}{item},"
    return [*lines, line]
