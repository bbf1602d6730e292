"""Writes the demo's digits as streams of events: 16 timesteps, in which a pixel of value v sends v
events in all.

    python digits_as_events.py DIGITS.npz EVENTS.npz
"""

from __future__ import annotations

import sys

import numpy as np

from snngen.data import over_time

TIMESTEPS = 16


def main() -> None:
    source, target = sys.argv[1:]
    with np.load(source) as digits:
        streams = {
            name: over_time(values[:, None], TIMESTEPS) if name.startswith("x") else values
            for name, values in digits.items()
        }
    np.savez_compressed(target, **streams)


if __name__ == "__main__":
    main()
