"""Runs emitted files beside the model of the network and reports the first difference, or how much
was compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.errors import ConversionError, DataError, Problem
from snngen.fixed import FixedNet
from snngen.golden import LayerTrace, Trace
from snngen.simulate import Simulation, simulate
from snngen.targets import TARGETS, Runs
from snngen.targets.c.engine import Run
from snngen.targets.timing import Timing

BATCH = 256
Values = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Difference:
    """The first place where the target departs from the network.

    `neuron` is (channel, y, x). `timestep` is None where the whole run is meant. `quantity`:
    "output", "membrane", "class" or "result", the membrane that the emitted function hands out.
    """

    image: int
    layer: str
    neuron: tuple[int, int, int]
    timestep: int | None
    quantity: str
    expected: int
    got: int

    def __str__(self) -> str:
        when = "after the run" if self.timestep is None else f"timestep {self.timestep}"
        channel, y, x = self.neuron
        return (
            f"image {self.image}, layer '{self.layer}', neuron (c={channel}, y={y}, x={x}), "
            f"{when}: {self.quantity} expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True)
class VerifyResult:
    """`target` also names the board where there was one. `difference` is None where all is equal.
    On `images` images all outputs at every timestep and all spike counts were compared, on the
    first `traced_images` every output and membrane: `values` numbers altogether. `selftest` is what
    the emitted self-test returned: 0 if it passed. `timing`: of hardware.
    """

    target: str
    images: int
    traced_images: int
    values: int
    difference: Difference | None
    selftest: int
    timing: Timing | None = None

    @property
    def is_equal(self) -> bool:
        return self.difference is None and self.selftest == 0

    def __str__(self) -> str:
        if self.difference is not None:
            return f"target {self.target}: differs: {self.difference}"
        if self.selftest != 0:
            return f"target {self.target}: the emitted self-test fails with {self.selftest}"
        return (
            f"target {self.target}: equal on {self.images} images, {self.traced_images} of them "
            f"with every spike and membrane, {self.values:,} numbers in all"
        )


def verify(
    net: FixedNet,
    images: NDArray[np.uint8],
    *,
    target: str = "c",
    files: Mapping[str, bytes] | None = None,
    full_trace_images: int = 8,
    on: str | None = None,
) -> VerifyResult:
    """Compare a target with the network on `images` (n, C, H, W), or on streams (n, T, C, H, W),
    each after a reset.

    `files` are emitted files as they are now, edits included; without them fresh ones are emitted.
    `on` names one of BOARDS, whose emulator runs them, every image with its full trace; by default
    this machine does. Of target hdl it names the board that the chip is laid out for. DataError
    where images do not fit, ConversionError where the board is unknown or too small, ToolError
    where the files cannot be compiled or crash.
    """
    if target not in TARGETS:
        rule = f"must be one of {', '.join(TARGETS)}"
        raise ConversionError(Problem("the target", rule, target))
    axes = ("n", "timesteps") if net.is_stream else ("n",)
    fits = images.ndim == len(axes) + 3 and images.shape[-3:] == net.input.shape
    if images.dtype != np.uint8 or not fits or images.size == 0:
        rule = f"must be bytes of shape ({', '.join(map(str, (*axes, *net.input.shape)))})"
        raise DataError(Problem("the images", rule, f"{images.dtype} {images.shape}"))
    on_board = on is not None and TARGETS[target].traced_on_boards
    named = target if on is None else f"{target} on {on}"
    with TARGETS[target].engine(net, files, on) as engine:
        traced = len(images) if on_board else full_trace_images
        return verify_with(net, images, engine, target=named, full_trace_images=traced)


def verify_with(
    net: FixedNet,
    images: NDArray[np.uint8],
    engine: Runs,
    *,
    target: str,
    full_trace_images: int,
    apart: bool = True,
) -> VerifyResult:
    """`verify` by an `engine`, called `target`, that is there already. Images with a full trace run
    one by one; not `apart`, all of them behind each other.
    """
    traced = min(full_trace_images, len(images))
    difference, values = None, 0
    for begin, end in _spans(traced, len(images), 1 if apart else max(1, traced)):
        part = images[begin:end]
        difference = _compare(net, engine, part, begin, trace=begin < traced)
        values += len(part) * _numbers(net, net.steps_of(images), trace=begin < traced)
        if difference is not None:
            break
    selftest = engine.selftest()
    return VerifyResult(target, len(images), traced, values, difference, selftest, engine.timing)


def _spans(traced: int, total: int, at_once: int) -> Iterator[tuple[int, int]]:
    """Image ranges: those with full traces so many `at_once`, the others in batches."""
    yield from ((k, min(k + at_once, traced)) for k in range(0, traced, at_once))
    yield from ((k, min(k + BATCH, total)) for k in range(traced, total, BATCH))


def _numbers(net: FixedNet, steps: int, *, trace: bool) -> int:
    """How many numbers are compared for an image."""
    outputs = int(np.prod(net.layers[-1].shape)) * steps
    sizes = [int(np.prod(layer.shape)) for layer in net.layers]
    held = [layer.neuron is not None for layer in net.layers]
    if trace:
        return steps * sum(n * (1 + h) for n, h in zip(sizes, held, strict=True))
    return outputs + sum(sizes[:-1])


def _compare(
    net: FixedNet,
    engine: Runs,
    images: NDArray[np.uint8],
    first: int,
    *,
    trace: bool,
) -> Difference | None:
    expected = simulate(net, images, trace=trace)
    got = engine.run(images, trace=trace)
    if trace:
        assert expected.trace is not None and got.simulation.trace is not None
        found = _first_in_trace(net, expected.trace, got.simulation.trace, first)
        return found or _first_in_results(net, expected, got, first)
    suspect = _differing_image(expected, got.simulation)
    if suspect is not None:
        alone = _compare(net, engine, images[suspect : suspect + 1], first + suspect, trace=True)
        # what an image leaves behind shows in those after it only
        return alone or _compare(net, engine, images[: suspect + 1], first, trace=True)
    return _first_in_results(net, expected, got, first)


def _differing_image(expected: Simulation, got: Simulation) -> int | None:
    """The first image of a batch whose outputs or spike counts differ."""
    differs = (expected.outputs != got.outputs).any((1, 2))
    for name, counts in expected.counts.items():
        differs |= (counts != got.counts[name]).any((1, 2, 3))
        differs |= (expected.spikes[name] != got.spikes[name]).any((1, 2, 3))
    return int(differs.argmax()) if differs.any() else None


def _first_in_trace(net: FixedNet, expected: Trace, got: Trace, first: int) -> Difference | None:
    """In the order of layers, then of images, of timesteps, of neurons."""
    for layer in net.layers:
        found = _first_in_layer(expected[layer.name], got[layer.name])
        if found is not None:
            (image, t), neuron, quantity, want, have = found
            return Difference(first + image, layer.name, neuron, t, quantity, want, have)
    return None


def _first_in_layer(
    expected: LayerTrace, got: LayerTrace
) -> tuple[tuple[int, int], tuple[int, int, int], str, int, int] | None:
    places = []
    pairs: list[tuple[str, Values | None, Values | None]] = [
        ("membrane", expected.membrane, got.membrane),
        ("output", expected.output, got.output),
    ]
    for quantity, want, have in pairs:
        if want is not None and have is not None and not np.array_equal(want, have):
            at = tuple(int(i) for i in np.argwhere(want != have)[0])
            image, t, c, y, x = at
            places.append(((image, t), (c, y, x), quantity, int(want[at]), int(have[at])))
    return min(places, key=lambda place: place[0], default=None)


def _first_in_results(
    net: FixedNet, expected: Simulation, got: Run, first: int
) -> Difference | None:
    """What the emitted function hands out: output membranes in the user's layout, and the class."""
    output = net.layers[-1]
    final = expected.outputs[:, -1].reshape(-1, *output.shape)
    ordered = final if net.output_layout == "CHW" else final.transpose(0, 2, 3, 1)
    flat = ordered.reshape(len(final), -1)
    where = np.indices(output.shape)
    where = where if net.output_layout == "CHW" else where.transpose(0, 2, 3, 1)
    wrong = np.argwhere(flat != got.membranes)
    if len(wrong):
        image, k = (int(i) for i in wrong[0])
        c, y, x = (int(i) for i in where.reshape(3, -1)[:, k])
        want, have = int(flat[image, k]), int(got.membranes[image, k])
        return Difference(first + image, output.name, (c, y, x), None, "result", want, have)
    classes = flat.argmax(1)
    wrong = np.argwhere(classes != got.classes)
    if len(wrong):
        image = int(wrong[0, 0])
        want, have = int(classes[image]), int(got.classes[image])
        return Difference(first + image, output.name, (0, 0, 0), None, "class", want, have)
    return None
