"""Writes the demo's digits as recordings of an event camera: for 160 ms a pixel of value v sends v
events, evenly spaced, and at other times than its neighbours.

    python digits_as_events.py DIGITS.npz EVENTS.npz
"""

from __future__ import annotations

import sys

import numpy as np

from snngen.data import over_time

STEPS, STEP = 160, 1000  # microseconds


def recorded(images: np.ndarray, labels: np.ndarray, is_test: bool) -> dict[str, np.ndarray]:
    """All recordings one after the other; `count` is how many events each has."""
    counts = over_time(images[:, None], STEPS)[:, :, 0]
    where = np.nonzero(counts)
    recording, step, y, x = (np.repeat(column, counts[where]) for column in where)
    return {
        "x": x.astype(np.uint8),
        "y": y.astype(np.uint8),
        "p": np.zeros(len(x), np.uint8),
        "t": step * STEP,
        "count": np.bincount(recording, minlength=len(images)),
        "label": labels,
        "is_test": np.full(len(labels), is_test),
    }


def main() -> None:
    source, target = sys.argv[1:]
    with np.load(source) as digits:
        parts = [
            recorded(digits[f"x_{part}"], digits[f"y_{part}"], part == "test")
            for part in ("train", "test")
        ]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    arrays["offset"] = np.concatenate([[0], np.cumsum(arrays.pop("count"))])
    np.savez_compressed(target, **arrays, sensor=np.array([8, 8]))


if __name__ == "__main__":
    main()
