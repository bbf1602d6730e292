"""What the templates print: a FixedNet as named C constants. Every decision is taken here.

Names of constants are made from numbers only; a layer's own name appears in comments, reduced to
harmless characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer, FixedNet
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Linear, MaxPool, Op, Scale, Select, SumPool, Window
from snngen.ops.max_pool import most_behind
from snngen.spiking import INPUT, Synapse
from snngen.targets.c.constants import (
    NO_ARRAY,
    NOT_LOOKED_UP,
    ArrayView,
    LayerView,
    ModelView,
    StructView,
    SynapseView,
    ValuesView,
    Width,
    c_bool,
    c_int,
    harmless,
)
from snngen.targets.c.limits import check_sizes
from snngen.targets.c.schedule import (
    Key,
    Plan,
    constant_synapses,
    counts_maxima,
    fires_trains,
    takes_back,
)
from snngen.targets.c.steps import WIDE, WORD, steps
from snngen.targets.c.storage import (
    I16,
    I32,
    PARAMETERS,
    STEPS,
    WIDE_STEPS,
    Element,
    narrowest,
    weights_in_order,
)
from snngen.targets.c.way import Way

PRODUCTS_CODE = 450  # bytes by which snn_level.c is longer than snn_climb.c, about


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
        is_itself = len(table) == 1 and np.array_equal(table[0], np.arange(256))
        bytes_to_values = (
            NOT_LOOKED_UP
            if is_itself
            else self._array("input_table", table, INPUT, "[channel][byte]", pixels).reference
        )
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
            bytes_to_values,
            lowest.name,
            highest.name,
            c_bool(differ),
            self.plan.order.index(len(net.layers) - 1),
            c_bool(net.input.layout == "CHW"),
            c_bool(net.output_layout == "CHW"),
            self.plan.offsets.get((INPUT, "progress"), 0),
        )

    def _pooled(self, layer: FixedLayer, prefix: str, values: dict[str, str]) -> str:
        """The struct of the layer that pools `layer` as it comes, if there is one."""
        name = self.plan.pooled.get(layer.name)
        if name is None:
            return "NULL"
        pool = self.net[name]
        op = pool.synapses[0].op
        assert isinstance(op, SumPool | MaxPool)
        height, width = op.window.kernel
        number = self.net.layers.index(pool)
        made = self._struct(
            "snn_pooled",
            f"{prefix}_pooled",
            output=f"&{values[name]}",
            height=str(height),
            width=str(width),
            number=f"{number}",
            takes_maximum=c_bool(isinstance(op, MaxPool)),
        )
        return f"&{made}"

    def _layer(self, number: int, values: dict[str, str]) -> LayerView:
        net, layer = self.net, self.net.layers[number]
        prefix = f"layer{number}"
        numbered = enumerate(layer.synapses)
        constant_first = sorted(numbered, key=lambda s: not net.is_constant(s[1].source))
        synapses = tuple(self._synapses(constant_first, layer, prefix, values))
        fire, neuron, initial = self._neuron(layer, prefix)
        accumulates = isinstance(layer.neuron, Accumulate) and number in self._stepped()
        return LayerView(
            number=number,
            comment=f"layer {number} '{harmless(layer.name)}': {'x'.join(map(str, layer.shape))}",
            run=self._run(layer),
            output=f"&{values[layer.name]}",
            pooled=self._pooled(layer, prefix, values),
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
            has_membrane=c_bool(isinstance(layer.neuron, IF | Accumulate)),
            has_balance=c_bool(takes_back(layer)),
            is_constant=c_bool(net.is_constant(layer.name)),
        )

    def _run(self, layer: FixedLayer) -> str:
        if counts_maxima(self.net, layer):
            return "snn_max_pool_counts"
        at_once = layer.name not in self._stepped_names()
        return "snn_trains" if fires_trains(self.net, layer, at_once=at_once) else "snn_gather"

    def _synapses(
        self,
        synapses: list[tuple[int, Synapse]],
        layer: FixedLayer,
        prefix: str,
        values: dict[str, str],
    ) -> Iterator[SynapseView]:
        net = self.net
        channels, _, width = layer.shape
        prepared = self.plan.offsets.get((layer.name, "prepared"), 0)
        for k, synapse in synapses:
            name, source = f"{prefix}_synapse{k}", f"&{values[synapse.source]}"
            found = self.plan.ways[layer.name, k]
            if not isinstance(found, Way):
                op = self._op(synapse.op, name, layer)
                add = _function(synapse.op, layer, net)
                yield SynapseView(k, add, f"&{op}", source, channels, width)
                continue
            op = self._way(found, name, layer)
            size = found.prepared_bytes
            yield SynapseView(
                k, found.add, f"&{op}", source, channels, width, found.prepare, prepared, size
            )
            once = layer.name in self._stepped_names() or net.is_constant(synapse.source)
            prepared += size * (1 if once else net.timesteps)

    def _way(self, found: Way, name: str, layer: FixedLayer) -> str:
        weights = self._array(
            f"{name}_weights",
            found.weights,
            layer.name,
            found.order,
            found.element,
            2 if found.word else 1,
            found.word,
        )
        return self._struct(
            found.struct,
            name,
            weights=weights.name,
            window=_window(found.window),
            **{what: str(value) for what, value in found.parameters},
        )

    def _stepped_names(self) -> set[str]:
        return {self.net.layers[i].name for i in self._stepped()}

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
                )
            case MaxPool(window):
                behind = most_behind(self.net.source_interval(layer.synapses[0].source))
                most = str(behind if self.net.is_stream else 0)
                return self._struct(
                    "snn_max_pool_op", name, window=_window(window), most_behind=most
                )
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
            case Accumulate(None):
                return "snn_accumulate", "NULL", NO_ARRAY
            case Accumulate(limit):
                name = self._struct("snn_saturate_op", f"{prefix}_neuron", limit=str(limit))
                return "snn_saturate", f"&{name}", NO_ARRAY
            case Level() as neuron if self.plan.optimise == "vectors":
                return "snn_compare", f"&{self._compare(neuron, layer, prefix)}", NO_ARRAY
            case Level() as neuron if self._climbs():
                return "snn_climb", f"&{self._climb(neuron, layer, prefix)}", NO_ARRAY
            case Level() as neuron:
                return "snn_level", f"&{self._level(neuron, layer, prefix)}", NO_ARRAY
            case IF() as neuron:
                threshold = self._array(
                    f"{prefix}_threshold", neuron.threshold, layer.name, "threshold, [channel]", I32
                )
                clamps = {
                    what: "NULL"
                    if values is None
                    else self._array(
                        f"{prefix}_{what}", values, layer.name, f"{what}, [channel]", I32
                    ).name
                    for what, values in (("v_min", neuron.v_min), ("v_max", neuron.v_max))
                }
                name = self._struct(
                    "snn_if_op",
                    f"{prefix}_neuron",
                    threshold=threshold.name,
                    **clamps,
                    max_spikes=str(neuron.max_spikes),
                    reset_to_zero=c_bool(neuron.reset == "zero"),
                    takes_back=c_bool(neuron.signed),
                )
                initial = neuron.v_init if neuron.v_init.any() else None
                v_init = self._optional(f"{prefix}_v_init", initial, layer, "v_init, [channel]")
                return "snn_if", f"&{name}", v_init

    def _compare(self, neuron: Level, layer: FixedLayer, prefix: str) -> str:
        order = "level thresholds, [level][channel]"
        table = self._array(f"{prefix}_levels", neuron.thresholds.T, layer.name, order, I32)
        return self._struct(
            "snn_compare_op",
            f"{prefix}_neuron",
            thresholds=table.name,
            levels=str(len(neuron.thresholds.T)),
            lowest=c_int(neuron.lowest),
        )

    def _climbs(self) -> bool:
        """Whether all levels are counted threshold by threshold, because these are fewer bytes."""
        neurons = [la.neuron for la in self.net.layers if isinstance(la.neuron, Level)]
        thresholds = sum(n.thresholds.size * _narrowest(n.thresholds).bytes for n in neurons)
        products = sum(len(n.thresholds) * STEPS.bytes for n in neurons) + PRODUCTS_CODE
        return self.plan.optimise == "size" and thresholds <= products

    def _climb(self, neuron: Level, layer: FixedLayer, prefix: str) -> str:
        order = "level thresholds, [channel][level]"
        table = self._array(f"{prefix}_levels", neuron.thresholds, layer.name, order)
        return self._struct(
            "snn_climb_op",
            f"{prefix}_neuron",
            thresholds=table.reference,
            levels=str(neuron.thresholds.shape[1]),
            lowest=c_int(neuron.lowest),
        )

    def _level(self, neuron: Level, layer: FixedLayer, prefix: str) -> str:
        found = steps(neuron.thresholds, layer.current.hi)
        offset = found.offset - found.first * found.multiplier
        if found.shift < WIDE:  # products modulo 2**32
            kind, element = "steps", STEPS
            each = np.stack([found.first, found.last, found.multiplier, offset % WORD], axis=1)
            order = "{first, last, multiplier, offset} of levels, [channel]"
        else:
            kind, element = "wide_steps", WIDE_STEPS
            each = np.stack([offset, found.multiplier, found.first], axis=1)
            order = "{offset, multiplier, first} of levels, [channel]"
        made = self._array(
            f"{prefix}_steps", each, layer.name, order, element, each.shape[1], width="more"
        )
        names = {"steps": "NULL", "wide_steps": "NULL", kind: f"SNN_UNLESS_8_BIT({made.name})"}
        width: Width = "any" if found.comparisons else "8 bit"
        table = self._array(
            f"{prefix}_levels", neuron.thresholds, layer.name, "level thresholds, [channel][level]",
            I32, width=width,
        )  # fmt: skip
        names["thresholds"] = table.name if found.comparisons else f"SNN_IF_8_BIT({table.name})"
        return self._struct(
            "snn_level_op",
            f"{prefix}_neuron",
            **names,
            levels=str(neuron.thresholds.shape[1]),
            comparisons=str(found.comparisons),
            shift=str(found.shift % WIDE),
            lowest=c_int(neuron.lowest),
        )

    def _array(
        self,
        name: str,
        values: NDArray[Any],
        owner: str,
        comment: str,
        element: Element | None = None,
        fields: int = 1,
        macro: str = "",
        width: Width = "any",
    ) -> ArrayView:
        flat = np.asarray(values, np.int64).ravel()
        element = element or _narrowest(flat)
        about = f"'{harmless(owner)}' {comment}"
        view = ArrayView(name, element, flat, owner, about, fields, macro, width)
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
        channels, height, width = storage.shape
        if key[0] in self.plan.pooled and key[1] == "values":
            height = self.net[key[0]].shape[1]  # of which there is memory for one line
        self.values.append(
            ValuesView(
                name,
                channels,
                height,
                width,
                storage.planes,
                storage.element.name,
                storage.row_bytes,
                storage.plane_bytes,
                self.plan.offsets[key],
                f"'{harmless(key[0])}' {key[1]}",
            )
        )
        return name


def _narrowest(values: NDArray[Any]) -> Element:
    return narrowest(int(values.min()), int(values.max()), PARAMETERS)


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
