"""Small networks that between them use every kernel, in every form in which they can be emitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

from snngen.convert import Options
from snngen.fixed import FixedNet
from snngen.neurons import IF, Accumulate
from snngen.ops import Conv, Linear, SumPool, Window
from snngen.pipeline import build
from snngen.spiking import INPUT
from snngen.targets.c.build import RUNTIME
from snngen.targets.c.emit import emit
from snngen.targets.c.schedule import Optimise, Preference
from tests import graphs
from tests.networks import Builder, fixed_input, fixed_nets, level_showcase, spiking_showcase
from tests.streams import stream_showcase

FORMS: tuple[tuple[Preference, Optimise], ...] = (
    ("smallest", "speed"),
    ("fastest", "speed"),
    ("smallest", "size"),
    ("fastest", "vectors"),
)


@dataclass(frozen=True)
class Form:
    """A network as it is emitted in one of FORMS; `prefix` is its own."""

    net: FixedNet
    number: int
    prefix: str
    files: Mapping[str, bytes]


def networks(drawn: int) -> list[FixedNet]:
    """Networks made by hand, and as many drawn at random, always the same ones."""
    made = [spiking_showcase(), level_showcase(), many_levels(), trains(), stream_showcase()]
    return [*made, *_drawn(drawn)]


def forms(nets: list[FixedNet]) -> Iterator[Form]:
    """Each network in each form, those of a network one after the other."""
    for number, net in enumerate(nets):
        for k, (schedule, optimise) in enumerate(FORMS):
            prefix = f"n{number}_{k}"
            yield Form(net, number, prefix, emit(net, prefix=prefix, schedule=schedule,
                                                 optimise=optimise))  # fmt: skip


def project(given: list[Form]) -> dict[str, bytes]:
    """The files of all forms in one folder, with the runtime that they share."""
    files = {
        name: content
        for form in given
        for name, content in form.files.items()
        if name.startswith(form.prefix)
    }
    runtime = given[0].files
    return files | {name: runtime[name] for name in runtime if name.startswith(RUNTIME)}


def many_levels() -> FixedNet:
    """Some of whose layers find their levels by products of 64 bits."""
    g = graphs.lenet()
    return build(graphs.ann(g), graphs.images(g, 4), Options("channel-max", "level", levels=63))


def trains() -> FixedNet:
    """Neurons of constant current, pooled as they come."""
    rng = np.random.default_rng(3)
    builder = Builder(fixed_input(rng, (2, 6, 6), "CHW", 0, 20), 7)
    conv = graphs.conv(9, 2, 3, 1, pad=1)
    weight = np.round(conv.weight * 30).astype(np.int64)
    theta = rng.integers(40, 900, 9)
    builder.add(
        "first",
        [(INPUT, Conv(weight, Window((3, 3), pads=(1, 1, 1, 1))))],
        None,
        IF(theta, theta // 2),
    )
    builder.add("pool", [("first", SumPool(Window((2, 2), (2, 2)), 9))])
    last = builder.layers[-1]
    builder.add(
        "readout", [("pool", Linear(rng.integers(-9, 9, (3, *last.shape))))], None, Accumulate()
    )
    return builder.finish()


@cache
def _drawn(count: int) -> list[FixedNet]:
    found: list[FixedNet] = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @seed(4)
    @given(fixed_nets())
    def collect(net: FixedNet) -> None:
        found.append(net)

    collect()
    return found
