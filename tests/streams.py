"""Networks of event coding, random ones and one by hand, and streams for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from snngen.data import noisy_streams
from snngen.fixed import FixedInput, FixedNet
from snngen.graph import Layout
from snngen.neurons import IF, Accumulate, Neuron
from snngen.ops import Conv, Interval, Linear, MaxPool, Scale, SumPool, Window
from snngen.spiking import INPUT
from tests.networks import Builder, _Drawing, fixed_input, random_images

LIMIT = 2**30


def random_streams(net: FixedNet, count: int, steps: int) -> np.ndarray:
    """uint8 (count, T, C, H, W)."""
    return noisy_streams((count, steps, *net.input.shape))


def random_inputs(net: FixedNet, count: int) -> np.ndarray:
    """Images, or streams of 12 timesteps."""
    return random_streams(net, count, 12) if net.is_stream else random_images(net, count)


@st.composite
def event_nets(draw: st.DrawFn, *, max_layers: int = 5) -> FixedNet:
    """Every operator and option that streams know."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width = draw(st.sampled_from([(1, 1), (1, 7), (4, 5), (6, 6)]))
    shape = (draw(st.integers(1, 10 if (height, width) == (1, 1) else 3)), height, width)
    lo, hi = draw(st.sampled_from([(0, 1), (0, 15), (0, 255), (-9, 9)]))
    given = fixed_input(rng, shape, draw(st.sampled_from(["CHW", "HWC"])), lo, hi)
    if (lo, hi) == (0, 255) and draw(st.booleans()):
        given = replace(
            given, table=np.broadcast_to(np.arange(256, dtype=np.int16), (shape[0], 256))
        )
    builder = Builder(replace(given, coding="events"), draw(st.integers(1, 20)))
    drawing = _DrawingOfStream(draw, rng, builder, levels=False, max_channels=4)
    for index in range(draw(st.integers(0, max_layers - 1))):
        drawing.hidden_layer(f"layer{index}")
    drawing.output_layer("output")
    return builder.finish(output_layout=draw(st.sampled_from(["CHW", "HWC"])))


class _DrawingOfStream(_Drawing):
    """Neurons that are bounded: by clamps wherever nothing else holds them, and sometimes there
    too.
    """

    def _neuron(self, current: Interval) -> Neuron | None:
        drawn = super()._neuron(current)
        if not isinstance(drawn, IF):
            return drawn
        theta = drawn.threshold
        free = self.rng.integers(1, 2 ** int(self.rng.integers(1, 20)), len(theta))
        v_min, v_max = drawn.v_min, theta + free
        if v_min is None and current.min < 0:
            v_min = -free
        grows = drawn.reset == "subtract" and bool((current.hi > drawn.max_spikes * theta).any())
        if not grows and self.draw(st.booleans()):
            v_max = None
        return replace(drawn, v_min=v_min, v_max=v_max, signed=False)

    def _max_pool(self, name: str) -> None:
        source = self._source()
        if self.builder.interval(source).min < 0:
            return self._sum_pool(name)
        return super()._max_pool(name)

    def _accumulator(self) -> Accumulate:
        return Accumulate(self.draw(st.sampled_from([LIMIT, 2**20, 300])))


def stream_showcase(layout: Layout = "CHW") -> FixedNet:
    """Events of two polarities; every operator of a stream, and clamps that are often reached."""
    rng = np.random.default_rng(13)
    table = np.broadcast_to(np.arange(256, dtype=np.int16), (2, 256))
    given = FixedInput((2, 8, 8), layout, table, np.ones(2), np.zeros(2), "events")
    builder = Builder(given, 16)
    same, tiles = Window((3, 3), pads=(1, 1, 1, 1)), Window((2, 2), (2, 2))

    def weights(*shape: int, lo: int = -20, hi: int = 30) -> np.ndarray:
        return rng.integers(lo, hi, shape)

    theta = rng.integers(300, 600, 9)
    builder.add(
        "first",
        [(INPUT, Conv(weights(9, 2, 3, 3), same))],
        weights(9),
        IF(theta, theta // 2, -2 * theta, 3 * theta),
    )
    builder.add("pool", [("first", MaxPool(tiles))])
    builder.add("input pool", [(INPUT, MaxPool(tiles))])
    theta = rng.integers(40, 90, 9)
    builder.add(
        "sum",
        [
            ("pool", Conv(weights(9, 9, 3, 3), same)),
            ("input pool", Conv(weights(9, 2, 1, 1, lo=-2, hi=4), Window((1, 1)))),
            ("pool", Scale(weights(9))),
        ],
        weights(9, hi=5),
        IF(theta, np.zeros_like(theta), -theta, 5 * theta, max_spikes=2),
    )
    builder.add("average", [("sum", SumPool(tiles, 4))])
    theta = rng.integers(20, 60, 8)
    builder.add(
        "dense",
        [("average", Linear(weights(8, 9, 2, 2, lo=-30)))],
        weights(8),
        IF(theta, theta // 2, -theta, reset="zero"),
    )
    builder.add("output", [("dense", Linear(weights(5, 8, 1, 1)))], weights(5), Accumulate(700))
    return builder.finish("stream showcase")
