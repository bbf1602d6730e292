"""Random small valid networks, straight from integers: what every backend is tried on.

`fixed_nets()` is a hypothesis strategy for whole networks. Structure is drawn by hypothesis, so
that failures shrink; weights come from a drawn seed. `Builder` makes single networks by hand: it
proves bounds layer by layer and keeps shapes straight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from snngen.bounds import prove
from snngen.check_fixed import check_fixed
from snngen.errors import BoundError
from snngen.fixed import FixedInput, FixedLayer, FixedNet
from snngen.graph import Layout
from snngen.neurons import IF, Accumulate, Level, Neuron
from snngen.ops import Conv, Interval, Linear, MaxPool, Op, Scale, Select, Shape, SumPool, Window
from snngen.spiking import INPUT, Synapse

Source = tuple[str, Op]


@dataclass
class Builder:
    """A network under construction; `add` appends a layer with its bounds proven."""

    input: FixedInput
    timesteps: int
    layers: list[FixedLayer] = field(default_factory=list)

    def interval(self, source: str) -> Interval:
        return self.input.interval if source == INPUT else self._named(source).output

    def shape(self, source: str) -> Shape:
        return self.input.shape if source == INPUT else self._named(source).shape

    def current(self, sources: Sequence[Source], bias: np.ndarray | None) -> Interval:
        """Bounds of the current alone: what thresholds should be chosen from."""
        return self._prove(sources, bias, None).current

    def add(
        self,
        name: str,
        sources: Sequence[Source],
        bias: np.ndarray | None = None,
        neuron: Neuron | None = None,
    ) -> FixedLayer:
        """Appends a layer; raises BoundError where 32 bits do not suffice."""
        bounds = self._prove(sources, bias, neuron)
        layer = FixedLayer(
            name,
            sources[0][1].shape(self.shape(sources[0][0])),
            tuple(Synapse(source, op) for source, op in sources),
            bias,
            neuron,
            bounds.current,
            bounds.membrane,
            bounds.output,
        )
        self.layers.append(layer)
        return layer

    def finish(self, name: str = "random", output_layout: Layout = "CHW") -> FixedNet:
        net = FixedNet(
            name, self.input, tuple(self.layers), self.timesteps, output_layout, 0.5, "drawn"
        )
        check_fixed(net)
        return net

    def _named(self, name: str) -> FixedLayer:
        return next(layer for layer in self.layers if layer.name == name)

    def _prove(self, sources: Sequence[Source], bias: np.ndarray | None, neuron: Neuron | None):
        return prove(
            "drawn",
            [Synapse(source, op) for source, op in sources],
            [self.interval(source) for source, _ in sources],
            bias,
            neuron,
            None if self.input.coding == "events" else self.timesteps,
        )


def fixed_input(
    rng: np.random.Generator, shape: Shape, layout: Layout, lo: int, hi: int
) -> FixedInput:
    """An input whose bytes stand for random integers lo..hi, a third of them 0."""
    table = rng.integers(lo, hi + 1, (shape[0], 256)) * (rng.random((shape[0], 256)) < 0.67)
    return FixedInput(shape, layout, table.astype(np.int16), np.ones(shape[0]), np.zeros(shape[0]))


def random_images(net: FixedNet, count: int, seed: int = 0) -> np.ndarray:
    """uint8 (count, C, H, W)."""
    return np.random.default_rng(seed).integers(0, 256, (count, *net.input.shape), dtype=np.uint8)


@st.composite
def windows(draw: st.DrawFn, shape: Shape, *, pads: bool = True) -> Window:
    """A window that fits an input of `shape` at least once."""
    _, height, width = shape

    def axis(size: int) -> tuple[int, int, int, int, int]:
        before, after = (draw(st.integers(0, 2)), draw(st.integers(0, 2))) if pads else (0, 0)
        padded = size + before + after
        kernel = draw(st.integers(1, min(3, padded)))
        most = (padded - 1) // (kernel - 1) if kernel > 1 else 2
        return kernel, draw(st.integers(1, 3)), before, after, draw(st.integers(1, min(2, most)))

    (kh, sh, top, bottom, dh), (kw, sw, left, right, dw) = axis(height), axis(width)
    return Window((kh, kw), (sh, sw), (top, left, bottom, right), (dh, dw))


@st.composite
def fixed_nets(
    draw: st.DrawFn,
    *,
    max_layers: int = 5,
    max_timesteps: int = 20,
    max_side: int = 6,
    max_channels: int = 4,
    levels: bool | None = None,
) -> FixedNet:
    """Level networks (T = 1), IF networks (T <= max_timesteps), or with `levels` only either; every
    operator and option. Images of up to `max_side` rows and columns, convolutions of up to
    `max_channels`.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.booleans()) if levels is None else levels
    timesteps = 1 if levels else draw(st.integers(1, max_timesteps))
    flat = draw(st.sampled_from(["2d", "2d", "1d", "vector"]))
    height, width = {
        "2d": (draw(st.integers(1, max_side)), draw(st.integers(1, max_side))),
        "1d": (1, draw(st.integers(1, 9))),
        "vector": (1, 1),
    }[flat]
    shape = (draw(st.integers(1, 10 if flat == "vector" else 3)), height, width)
    lo, hi = draw(st.sampled_from([(0, 1), (0, 15), (0, 255), (-128, 127), (-900, 900)]))
    layout = draw(st.sampled_from(["CHW", "HWC"]))
    builder = Builder(fixed_input(rng, shape, layout, lo, hi), timesteps)
    drawing = _Drawing(draw, rng, builder, levels, max_channels)
    for index in range(draw(st.integers(0, max_layers - 1))):
        drawing.hidden_layer(f"layer{index}")
    drawing.output_layer("output")
    return builder.finish(output_layout=draw(st.sampled_from(["CHW", "HWC"])))


@dataclass
class _Drawing:
    """Draws layer after layer onto a builder."""

    draw: st.DrawFn
    rng: np.random.Generator
    builder: Builder
    levels: bool
    max_channels: int

    def hidden_layer(self, name: str) -> None:
        kind = self.draw(
            st.sampled_from(["weighted"] * 4 + ["max_pool", "sum_pool", "select", "concat"])
        )
        try:
            getattr(self, f"_{kind}")(name)
        except BoundError:
            assume(False)

    def output_layer(self, name: str) -> None:
        source = self._source(latest=True)
        shape = self.builder.shape(source)
        outputs = self.draw(st.integers(1, 5))
        if self.draw(st.integers(0, 4)):
            op: Op = Linear(self._weights((outputs, *shape)))
        else:
            op = self._conv(shape)
        try:
            bias = self._bias(op.shape(shape)[0])
            self.builder.add(name, [(source, op)], bias, self._accumulator())
        except BoundError:
            assume(False)

    def _accumulator(self) -> Accumulate:
        return Accumulate()

    def _names(self) -> list[str]:
        """What a layer may read."""
        return [INPUT, *(layer.name for layer in self.builder.layers)]

    def _source(self, latest: bool = False) -> str:
        names = self._names()
        if latest or self.draw(st.integers(0, 2)):
            return names[-1]
        return self.draw(st.sampled_from(names))

    def _weights(self, shape: tuple[int, ...], most: int | None = None) -> np.ndarray:
        most = most or self.draw(st.sampled_from([1, 7, 127, 127, 1000]))
        return self.rng.integers(-most, most + 1, shape)

    def _bias(self, channels: int) -> np.ndarray | None:
        most = self.draw(st.sampled_from([0, 5, 300, 70000]))
        return self.rng.integers(-most, most + 1, channels) if most else None

    def _conv(self, shape: Shape, window: Window | None = None, out: int | None = None) -> Conv:
        window = window or self.draw(windows(shape))
        divisors = [g for g in range(1, shape[0] + 1) if shape[0] % g == 0]
        groups = self.draw(st.sampled_from(divisors)) if out is None else 1
        channels = out or groups * self.draw(
            st.integers(1, self.max_channels if groups == 1 else 2)
        )
        weight = self._weights((channels, shape[0] // groups, *window.kernel))
        return Conv(weight, window, groups)

    def _weighted(self, name: str) -> None:
        source = self._source()
        shape = self.builder.shape(source)
        kind = self.draw(st.sampled_from(["conv", "conv", "conv", "linear", "scale"]))
        most = self.draw(st.sampled_from([7, 127, 2000, 2**15 - 1]))
        first: Op = {
            "conv": lambda: self._conv(shape),
            "linear": lambda: Linear(
                self._weights((self.draw(st.integers(1, 2 * self.max_channels + 1)), *shape))
            ),
            "scale": lambda: Scale(self._weights((shape[0],), most)),
        }[kind]()
        sources: list[Source] = [(source, first)]
        for _ in range(self.draw(st.sampled_from([0, 0, 1, 2]))):
            sources += self._residual(first.shape(shape))
        bias = self._bias(first.shape(shape)[0])
        current = self.builder.current(sources, bias)
        self.builder.add(name, sources, bias, self._neuron(current))

    def _residual(self, shape: Shape) -> list[Source]:
        """One more synapse of output shape `shape`, or none if no source suits."""
        source = self.draw(st.sampled_from(self._names()))
        found = self.builder.shape(source)
        if found == shape and self.draw(st.booleans()):
            return [(source, Scale(self._weights((shape[0],))))]
        if found[1:] == shape[1:]:
            window = self.draw(st.sampled_from([Window((1, 1)), Window((3, 3), pads=(1, 1, 1, 1))]))
            return [(source, self._conv(found, window, shape[0]))]
        if shape[1:] == (1, 1):
            return [(source, Linear(self._weights((shape[0], *found))))]
        return []

    def _neuron(self, current: Interval) -> Neuron | None:
        if self.draw(st.integers(0, 5)) == 0:
            return None
        channels, top = len(current.lo), max(1, current.max)
        if self.levels:
            count = self.draw(st.sampled_from([1, 2, 4, 15]))
            low = max(current.min // 4, -(2**31))
            thresholds = self.rng.integers(low, top // 2 + 2, (channels, count))
            lowest = self.draw(st.sampled_from([0, 0, -1, -count, -128, 3]))
            if self.draw(st.booleans()):
                thresholds = evenly(thresholds, count)
            return Level(np.sort(thresholds, axis=1), lowest)
        most = max(1, int(top * self.draw(st.sampled_from([0.02, 0.2, 1.0]))))
        threshold = self.rng.integers(1, most + 1, channels)
        return IF(
            threshold,
            self.draw(
                st.sampled_from([np.zeros_like(threshold), threshold // 2, -threshold, threshold])
            ),
            -self.rng.integers(0, most + 1, channels) if self.draw(st.booleans()) else None,
            reset=self.draw(st.sampled_from(["subtract", "zero"])),
            max_spikes=self.draw(st.sampled_from([1, 1, 1, 2, 4])),
            signed=self.draw(st.sampled_from([False, False, True])),
        )

    def _max_pool(self, name: str) -> None:
        source = self._source()
        shape = self.builder.shape(source)
        window = self.draw(windows(shape))
        assume(window.taps_inside(*shape[1:]).min() > 0)
        self.builder.add(name, [(source, MaxPool(window))])

    def _sum_pool(self, name: str) -> None:
        source = self._source()
        shape = self.builder.shape(source)
        window = self.draw(windows(shape))
        counts = window.taps_inside(*shape[1:])
        average = counts.min() > 0 and self.draw(st.booleans())
        op = SumPool.average(window, counts) if average else SumPool(window, int(counts.max() or 1))
        self.builder.add(name, [(source, op)])

    def _select(self, name: str) -> None:
        source = self._source()
        op = Select(*(self._map(size) for size in self.builder.shape(source)))
        self.builder.add(name, [(source, op)])

    def _map(self, size: int) -> np.ndarray:
        """A slice, a flip, a pad or any mixture: indices below `size`, or -1."""
        kind = self.draw(st.sampled_from(["all", "flip", "slice", "pad", "any"]))
        whole = np.arange(size, dtype=np.int32)
        return {
            "all": whole,
            "flip": whole[::-1].copy(),
            "slice": whole[size // 3 :: 2] if size > 1 else whole,
            "pad": np.concatenate([[-1], whole, [-1]]).astype(np.int32),
            "any": self.rng.integers(-1, size, self.draw(st.integers(1, 4))).astype(np.int32),
        }[kind]

    def _concat(self, name: str) -> None:
        """Two sources of one image size, each supplying channels that the other leaves out."""
        first = self._source()
        height, width = self.builder.shape(first)[1:]
        fitting = [n for n in self._names() if self.builder.shape(n)[1:] == (height, width)]
        sources = [first, self.draw(st.sampled_from(fitting))]
        sizes = [self.builder.shape(source)[0] for source in sources]
        pads = [(0, sizes[1]), (sizes[0], 0)]
        maps = [
            np.concatenate([np.full(a, -1), np.arange(n), np.full(b, -1)]).astype(np.int32)
            for n, (a, b) in zip(sizes, pads, strict=True)
        ]
        rows, columns = (np.arange(n, dtype=np.int32) for n in (height, width))
        self.builder.add(
            name,
            [(source, Select(m, rows, columns)) for source, m in zip(sources, maps, strict=True)],
        )


def spiking_showcase(layout: Layout = "CHW") -> FixedNet:
    """IF neurons with every option, a residual sum, every kind of wiring; busy at every layer.

    The smallest arena runs its first layers at once and the others time by time.
    """
    rng = np.random.default_rng(7)
    table = rng.integers(0, 60, (2, 256)).astype(np.int16)
    given = FixedInput((2, 6, 6), layout, table, np.ones(2), np.zeros(2))
    builder = Builder(given, 12)
    same = Window((3, 3), pads=(1, 1, 1, 1))
    half = Window((3, 3), (2, 2), (1, 1, 1, 1))

    def weights(*shape: int, lo: int = -30, hi: int = 60) -> np.ndarray:
        return rng.integers(lo, hi, shape)

    def thresholds(channels: int, size: int) -> np.ndarray:
        return rng.integers(size // 2, size, channels)

    theta = thresholds(9, 4000)
    floor = -rng.integers(20, 300, 9)
    builder.add(
        "first",
        [(INPUT, Conv(weights(9, 2, 3, 3, lo=-60), same))],
        weights(9),
        IF(theta, theta // 2, floor),
    )
    theta = thresholds(9, 200)
    builder.add(
        "depthwise",
        [("first", Conv(weights(9, 1, 3, 3), half, 9))],
        weights(9),
        IF(theta, theta // 3, reset="zero"),
    )
    builder.add("pool", [("first", MaxPool(Window((2, 2), (2, 2))))])
    theta = thresholds(9, 60)
    builder.add(
        "sum",
        [
            ("pool", Conv(weights(9, 9, 1, 1, lo=-15, hi=20), Window((1, 1)))),
            ("depthwise", Scale(weights(9))),
            (INPUT, Conv(weights(9, 2, 3, 3, lo=-2, hi=3), half)),
        ],
        weights(9),
        IF(theta, theta // 2, max_spikes=3, signed=True),
    )
    builder.add("average", [("sum", SumPool.average(half, half.taps_inside(3, 3)))])
    maps = [np.array(m, np.int32) for m in ([8, 2, -1, 5, 0], [1, 0, -1], [1, 0])]
    builder.add("select", [("average", Select(*maps))])
    theta = thresholds(8, 400)
    builder.add(
        "dense", [("select", Linear(weights(8, 5, 3, 2)))], weights(8), IF(theta, theta // 2)
    )
    builder.add("output", [("dense", Linear(weights(5, 8, 1, 1)))], weights(5), Accumulate())
    return builder.finish("spiking showcase")


def evenly(thresholds: np.ndarray, count: int) -> np.ndarray:
    """`count` thresholds for each channel within the range of those given, (C, count)."""
    least, most = thresholds.min(1, keepdims=True), thresholds.max(1, keepdims=True)
    return least + (most - least) * np.arange(count) // max(count - 1, 1)


def level_showcase(layout: Layout = "HWC") -> FixedNet:
    """Level neurons over grouped, strided convolutions, pools and a concatenation: evenly spaced in
    one layer, at random and with signs in the other.
    """
    rng = np.random.default_rng(11)
    table = rng.integers(-40, 60, (3, 256)).astype(np.int16)
    given = FixedInput((3, 7, 5), layout, table, np.ones(3), np.zeros(3))
    builder = Builder(given, 1)

    def levels(sources: list[Source], bias: np.ndarray, count: int) -> np.ndarray:
        most = builder.current(sources, bias).hi // 3
        return np.sort(rng.integers(-most // 2, most, (count, len(most))).T, axis=1)

    sources: list[Source] = [
        (INPUT, Conv(rng.integers(-9, 20, (6, 1, 3, 2)), Window((3, 2), (1, 1), (1, 0, 0, 1)), 3))
    ]
    bias = rng.integers(-50, 50, 6)
    builder.add("grouped", sources, bias, Level(evenly(levels(sources, bias, 4), 4)))
    builder.add("pool", [("grouped", MaxPool(Window((2, 2), (1, 2), (1, 0, 0, 0))))])
    builder.add("sums", [("grouped", SumPool(Window((2, 2), (1, 2), (1, 0, 0, 0)), 4))])
    absent = np.full(6, -1)
    maps = [np.concatenate([np.arange(6), absent]), np.concatenate([absent, np.arange(6)])]
    rows, columns = np.arange(6, dtype=np.int32), np.arange(2, dtype=np.int32)
    builder.add(
        "concat",
        [
            (name, Select(channels.astype(np.int32), rows, columns))
            for name, channels in zip(("pool", "sums"), maps, strict=True)
        ],
    )
    sources = [("concat", Linear(rng.integers(-20, 30, (10, 12, 6, 2))))]
    bias = rng.integers(-50, 50, 10)
    builder.add("dense", sources, bias, Level(levels(sources, bias, 15), -7))
    builder.add(
        "output", [("dense", Linear(rng.integers(-40, 40, (4, 10, 1, 1))))], None, Accumulate()
    )
    return builder.finish("level showcase")
