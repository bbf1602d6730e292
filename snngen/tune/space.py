"""What `tune` chooses from: methods, sizes, weight bits and percentiles."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from snngen.convert import METHODS, Options, resolve
from snngen.convert.options import PERCENTILES, check_options
from snngen.errors import ConversionError, Problem
from snngen.graph import Graph


@dataclass(frozen=True)
class Space:
    """The values of each option that are tried, where a method reads it; methods that train, which
    takes minutes for each, only where they are named.
    """

    method: tuple[str, ...] = tuple(name for name in METHODS if not METHODS[name].trains)
    neuron: tuple[str, ...] = ("level", "if")
    timesteps: tuple[int, ...] = (4, 8, 16, 32, 64)
    levels: tuple[int, ...] = (1, 3, 7, 15, 31, 63)
    bits: tuple[int, ...] = (8, 6, 4)
    percentile: tuple[float | str, ...] = PERCENTILES


@dataclass(frozen=True)
class Ladder:
    """Configurations that differ in precision only.

    `rungs`: ascending in T of `if` or N of `level` neurons, each with the most of `bits`, which
    descend.
    """

    rungs: tuple[Options, ...]
    bits: tuple[int, ...]

    @property
    def networks(self) -> int:
        return len(self.rungs) * len(self.bits)


def ladders(space: Space, graph: Graph) -> tuple[tuple[Ladder, ...], tuple[Problem, ...]]:
    """All of `space` that applies to `graph`, and the first reason why other methods do not;
    ConversionError where a value is not allowed or no method applies.
    """
    _check(space)
    bits = tuple(sorted(set(space.bits), reverse=True))
    made: list[Ladder] = []
    left_out: dict[str, Problem] = {}
    for neuron, name in product(space.neuron, space.method):
        method, size = METHODS[name], "timesteps" if neuron == "if" else "levels"
        percentiles = space.percentile if "percentile" in method.options else ("auto",)
        sizes = sorted(set(getattr(space, size))) if size in method.lengths(neuron) else [None]
        # one conversion serves all bits, unless it looks at them
        for percentile, served in product(
            percentiles, [(b,) for b in bits] if method.rounds else [bits]
        ):
            family = _options(method=name, neuron=neuron, percentile=percentile, bits=served[0])
            rungs = tuple(replace(family, **({size: n} if n else {})) for n in sizes)
            problems = [p for rung in rungs for p in _problems(rung, graph)]
            if problems:
                left_out.setdefault(name, problems[0])
            else:
                made.append(Ladder(rungs, served))
    if not made:
        raise ConversionError(*left_out.values())
    return tuple(made), tuple(left_out.values())


def _check(space: Space) -> None:
    """Every value by itself; ConversionError with all that are not allowed."""
    problems: list[Problem] = []
    if "auto" in space.neuron:
        problems.append(Problem("option --neuron", "must be if or level", "auto"))
    for field in fields(space):
        for value in getattr(space, field.name):
            alone = _options(**{"method": "channel-max", field.name: value})
            problems += _problems(alone, None)
    if problems:
        raise ConversionError(*problems)


def _options(**chosen: Any) -> Options:
    """From values that are checked afterwards."""
    return replace(Options(), **chosen)


def _problems(options: Options, graph: Graph | None) -> tuple[Problem, ...]:
    """What is not allowed by itself or, given one, for `graph`."""
    try:
        if graph is None:
            check_options(options, METHODS)
        else:
            resolve(graph, options)
    except ConversionError as error:
        return error.problems
    return ()
