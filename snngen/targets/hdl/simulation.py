"""A chip compiled by Verilator: what it answers, in which cycle, and everything its layers held."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from amaranth.hdl import Signal, Value
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray
from snngen_hdl.chip import ChipPlan
from snngen_hdl.layer import Layer
from snngen_hdl.streams import Kind
from snngen_hdl.watch import Probe, Watched

from snngen.errors import Problem, ToolError
from snngen.fixed import FixedLayer, FixedNet
from snngen.golden import LayerTrace, Trace
from snngen.resources import resource_dir
from snngen.targets.hdl.toolchain import rtlil_of, verilog_of

Ints = NDArray[np.int64]
Bits = NDArray[np.uint8]

VERILATOR = ["verilator", "--cc", "--exe", "--build", "-j", "2", "--top-module", "top", "-O3"]
VERILATOR += ["--noassert", "--x-assign", "fast", "--x-initial", "fast"]
VERILATOR += ["-Wno-fatal", "-Wno-lint", "-Wno-style"]
# half the time of Verilator's own choice; what is slow runs once
VERILATOR += ["-MAKEFLAGS", "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O1"]
VERILATOR += ["bench.cpp", "-o", "bench"]
EVENT = int(Kind.EVENT.value)  # type: ignore[attr-defined]  # amaranth's enumerations
CYCLES = 10**9  # after which a chip that still has not answered never will
SOME_MISSING = 1  # what the bench returns after so many cycles
SETTLES = 20_000  # cycles after the last answer, by which all else is done


@dataclass(frozen=True, eq=False)
class Answers:
    """For each image the class, the cycles from its first byte to its class, and the output
    membranes (images, outputs); `at`, the cycle in which its answer began.
    """

    classes: Ints
    cycles: Ints
    outputs: Ints
    at: Ints

    def __len__(self) -> int:
        return len(self.at)


class Simulation:
    """`net` as `chip`: a plan, or Verilog files of what became of one, with the same bus, in which
    nothing can be traced. `options`: Verilator's. ToolError where that is missing or fails.
    """

    def __init__(
        self,
        net: FixedNet,
        chip: ChipPlan | Mapping[str, bytes],
        *,
        options: Sequence[str] = (),
    ) -> None:
        self._net = net
        self._watched = None
        self._folder = TemporaryDirectory(prefix="snngen-")
        self._path = Path(self._folder.name)
        if isinstance(chip, ChipPlan):
            self._watched = Watched(chip)
            chip = {"top.v": verilog_of_chip(self._watched)}
        self._build(chip, options)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._folder.cleanup()

    def _build(self, files: Mapping[str, bytes], options: Sequence[str]) -> None:
        if which("verilator") is None:
            rule, way_out = "is needed to simulate hardware", "apt install verilator"
            raise ToolError(Problem("verilator", rule, "nothing of that name", way_out))
        for name, content in files.items():
            (self._path / name).write_bytes(content)
        template = (resource_dir("templates") / "hdl" / "bench.cpp.j2").read_text()
        environment = Environment(undefined=StrictUndefined, trim_blocks=True)
        text = environment.from_string(template).render(
            probes=[
                {"name": p.name} | {k: getattr(p, k).name for k in ("valid", "place", "value")}
                for p in (self._watched.probes if self._watched else ())
            ]
        )
        (self._path / "bench.cpp").write_text(text)
        command = [*VERILATOR, *options, *files]
        done = subprocess.run(command, cwd=self._path, capture_output=True, text=True)
        if done.returncode:
            errors = re.findall(r"^%Error.*$", done.stderr, re.M)[:5] or [done.stderr[-2000:]]
            raise ToolError(Problem("verilator", "must build the simulation", "\n".join(errors)))

    def run(
        self,
        images: NDArray[np.uint8],
        *,
        traced: int = 0,
        is_alone: bool = False,
        pauses: int = 0,
    ) -> tuple[Answers, Trace]:
        """Answers for all `images` (n, C, H, W), and the trace of the first `traced` of them.

        They follow each other at once, or `is_alone`: one waits for the answer to the one before.
        `pauses`: the share of cycles, in %, in which whoever gives and takes stops, at random.
        """
        # what nobody reads may be late, and is waited for
        then, watched = (SETTLES, len(images)) if traced and self._unread else (0, traced)
        answers = self._run(images, watched, int(is_alone), pauses, then, CYCLES)
        if len(answers) < len(images):
            found = f"{len(answers)} of {len(images)} answers in {CYCLES:,} cycles"
            raise ToolError(Problem("the simulated chip", "must answer every image", found))
        return answers, self._trace(traced) if traced else {}

    def answers(self, images: NDArray[np.uint8], *, cycles: int = CYCLES) -> Answers:
        """What comes within so many cycles for `images` (n, C, H, W): perhaps answers to fewer."""
        return self._run(images, 0, 0, 0, 0, cycles)

    def waves(self, images: NDArray[np.uint8]) -> bytes:
        """All signals in every cycle, as VCD: two units of time a cycle; it takes --trace."""
        self._run(images, 0, 0, 0, 0, CYCLES)
        content = (self._path / "waves").read_bytes()
        return re.sub(rb"\$date.*?\$end\n", b"", content, count=1, flags=re.S)

    def _run(self, images: NDArray[np.uint8], *numbers: int) -> Answers:
        """Answers of the bench, whose arguments `numbers` follow how many words an image has."""
        net = self._net
        shaped = images.transpose(0, 2, 3, 1) if net.input.layout == "HWC" else images
        (self._path / "images").write_bytes(np.ascontiguousarray(shaped).tobytes())
        each = 2 + int(np.prod(net.layers[-1].shape))
        command = ["obj_dir/bench", "images", *map(str, (len(images), each, *numbers))]
        done = subprocess.run(command, cwd=self._path, capture_output=True, text=True)
        if done.returncode not in (0, SOME_MISSING):
            said = (done.stdout + done.stderr)[-2000:] or f"exit code {done.returncode}"
            raise ToolError(Problem("the simulated chip", "must run to its end", said))
        results = np.fromfile(self._path / "results", np.int64).reshape(-1, 2)
        whole = len(results) // each
        by_image = results[: whole * each].reshape(whole, each, 2)
        data = by_image[:, :, 1].astype(np.uint32).view(np.int32).astype(np.int64)
        return Answers(data[:, 0], data[:, 1], data[:, 2:], by_image[:, 0, 0])

    @property
    def _unread(self) -> bool:
        """Whether there are layers that no other reads, but for the last."""
        read = {synapse.source for layer in self._net.layers for synapse in layer.synapses}
        return any(layer.name not in read for layer in self._net.layers[:-1])

    # --- Traces ----------------------------------------------------------------------------------

    def _trace(self, images: int) -> Trace:
        assert self._watched is not None, "only a plan has probes"
        cores = self._watched.chip.network.layers
        probes = {probe.name: probe for probe in self._watched.probes}
        found = {}
        for k, (layer, core) in enumerate(zip(self._net.layers, cores, strict=True)):
            steps = images * self._net.timesteps
            by_image = (images, self._net.timesteps, *layer.shape)
            sent = self._sent(probes[f"sent{k}"], core, layer, steps).reshape(by_image)
            held = self._held(probes[f"held{k}"], core, layer, steps).reshape(by_image)
            found[layer.name] = LayerTrace(sent, None if layer.neuron is None else held)
        return found

    def _sent(self, probe: Probe, core: Layer, layer: FixedLayer, steps: int) -> Ints:
        """What the layer sent, from its events: (timesteps of all images, C, H, W)."""
        bits, _ = self._records(probe)
        at = _fields(core.o.payload.shape(), bits)
        step = _steps(at["kind"])
        is_event = (at["kind"] == EVENT) & (step < steps)
        sent = np.zeros((steps, *layer.shape), np.int64)
        where = tuple(axis[is_event] for axis in (step, at["c"], at["y"], at["x"]))
        np.add.at(sent, where, at["value"][is_event])
        return sent

    def _held(self, probe: Probe, core: Layer, layer: FixedLayer, steps: int) -> Ints:
        """Its membranes, from the words of its passes."""
        places, values = self._records(probe)
        at = _fields(core.seen_place.shape(), places)
        step, lanes, width = _steps(at["kind"]), core.plan.lanes, core.plan.neurons.bits
        held = np.zeros((steps, *layer.shape), np.int64)
        for lane in range(lanes):
            c = at["group"] * lanes + lane
            real = (c < layer.shape[0]) & (step < steps)
            membrane = _number(values[:, lane * width : (lane + 1) * width], is_signed=True)
            held[step[real], c[real], at["y"][real], at["x"][real]] = membrane[real]
        return held

    def _records(self, probe: Probe) -> tuple[Bits, Bits]:
        """The bits of what was written down: (records, bits) of places and of values."""
        sizes = [_stored_bytes(len(port)) for port in (probe.place, probe.value)]
        raw = np.fromfile(self._path / probe.name, np.uint8).reshape(-1, sum(sizes))
        bits = np.unpackbits(raw, axis=1, bitorder="little")
        return bits[:, : 8 * sizes[0]], bits[:, 8 * sizes[0] :]


def verilog_of_chip(chip: Watched) -> bytes:
    """Module `top`. ToolError without yosys."""
    return verilog_of(rtlil_of(chip, chip.ports))


def _stored_bytes(bits: int) -> int:
    """Of a port in the bench's files: a number of 64 bits, or as many of 32 as it takes."""
    return 8 if bits <= 64 else 4 * -(-bits // 32)


def _number(bits: Bits, *, is_signed: bool) -> Ints:
    weights = 1 << np.arange(bits.shape[1], dtype=np.int64)
    if is_signed:
        weights[-1] = -weights[-1]
    number: Ints = bits.astype(np.int64) @ weights
    return number


def _fields(layout: Any, bits: Bits) -> Mapping[str, Ints]:
    """The fields of a structure, from (records, bits)."""
    return {
        name: _number(
            bits[:, field.offset : field.offset + field.width],
            is_signed=Value.cast(Signal(field.shape)).shape().signed,
        )
        for name, field in layout
    }


def _steps(kinds: Ints) -> Ints:
    """The timestep of each record, counted over all images; a marker is the last of its own."""
    ends = (kinds != EVENT).astype(np.int64)
    steps: Ints = np.cumsum(ends) - ends
    return steps
