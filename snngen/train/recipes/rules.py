"""What a key of a recipe may hold. Each rule says itself in words, for errors and for the page."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite
from typing import Any

from snngen.data.fitting import read_binning


class Rule:
    """`str(rule)` completes "must be ..."."""

    def accepts(self, value: Any) -> bool:
        """Whether a value as TOML has it keeps the rule."""
        raise NotImplementedError

    def read(self, value: Any) -> Any:
        """What an accepted value stands for."""
        return value


@dataclass(frozen=True)
class Whole(Rule):
    """A whole number."""

    least: int
    most: int

    def __str__(self) -> str:
        return f"a whole number, {self.least} to {self.most}"

    def accepts(self, value: Any) -> bool:
        return type(value) is int and self.least <= value <= self.most


@dataclass(frozen=True)
class Number(Rule):
    """A finite number, `above` one or at least 0."""

    above: float | None = None
    most: float = inf

    def __str__(self) -> str:
        least = "at least 0" if self.above is None else f"above {self.above:g}"
        return f"a number {least}" + ("" if self.most == inf else f", at most {self.most:g}")

    def accepts(self, value: Any) -> bool:
        if type(value) not in (int, float) or not isfinite(value):
            return False
        return (value >= 0 if self.above is None else value > self.above) and value <= self.most

    def read(self, value: Any) -> float:
        return float(value)


@dataclass(frozen=True)
class Flag(Rule):
    """Yes or no."""

    def __str__(self) -> str:
        return "true or false"

    def accepts(self, value: Any) -> bool:
        return type(value) is bool


@dataclass(frozen=True)
class Text(Rule):
    """A name or a path."""

    what: str

    def __str__(self) -> str:
        return f"{self.what}, in quotes"

    def accepts(self, value: Any) -> bool:
        return type(value) is str and bool(value)


@dataclass(frozen=True)
class Choice(Rule):
    """One of a few words, or where `other` is given, what that accepts."""

    names: tuple[str, ...]
    other: Rule | None = None

    def __str__(self) -> str:
        words = ", ".join(f'"{name}"' for name in self.names)
        return f"one of {words}" if self.other is None else f"{words} or {self.other}"

    def accepts(self, value: Any) -> bool:
        known = type(value) is str and value in self.names
        return known or (self.other is not None and self.other.accepts(value))


@dataclass(frozen=True)
class Bins(Rule):
    """How events are counted."""

    def __str__(self) -> str:
        return 'bins as of --bins, in quotes, for example "3" or "3x1000ev"'

    def accepts(self, value: Any) -> bool:
        return type(value) is str and read_binning(value) is not None


@dataclass(frozen=True)
class Ascending(Rule):
    """Numbers above 0, each larger than the one before."""

    def __str__(self) -> str:
        return "a list of numbers above 0 that rise, for example [100, 150]"

    def accepts(self, value: Any) -> bool:
        above = Number(above=0)
        if type(value) is not list or not value or not all(map(above.accepts, value)):
            return False
        return all(a < b for a, b in pairwise(value))

    def read(self, value: Any) -> tuple[float, ...]:
        return tuple(float(each) for each in value)
