"""The int8 CNN that a level network of 255 levels is, evaluated densely in C: what emitted C
competes with. Weights and biases are the network's, sums are rounded to bytes by a multiplication.

"naive" is written as textbooks do. "fast" is as fast as we can make it: sizes known when compiled,
planes with their padding, eight sums in registers, two products in an instruction where the
processor has the DSP extension (`dsp`), pooling and rounding at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from snngen.fixed import FixedLayer, FixedNet
from snngen.neurons import Level
from snngen.ops import Conv, Linear, Scale, SumPool, Window
from snngen.spiking import INPUT
from snngen.targets.c.constants import wrapped
from snngen.targets.c.schedule import Region, place
from snngen.targets.c.storage import I16, Storage

Form = Literal["naive", "fast"]
Ints = NDArray[np.int64]
FOLDER = Path(__file__).parent
SOURCE = "contender.c"
GROUP = 4  # outputs whose sums are made together


def emit_dense(net: FixedNet, form: Form, *, dsp: bool = False) -> Mapping[str, bytes]:
    """C files with the functions of bench/mcu/contender.h."""
    writer = _Fast(net, dsp) if form == "fast" else _Naive(net)
    return {
        SOURCE: writer.text().encode(),
        f"{form}.h": (FOLDER / f"{form}.h").read_bytes(),
        "contender.h": (FOLDER / "contender.h").read_bytes(),
    }


@dataclass(frozen=True)
class _Plane:
    """The values of a layer with zeros around them: (C, H, W), and (top, left, bottom, right)."""

    shape: tuple[int, int, int]
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def row(self) -> int:
        return (self.shape[2] + self.pads[1] + self.pads[3]) * self.shape[0]

    @property
    def elements(self) -> int:
        """With what is read beyond the end, by a second position and a pair."""
        height = self.shape[1] + self.pads[0] + self.pads[2]
        return -(-(height * self.row + 4 * self.shape[0] + 2) // 2) * 2

    def at(self, top: int, left: int) -> int:
        """The element where a window begins that has so much padding."""
        return (self.pads[0] - top) * self.row + (self.pads[1] - left) * self.shape[0]


@dataclass
class _Writer:
    """What both forms share: arrays, a function for each layer, and the two public functions."""

    net: FixedNet
    arrays: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.readers: dict[str, list[FixedLayer]] = {}
        for layer in self.net.layers:
            for synapse in layer.synapses:
                self.readers.setdefault(synapse.source, []).append(layer)
        self.numbers = {layer.name: i for i, layer in enumerate(self.net.layers)}
        self.numbers[INPUT] = -1

    def array(self, ctype: str, name: str, values: NDArray[Any]) -> str:
        lines = "\n    ".join(wrapped([f"{int(v)}" for v in np.asarray(values).ravel()]))
        self.arrays.append(f"static const {ctype} {name}[{np.size(values)}] = {{\n    {lines}\n}};")
        return name

    def rounding(self, layer: FixedLayer, divisor: int = 1, multiple: int = 1) -> tuple[str, str]:
        """Names of bias and multiplier, (C,), padded to a multiple: the level is (sum + bias) *
        multiplier / 2**32, rounded. `divisor`: of what the layer reads.
        """
        n, channels = self.numbers[layer.name], layer.shape[0]
        if isinstance(layer.neuron, Level):
            t = layer.neuron.thresholds.astype(np.float64) - 0.5  # they were rounded up
            fires = t[:, 0] <= layer.current.hi
            step = np.where(fires, (t[:, -1] - t[:, 0]) / (t.shape[1] - 1), np.inf)
            first = t.mean(1) - (t[:, -1] - t[:, 0]) / 2
            bias = np.rint(np.where(fires, step / 2 - first, 0) / divisor)
            multiplier = np.rint(2**32 * divisor / step)
            if multiplier.max() >= 2**31:
                raise ValueError(f"layer {layer.name}: steps must be more than {2 * divisor}")
        else:
            bias = np.zeros(channels) if layer.bias is None else np.rint(layer.bias / divisor)
            multiplier = np.zeros(channels)
        more = (0, -channels % multiple)
        return (
            self.array("int32_t", f"bias{n}", np.pad(bias, more)),
            self.array("int32_t", f"multiplier{n}", np.pad(multiplier, more)),
        )

    def text(self, value: str, include: str, elements: int, read: str, first: int) -> str:
        """`read` copies the image; after so many functions, the first layer is done."""
        calls = [f"layer{i}();" for i in range(len(self.functions))]
        outputs = self.net.layers[-1].shape[0]
        define = "\n".join(self.arrays)
        functions = "\n\n".join(self.functions)
        return f"""#include "contender.h"

typedef {value} value;
#include "{include}"

{define}

static value arena[{elements}] __attribute__((aligned(4)));
int32_t contender_sums[{-(-outputs // GROUP) * GROUP}];

static void read_image(const uint8_t *image)
{{
{read}
}}

{functions}

void contender_first(const uint8_t *image)
{{
    read_image(image);
    {" ".join(calls[:first])}
}}

int32_t contender_run(const uint8_t *image)
{{
    int32_t best = 0;
    contender_first(image);
    {" ".join(calls[first:])}
    for (int32_t o = 1; o < {outputs}; ++o) {{
        best = contender_sums[o] > contender_sums[best] ? o : best;
    }}
    return best;
}}
"""


def _tiles(layer: FixedLayer, net: FixedNet) -> Window | None:
    """The window of a pooling layer that tiles what it reads."""
    op = layer.synapses[0].op
    if layer.neuron is not None or not isinstance(op, SumPool):
        return None
    window, source = op.window, net.source_shape(layer.synapses[0].source)
    whole = all(
        a == b * k for a, b, k in zip(source[1:], layer.shape[1:], window.kernel, strict=True)
    )
    if not whole or window.stride != window.kernel or any(window.pads):
        raise ValueError(f"layer {layer.name}: only pooling that tiles is written densely")
    return window


def _depthwise(op: Conv) -> bool:
    return op.groups > 1


def _image_index(net: FixedNet) -> str:
    channels, height, width = net.input.shape
    if net.input.layout == "CHW":
        return f"(c * {height} + y) * {width} + x"
    return f"(y * {width} + x) * {channels} + c"


def _read_image(net: FixedNet, writer: _Writer, to: str) -> str:
    channels, height, width = net.input.shape
    table, byte = net.input.table, f"image[{_image_index(net)}]"
    if not (table == np.arange(256)).all():
        byte = f"{writer.array('int16_t', 'table', table)}[c * 256 + {byte}]"
    return f"""    for (int y = 0; y < {height}; ++y) {{
        for (int x = 0; x < {width}; ++x) {{
            for (int c = 0; c < {channels}; ++c) {{
                {to} = (value){byte};
            }}
        }}
    }}"""


class _Fast(_Writer):
    def __init__(self, net: FixedNet, dsp: bool) -> None:
        super().__init__(net)
        self.dsp = dsp
        self.pools = {
            layer.name: readers[0]
            for layer in net.layers
            if len(readers := self.readers.get(layer.name, [])) == 1 and _tiles(readers[0], net)
        }
        pooling = {pool.name for pool in self.pools.values()}
        self.running = [layer for layer in net.layers if layer.name not in pooling]
        self.planes = {INPUT: self._plane(INPUT, net.input.shape)}
        for layer in self.running[:-1]:
            stored = self.pools.get(layer.name, layer)
            self.planes[stored.name] = self._plane(stored.name, stored.shape)
        self.offsets, self.elements = self._place()

    def _plane(self, name: str, shape: tuple[int, int, int]) -> _Plane:
        pads = [
            synapse.op.window.pads
            for layer in self.readers[name]
            for synapse in layer.synapses
            if synapse.source == name and isinstance(synapse.op, Conv)
        ]
        top, left, bottom, right = np.max([*pads, (0, 0, 0, 0)], axis=0)
        return _Plane(shape, (int(top), int(left), int(bottom), int(right)))

    def _place(self) -> tuple[dict[str, int], int]:
        tick = {layer.name: i for i, layer in enumerate(self.running)}
        born = {self.pools.get(name, self.net[name]).name: i for name, i in tick.items()}
        regions = [
            Region(
                name,
                "values",
                Storage((plane.elements, 1, 1), 1, I16),
                born.get(name, -1),
                max(tick[reader.name] for reader in self.readers[name]),
            )
            for name, plane in self.planes.items()
        ]
        offsets = {name: at // 2 for (name, _), at in place(regions).items()}
        return offsets, max(offsets[n] + p.elements for n, p in self.planes.items())

    def text(self) -> str:
        for layer in self.running:
            self._layer(layer)
        plane = self.planes[INPUT]
        start = self.offsets[INPUT] + plane.at(0, 0)
        to = f"arena[{start} + y * {plane.row} + x * {plane.shape[0]} + c]"
        self.arrays.append(f"typedef char as_emitted[INPUTS_AT_ONCE == {1 + self.dsp} ? 1 : -1];")
        read = self._clear(INPUT) + _read_image(self.net, self, to)
        return super().text("int16_t", "fast.h", self.elements, read, 1)

    def _clear(self, name: str) -> str:
        plane = self.planes[name]
        return f"    memset(arena + {self.offsets[name]}, 0, {2 * plane.elements});\n"

    def _layer(self, layer: FixedLayer) -> None:
        n = self.numbers[layer.name]
        op = layer.synapses[0].op
        body = self._connect(layer, op) if isinstance(op, Linear) else self._convolve(layer)
        k = len(self.functions)
        self.functions.append(
            f"static __attribute__((noinline)) void layer{k}(void) /* {n} */\n{{\n{body}\n}}"
        )

    def _connect(self, layer: FixedLayer, op: Linear) -> str:
        n, source = self.numbers[layer.name], layer.synapses[0].source
        if any(self.planes[source].pads):
            raise ValueError(f"layer {layer.name}: reads what a convolution needs with padding")
        bias, multiplier = self.rounding(layer, multiple=GROUP)
        rows = op.weight.transpose(0, 2, 3, 1).reshape(len(op.weight), 1, -1)
        weights = self._weights(f"weights{n}", rows)
        last = layer is self.net.layers[-1]
        out = "NULL, contender_sums" if last else f"arena + {self.offsets[layer.name]}, NULL"
        return (
            f"    connect(arena + {self.offsets[source]}, {rows.shape[2]}, {weights}, {out},\n"
            f"            {-(-len(rows) // GROUP) * GROUP}, {bias}, {multiplier});"
        )

    def _convolve(self, layer: FixedLayer) -> str:
        channels, height, width = layer.shape
        if channels % GROUP:
            raise ValueError(f"layer {layer.name}: channels must be a multiple of {GROUP}")
        bias, multiplier = self.rounding(layer)
        pool = self.pools.get(layer.name)
        window = None if pool is None else _tiles(pool, self.net)
        name = layer.name if pool is None else pool.name
        plane = self.planes[name]
        at = f"arena + {self.offsets[name] + plane.at(0, 0)}"
        kernel = (1, 1) if window is None else window.kernel
        to = f"(target){{{at}, {plane.row}, {channels}, {kernel[0]}, {kernel[1]}}}"
        clear = self._clear(name) if any(plane.pads) or pool is not None else ""
        sizes = f"{height}, {width}, {channels}, {bias}, {multiplier}"
        op = layer.synapses[0].op
        if isinstance(op, Conv) and _depthwise(op):
            return f"{clear}    convolve_channels({self._channels(layer, op)}, {to}, {sizes});"
        operands = self._operands(layer)
        parts = ",\n        ".join([*operands, self._skip(layer), to])
        return f"{clear}    convolve(\n        {parts},\n        {sizes});"

    def _operands(self, layer: FixedLayer) -> list[str]:
        found = []
        for k, synapse in enumerate(layer.synapses):
            if isinstance(synapse.op, Conv):
                window, source = synapse.op.window, self.planes[synapse.source]
                at = self.offsets[synapse.source] + source.at(*window.pads[:2])
                rows = synapse.op.weight.transpose(0, 2, 3, 1)
                rows = rows.reshape(*rows.shape[:2], -1)
                weights = self._weights(f"weights{self.numbers[layer.name]}_{k}", rows)
                down, right = window.stride[0] * source.row, window.stride[1] * source.shape[0]
                found.append(
                    f"(operand){{arena + {at}, {source.row}, {down}, {right}, "
                    f"{window.kernel[0]}, {rows.shape[2]}, {weights}}}"
                )
        return [*found, "(operand){NULL, 0, 0, 0, 0, 0, NULL}"][:2]

    def _skip(self, layer: FixedLayer) -> str:
        for synapse in layer.synapses:
            if isinstance(synapse.op, Scale):
                source = self.planes[synapse.source]
                factors = self.array(
                    "int32_t", f"factors{self.numbers[layer.name]}", synapse.op.weight
                )
                at = self.offsets[synapse.source] + source.at(0, 0)
                return f"(skip){{arena + {at}, {source.row}, {source.shape[0]}, {factors}}}"
        return "(skip){NULL, 0, 0, NULL}"

    def _channels(self, layer: FixedLayer, op: Conv) -> str:
        source = self.planes[layer.synapses[0].source]
        window = op.window
        at = self.offsets[layer.synapses[0].source] + source.at(*window.pads[:2])
        ordered = op.weight[:, 0].transpose(1, 2, 0)
        weights = self.array("int16_t", f"weights{self.numbers[layer.name]}", ordered)
        down, right = window.stride[0] * source.row, window.stride[1] * source.shape[0]
        kernel = f"{window.kernel[0]}, {window.kernel[1]}"
        return f"arena + {at}, {source.row}, {down}, {right}, {kernel}, {weights}"

    def _weights(self, name: str, rows: Ints) -> str:
        """(O, rows, run) as [O / 4][row][input][O % 4], of pairs of inputs for the DSP."""
        outputs, height, run = rows.shape
        rows = np.pad(rows, ((0, -outputs % GROUP), (0, 0), (0, run % 2 if self.dsp else 0)))
        groups = rows.reshape(-1, GROUP, height, rows.shape[2]).transpose(0, 2, 3, 1)
        if not self.dsp:
            return self.array("int8_t", name, groups)
        pairs = groups.reshape(len(groups), height, -1, 2, GROUP)
        words = (pairs[..., 0, :] & 0xFFFF) | (pairs[..., 1, :] & 0xFFFF) << 16
        return self.array("uint32_t", name, words)


class _Naive(_Writer):
    """Every layer has its own plane of bytes; averages are rounded."""

    def __init__(self, net: FixedNet) -> None:
        super().__init__(net)
        self.offsets, self.elements = {INPUT: 0}, int(np.prod(net.input.shape))
        self.shapes = {INPUT: net.input.shape}
        self.divisors = {INPUT: 1}
        for layer in net.layers[:-1]:
            self.offsets[layer.name], self.shapes[layer.name] = self.elements, layer.shape
            window = _tiles(layer, net)
            self.divisors[layer.name] = 1 if window is None else int(np.prod(window.kernel))
            self.elements += int(np.prod(layer.shape))

    def text(self) -> str:
        for layer in self.net.layers:
            body = self._body(layer)
            k = len(self.functions)
            self.functions.append(f"static void layer{k}(void)\n{{\n    {body}\n}}")
        _, _, width = self.net.input.shape
        to = f"arena[(y * {width} + x) * {self.net.input.shape[0]} + c]"
        read = _read_image(self.net, self, to)
        signed = self.net.input.table.min() < 0
        first = 2 if _tiles(self.net.layers[1], self.net) else 1
        return super().text(
            "int16_t" if signed else "uint8_t", "naive.h", self.elements, read, first
        )

    def _body(self, layer: FixedLayer) -> str:
        synapse = layer.synapses[0]
        source, op = synapse.source, synapse.op
        at = f"arena + {self.offsets[source]}"
        channels, height, width = layer.shape
        if layer is self.net.layers[-1]:
            out = "NULL, contender_sums"
        else:
            out = f"arena + {self.offsets[layer.name]}"
        window = _tiles(layer, self.net)
        if window is not None:
            kernel = f"{window.kernel[0]}, {window.kernel[1]}"
            return f"average({at}, {out}, {height}, {width}, {channels}, {kernel});"
        n = self.numbers[layer.name]
        bias, multiplier = self.rounding(layer, self.divisors[source])
        if isinstance(op, Linear):
            ordered = op.weight.transpose(0, 2, 3, 1)
            weights = self.array("int8_t", f"weights{n}", ordered)
            inputs = int(np.prod(op.weight.shape[1:]))
            out = out if out.startswith("NULL") else f"{out}, NULL"
            return f"connect({at}, {inputs}, {weights}, {out}, {channels}, {bias}, {multiplier});"
        if isinstance(op, Conv) and _depthwise(op):
            operand = self._operand(layer, 0)
            return f"convolve_channels({operand}, {out}, {height}, {width}, {bias}, {multiplier});"
        convs = [k for k, s in enumerate(layer.synapses) if isinstance(s.op, Conv)]
        operands = [*(self._operand(layer, k) for k in convs), "NULL"][:2]
        skips = [s for s in layer.synapses if isinstance(s.op, Scale)]
        skip = "NULL, NULL"
        for s in skips:
            factors = self.array("int32_t", f"factors{n}", s.op.weight)
            skip = f"arena + {self.offsets[s.source]}, {factors}"
        sizes = f"{height}, {width}, {channels}, {bias}, {multiplier}"
        return f"convolve({', '.join(operands)}, {skip}, {out}, {sizes});"

    def _operand(self, layer: FixedLayer, k: int) -> str:
        synapse = layer.synapses[k]
        op, source = synapse.op, synapse.source
        assert isinstance(op, Conv)
        channels, height, width = self.shapes[source]
        order = (2, 3, 0, 1) if _depthwise(op) else (0, 2, 3, 1)
        weights = self.array(
            "int8_t", f"weights{self.numbers[layer.name]}_{k}", op.weight.transpose(order)
        )
        window = op.window
        numbers = (*window.kernel, *window.stride, *window.pads[:2])
        sizes = ", ".join(str(v) for v in (height, width, channels, *numbers))
        return f"&(operand){{arena + {self.offsets[source]}, {sizes}, {weights}}}"
