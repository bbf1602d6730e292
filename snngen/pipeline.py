"""The stages in order: ONNX file -> Graph -> SpikingNet -> FixedNet. Everything after that reads
the FixedNet.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from snngen.check_fixed import check_fixed
from snngen.convert import METHODS, Options, convert
from snngen.convert.refined import visits
from snngen.errors import ConversionError, Problem
from snngen.evaluate import Ann
from snngen.fixed import FixedNet
from snngen.fold import fold
from snngen.graph import Graph, Relu, Staircase, shapes
from snngen.onnx_import import load
from snngen.ops import WEIGHTED
from snngen.quantise import Units, quantise_with_units
from snngen.spiking import Preprocess, SpikingNet

CALIBRATION_MACS = 10 * 10**9
NEURON_MACS = 60  # what a neuron costs in a timestep: integrating, firing, finding percentiles
LEAST_CALIBRATION, MOST_CALIBRATION = 16, 256
MOST_TRAINING = 24_576  # images that memory holds
CALIBRATION_VALUES = 2**26  # of one layer, over all timesteps and images


@dataclass(frozen=True)
class Normalisation:
    """What the model expects of a byte: (byte / scale - mean) / std; `mean` and `std` hold 1 or C
    numbers.
    """

    scale: float = 255.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def preprocess(self, channels: int) -> Preprocess:
        """For `channels` channels; ConversionError where the numbers do not fit them."""
        problems = [
            Problem(
                f"option {name}",
                f"must hold one number, or one for each of the channels ({channels})",
                str(len(values)),
            )
            for name, values in (("--mean", self.mean), ("--std", self.std))
            if len(values) not in (1, channels)
        ]
        numbers = (self.scale, *self.mean, *self.std)
        if not np.isfinite(numbers).all() or self.scale == 0 or 0 in self.std:
            problems.append(
                Problem(
                    "options --scale, --mean, --std",
                    "must be finite, scale and std not 0",
                    str(numbers),
                )
            )
        if problems:
            raise ConversionError(*problems)
        mean, std = np.broadcast_to(self.mean, channels), np.broadcast_to(self.std, channels)
        return Preprocess(1 / (self.scale * std), -mean / std)


def read_model(
    path: Path,
    *,
    input_shape: tuple[int, ...] | None = None,
    output: str | None = None,
    keep_epsilon: bool = True,
) -> Graph:
    """The folded float CNN of an ONNX file; ModelError with every problem that it has.

    Without `keep_epsilon`, that of its batch norms is left out (paper 1, `--without cmb`).
    """
    return fold(load(path, input_shape=input_shape, output=output, keep_epsilon=keep_epsilon))


def calibration_size(graph: Graph, options: Options) -> int:
    """How many images to calibrate on where the user does not say: what a few seconds can simulate,
    and a fraction of a gigabyte can hold.
    """
    known = shapes(graph)
    macs = sum(
        n.op.fan_in * int(np.prod(known[n.name])) for n in graph.nodes if isinstance(n.op, WEIGHTED)
    )
    neurons = sum(
        int(np.prod(known[n.name])) for n in graph.nodes if isinstance(n.op, Relu | Staircase)
    )
    values = options.steps * max(int(np.prod(shape)) for shape in known.values())
    if options.method in METHODS and METHODS[options.method].trains:
        return min(visits(macs), MOST_TRAINING)
    affordable = CALIBRATION_MACS // max(1, (macs + NEURON_MACS * neurons) * options.steps)
    wanted = min(max(affordable, LEAST_CALIBRATION), MOST_CALIBRATION)
    return max(1, min(wanted, CALIBRATION_VALUES // values))


@dataclass(frozen=True, eq=False)
class Built:
    """A network in its last two forms, and by layer what the integers of the last stand for."""

    spiking: SpikingNet
    net: FixedNet
    units: dict[str, Units]


def build(ann: Ann, images: NDArray[np.uint8], options: Options) -> FixedNet:
    """The integer spiking network of a CNN, calibrated on raw bytes `images` (N, C, H, W), or on
    streams (N, T, C, H, W) for event coding.

    Raises ConversionError and BoundError.
    """
    return build_in_steps(ann, images, options).net


def build_in_steps(ann: Ann, images: NDArray[np.uint8], options: Options) -> Built:
    """The same, with what lies on the way."""
    return with_bits(spiking(ann, images, options), options.bits)


def spiking(ann: Ann, images: NDArray[np.uint8], options: Options) -> SpikingNet:
    """The float spiking network, which does not depend on the bits of a weight unless the method
    trains; ConversionError.
    """
    if not np.isfinite(ann.outputs(images)).all():
        rule = "the CNN's own outputs on the calibration images must be finite"
        hint = "check --scale, --mean and --std, and the model's weights"
        raise ConversionError(Problem("the model", rule, hint=hint))
    return convert(ann.graph, ann.preprocess, images, options)


def with_bits(net: SpikingNet, bits: int) -> Built:
    """`net` as an integer network with weights of so many bits; ConversionError, BoundError."""
    fixed, units = quantise_with_units(net, bits)
    check_fixed(fixed)
    return Built(net, fixed, units)
