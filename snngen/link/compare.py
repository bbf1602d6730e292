"""Images run on a device, and beside them what the network gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.errors import LinkError, Problem
from snngen.fixed import FixedNet
from snngen.fixed_file import digest
from snngen.graph import in_layout
from snngen.link.device import Device, Identity, Result
from snngen.simulate import simulate
from snngen.targets.trace_hash import trace_hashes

SHORT_DIGEST = 12


@dataclass(frozen=True)
class Answer:
    """What a device says of one image: the class and the ticks it took. `difference` says where the
    network differs, or is None; where the image was `traced`, that includes every spike and
    membrane.
    """

    winner: int
    ticks: int
    traced: bool
    difference: str | None


def check_network(device: Device, net: FixedNet) -> Identity:
    """LinkError where the device runs another network than `net`."""
    found = device.identify()
    if found.digest != digest(net):
        raise LinkError(
            Problem(
                device.where,
                f"must run network '{net.name}', digest {digest(net)[:SHORT_DIGEST]}",
                f"network '{found.name}', digest {found.digest[:SHORT_DIGEST]}",
                "build the firmware of this network and flash it, or give the network it runs",
            )
        )
    return found


def answers(
    device: Device, net: FixedNet, images: NDArray[np.uint8], *, full_trace_images: int = 8
) -> Iterator[Answer]:
    """Run images (n, C, H, W) one by one, the first of them a second time with a trace."""
    ordered = images if net.input.layout == "CHW" else images.transpose(0, 2, 3, 1)
    for k, image in enumerate(ordered):
        traced = k < full_trace_images
        expected = _expected(net, images[k : k + 1], traced)
        got = device.run(image.tobytes())
        difference = _difference(expected, got)
        if traced and difference is None:
            difference = _difference_of_traces(expected, device.run(image.tobytes(), trace=True))
        yield Answer(got.winner, got.ticks, traced, difference)


def _expected(net: FixedNet, image: NDArray[np.uint8], traced: bool) -> Result:
    """What the device should answer; the trace's hash is 0 unless `traced`."""
    run = simulate(net, image, trace=traced)
    final = in_layout(run.outputs[:, -1], net.layers[-1].shape, net.output_layout)[0]
    (trace_hash,) = [0] if run.trace is None else trace_hashes(net, run.trace)
    return Result(int(final.argmax()), final.astype(np.int32), 0, trace_hash)


def _difference(expected: Result, got: Result) -> str | None:
    if len(got.membranes) != len(expected.membranes):
        return f"outputs expected {len(expected.membranes)}, got {len(got.membranes)}"
    wrong = np.flatnonzero(got.membranes != expected.membranes)
    if len(wrong):
        k = int(wrong[0])
        return f"output {k} expected {expected.membranes[k]}, got {got.membranes[k]}"
    if got.winner != expected.winner:
        return f"class expected {expected.winner}, got {got.winner}"
    return None


def _difference_of_traces(expected: Result, got: Result) -> str | None:
    if got.trace_hash != expected.trace_hash:
        return (
            "outputs are equal, but not all spikes and membranes: "
            f"hash expected {expected.trace_hash:08x}, got {got.trace_hash:08x}"
        )
    return _difference(expected, got)
