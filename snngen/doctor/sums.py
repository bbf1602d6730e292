"""What is kept of a batch: sums per channel, which add up over batches."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from snngen.doctor.split import Split

Sums = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LayerSums:
    """Over all images and positions, for each channel of one layer. K components in the order of
    COMPONENTS.

    `values`: how many there are. `cnn` (C,): the CNN's activation, squared. `error`, `squared`,
    `shared` (K, C): of each component itself, its square, and its product with the whole error.
    How often the network sent anything, `sent` (C,), the CNN's activation was above 0, `active`,
    and the neuron's current asked for more than its largest value, `beyond`.
    """

    values: int
    cnn: Sums
    error: Sums
    squared: Sums
    shared: Sums
    sent: Sums
    active: Sums
    beyond: Sums

    def __add__(self, other: LayerSums) -> LayerSums:
        return LayerSums(
            *(getattr(self, f.name) + getattr(other, f.name) for f in fields(LayerSums))
        )


def sums_of(parts: Split) -> dict[str, LayerSums]:
    """By layer."""
    return {name: _sums(name, parts) for name in parts.components}


def _sums(name: str, parts: Split) -> LayerSums:
    cnn, decoded, errors = parts.cnn[name], parts.decoded[name], parts.components[name]
    channels = cnn.shape[1]
    whole = errors.sum(0)
    return LayerSums(
        cnn.size // channels,
        np.square(cnn).sum((0, 2, 3)),
        errors.sum((1, 3, 4)),
        np.square(errors).sum((1, 3, 4)),
        (errors * whole).sum((1, 3, 4)),
        (decoded != 0).sum((0, 2, 3)),
        (cnn > 0).sum((0, 2, 3)),
        parts.beyond[name].sum((0, 2, 3)) if name in parts.beyond else np.zeros(channels),
    )
