"""What an ONNX tensor is during import: a constant, a view of a node's value, or unknown.

A view makes layout a matter of plain indexing. Its `index` has the ONNX tensor's full shape, batch
included, and holds for every element the place it comes from, `b * size + flat position in the
node's canonical (C, H, W)`, or -1 for a constant zero. Transpose, Reshape, Slice, Pad and their
kin are then operations on index arrays, and nobody has to know which axis "is" the channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.errors import Problem
from snngen.ops import Select, Shape
from snngen.ops.window import Array

Index = NDArray[np.int32]

MAX_ELEMENTS = 2**24  # of one tensor: far beyond any network for a microcontroller


class Refused(Exception):  # noqa: N818 - a verdict that the caller turns into a Problem
    """An importer's reason for not taking a node: the parts of a Problem that lack the place."""

    def __init__(self, rule: str, found: object = "", hint: str = "") -> None:
        self.rule, self.found, self.hint = rule, str(found), hint
        super().__init__(rule)

    def at(self, where: str) -> Problem:
        """The Problem, now that the place is known."""
        return Problem(where, self.rule, self.found, self.hint)


@dataclass(frozen=True, eq=False)
class View:
    """An activation tensor: elements of the value of node `source`, arranged by `index`."""

    source: str
    index: Index

    @property
    def shape(self) -> tuple[int, ...]:
        return self.index.shape


@dataclass(frozen=True)
class Unknown:
    """A tensor that depends on a refused node and whose shape nobody knows."""


Value = View | Array | Unknown


def guard_size(shape: tuple[int, ...], what: str = "a tensor") -> None:
    """Raise Refused for dimensions that are not positive, or too many elements to allocate."""
    count = 1
    for dim in shape:
        if dim < 1:
            raise Refused(f"{what} needs dimensions of at least 1", list(shape))
        count *= int(dim)
    if count > MAX_ELEMENTS:
        raise Refused(
            f"{what} may have at most {MAX_ELEMENTS} elements",
            f"{count} in {list(shape)}",
            "export the model with a batch of 1, or for a smaller input",
        )


def as_chw(shape: tuple[int, ...]) -> Shape:
    """A per-sample ONNX shape as (C, H, W), in the same flat order: (n,) is a vector, (C, L) a
    signal.
    """
    match shape:
        case ():
            return (1, 1, 1)
        case (n,):
            return (n, 1, 1)
        case (c, length):
            return (c, 1, length)
        case (c, h, *rest):
            return (c, h, int(np.prod(rest)))
    raise AssertionError


def is_bijective(index: Index, count: int) -> bool:
    """Whether `index` reads each of `count` elements exactly once."""
    if index.size != count or index.min() < 0:
        return False
    seen = np.zeros(count, bool)
    seen[index.ravel()] = True
    return bool(seen.all())


def separate(want: Index, source: Shape) -> Select | None:
    """The Select that makes `want` (C', H', W'), flat positions in a value of shape `source` or
    -1; None where `want` is not one map per axis.
    """
    valid = want >= 0
    maps = []
    for axis, (size, stride) in enumerate(
        zip(source, (source[1] * source[2], source[2], 1), strict=True)
    ):
        others = tuple(a for a in range(3) if a != axis)
        coordinate = np.where(valid, want // stride % size, -1)
        maps.append(coordinate.max(axis=others).astype(np.int32))
    channels, rows, columns = maps
    rebuilt = (
        channels[:, None, None] * (source[1] * source[2]) + rows[:, None] * source[2] + columns
    )
    zero = (channels < 0)[:, None, None] | (rows < 0)[:, None] | (columns < 0)
    if not np.array_equal(np.where(zero, -1, rebuilt), want):
        return None
    return Select(channels, rows, columns)
