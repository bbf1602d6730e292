"""Networks to fit the estimate on: many layers each, of every kernel in many sizes, as busy as
trained ones.

Each layer reads one or two of those before it, at random. Thresholds are quantiles of the currents
that the images make, so that between a twentieth and two thirds of the neurons fire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from snngen.errors import BoundError
from snngen.fixed import FixedInput, FixedNet
from snngen.neurons import IF, Accumulate, Level, Neuron
from snngen.ops import Conv, Linear, MaxPool, Op, Scale, Select, Shape, SumPool, Window
from snngen.simulate import simulate
from snngen.spiking import INPUT
from tests.networks import Builder, Source, evenly

MOST_WEIGHTS, MOST_BYTES = 3000, 34_000
MOST_WORK = 40_000  # multiplications of a layer and timestep
MOST_VALUES = 1500
MOST_LEVELS = 500  # of a layer, which are four bytes each
LEVELS = (1, 1, 3, 4, 7, 15, 15, 31, 63, 255)
FEW_LEVELS = (1, 2, 3, 4)  # which take fewer bytes one by one than as products
OUTPUTS = (1, 2, 3, 4, 6, 8, 9, 12, 14, 15, 16, 20, 24, 30, 32, 40)
IMAGES = 2
LIMIT = 2**28
Case = Callable[[str], bool]


@dataclass(frozen=True)
class Kind:
    """Of a network: `timesteps`, or levels where that is 1; bytes of the input stand for values
    `low`..`high`; `is_stream`: of events; `levels`: how many its layers may have.
    """

    timesteps: int
    shape: Shape
    low: int
    high: int
    is_stream: bool = False
    levels: tuple[int, ...] = LEVELS


KINDS = (
    Kind(1, (1, 16, 16), 0, 255),
    Kind(4, (2, 12, 12), 0, 60),
    Kind(1, (3, 12, 11), -128, 127),
    Kind(3, (1, 14, 13), 0, 255),
    Kind(1, (8, 9, 8), 0, 9),
    Kind(5, (4, 9, 9), -90, 127),
    Kind(1, (2, 13, 10), -900, 900),
    Kind(2, (16, 8, 7), 0, 3),
    Kind(1, (1, 16, 12), 0, 100),
    Kind(4, (1, 8, 8), 0, 3, is_stream=True),
    Kind(3, (3, 9, 8), 0, 9, is_stream=True),
    Kind(1, (1, 12, 16), 0, 900),
    Kind(1, (1, 13, 13), 0, 2),
    Kind(1, (3, 11, 12), 0, 200, levels=FEW_LEVELS),
    Kind(1, (4, 9, 10), 0, 12, levels=FEW_LEVELS),
)


def fitted_on(number: int) -> tuple[FixedNet, np.ndarray]:
    """Network `number` of len(KINDS), the same in every run, and images or streams for it."""
    kind, rng = KINDS[number], np.random.default_rng(number)
    given = FixedInput(
        kind.shape,
        ("CHW", "HWC")[number % 2],
        _table(kind, rng),
        np.ones(kind.shape[0]),
        np.zeros(kind.shape[0]),
        "events" if kind.is_stream else "direct",
    )
    steps = (kind.timesteps + 1,) if kind.is_stream else ()
    images = rng.integers(0, 256, (IMAGES, *steps, *kind.shape), dtype=np.uint8)
    images[0][images[0] < 200] = 0  # few events, as many as there are, and large dark areas
    images[1, ..., kind.shape[1] // 2 :, :] = 0
    drawing = _Drawing(kind, rng, Builder(given, kind.timesteps), images)
    drawing.layers()
    drawing.output()
    return drawing.builder.finish(f"estimate {number}"), images


def _table(kind: Kind, rng: np.random.Generator) -> np.ndarray:
    """Byte 0 stands for 0; all channels alike where values are not signed."""
    row = np.arange(256) * (kind.high - kind.low) // 255 + kind.low
    row = np.where(np.arange(256) == 0, 0, row)
    table = np.tile(row, (kind.shape[0], 1)).astype(np.int16)
    if kind.low < 0:
        table[0] = rng.permutation(table[0])
        table[0, 0] = 0
    return table


@dataclass
class _Drawing:
    kind: Kind
    rng: np.random.Generator
    builder: Builder
    images: np.ndarray
    parameters: int = 0
    pooled: set[str] = field(default_factory=set)

    def layers(self) -> None:
        """Every case in turn, most of them several times: each in another size."""
        convolutions = [partial(self._conv, outputs=n) for n in self._some(OUTPUTS, 7)]
        cases: list[Case] = [
            partial(self._conv, outputs=16, source=INPUT),
            partial(self._conv, outputs=8, source=INPUT),
            partial(self._conv, outputs=24),
            *convolutions[:3],
            partial(self._conv, outputs=16, pool=SumPool),
            partial(self._conv, outputs=int(self.rng.choice([6, 9, 20])), pool=SumPool),
            partial(self._conv, outputs=int(self.rng.choice([7, 12, 16])), pool=MaxPool),
            *convolutions[3:],
            partial(self._conv, outputs=16, kernel=1),
            partial(self._conv, outputs=int(self.rng.choice(OUTPUTS)), kernel=1),
            self._grouped,
            partial(self._conv, outputs=8, dilation=2),
            partial(self._depthwise, eights=True),
            partial(self._depthwise, eights=True),
            partial(self._depthwise, eights=False),
            self._scale,
            self._scale,
            partial(self._pool, op=SumPool),
            partial(self._pool, op=MaxPool),
            self._select,
            *(partial(self._linear, outputs=n) for n in self._some((3, 10, 12, 16, 32, 40), 4)),
        ]
        for case in cases:
            attempts = (self._attempt(case, f"layer{len(self.builder.layers)}") for _ in range(60))
            any(attempts)

    def output(self) -> None:
        source = self._source(lambda shape: np.prod(shape) <= 600)
        op = Linear(self._weights((10, *self.builder.shape(source)), 127))
        limit = LIMIT if self.kind.is_stream else None
        self.builder.add("output", [(source, op)], self._bias(10), Accumulate(limit))

    def _some(self, values: tuple[int, ...], count: int) -> list[int]:
        return [int(n) for n in self.rng.permutation(values)[:count]]

    def _attempt(self, draw: Case, name: str) -> bool:
        before = len(self.builder.layers)
        try:
            if draw(name):
                return True
        except (BoundError, ValueError):
            pass
        del self.builder.layers[before:]
        return False

    def _source(self, suits: Callable[[Shape], bool] = lambda shape: True) -> str:
        """One that has neurons, or now and then any."""
        named = {layer.name: layer for layer in self.builder.layers}
        rest = [n for n in (INPUT, *named) if n not in self.pooled and suits(self.builder.shape(n))]
        busy = [n for n in rest if n in named and named[n].neuron is not None]
        found = busy if busy and self.rng.random() < 0.85 else rest
        if not found:
            raise ValueError
        return str(self.rng.choice(found))

    def _weights(self, shape: tuple[int, ...], most: int | None = None) -> np.ndarray:
        most = most or int(self.rng.choice([1, 7, 30, 127, 127, 127, 127, 1000]))
        return self.rng.integers(-most, most + 1, shape)

    def _bias(self, channels: int) -> np.ndarray | None:
        most = int(self.rng.choice([0, 100, 3000, 70000]))
        return self.rng.integers(-most, most + 1, channels) if most else None

    def _window(self, shape: Shape, kernel: int = 0, dilation: int = 1) -> Window:
        k = kernel or int(self.rng.choice([2, 3, 3, 3, 4, 5]))
        stride = int(self.rng.choice([1, 1, 1, 2]))
        height, width = min(k, shape[1]), min(k, shape[2])
        pad = int(self.rng.integers(0, 1 + k // 2))
        return Window((height, width), (stride, stride), (pad,) * 4, (dilation, dilation))

    def _conv(
        self,
        name: str,
        outputs: int,
        source: str = "",
        kernel: int = 0,
        dilation: int = 1,
        pool: type[SumPool | MaxPool] | None = None,
    ) -> bool:
        source = source or self._source()
        shape = self.builder.shape(source)
        window = self._window(shape, kernel, dilation)
        weights = self._weights((outputs, shape[0], *window.kernel))
        if not self._add(name, source, Conv(weights, window)):
            return False
        if pool is None:
            return True
        _, height, width = self.builder.shape(name)
        size = int(self.rng.choice([2, 3]))
        if height < size or width < size:
            return False
        tiles = Window((size, size), (size, size))
        op = MaxPool(tiles) if pool is MaxPool else SumPool(tiles, size * size)
        self.builder.add(f"{name} pooled", [(name, op)])
        self.pooled.add(name)
        return True

    def _grouped(self, name: str) -> bool:
        source = self._source(lambda shape: shape[0] % 2 == 0)
        shape = self.builder.shape(source)
        window = self._window(shape)
        weights = self._weights((16, shape[0] // 2, *window.kernel))
        return self._add(name, source, Conv(weights, window, 2))

    def _depthwise(self, name: str, *, eights: bool) -> bool:
        source = self._source(lambda shape: shape[0] > 1 and (shape[0] % 8 == 0) == eights)
        shape = self.builder.shape(source)
        window = self._window(shape)
        weights = self._weights((shape[0], 1, *window.kernel), 127 if eights else None)
        return self._add(name, source, Conv(weights, window, shape[0]))

    def _linear(self, name: str, outputs: int) -> bool:
        source = self._source(lambda shape: np.prod(shape) * outputs <= MOST_WEIGHTS)
        return self._add(
            name, source, Linear(self._weights((outputs, *self.builder.shape(source))))
        )

    def _scale(self, name: str) -> bool:
        source = self._source()
        most = int(self.rng.choice([100, 100, 2000]))
        return self._add(name, source, Scale(self._weights((self.builder.shape(source)[0],), most)))

    def _add(self, name: str, source: str, op: Conv | Linear | Scale) -> bool:
        target = op.shape(self.builder.shape(source))
        size = op.weight.size
        work = size * target[1] * target[2]
        small = size <= MOST_WEIGHTS and self.parameters + size <= MOST_BYTES
        if not small or work > MOST_WORK or np.prod(target) > MOST_VALUES:
            return False
        sources: list[Source] = [(source, op)]
        if self.rng.random() < 0.15:
            sources += self._second(target)
        bias = self._bias(target[0])
        self.builder.add(name, sources, bias, None)
        neuron = self._neuron()
        self.builder.layers.pop()
        self.builder.add(name, sources, bias, neuron)
        self.parameters += size
        return True

    def _second(self, target: Shape) -> list[Source]:
        fitting = [layer.name for layer in self.builder.layers if layer.shape == target]
        fitting = [n for n in fitting if n not in self.pooled]
        if not fitting:
            return []
        return [(fitting[-1], Scale(self._weights((target[0],), 100)))]

    def _current(self) -> np.ndarray:
        """Of the last layer, (C, all values) over all images."""
        builder = self.builder
        net = FixedNet(
            "", builder.input, tuple(builder.layers), builder.timesteps, "CHW", 1.0, "drawn"
        )
        trace = simulate(net, self.images, trace=True).trace
        assert trace is not None
        sent = trace[builder.layers[-1].name].output
        return np.moveaxis(sent, 2, 0).reshape(sent.shape[2], -1)

    def _neuron(self) -> Neuron | None:
        if self.rng.random() < 0.06:
            return None
        current = self._current()
        quiet = self.rng.uniform(0.35, 0.95)
        first = np.quantile(current, quiet, axis=1).astype(np.int64)
        spread = np.maximum(np.quantile(current, 0.999, axis=1).astype(np.int64) - first, 20)
        if self.kind.timesteps == 1:
            return self._level(first, spread)
        return self._if(np.maximum(first, 1), spread)

    def _level(self, first: np.ndarray, spread: np.ndarray) -> Level:
        count = int(self.rng.choice(self.kind.levels))
        count = min(count, MOST_LEVELS // len(first))
        thresholds = first[:, None] + spread[:, None] * np.arange(count) // count
        if self.rng.random() < 0.2:
            thresholds = np.sort(
                self.rng.integers(first[:, None], (first + spread)[:, None], (len(first), count)), 1
            )
        elif self.rng.random() < 0.5:
            thresholds = evenly(thresholds, count)
        return Level(thresholds, int(self.rng.choice([0, 0, 0, 0, -1, -count // 2])))

    def _if(self, first: np.ndarray, spread: np.ndarray) -> IF:
        theta = first + spread // 3
        plain = self.rng.random() < 0.55
        start = [np.zeros_like(theta), theta // 2][self.rng.integers(2)]
        if self.kind.is_stream:
            bounded = IF(theta, start, -theta, 4 * theta)
            return bounded if plain else replace(bounded, max_spikes=int(self.rng.choice([1, 3])))
        if plain:
            return IF(theta, start)
        form = self.rng.integers(5)
        if form == 0:
            return IF(theta, start, -theta, 4 * theta)
        if form == 1:
            return IF(theta, start, signed=True)
        return IF(
            theta,
            start,
            -theta if self.rng.random() < 0.5 else None,
            reset=("subtract", "zero")[self.rng.integers(2)],
            max_spikes=int(self.rng.choice([1, 2, 4])),
            signed=bool(self.rng.random() < 0.3),
        )

    def _pool(self, name: str, op: type[SumPool | MaxPool]) -> bool:
        source = self._source(lambda shape: min(shape[1:]) >= 3)
        shape = self.builder.shape(source)
        window = self._window(shape, int(self.rng.choice([2, 3])))
        counts = window.taps_inside(*shape[1:])
        if counts.min() == 0:
            return False
        pool: Op = MaxPool(window) if op is MaxPool else SumPool.average(window, counts)
        self.builder.add(name, [(source, pool)])
        return True

    def _select(self, name: str) -> bool:
        source = self._source()
        channels, height, width = self.builder.shape(source)
        kept = np.sort(self.rng.permutation(channels)[: -(-channels // 2)])
        maps = (np.concatenate([kept, [-1]]), np.arange(height), np.arange(-1, width))
        self.builder.add(name, [(source, Select(*(m.astype(np.int32) for m in maps)))])
        return True
