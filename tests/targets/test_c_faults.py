"""An oracle must be able to fail: change one number in the emitted C, and `verify` names its layer.

Every constant array is tried at several places, and every field of every operator and neuron.
Not tried, because no trace can show them: `input_lowest` and `input_highest`, which only guard
`run_quantised`; table entries of bytes that the images do not contain; on these images, weights
that read a neuron which never fires, and thresholds of channels that never fire.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from snngen.fixed import FixedNet
from snngen.simulate import simulate
from snngen.spiking import INPUT
from snngen.targets.c.emit import emit
from snngen.verify import verify
from tests.networks import level_showcase, random_images, spiking_showcase

IMAGES = 12
PLACES = 3
ARRAY = re.compile(r"static const (\w+) (\w+)\[\d+\] = \{\n(.*?)\n\};", re.DOTALL)
STRUCT = re.compile(r"static const (snn_\w+_op) (\w+) = \{\n(.*?)\n\};", re.DOTALL)
NUMBER = re.compile(r"-?\d+")
FITS = {"uint8_t": (0, 255), "int8_t": (-128, 127), "int16_t": (-(2**15), 2**15 - 1)}
FITS["int32_t"] = (-(2**31), 2**31 - 1)
NETS = {"spiking": spiking_showcase, "level": level_showcase}

Fault = tuple[str, int, int, str]  # (name, start and end in model.c, what to write there)


@cache
def emitted(kind: str) -> tuple[FixedNet, dict[str, bytes], str]:
    net = NETS[kind]()
    files = dict(emit(net))
    return net, files, files["model.c"].decode()


def array_faults(kind: str) -> Iterator[Fault]:
    _, _, text = emitted(kind)
    rng = np.random.default_rng(3)
    for found in ARRAY.finditer(text):
        ctype, name, body = found.groups()
        if name in ("input_lowest", "input_highest"):
            continue
        numbers = list(NUMBER.finditer(body))
        values = [int(n[0]) for n in numbers]
        useful = [i for i in range(len(values)) if shows(kind, name, i)]
        for i in rng.choice(useful, min(PLACES, len(useful)), replace=False):
            start = found.start(3) + numbers[i].start()
            changed = mutated(name, values, int(i), *FITS[ctype])
            yield f"{name}[{i}]", start, start + len(numbers[i][0]), str(changed)


def mutated(name: str, values: list[int], i: int, lo: int, hi: int) -> int:
    """Another number: the neighbour, except where small changes of thresholds may not matter."""
    if name.endswith(("channels", "rows", "columns")):
        return -1 if values[i] >= 0 else 0
    step = (
        max(1, (max(values) - min(values)) // 4)
        if name.endswith(("levels", "v_min", "threshold"))
        else 1
    )
    return values[i] + step if values[i] + step <= hi else max(lo, values[i] - step)


@cache
def activity(kind: str) -> dict[str, np.ndarray]:
    """Per source, whether a neuron is ever active on the images, (H * W * C) as the weights lie."""
    net, _, _ = emitted(kind)
    images = random_images(net, IMAGES)
    trace = simulate(net, images, trace=True).trace
    assert trace is not None
    return {name: (layer.output != 0).any((0, 1)) for name, layer in trace.items()}


def shows(kind: str, name: str, i: int) -> bool:
    """Whether a change of element `i` can be seen on the images at all."""
    net, _, _ = emitted(kind)
    if name == "input_table":
        images = random_images(net, IMAGES)
        return bool((images[:, i // 256] == i % 256).any())
    layer = net.layers[int(re.match(r"layer(\d+)", name)[1])]
    if name.endswith("weights") and layer.name in ("dense", "output"):
        active = np.moveaxis(activity(kind)[layer.synapses[0].source], 0, -1).ravel()
        return bool(active[i // layer.shape[0]])
    if name.endswith("threshold"):
        return bool(activity(kind)[layer.name][i].any())
    if name.endswith("levels"):
        return i % layer.neuron.thresholds.shape[1] == layer.neuron.thresholds.shape[1] // 2
    return True


def field_faults(kind: str) -> Iterator[Fault]:
    _, _, text = emitted(kind)
    for found in STRUCT.finditer(text):
        _, name, body = found.groups()
        for line in re.finditer(r"\.(\w+) = (.*?),$", body, re.MULTILINE):
            field, value = line.groups()
            start = found.start(3) + line.start(2)
            if value in ("true", "false"):
                yield f"{name}.{field}", start, start + len(value), str(value == "false").lower()
            elif field == "window":
                for k in wrong_window_fields(value):
                    number = list(NUMBER.finditer(value))[k]
                    at = start + number.start()
                    yield f"{name}.window[{k}]", at, at + len(number[0]), str(int(number[0]) + 1)
            elif field in ("max_spikes", "levels", "lowest"):
                yield f"{name}.{field}", start, start + len(value), str(int(value) + 1)


def wrong_window_fields(value: str) -> list[int]:
    """Places of stride and pads; a wider kernel or dilation would read beyond the weights."""
    return [2, 3, 6, 7]


def faults() -> Iterator[tuple[str, Fault]]:
    for kind in NETS:
        yield from ((kind, fault) for fault in array_faults(kind))
        yield from ((kind, fault) for fault in field_faults(kind))


@pytest.mark.parametrize(
    ("kind", "fault"), [pytest.param(k, f, id=f"{k}-{f[0]}") for k, f in faults()]
)
def test_a_fault_is_found_where_it_is(kind: str, fault: Fault) -> None:
    net, files, text = emitted(kind)
    name, start, end, changed = fault
    files = {**files, "model.c": (text[:start] + changed + text[end:]).encode()}
    found = verify(net, random_images(net, IMAGES), files=files, full_trace_images=IMAGES)
    assert found.difference is not None, f"{name} -> {changed} was not noticed"
    number = re.match(r"layer(\d+)", name)
    readers = [it.name for it in net.layers if INPUT in (s.source for s in it.synapses)]
    layer = net.layers[int(number[1])].name if number else readers[0]
    assert found.difference.layer == layer, str(found)


def test_the_unchanged_files_pass() -> None:
    for kind in NETS:
        net, files, _ = emitted(kind)
        assert verify(net, random_images(net, IMAGES), files=files).is_equal
