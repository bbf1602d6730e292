"""Emitted C on an emulated board: runs images there, and brings back what every neuron did."""

from __future__ import annotations

import re
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
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.boards.alone import IN_FLASH, IN_RAM, link_alone
from snngen.targets.c.boards.emulator import Count, emulate
from snngen.targets.c.boards.firmware import FLAGS, build_firmware
from snngen.targets.c.build import RUNTIME
from snngen.targets.c.engine import Run, join, prefix_of
from snngen.targets.c.linking import entries_of
from snngen.targets.c.storage import channels_first

START_SECONDS, IMAGE_SECONDS = 60.0, 60.0  # for an emulator; much more than any should need
END_OF_IMAGE = 0xFFFF
HEAD = np.dtype(
    [("layer", "<u2"), ("timestep", "<u2"), ("count", "<u2"), ("held", "<u2"), ("neuron", "<u4")]
)
WORD = np.dtype("<i4")
MOST_IMAGES = 2**16 - 1
KNOWN_IMAGES = re.compile(rb"\.count = (\d+)")  # of a self-test


@dataclass(frozen=True, eq=False)
class Measured:
    """One run of each image, or of each timestep of every stream, counted: `counts`, (n, fields of
    Count); `parts`, int64 (n, 1 + number of layers, fields of Count), what is not of layers, then
    each layer in the order in which they run; `classes` int32 (n,); `stack_bytes`, the deepest.
    """

    counts: NDArray[np.int64]
    parts: NDArray[np.int64]
    classes: NDArray[np.int32]
    stack_bytes: int


class BoardEngine:
    """Emitted `files` of `net`, compiled for the board called `name`; used like `Engine`.

    ConversionError for an unknown board or one that is too small, ToolError where a tool is missing
    or fails. Close it, or use it in a `with`, to remove its folder.
    """

    timing = None  # `measure` counts instructions

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
        self._prefix = prefix_of(files)
        runtime = sorted(n for n in files if n.startswith(RUNTIME) and n.endswith(".c"))
        self._objects = [f"{Path(n).stem}.o" for n in (self._prefix, *runtime)]
        self._firmware = build_firmware(
            files, name, Path(self._folder.name), flags=flags, of_streams=net.is_stream
        )
        selftests = (text for file, text in files.items() if file.endswith("_selftest.c"))
        self._known_images = sum(int(n) for text in selftests for n in KNOWN_IMAGES.findall(text))

    def __enter__(self) -> BoardEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._folder.cleanup()

    def placed(self) -> tuple[int, int]:
        """Bytes of flash, and of RAM without stack, of the network linked alone, with its arena; on
        a hosted board those of its sections in the program.
        """
        firmware = self._firmware
        if firmware.board.is_hosted:
            footprint = firmware.footprint
            return footprint.code + footprint.constants, footprint.arena
        entries = entries_of(self._prefix, is_stream=self.net.is_stream)
        outputs = link_alone(self.name, entries, self._objects, firmware.folder).outputs
        flash, ram = (sum(outputs.get(name, 0) for name in names) for names in (IN_FLASH, IN_RAM))
        return flash, ram + firmware.arena_bytes

    def selftest(self) -> int:
        """What the emitted self-test returns: 0 where it passes."""
        output, _ = self._ask(b"s", self._no_images(), runs=self._known_images)
        return int(np.frombuffer(output, self._words, 1)[0])

    def run(self, images: NDArray[np.uint8], *, trace: bool = False) -> Run:
        """Run images (batch, C, H, W), or streams (batch, T, C, H, W), with everything traced;
        `trace` says whether to keep it.
        """
        output, _ = self._ask(b"t", images, runs=len(images))
        reader = _Reader(self.net, self.net.steps_of(images), output, self.name)
        runs = [reader.image(trace) for _ in images]
        return join(runs)

    def measure(self, images: NDArray[np.uint8]) -> Measured:
        """Run images (n, C, H, W), or every timestep of streams (n, T, C, H, W), without tracing,
        and count.
        """
        runs = len(images) * (self.net.steps_of(images) if self.net.is_stream else 1)
        output, counts = self._ask(b"m", images, runs=runs, count=True)
        answers = np.frombuffer(output, self._words).reshape(-1, 2)
        if len(answers) != runs or len(counts) % runs != 0:
            rule = f"must answer {runs} times"
            raise ToolError(Problem(f"the program on board {self.name}", rule, str(len(answers))))
        each = np.array(counts, np.int64).reshape(runs, -1, len(Count._fields))
        whole, first_layers = each[:, 0], each[:, 1:]
        layers = np.diff(first_layers, axis=1)
        rest = whole[:, None] - layers.sum(1, keepdims=True)
        stack = int(answers[:, 1].max())
        classes = answers[:, 0].astype(np.int32)
        return Measured(whole, np.concatenate([rest, layers], axis=1), classes, stack)

    @property
    def _words(self) -> np.dtype[np.int32]:
        return WORD.newbyteorder(BOARDS[self.name].byte_order)

    def _no_images(self) -> NDArray[np.uint8]:
        steps = (0,) if self.net.is_stream else ()
        return np.zeros((0, *steps, *self.net.input.shape), np.uint8)

    def _ask(
        self, what: bytes, images: NDArray[np.uint8], *, runs: int, count: bool = False
    ) -> tuple[bytes, list[Count]]:
        steps = self.net.steps_of(images)
        assert len(images) <= MOST_IMAGES and steps <= MOST_IMAGES
        ordered = images if self.net.input.layout == "CHW" else np.moveaxis(images, -3, -1)
        numbers = (n.to_bytes(2, "little") for n in (len(images), steps))
        request = b"".join([what, *numbers, ordered.tobytes()])
        seconds = START_SECONDS + IMAGE_SECONDS * runs
        return emulate(self._firmware, request, seconds=seconds, count=count)


class _Reader:
    """The records of board_main.c, image by image."""

    def __init__(self, net: FixedNet, steps: int, output: bytes, name: str) -> None:
        self.net, self.steps, self.output, self.name = net, steps, output, name
        self.at = 0
        order = BOARDS[name].byte_order
        self.head, self.word = HEAD.newbyteorder(order), WORD.newbyteorder(order)

    def image(self, keep_trace: bool) -> Run:
        """The next image; ToolError where its records are not what the network's would be."""
        net = self.net
        sizes = [int(np.prod(layer.shape)) for layer in net.layers]
        sent = [np.zeros((self.steps, size), np.int32) for size in sizes]
        held = [np.zeros_like(values) for values in sent]
        while True:
            (head,) = self._take(self.head, 1)
            layer, t, count = int(head["layer"]), int(head["timestep"]), int(head["count"])
            if layer == END_OF_IMAGE:
                break
            span = slice(int(head["neuron"]), int(head["neuron"]) + count)
            if layer >= len(sizes) or t >= self.steps or span.stop > sizes[layer]:
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
            last.reshape(1, self.steps, -1),
            {name: trace[name].output.sum(1) for name in hidden},
            {name: np.abs(trace[name].output).sum(1) for name in hidden},
            trace if keep_trace else None,
        )

    def _words(self, count: int) -> NDArray[np.int32]:
        return self._take(self.word, count).astype(np.int32)

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
