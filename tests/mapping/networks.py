"""Networks that crossbar chips can compute, random ones and one by hand, and small chips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from snngen.fixed import FixedNet
from snngen.mapping import Crossbar
from snngen.neurons import IF, Accumulate, Level, Neuron
from snngen.ops import Conv, Interval, Linear, MaxPool, Scale, Window
from snngen.spiking import INPUT
from tests.networks import Builder, _Drawing, fixed_input

# Small cores, so that small networks need many, with every extension that they can have.
TINY = Crossbar(
    "tiny", columns=4, rows=4, axons=24, dendrites=96, widest=3, longest=6, membrane_bits=32
)
DEVICES = (TINY, replace(TINY, axons=100, dendrites=48), replace(TINY, axons=7, dendrites=512))


@st.composite
def mappable_nets(draw: st.DrawFn, *, max_layers: int = 5) -> FixedNet:
    """Networks of every operator, over time or of levels, whose neurons are binary."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.booleans())
    height, width = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    shape = (draw(st.integers(1, 3)), height, width)
    given = fixed_input(rng, shape, "CHW", 0, draw(st.sampled_from([1, 15, 255])))
    builder = Builder(given, 1 if levels else draw(st.integers(1, 5)))
    drawing = _MappableDrawing(draw, rng, builder, levels, 4)
    for index in range(draw(st.integers(1, max_layers))):
        drawing.hidden_layer(f"layer{index}")
    drawing.output_layer("output")
    return builder.finish(output_layout=draw(st.sampled_from(["CHW", "HWC"])))


class _MappableDrawing(_Drawing):
    """The first layer alone reads the input; neurons send one spike at a time, many weights are
    ternary, some take several axons, and maxima are taken of counts.
    """

    def _names(self) -> list[str]:
        return [layer.name for layer in self.builder.layers] or [INPUT]

    def hidden_layer(self, name: str) -> None:
        if self.builder.layers:
            super().hidden_layer(name)
        else:
            self._weighted(name)

    def _weights(self, shape: tuple[int, ...], most: int | None = None) -> np.ndarray:
        return super()._weights(shape, self.draw(st.sampled_from([1, 1, 1, 7, 120, 600])))

    def _max_pool(self, name: str) -> None:
        assume(self.builder.timesteps == 1)
        super()._max_pool(name)

    def _neuron(self, current: Interval) -> Neuron | None:
        drawn = super()._neuron(current)
        assume(drawn is not None)
        if isinstance(drawn, IF):
            return replace(drawn, max_spikes=1, signed=False)
        assert isinstance(drawn, Level)
        return replace(drawn, lowest=0)


def residual_net(levels: int = 3, channels: int = 6, seed: int = 0) -> FixedNet:
    """Convolution, depthwise convolution, a residual sum, a maximum, dense layers; odd sizes."""
    rng = np.random.default_rng(seed)
    builder = Builder(fixed_input(rng, (2, 9, 7), "CHW", 0, 30), 1)
    same, half = Window((3, 3), (1, 1), (1, 1, 1, 1)), Window((2, 2), (2, 2))

    def add(name: str, sources: list) -> None:
        current = builder.current(sources, None)
        low, high = current.lo // 4, np.maximum(current.hi // 4, current.lo // 4 + levels)
        steps = np.linspace(low, high, levels).T.astype(np.int64)
        builder.add(name, sources, None, Level(np.sort(steps, axis=1)))

    def ternary(*shape: int) -> np.ndarray:
        return rng.integers(-1, 2, shape)

    add("first", [(INPUT, Conv(rng.integers(-9, 20, (channels, 2, 3, 3)), same))])
    add("depthwise", [("first", Conv(ternary(channels, 1, 3, 3), same, channels))])
    add(
        "sum",
        [
            ("depthwise", Conv(ternary(channels, channels, 1, 1), Window((1, 1)))),
            ("first", Scale(rng.integers(-3, 4, channels))),
        ],
    )
    builder.add("pool", [("sum", MaxPool(half))])
    add("dense", [("pool", Linear(ternary(20, channels, 4, 3)))])
    builder.add(
        "output", [("dense", Linear(rng.integers(-99, 100, (5, 20, 1, 1))))], None, Accumulate()
    )
    return builder.finish("residual")
