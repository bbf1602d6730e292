"""A FixedNet as populations of binary neurons: what computes on cores, what the host computes, and
what is possible on neither.

A level neuron of N thresholds is N neurons of one threshold, its copies (Zou et al. 2021, see
`snngen.expand`); copy i of a maximum of such counts fires where copy i of any input does. Wiring
has no neurons: it becomes part of the way from a population to its sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snngen.errors import ConversionError, Problem
from snngen.expand import unsendable
from snngen.fixed import FixedLayer, FixedNet
from snngen.neurons import IF, Level
from snngen.ops import MaxPool, Op, Select, Shape
from snngen.spiking import INPUT


@dataclass(frozen=True, eq=False)
class Path:
    """One way to `source`: operators with the shape that each reads, the reader's own first.

    The source has `copies` binary neurons for each of its values.
    """

    source: str
    copies: int
    ops: tuple[tuple[Op, Shape], ...]

    @property
    def shape(self) -> Shape:
        """Of the source."""
        return self.ops[-1][1]


@dataclass(frozen=True, eq=False)
class Population:
    """The neurons of `layer`, `copies` for each of its values, and all that they read.

    `copywise`: copy i reads copies i only. `depth`: the number of populations on the longest way
    from the host's, which have 0.
    """

    layer: FixedLayer
    copies: int
    paths: tuple[Path, ...]
    copywise: bool
    on_host: bool
    depth: int

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def shape(self) -> Shape:
        return self.layer.shape

    @property
    def neurons(self) -> int:
        """Copies included."""
        return int(np.prod(self.shape)) * self.copies


def populations(net: FixedNet) -> tuple[Population, ...]:
    """Those of `net` in its order.

    The host computes what reads the input's numbers, which are no spikes, and sends spikes.
    ConversionError with everything that binary neurons cannot do.
    """
    lowering = _Lowering(net)
    problems = [*unsendable(net), *lowering.run()]
    made = tuple(lowering.made.values())
    if not problems and made[-1].on_host:
        rule = "reads the input's numbers, which leaves nothing for cores"
        problems.append(Problem(f"layer '{made[-1].name}'", rule))
    if problems:
        raise ConversionError(*problems)
    return made


def host_part(net: FixedNet, made: tuple[Population, ...]) -> FixedNet:
    """What the host computes of `net`: a network without an output."""
    on_host = {population.name for population in made if population.on_host}
    mapped = {population.name for population in made} - on_host
    layers = []
    known = {INPUT}
    for layer in net.layers:
        if layer.name not in mapped and all(s.source in known for s in layer.synapses):
            layers.append(layer)
            known.add(layer.name)
    return replace(net, layers=tuple(layers))


class _Lowering:
    def __init__(self, net: FixedNet) -> None:
        self.net = net
        self.made: dict[str, Population] = {}
        self.wired: dict[str, tuple[Path, ...]] = {}  # what wiring reads of populations
        self.numbers = {INPUT}  # what sends other things than spikes

    def run(self) -> Iterator[Problem]:
        """Makes all populations, and yields what is wrong with them."""
        for layer in self.net.layers:
            paths = tuple(p for s in layer.synapses for p in self._paths(s.source, s.op))
            pools = isinstance(layer.synapses[0].op, MaxPool)
            if layer.is_wiring and not pools:
                self.wired[layer.name] = paths
                continue
            reads_numbers = any(p.source in self.numbers for p in paths)
            on_cores = [p.source for p in paths if self._is_on_cores(p.source)]
            if reads_numbers and layer.neuron is None:
                self.numbers.add(layer.name)
            elif pools:
                yield from self._pool_problems(layer, paths)
            else:
                yield from self._neuron_problems(layer)
            if reads_numbers and on_cores:
                rule = "reads the input's numbers together with spikes of cores"
                hint = "let only the first layers read the input"
                yield Problem(f"layer '{layer.name}'", rule, f"it reads '{on_cores[0]}'", hint)
            self.made[layer.name] = Population(
                layer,
                max(p.copies for p in paths) if pools else copies_of(layer),
                paths,
                copywise=pools,
                on_host=reads_numbers,
                depth=0 if reads_numbers else 1 + max(map(self._depth, paths)),
            )

    def _depth(self, path: Path) -> int:
        return self.made[path.source].depth

    def _is_on_cores(self, source: str) -> bool:
        return source in self.made and not self.made[source].on_host

    def _paths(self, source: str, op: Op) -> Iterator[Path]:
        """The ways from `op`, which reads `source`, to populations or the input."""
        step = (op, self.net.source_shape(source))
        if source in self.wired:
            for path in self.wired[source]:
                yield replace(path, ops=(step, *path.ops))
        else:
            yield Path(source, 1 if source == INPUT else self.made[source].copies, (step,))

    def _pool_problems(self, layer: FixedLayer, paths: tuple[Path, ...]) -> Iterator[Problem]:
        where = f"layer '{layer.name}'"
        if self.net.longest != 1:
            rule = "the maximum of spikes over time keeps running counts, which no neuron does"
            hint = "use level neurons (--neuron level), or a model with average pooling"
            yield Problem(where, rule, hint=hint)
        elif _adds(paths):
            rule = "takes the maximum of sums, and binary neurons send none"
            yield Problem(where, rule, hint="pool before adding or averaging")

    def _neuron_problems(self, layer: FixedLayer) -> Iterator[Problem]:
        where = f"layer '{layer.name}'"
        match layer.neuron:
            case None:
                rule = "sends its sum, which is no spike"
                yield Problem(where, rule, hint="give the model an activation there")
            case IF(signed=True):
                yield Problem(where, "binary neurons cannot take spikes back", "signed spikes")
            case IF(max_spikes=most) if most > 1:
                yield Problem(where, "binary neurons send one spike at a time", f"up to {most}")
            case _:
                pass


def copies_of(layer: FixedLayer) -> int:
    """How many binary neurons a neuron of `layer` is."""
    return layer.neuron.thresholds.shape[1] if isinstance(layer.neuron, Level) else 1


def _adds(paths: tuple[Path, ...]) -> bool:
    """Whether what a pool reads through `paths` can be the sum of several counts."""
    total = np.zeros(paths[0].ops[0][1], np.int64)
    for path in paths:
        taken = np.ones(path.shape, np.int64)
        for op, _ in reversed(path.ops[1:]):
            if not isinstance(op, Select):
                return True
            taken = op.forward(taken[None])[0]
        total += taken
    return bool(total.max(initial=0) > 1)
