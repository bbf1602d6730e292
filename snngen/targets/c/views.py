"""What the templates print: a FixedNet as named C constants. Every decision is taken here.

Names of constants are made from numbers only; a layer's own name appears in comments, reduced to
harmless characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer, FixedNet
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Linear, MaxPool, Op, Scale, Select, SumPool, Window
from snngen.spiking import INPUT
from snngen.targets.c.limits import check_sizes
from snngen.targets.c.schedule import (
    Key,
    Plan,
    constant_synapses,
    counts_maxima,
    takes_back,
)
from snngen.targets.c.storage import (
    I16,
    PARAMETERS,
    Element,
    narrowest,
    weights_in_order,
)

LINE = 96


@dataclass(frozen=True)
class ArrayView:
    """A constant array; `owner` is the layer, or the input, to which its bytes are charged."""

    name: str
    element: Element
    values: NDArray[np.int64]
    owner: str
    comment: str

    @property
    def bytes(self) -> int:
        return self.element.bytes * self.values.size

    @property
    def length(self) -> int:
        return self.values.size

    @property
    def lines(self) -> list[str]:
        """The elements, each followed by a comma, wrapped."""
        return wrapped([c_int(int(v)) for v in self.values])

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
    """An snn_synapse."""

    add: str
    op: str
    source: str
    channels: int


@dataclass(frozen=True)
class LayerView:
    """An snn_layer and the synapses that it points to."""

    number: int
    comment: str
    run: str
    output: str
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
    return str(value) if value > -(2**31) else "(-2147483647 - 1)"


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


def model_view(net: FixedNet, plan: Plan) -> ModelView:
    """Raises ConversionError, naming every layer concerned, where sizes exceed the runtime's
    indices.
    """
    check_sizes(net)
    return _Views(net, plan).model()


@dataclass
class _Views:
    net: FixedNet
    plan: Plan
    arrays: list[ArrayView] = field(default_factory=list)
    values: list[ValuesView] = field(default_factory=list)
    structs: list[StructView] = field(default_factory=list)

    def model(self) -> ModelView:
        net = self.net
        table = net.input.table.astype(np.int64)
        differ = bool((table != table[0]).any())
        table = table if differ else table[:1]  # one row serves all
        pixels = self.plan.regions[INPUT, "values"].storage.element
        bytes_to_values = self._array("input_table", table, INPUT, "[channel][byte]", pixels)
        lowest = self._array("input_lowest", table.min(1), INPUT, "[channel]", I16)
        highest = self._array("input_highest", table.max(1), INPUT, "[channel]", I16)
        values = {INPUT: self._values((INPUT, "values"), "input_values")}
        for number, layer in enumerate(net.layers):
            values[layer.name] = self._values((layer.name, "values"), f"layer{number}_output")
        layers = [self._layer(number, values) for number in self.plan.order]
        return ModelView(
            self.arrays,
            self.values,
            self.structs,
            layers,
            values[INPUT],
            bytes_to_values.reference,
            lowest.name,
            highest.name,
            c_bool(differ),
            self.plan.order.index(len(net.layers) - 1),
            c_bool(net.input.layout == "CHW"),
            c_bool(net.output_layout == "CHW"),
        )

    def _layer(self, number: int, values: dict[str, str]) -> LayerView:
        net, layer = self.net, self.net.layers[number]
        prefix = f"layer{number}"
        constant_first = sorted(layer.synapses, key=lambda s: not net.is_constant(s.source))
        synapses = tuple(
            SynapseView(
                _function(synapse.op, layer, net),
                f"&{self._op(synapse.op, f'{prefix}_synapse{k}', layer)}",
                f"&{values[synapse.source]}",
                layer.shape[0],
            )
            for k, synapse in enumerate(constant_first)
        )
        fire, neuron, initial = self._neuron(layer, prefix)
        accumulates = isinstance(layer.neuron, Accumulate) and number in self._stepped()
        return LayerView(
            number=number,
            comment=f"layer {number} '{harmless(layer.name)}': {'x'.join(map(str, layer.shape))}",
            run="snn_max_pool_counts" if counts_maxima(net, layer) else "snn_gather",
            output=f"&{values[layer.name]}",
            synapses_name=f"{prefix}_synapses",
            synapses=synapses,
            constant_synapses=constant_synapses(net, layer),
            bias=self._optional(f"{prefix}_bias", layer.bias, layer, "bias, [channel]"),
            fire=fire,
            neuron=neuron,
            initial=initial,
            membrane=f"&{values[layer.name]}"
            if accumulates
            else self._state((layer.name, "membrane"), f"{prefix}_membrane"),
            balance=self._state((layer.name, "balance"), f"{prefix}_balance"),
            scratch=self.plan.offsets[layer.name, "scratch"],
            has_balance=c_bool(takes_back(layer)),
            is_constant=c_bool(net.is_constant(layer.name)),
        )

    def _stepped(self) -> tuple[int, ...]:
        return self.plan.order[self.plan.at_once :]

    def _op(self, op: Op, name: str, layer: FixedLayer) -> str:
        """The struct that the operator's function expects; returns its name."""
        match op:
            case Conv(_, window, groups):
                order = "weights, [ky][kx][input][output]"
                weights = self._array(f"{name}_weights", weights_in_order(op), layer.name, order)
                return self._struct(
                    "snn_conv_op",
                    name,
                    weights=weights.reference,
                    window=_window(window),
                    groups=str(groups),
                )
            case Linear() | Scale():
                kind = "linear" if isinstance(op, Linear) else "scale"
                order = "weights, [y][x][input][output]" if kind == "linear" else "weights"
                weights = self._array(f"{name}_weights", weights_in_order(op), layer.name, order)
                return self._struct(f"snn_{kind}_op", name, weights=weights.reference)
            case SumPool(window, _, multiplier):
                factors = self._optional(f"{name}_multiplier", multiplier, layer, "[y][x]")
                return self._struct(
                    "snn_sum_pool_op",
                    name,
                    multiplier=factors,
                    window=_window(window),
                    width=str(layer.shape[2]),
                )
            case MaxPool(window):
                return self._struct("snn_max_pool_op", name, window=_window(window))
            case Select(channels, rows, columns):
                maps = {
                    axis: self._array(f"{name}_{axis}", indices, layer.name, axis, I16).name
                    for axis, indices in (
                        ("channels", channels),
                        ("rows", rows),
                        ("columns", columns),
                    )
                }
                return self._struct("snn_select_op", name, **maps)

    def _neuron(self, layer: FixedLayer, prefix: str) -> tuple[str, str, str]:
        """Function, pointer to its struct, and initial membrane."""
        match layer.neuron:
            case None:
                return "NULL", "NULL", NO_ARRAY
            case Accumulate():
                return "snn_accumulate", "NULL", NO_ARRAY
            case Level(thresholds, lowest):
                order = "level thresholds, [channel][level]"
                array = self._array(f"{prefix}_levels", thresholds, layer.name, order)
                name = self._struct(
                    "snn_level_op",
                    f"{prefix}_neuron",
                    thresholds=array.reference,
                    levels=str(thresholds.shape[1]),
                    lowest=c_int(lowest),
                )
                return "snn_level", f"&{name}", NO_ARRAY
            case IF() as neuron:
                threshold = self._array(
                    f"{prefix}_threshold", neuron.threshold, layer.name, "threshold, [channel]"
                )
                name = self._struct(
                    "snn_if_op",
                    f"{prefix}_neuron",
                    threshold=threshold.reference,
                    v_min=self._optional(
                        f"{prefix}_v_min", neuron.v_min, layer, "v_min, [channel]"
                    ),
                    max_spikes=str(neuron.max_spikes),
                    reset_to_zero=c_bool(neuron.reset == "zero"),
                    takes_back=c_bool(neuron.signed),
                )
                initial = neuron.v_init if neuron.v_init.any() else None
                v_init = self._optional(f"{prefix}_v_init", initial, layer, "v_init, [channel]")
                return "snn_if", f"&{name}", v_init

    def _array(
        self,
        name: str,
        values: NDArray[Any],
        owner: str,
        comment: str,
        element: Element | None = None,
    ) -> ArrayView:
        flat = np.asarray(values, np.int64).ravel()
        element = element or narrowest(int(flat.min()), int(flat.max()), PARAMETERS)
        view = ArrayView(name, element, flat, owner, f"'{harmless(owner)}' {comment}")
        self.arrays.append(view)
        return view

    def _optional(
        self, name: str, values: NDArray[Any] | None, layer: FixedLayer, comment: str
    ) -> str:
        if values is None:
            return NO_ARRAY
        return self._array(name, values, layer.name, comment).reference

    def _struct(self, ctype: str, name: str, **fields: str) -> str:
        self.structs.append(StructView(ctype, name, tuple(fields.items())))
        return name

    def _state(self, key: Key, name: str) -> str:
        return f"&{self._values(key, name)}" if key in self.plan.regions else "NULL"

    def _values(self, key: Key, name: str) -> str:
        storage = self.plan.regions[key].storage
        self.values.append(
            ValuesView(
                name,
                *storage.shape,
                storage.planes,
                storage.element.name,
                storage.row_bytes,
                storage.plane_bytes,
                self.plan.offsets[key],
                f"'{harmless(key[0])}' {key[1]}",
            )
        )
        return name


def _window(window: Window) -> str:
    top, left, _, _ = window.pads
    parts = (*window.kernel, *window.stride, *window.dilation, top, left)
    return "{" + ", ".join(str(part) for part in parts) + "}"


def _function(op: Op, layer: FixedLayer, net: FixedNet) -> str:
    match op:
        case Conv(weight, _, groups):
            depthwise = groups == weight.shape[0] and weight.shape[1] == 1
            return "snn_depthwise" if depthwise else "snn_conv"
        case Linear():
            return "snn_linear"
        case Scale():
            return "snn_scale"
        case SumPool():
            return "snn_sum_pool"
        case MaxPool():
            return "NULL" if counts_maxima(net, layer) else "snn_max_pool"
        case Select():
            return "snn_select"
