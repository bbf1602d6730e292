"""The same CNN as spikes over time and as counts: what each form would cost, and what it keeps of
the CNN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snngen.convert import Options, resolve
from snngen.errors import BoundError, ConversionError, SnngenError
from snngen.evaluate import Ann, evaluate
from snngen.fixed import FixedNet
from snngen.neurons import Level
from snngen.pipeline import build, calibration_size
from snngen.targets.c.budget import budget_for


@dataclass(frozen=True)
class Form:
    """One form of a network, its means over the calibration images.

    `agreement`: images that get the CNN's class. `likeness`: the correlation with its outputs.
    `synops`, `macs` per image as `snngen.evaluate` counts them. `const_bytes`, `arena_bytes`: flash
    of its constants and RAM of its C.
    """

    neuron: str
    steps: str
    agreement: float
    likeness: float
    synops: float
    macs: int
    const_bytes: int
    arena_bytes: int


def compare(
    ann: Ann, net: FixedNet, images: NDArray[np.uint8], options: Options, *, source: Ann
) -> tuple[Form, Form | SnngenError]:
    """`net`, which `options` made of `source`, and its other form, or why there is none, both
    against `ann`; on at most as many of `images` as are affordable.
    """
    options = resolve(ann.graph, options)
    other = replace(options, neuron="if" if options.neuron == "level" else "level")
    few = min(calibration_size(ann.graph, o) for o in (options, other))
    seen = images[:: max(1, -(-len(images) // few))]
    chosen = _form(ann, net, seen, options)
    try:
        return chosen, _form(ann, build(source, seen, other), seen, other)
    except (BoundError, ConversionError) as error:
        return chosen, error


def _levels(net: FixedNet) -> str:
    """Of its level neurons, a range where layers differ."""
    counts = {
        layer.neuron.thresholds.shape[1] for layer in net.layers if isinstance(layer.neuron, Level)
    }
    return "..".join(str(n) for n in sorted({min(counts), max(counts)})) if counts else "0"


def _form(ann: Ann, net: FixedNet, images: NDArray[np.uint8], options: Options) -> Form:
    found = evaluate(net, images, ann=ann)
    assert found.agreement is not None and found.likeness is not None
    budget = budget_for(net)
    steps = f"T={net.timesteps}" if options.neuron == "if" else f"N={_levels(net)}"
    return Form(
        options.neuron,
        steps,
        int(found.agreement[-1]) / found.images,
        found.likeness,
        found.synops,
        found.macs,
        budget.const_bytes,
        budget.arena_bytes,
    )
