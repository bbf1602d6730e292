"""An oracle must be able to fail: change one number in the emitted C, and `verify` names its layer.

Every constant array is tried at several places, and every field of every operator and neuron.
Not tried, because no trace can show them: `input_lowest` and `input_highest`, which only guard
`run_quantised`; table entries of bytes that the images do not contain; words of weights beyond the
last output; strides of layers of one position; on these images, weights that read a neuron which
never fires, and thresholds of channels that never fire; and what only moves the estimate of a level
down where comparisons follow, or beyond sums that occur.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from snngen.fixed import FixedLayer, FixedNet
from snngen.golden import Trace
from snngen.simulate import simulate
from snngen.spiking import INPUT
from snngen.targets.c.dense import in_blocks
from snngen.targets.c.emit import emit
from snngen.targets.c.packed import bits_of
from snngen.targets.c.schedule import Optimise
from snngen.targets.c.steps import steps
from snngen.verify import verify
from tests.networks import level_showcase, random_images, spiking_showcase

IMAGES = 12
PLACES = {"spiking": 3, "level": 3, "8 bit": 3, "vectors": 1, "size": 3, "size, over time": 3}
ARRAY = re.compile(
    r"(?:#if (!?SNN_8_BIT)\n)?/\* [^\n]* \*/\n"
    r"static const SNN_FLASH (\w+) (\w+)\[\d+\] = \{\n(.*?)\n\};",
    re.DOTALL,
)
STRUCT = re.compile(r"static const (snn_\w+_op) (\w+) = \{\n(.*?)\n\};", re.DOTALL)
NUMBER = re.compile(r"-?\d+")
FITS = {"uint8_t": (0, 255), "int8_t": (-128, 127), "snn_pair": (-128, 127)}
FITS |= {"int16_t": (-(2**15), 2**15 - 1), "int32_t": (-(2**31), 2**31 - 1)}
FITS |= {"snn_steps": (-(2**31), 2**32 - 1)}
STEPS = ("first", "last", "multiplier", "offset")
NETS: dict[str, tuple[Callable[[], FixedNet], Optimise]] = {
    "spiking": (spiking_showcase, "speed"),
    "level": (level_showcase, "speed"),
    "8 bit": (level_showcase, "speed"),
    "vectors": (level_showcase, "vectors"),
    "size": (level_showcase, "size"),
    "size, over time": (spiking_showcase, "size"),
}

Fault = tuple[str, int, int, str]  # (name, start and end in model.c, what to write there)


@cache
def emitted(kind: str) -> tuple[FixedNet, dict[str, bytes], str]:
    showcase, optimise = NETS[kind]
    net = showcase()
    files = dict(emit(net, optimise=optimise))
    if kind == "8 bit":  # the kernels of such processors, with what only these have
        header = files["runtime/snn_model.h"]
        files["runtime/snn_model.h"] = header.replace(b"#ifdef __AVR__", b"#if 1")
    return net, files, files["model.c"].decode()


def array_faults(kind: str) -> Iterator[Fault]:
    _, _, text = emitted(kind)
    rng = np.random.default_rng(3)
    for found in ARRAY.finditer(text):
        condition, ctype, name, body = found.groups()
        if name in ("input_lowest", "input_highest") or not exists(kind, condition, ctype):
            continue
        numbers = list(NUMBER.finditer(body))
        values = [int(n[0]) for n in numbers]
        useful = [i for i in range(len(values)) if shows(kind, name, i)]
        for i in rng.choice(useful, min(PLACES[kind], len(useful)), replace=False):
            start = found.start(4) + numbers[i].start()
            changed = mutated(kind, name, values, int(i), *FITS[ctype])
            yield f"{name}[{i}]", start, start + len(numbers[i][0]), str(changed)


def exists(kind: str, condition: str | None, ctype: str) -> bool:
    """Whether the array is compiled, and, for 8 bits, stored or read in another way than else."""
    if kind == "8 bit":
        return condition == "SNN_8_BIT" or (condition is None and ctype == "snn_pair")
    return condition != "SNN_8_BIT"


def mutated(kind: str, name: str, values: list[int], i: int, lo: int, hi: int) -> int:
    """Another number: the neighbour, except where small changes may not matter."""
    if name.endswith(("channels", "rows", "columns")):
        return -1 if values[i] >= 0 else 0
    if name.endswith("steps"):
        return {
            "first": max(-(2**31), values[i] - 2**12),
            "last": values[i] + 2**16,
            "multiplier": values[i] * 2 % 2**32,
            "offset": values[i] + 2 ** shift_of(kind, name.removesuffix("_steps")),
        }[STEPS[i % len(STEPS)]]
    if name.endswith("levels"):  # lower, so that more is sent
        return max(lo, values[i] - max(1, (max(values) - min(values)) // 4))
    step = max(1, (max(values) - min(values)) // 4) if name.endswith(("v_min", "threshold")) else 1
    return values[i] + step if values[i] + step <= hi else max(lo, values[i] - step)


def shift_of(kind: str, layer: str) -> int:
    _, _, text = emitted(kind)
    neuron = next(body for _, name, body in STRUCT.findall(text) if name == f"{layer}_neuron")
    return int(re.search(r"\.shift = (\d+)", neuron)[1])


@cache
def traced(kind: str) -> Trace:
    net, _, _ = emitted(kind)
    trace = simulate(net, random_images(net, IMAGES), trace=True).trace
    assert trace is not None
    return trace


@cache
def activity(kind: str, name: str) -> np.ndarray:
    """Whether each neuron of `name` is ever active on the images, (C, H, W)."""
    return (traced(kind)[name].output != 0).any((0, 1))


def shows(kind: str, name: str, i: int) -> bool:
    """Whether a change of element `i` can be seen on the images at all."""
    net, _, _ = emitted(kind)
    if name == "input_table":
        images = random_images(net, IMAGES)
        return bool((images[:, i // 256] == i % 256).any())
    layer = net.layers[int(re.match(r"layer(\d+)", name)[1])]
    if name.endswith("weights"):
        return shows_weight(kind, name, layer, i)
    if name.endswith("threshold"):
        return bool(activity(kind, layer.name)[i].any())
    if name.endswith(("steps", "levels")):
        return shows_level(kind, name, layer, i)
    return True


def shows_level(kind: str, name: str, layer: FixedLayer, i: int) -> bool:
    """What snn_level.c or snn_climb.c sends for the sums that occur, before and after."""
    table = layer.neuron.thresholds
    if structs(kind)[name.rsplit("_", 1)[0] + "_neuron"] == "snn_compare_op":
        return shows_comparison(kind, name, layer, i)
    c = i // (table.shape[1] if name.endswith("levels") else len(STEPS))
    found, sums = steps(table, layer.current.hi), traced(kind)[layer.name].membrane[:, :, c]
    arrays = {
        "steps": np.stack([getattr(found, what) for what in STEPS], axis=1).ravel(),
        "levels": table.ravel().copy(),
    }

    def sent() -> np.ndarray:
        if kind == "size":
            reached = sums[..., None] >= arrays["levels"].reshape(table.shape)[c]
            return np.cumprod(reached, axis=-1).sum(-1)
        if kind == "8 bit":
            return (sums[..., None] >= arrays["levels"].reshape(table.shape)[c]).sum(-1)
        first, last, multiplier, offset = arrays["steps"].reshape(-1, len(STEPS))[c]
        u = (np.minimum(sums, last) - first) * multiplier + offset
        level = np.where(sums < first, 0, 1 + ((u % 2**32) >> found.shift))
        thresholds = np.append(arrays["levels"].reshape(table.shape)[c], np.iinfo(np.int64).max)
        for _ in range(found.comparisons):
            level += sums >= thresholds[np.minimum(level, table.shape[1])]
        return level

    before, changed = sent(), arrays[name.split("_")[1]]
    changed[i] = mutated(kind, name, changed.tolist(), i, -(2**31), 2**32 - 1)
    return bool((sent() != before).any())


def shows_comparison(kind: str, name: str, layer: FixedLayer, i: int) -> bool:
    """Whether the lower threshold is one that some sum reaches, and the other is not."""
    thresholds = layer.neuron.thresholds.T.ravel().tolist()
    c = i % len(layer.neuron.thresholds)
    changed = mutated(kind, name, thresholds, i, -(2**31), 2**31 - 1)
    sums = traced(kind)[layer.name].membrane[:, :, c]
    return bool(((changed <= sums) & (sums < thresholds[i])).any())


def shows_weight(kind: str, name: str, layer: FixedLayer, i: int) -> bool:
    struct, outputs = in_words(kind).get(name), layer.shape[0]
    if struct == "snn_dense_op":
        return shows_pair(kind, name, layer, i)
    in_pairs = f"snn_pair {name}[" in emitted(kind)[2]  # one number for each weight, else for two
    each = 1 if in_pairs else 2
    per_input = -(-outputs // 4) * 4 // each if struct else outputs
    if struct and i % per_input * each >= outputs:
        return False
    if layer.name not in ("dense", "output"):
        return True
    if structs(kind)[name.removesuffix("_weights")] == "snn_packed_op":
        per_input = -(-outputs * bits_of(layer.synapses[0].op.weight) // 8)
    active = activity(kind, layer.synapses[0].source)  # read as (y, x, c)
    order = active.transpose(1, 0, 2)[:, :, ::-1] if struct == "snn_scatter_op" else None
    ordered = active.transpose(1, 2, 0) if order is None else order
    return bool(ordered.ravel()[i // per_input])


def shows_pair(kind: str, name: str, layer: FixedLayer, i: int) -> bool:
    """Whether the low half of a word is the weight of an input that matters."""
    synapse = layer.synapses[int(name.split("synapse")[1].split("_")[0])]
    op = synapse.op
    matters = np.ones(op.weight.shape, np.int64)
    if layer.name in ("dense", "output"):
        matters *= activity(kind, synapse.source)
    return bool(in_blocks(matters)[i] & 1)


def in_words(kind: str) -> dict[str, str]:
    """By names of weights of which two lie in a word: the type of their struct."""
    by_words = ("snn_lanes_op", "snn_scatter_op", "snn_dense_op")
    return {f"{n}_weights": ctype for n, ctype in structs(kind).items() if ctype in by_words}


def structs(kind: str) -> dict[str, str]:
    """Types by names."""
    _, _, text = emitted(kind)
    return {name: ctype for ctype, name, _ in STRUCT.findall(text)}


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
                for k in wrong_window_fields(kind, name):
                    number = list(NUMBER.finditer(value))[k]
                    at = start + number.start()
                    yield f"{name}.window[{k}]", at, at + len(number[0]), str(int(number[0]) + 1)
            elif field == "levels" and ".comparisons = 0" in body:
                continue  # not read where the product is exact
            elif field == "levels" and structs(kind)[name] == "snn_compare_op":
                yield f"{name}.{field}", start, start + len(value), str(int(value) - 1)
            elif field == "comparisons":
                if int(value):
                    yield f"{name}.{field}", start, start + len(value), str(int(value) - 1)
            elif field == "shift":  # a larger one only moves the estimate down
                yield f"{name}.{field}", start, start + len(value), str(int(value) - 1)
            elif field in ("max_spikes", "levels", "lowest"):
                yield f"{name}.{field}", start, start + len(value), str(int(value) + 1)


def wrong_window_fields(kind: str, name: str) -> list[int]:
    """Places of stride and pads; a wider kernel or dilation would read beyond the weights."""
    net, _, _ = emitted(kind)
    layer = net.layers[int(re.match(r"layer(\d+)", name)[1])]
    return [6, 7] if layer.shape[1:] == (1, 1) else [2, 3, 6, 7]


def faults() -> Iterator[tuple[str, Fault]]:
    for kind in NETS:
        yield from ((kind, fault) for fault in array_faults(kind))
        if kind != "8 bit":
            yield from ((kind, fault) for fault in field_faults(kind))


def parameters() -> Iterator[Any]:
    """One place of each array by default; all of them take a few minutes."""
    seen: set[tuple[str, str]] = set()
    for kind, fault in faults():
        place = kind, fault[0].split("[")[0]
        marks = [pytest.mark.slow] if place in seen else []
        seen.add(place)
        yield pytest.param(kind, fault, id=f"{kind}-{fault[0]}", marks=marks)


@pytest.mark.parametrize(("kind", "fault"), parameters())
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
