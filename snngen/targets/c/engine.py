"""Emitted C, compiled and loaded: runs images at full speed and captures what every neuron does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import cffi
import numpy as np
from numpy.typing import NDArray

from snngen.errors import FileError, Problem, ToolError
from snngen.fixed import FixedNet
from snngen.golden import LayerTrace, Trace
from snngen.parallel import ordered_map
from snngen.simulate import Simulation, join_layers
from snngen.targets.c.build import FLAGS, NATIVE, compile_shared
from snngen.targets.c.emit import check_prefix, emit, render
from snngen.targets.c.storage import channels_first
from snngen.targets.manifest import MANIFEST

HARNESS = "harness.c"
GUARD = 0x5A
GUARD_BYTES = 64
CHUNK_BYTES = 2**25  # captured at once by a thread

CDEF = """
typedef struct { size_t layers; const size_t *first; const uint8_t *held_by; size_t timesteps; }
    harness_net;
typedef struct { int32_t *outputs; int64_t *counts; int64_t *spikes;
    int64_t *all_spikes; int32_t *sent; int32_t *held; } harness_capture;
size_t harness_arena_bytes(void);
size_t harness_timesteps(void);
int harness_selftest(void *arena, size_t arena_bytes);
int harness_images(const harness_net *net, void *arena, size_t arena_bytes, size_t count,
                   const uint8_t *images, size_t image_bytes, int32_t *classes,
                   int32_t *membranes, harness_capture capture);
"""


@dataclass(frozen=True, eq=False)
class Run:
    """What the C code did on a batch.

    `simulation`: outputs, counts and trace, as `simulate` gives them. `membranes`: int32
    (batch, K), and `classes`: int32 (batch,), as the emitted function handed them out.
    """

    simulation: Simulation
    membranes: NDArray[np.int32]
    classes: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class _Capture:
    """Arrays that the harness fills, as harness_capture in harness.c says."""

    outputs: NDArray[np.int32]
    counts: NDArray[np.int64] | None
    spikes: NDArray[np.int64] | None
    all_spikes: NDArray[np.int64] | None
    sent: NDArray[np.int32] | None
    held: NDArray[np.int32] | None


class Engine:
    """The emitted C files of `net`, or given `files`, compiled with the host's compiler.

    ToolError without a working compiler. Close it, or use it in a `with`, to remove its folder.
    """

    timing = None  # cycles are counted of hardware

    def __init__(
        self,
        net: FixedNet,
        files: Mapping[str, bytes] | None = None,
        *,
        compiler: Sequence[str] | None = None,
        flags: Sequence[str] = FLAGS,
    ) -> None:
        self.net = net
        files = emit(net, schedule="fastest") if files is None else files
        prefix = prefix_of(files)
        self._folder = TemporaryDirectory(prefix="snngen-")
        names = {"prefix": prefix, "PREFIX": prefix.upper()}
        kind = "harness_stream.c.j2" if net.is_stream else "harness_image.c.j2"
        names["run_one"] = render(kind, names).decode("ascii")
        library = compile_shared(
            {**files, HARNESS: render("harness.c.j2", names)},
            Path(self._folder.name),
            "network.so",
            compiler=compiler,
            flags=flags,
        )
        self._load(library)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._folder.cleanup()

    def selftest(self) -> int:
        """What the emitted self-test returns: 0 where it passes."""
        arena = self._arena()
        return int(self._lib.harness_selftest(self._pointer(arena), self.arena_bytes))

    def run(self, images: NDArray[np.uint8], *, trace: bool = False, counts: bool = True) -> Run:
        """Run images (batch, C, H, W), or streams (batch, T, C, H, W), on all cores."""
        runs = list(self.stream(iter([images]), trace=trace, counts=counts))
        return join(runs)

    def stream(
        self,
        batches: Iterator[NDArray[np.uint8]],
        *,
        trace: bool = False,
        counts: bool = True,
    ) -> Iterator[Run]:
        """Run batch after batch in parts of moderate memory, yielding their results in order."""

        def parts() -> Iterator[NDArray[np.uint8]]:
            for batch in batches:
                steps = self.net.steps_of(batch)
                per_image = self._neurons * (16 * counts + 8 * trace * steps) + 1
                even = -(-len(batch) // (cpu_count() or 1))
                size = max(1, min(even, CHUNK_BYTES // per_image))
                yield from (batch[k : k + size] for k in range(0, len(batch), size))

        return ordered_map(lambda part: self._chunk(part, trace, counts), parts())

    def _load(self, library: Path) -> None:
        net = self.net
        self._ffi: Any = cffi.FFI()
        self._ffi.cdef(CDEF)
        self._lib: Any = self._ffi.dlopen(str(library))
        self.arena_bytes = int(self._lib.harness_arena_bytes())
        if self._lib.harness_timesteps() != net.timesteps:
            rule = f"must run the network's {net.timesteps} timesteps"
            raise FileError(Problem("the emitted files", rule, hint="emit them again"))
        sizes = [int(np.prod(layer.shape)) for layer in net.layers]
        first = [0, *np.cumsum(sizes).tolist()]
        self._neurons = first[-1]
        self._first = first
        self._net_first = self._ffi.new("size_t[]", first)
        self._net_held = self._ffi.new(
            "uint8_t[]", [layer.neuron is not None for layer in net.layers]
        )

    def _arena(self) -> NDArray[np.int32]:
        """An arena followed by guard bytes."""
        return np.full(-(-(self.arena_bytes + GUARD_BYTES) // 4), GUARD * 0x01010101, np.int32)

    def _pointer(self, array: NDArray[Any] | None, ctype: str = "void *") -> Any:
        return self._ffi.NULL if array is None else self._ffi.cast(ctype, array.ctypes.data)

    def totals(
        self, images: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[np.int64]]]:
        """Outputs at every timestep, (batch, T, K), and of each layer but the last the spikes that
        its neurons send to all images, (C, H, W), on one core.
        """
        capture = self._capture(images, all_spikes=True)
        self._run(images, capture)
        assert capture.all_spikes is not None
        return self._outputs(capture), self._by_layer(capture.all_spikes, slice(None, -1))

    def _chunk(self, images: NDArray[np.uint8], trace: bool, counts: bool) -> Run:
        capture = self._capture(images, counts=counts, trace=trace)
        membranes, classes = self._run(images, capture)
        total, spikes, sent, held = capture.counts, capture.spikes, capture.sent, capture.held
        return Run(
            Simulation(
                self._outputs(capture),
                {} if total is None else self._by_layer(total, slice(None, -1)),
                {} if spikes is None else self._by_layer(spikes, slice(None, -1)),
                None if sent is None or held is None else self._trace(sent, held),
            ),
            membranes,
            classes,
        )

    def _capture(
        self,
        images: NDArray[np.uint8],
        *,
        counts: bool = False,
        all_spikes: bool = False,
        trace: bool = False,
    ) -> _Capture:
        n, steps, neurons = len(images), self.net.steps_of(images), self._neurons
        outputs = np.zeros((n, steps, self._first[-1] - self._first[-2]), np.int32)
        total, spikes = np.zeros((2, n, neurons), np.int64) if counts else (None, None)
        sent, held = np.zeros((2, n, steps, neurons), np.int32) if trace else (None, None)
        together = np.zeros(neurons, np.int64) if all_spikes else None
        return _Capture(outputs, total, spikes, together, sent, held)

    def _outputs(self, capture: _Capture) -> NDArray[np.int64]:
        canonical = channels_first(capture.outputs, self.net.layers[-1].shape)
        return canonical.reshape(*capture.outputs.shape).astype(np.int64)

    def _run(
        self, images: NDArray[np.uint8], capture: _Capture
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Membranes (n, K) and classes (n,) as the emitted function hands them out."""
        net, n = self.net, len(images)
        ordered = images if net.input.layout == "CHW" else np.moveaxis(images, -3, -1)
        ordered = np.ascontiguousarray(ordered)
        classes, membranes = np.zeros(n, np.int32), np.zeros_like(capture.outputs[:, 0])
        arena = self._arena()
        pointers = [
            self._pointer(array, "void *" if array is None else f"{array.dtype}_t *")
            for array in vars(capture).values()
        ]
        layers = len(net.layers), self._net_first, self._net_held, net.steps_of(images)
        error = self._lib.harness_images(
            self._ffi.new("harness_net *", layers),
            self._pointer(arena),
            self.arena_bytes,
            n,
            self._pointer(ordered, "uint8_t *"),
            int(np.prod(images.shape[1:])),
            self._pointer(classes, "int32_t *"),
            self._pointer(membranes, "int32_t *"),
            self._ffi.new("harness_capture *", pointers)[0],
        )
        if error:
            raise ToolError(
                Problem("the compiled network", "must run every image", f"error {error}")
            )
        if (arena.view(np.uint8)[self.arena_bytes :] != GUARD).any():
            raise ToolError(Problem("the compiled network", "wrote beyond its arena"))
        return membranes, classes

    def _by_layer(self, values: NDArray[Any], which: slice) -> dict[str, NDArray[np.int64]]:
        """(..., neurons) split into (..., C, H, W) of the layers chosen."""
        split = {}
        bounds = list(zip(self.net.layers, self._first, self._first[1:], strict=False))
        for layer, begin, end in bounds[which]:
            shaped = channels_first(values[..., begin:end], layer.shape)
            split[layer.name] = shaped.astype(np.int64)
        return split

    def _trace(self, sent: NDArray[np.int32], held: NDArray[np.int32]) -> Trace:
        outputs, membranes = self._by_layer(sent, slice(None)), self._by_layer(held, slice(None))
        return {
            layer.name: LayerTrace(
                outputs[layer.name], membranes[layer.name] if layer.neuron is not None else None
            )
            for layer in self.net.layers
        }


_COMPILING = Lock()


def compiled(net: FixedNet) -> Engine:
    """The engine of `net`, which a process compiles once."""
    with _COMPILING:
        return _compiled(net)


@lru_cache(maxsize=1)
def _compiled(net: FixedNet) -> Engine:
    files = emit(net, schedule="fastest", optimise="vectors")
    try:
        engine = Engine(net, files, flags=(*FLAGS, NATIVE))
    except ToolError:  # not every compiler knows the processor it runs on
        engine = Engine(net, files)
    engine.close()  # what is loaded needs no file
    return engine


def prefix_of(files: Mapping[str, bytes]) -> str:
    """The prefix of emitted files, from their manifest; FileError where it does not say."""
    try:
        prefix = json.loads(files[MANIFEST])["options"]["prefix"]
        check_prefix(prefix)
    except (KeyError, ValueError, TypeError) as error:
        rule = "must be the manifest of emitted C files"
        raise FileError(Problem(MANIFEST, rule, hint="emit the files again")) from error
    return str(prefix)


def join(runs: Sequence[Run]) -> Run:
    """Several batches as one."""
    parts = [run.simulation for run in runs]
    traces = [p.trace for p in parts if p.trace is not None]
    trace = None
    if traces:
        trace = {name: _join_layer([t[name] for t in traces]) for name in traces[0]}
    return Run(
        Simulation(
            np.concatenate([p.outputs for p in parts]),
            join_layers([p.counts for p in parts]),
            join_layers([p.spikes for p in parts]),
            trace,
        ),
        np.concatenate([run.membranes for run in runs]),
        np.concatenate([run.classes for run in runs]),
    )


def _join_layer(parts: Sequence[LayerTrace]) -> LayerTrace:
    held = [part.membrane for part in parts if part.membrane is not None]
    return LayerTrace(
        np.concatenate([part.output for part in parts]), np.concatenate(held) if held else None
    )
