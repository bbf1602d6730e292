"""Emitted C on an emulated board: runs images there, and brings back what every neuron did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.errors import Problem, ToolError
from snngen.fixed import FixedNet
from snngen.golden import LayerTrace, Trace
from snngen.simulate import Simulation
from snngen.targets.c.boards.emulator import emulate
from snngen.targets.c.boards.firmware import FLAGS, Footprint, build_firmware
from snngen.targets.c.engine import Run, join
from snngen.targets.c.storage import channels_first

START_SECONDS, IMAGE_SECONDS = 60.0, 60.0  # for an emulator; much more than any should need
END_OF_IMAGE = 0xFFFF
HEAD = np.dtype(
    [("layer", "<u2"), ("timestep", "<u2"), ("count", "<u2"), ("held", "<u2"), ("neuron", "<u4")]
)
WORD = np.dtype("<i4")
MOST_IMAGES = 2**16 - 1


@dataclass(frozen=True, eq=False)
class Measured:
    """One run of each image, timed: `counts` int64 (n,), in the board's unit; `classes` int32 (n,);
    `stack_bytes`, the deepest of all.
    """

    counts: NDArray[np.int64]
    classes: NDArray[np.int32]
    stack_bytes: int


class BoardEngine:
    """Emitted `files` of `net`, compiled for the board called `name`; used like `Engine`.

    ConversionError for an unknown board or one that is too small, ToolError where a tool is missing
    or fails. Close it, or use it in a `with`, to remove its folder.
    """

    def __init__(
        self,
        net: FixedNet,
        files: Mapping[str, bytes],
        name: str,
        *,
        flags: tuple[str, ...] = FLAGS,
    ) -> None:
        self.net, self.name = net, name
        self._folder = TemporaryDirectory(prefix="snngen-")
        self._firmware = build_firmware(files, name, Path(self._folder.name), flags=flags)

    def __enter__(self) -> BoardEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._folder.cleanup()

    @property
    def footprint(self) -> Footprint:
        return self._firmware.footprint

    def selftest(self) -> int:
        """What the emitted self-test returns: 0 where it passes."""
        output, _ = self._ask(b"s", self._no_images())
        return int(np.frombuffer(output, WORD, 1)[0])

    def run(self, images: NDArray[np.uint8], *, trace: bool = False) -> Run:
        """Run images (batch, C, H, W) with everything traced; `trace` says whether to keep it."""
        output, _ = self._ask(b"t", images)
        reader = _Reader(self.net, output, self.name)
        runs = [reader.image(trace) for _ in images]
        return join(runs)

    def measure(self, images: NDArray[np.uint8]) -> Measured:
        """Run images (n, C, H, W) without tracing, and count."""
        output, counts = self._ask(b"m", images, count=True)
        answers = np.frombuffer(output, WORD).reshape(-1, 2)
        if len(answers) != len(images) or len(counts) != len(images):
            rule = f"must answer for each of the {len(images)} images"
            raise ToolError(Problem(f"the program on board {self.name}", rule, str(len(answers))))
        stack = int(answers[:, 1].max())
        return Measured(np.array(counts, np.int64), answers[:, 0].astype(np.int32), stack)

    def _no_images(self) -> NDArray[np.uint8]:
        return np.zeros((0, *self.net.input.shape), np.uint8)

    def _ask(
        self, what: bytes, images: NDArray[np.uint8], *, count: bool = False
    ) -> tuple[bytes, list[int]]:
        assert len(images) <= MOST_IMAGES
        ordered = images if self.net.input.layout == "CHW" else images.transpose(0, 2, 3, 1)
        request = what + len(images).to_bytes(2, "little") + ordered.tobytes()
        seconds = START_SECONDS + IMAGE_SECONDS * len(images)
        return emulate(self._firmware, request, seconds=seconds, count=count)


class _Reader:
    """The records of board_main.c, image by image."""

    def __init__(self, net: FixedNet, output: bytes, name: str) -> None:
        self.net, self.output, self.name = net, output, name
        self.at = 0

    def image(self, keep_trace: bool) -> Run:
        """The next image; ToolError where its records are not what the network's would be."""
        net = self.net
        sizes = [int(np.prod(layer.shape)) for layer in net.layers]
        sent = [np.zeros((net.timesteps, size), np.int32) for size in sizes]
        held = [np.zeros_like(values) for values in sent]
        while True:
            (head,) = self._take(HEAD, 1)
            layer, t, count = int(head["layer"]), int(head["timestep"]), int(head["count"])
            if layer == END_OF_IMAGE:
                break
            span = slice(int(head["neuron"]), int(head["neuron"]) + count)
            if layer >= len(sizes) or t >= net.timesteps or span.stop > sizes[layer]:
                raise self._unexpected(f"layer {layer}, timestep {t}, neuron {span.start}")
            if bool(head["held"]) != (net.layers[layer].neuron is not None):
                raise self._unexpected(f"membranes of layer {layer}")
            sent[layer][t, span] = self._words(count)
            if head["held"]:
                held[layer][t, span] = self._words(count)
        classes = self._words(1)
        if classes[0] < 0:
            raise self._unexpected(f"error {classes[0]}")
        membranes = self._words(sizes[-1])
        return Run(self._simulation(sent, held, keep_trace), membranes[None], classes)

    def _simulation(
        self, sent: list[NDArray[np.int32]], held: list[NDArray[np.int32]], keep_trace: bool
    ) -> Simulation:
        trace: Trace = {}
        for layer, out, v in zip(self.net.layers, sent, held, strict=True):
            output, membrane = (
                channels_first(values[None], layer.shape).astype(np.int64) for values in (out, v)
            )
            trace[layer.name] = LayerTrace(output, None if layer.neuron is None else membrane)
        hidden = [layer.name for layer in self.net.layers[:-1]]
        last = trace[self.net.layers[-1].name].output
        return Simulation(
            last.reshape(1, self.net.timesteps, -1),
            {name: trace[name].output.sum(1) for name in hidden},
            {name: np.abs(trace[name].output).sum(1) for name in hidden},
            trace if keep_trace else None,
        )

    def _words(self, count: int) -> NDArray[np.int32]:
        return self._take(WORD, count).astype(np.int32)

    def _take(self, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        size = dtype.itemsize * count
        if self.at + size > len(self.output):
            raise self._unexpected("the end")
        values = np.frombuffer(self.output, dtype, count, self.at)
        self.at += size
        return values

    def _unexpected(self, found: str) -> ToolError:
        rule = "must report every step of the network"
        return ToolError(Problem(f"the program on board {self.name}", rule, found))
