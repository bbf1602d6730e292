"""The C constants of an emitted network, as the template prints them: names, numbers, literals."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.targets.c.storage import Element

LINE = 96


@dataclass(frozen=True)
class ArrayView:
    """A constant array; `owner` is the layer, or the input, to which its bytes are charged. Its
    `values` are the numbers of structs where an element has several, `fields`.
    """

    name: str
    element: Element
    values: NDArray[np.int64]
    owner: str
    comment: str
    fields: int = 1

    @property
    def bytes(self) -> int:
        return self.element.bytes * self.length

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
        return wrapped([f"{{{', '.join(part)}}}" for part in parts])

    @property
    def reference(self) -> str:
        """An initialiser for an snn_array."""
        return f"{{{self.name}, {self.element.name}}}"


NO_ARRAY = "{NULL, SNN_I8}"


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
