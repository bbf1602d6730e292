"""What an event camera recorded, in one form whatever the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.errors import DataError, Problem

# Column and row from the upper left, 1 for brighter and 0 for darker, microseconds.
EVENT = np.dtype([("x", "u2"), ("y", "u2"), ("polarity", "u1"), ("t", "i8")])
SIDE = 2**15  # no sensor is wider or taller
LATEST = 2**60
REPAIR = "repair it, and give it as an .npz file"


@dataclass(frozen=True, eq=False)
class Recording:
    """`events` of type EVENT (N,), in order of time, at least one; `sensor` (height, width), None
    where the file does not say.
    """

    events: NDArray[np.void]
    sensor: tuple[int, int] | None


def recording(
    x: NDArray[Any],
    y: NDArray[Any],
    polarity: NDArray[Any],
    t: NDArray[Any],
    sensor: tuple[int, int] | None,
    where: str,
) -> Recording:
    """A recording of whole numbers (N,) each, checked: DataError where there is no event, one lies
    outside the sensor, has another polarity than 0 and 1, or comes before the one before it.
    """
    if not len(t):
        raise DataError(Problem(where, "the recording holds no events"))
    height, width = sensor or (SIDE, SIDE)
    _check((x < 0) | (x >= width) | (y < 0) | (y >= height), where,
           f"lies outside the sensor, {height} x {width} (height x width)",
           lambda k: f"row {y[k]}, column {x[k]}")  # fmt: skip
    _check(
        (polarity < 0) | (polarity > 1),
        where,
        "the polarity must be 0 or 1",
        lambda k: str(polarity[k]),
    )
    _check((t < 0) | (t > LATEST), where, "there is no such time", lambda k: str(t[k]))
    back = np.concatenate([[False], t[1:] < t[:-1]])
    _check(back, where, "comes before the event before it", lambda k: f"{t[k - 1]}, then {t[k]} us")
    events = np.empty(len(t), EVENT)
    events["x"], events["y"], events["polarity"], events["t"] = x, y, polarity, t
    return Recording(events, sensor)


def _check(broken: NDArray[np.bool_], where: str, rule: str, found: Any) -> None:
    """DataError about the first event that is `broken`."""
    if broken.any():
        k = int(broken.argmax())
        more = int(broken.sum()) - 1
        shown = found(k) + (f"; {more:,} more events do" if more else "")
        raise DataError(Problem(f"{where}: event {k}", rule, shown, REPAIR))
