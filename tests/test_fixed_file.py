"""The .snn file: what is written comes back, and nothing else is accepted, however damaged."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snngen import fixed_file
from snngen.errors import FileError
from snngen.fixed import FixedInput, FixedNet
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Linear, SumPool, Window
from snngen.simulate import simulate
from snngen.spiking import INPUT
from tests.networks import Builder, fixed_nets, level_showcase, random_images

relaxed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
PREFIX = struct.Struct("<8sIQ")


def small_net() -> FixedNet:
    table = np.arange(256, dtype=np.int16)[None]
    given = FixedInput((1, 6, 6), "CHW", table, np.full(1, 1 / 255), np.zeros(1))
    builder = Builder(given, timesteps=4)
    theta = np.array([900, 700, 800])
    conv = Conv(np.arange(27).reshape(3, 1, 3, 3) * 4 % 15 - 7, Window((3, 3)))
    builder.add("conv", [(INPUT, conv)], np.array([5, -3, 0]), IF(theta, theta // 2))
    builder.add("pool", [("conv", SumPool(Window((2, 2), (2, 2)), 4))])
    weight = np.arange(48).reshape(4, 3, 2, 2) * 37 % 255 - 127
    builder.add("fc", [("pool", Linear(weight))], None, Accumulate())
    return builder.finish("small")


def parts(data: bytes) -> tuple[dict, bytes]:
    """The header and the arrays of a file."""
    length = PREFIX.unpack_from(data)[2]
    start = PREFIX.size
    return json.loads(data[start : start + length]), data[start + length : -32]


def sealed(body: bytes) -> bytes:
    return body + sha256(body).digest()


def rebuilt(header: object, arrays: bytes) -> bytes:
    text = (
        header
        if isinstance(header, bytes)
        else json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    )
    return sealed(PREFIX.pack(fixed_file.MAGIC, fixed_file.VERSION, len(text)) + text + arrays)


@relaxed
@given(fixed_nets())
def test_a_network_comes_back_as_it_was(net: FixedNet) -> None:
    data = fixed_file.dumps(net)
    read = fixed_file.loads(data, "test")
    assert fixed_file.dumps(read) == data
    assert fixed_file.digest(read) == fixed_file.digest(net) == data[-32:].hex()
    images = random_images(net, 2)
    np.testing.assert_array_equal(simulate(read, images).outputs, simulate(net, images).outputs)


def test_dtypes_after_loading() -> None:
    net = fixed_file.loads(fixed_file.dumps(small_net()), "test")
    conv = net["conv"].synapses[0].op
    assert isinstance(conv, Conv) and isinstance(net["conv"].neuron, IF)
    assert conv.weight.dtype == net["conv"].neuron.threshold.dtype == np.int64
    assert net.input.table.dtype == np.int16
    assert net.input.gain.dtype == net.input.offset.dtype == np.float64


def test_the_format_does_not_change_unnoticed() -> None:
    """A new digest means a new format: raise VERSION, and tell users to convert again."""
    header, _ = parts(fixed_file.dumps(small_net()))
    assert sorted(header) == [
        "input", "kind", "layers", "method", "name", "output_layout", "output_scale", "timesteps",
    ]  # fmt: skip
    assert (
        fixed_file.digest(small_net())
        == "4b830a7e0244f14cbe94da8adcd67b16b75b3ee57d755b401c5f67774ac88b55"
    )


def test_save_and_load(tmp_path: Path) -> None:
    fixed_file.save(small_net(), tmp_path / "a.snn")
    assert fixed_file.digest(fixed_file.load(tmp_path / "a.snn")) == fixed_file.digest(small_net())
    assert [p.name for p in tmp_path.iterdir()] == ["a.snn"]


def test_every_truncation_is_refused() -> None:
    data = fixed_file.dumps(small_net())
    for end in [*range(0, 80), *range(80, len(data), 17)]:
        with pytest.raises(FileError):
            fixed_file.loads(data[:end], "test")


def test_every_flipped_bit_is_refused() -> None:
    data = fixed_file.dumps(small_net())
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(FileError):
            fixed_file.loads(bytes(damaged), "test")


@settings(relaxed, max_examples=400)
@given(st.data())
def test_damage_below_a_valid_digest_is_refused_or_harmless(data: st.DataObject) -> None:
    """With the digest mended, the schema and the proof must find it; what passes is a network."""
    body = bytearray(fixed_file.dumps(small_net())[:-32])
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(12, len(body) - 1))
        body[position] = data.draw(st.integers(0, 255))
    try:
        net = fixed_file.loads(sealed(bytes(body)), "test")
    except FileError as error:
        assert len(str(error)) < 600
    else:
        assert fixed_file.dumps(net)[:-32] == bytes(body)


def leaves(tree: object, path: tuple = ()) -> list[tuple]:
    items = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    return [path, *(leaf for key, value in items for leaf in leaves(value, (*path, key)))]


HEADER, ARRAYS = parts(fixed_file.dumps(small_net()))
PLACES = leaves(HEADER)[1:]
NASTY = [
    None, True, -1, 0, 3, 2**31, 2**63, 10**30, 1.5, 1e308, "", "x", "conv", "input", "\n*/",
    "\ud800", [], {}, [1, 1, 1], [10**10] * 3, {"array": "int8", "shape": [10**10]},
    {"array": "object", "shape": [1]}, {"array": "int8", "shape": [0]}, {"array": [], "shape": [1]},
    {"kind": "Conv"}, {"kind": "Level"}, {"kind": []},
]  # fmt: skip


def replaced(path: tuple, value: object) -> dict:
    header = json.loads(json.dumps(HEADER))
    place = header
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return header


@pytest.mark.parametrize("value", NASTY, ids=repr)
def test_any_header_field_may_hold_anything(value: object) -> None:
    for path in PLACES:
        try:
            net = fixed_file.loads(rebuilt(replaced(path, value), ARRAYS), "test")
        except FileError as error:
            assert len(str(error)) < 600
        else:
            fixed_file.dumps(net)


def test_missing_and_unknown_fields_are_named() -> None:
    header = json.loads(json.dumps(HEADER))
    del header["layers"][0]["name"]
    header["layers"][0]["colour"] = "red"
    with pytest.raises(FileError, match=r"layers\[0\]: missing \['name'\], unknown \['colour'\]"):
        fixed_file.loads(rebuilt(header, ARRAYS), "test")


@pytest.mark.parametrize(
    ("header", "arrays", "message"),
    [
        (b"[" * 100_000 + b"]" * 100_000, b"", "nested too deeply"),
        (b'{"a":1,"a":1}', b"", "canonical"),
        (b'{"a": 1}', b"", "canonical"),
        (b"{", b"", "Expecting property name"),
        (b"\xff", b"", "decode"),
        (b"NaN", b"", "JSON"),
        (b"1" * 5000, b"", "digits"),
        (HEADER, ARRAYS + b"\0", "1 bytes that no array claims"),
        (HEADER, ARRAYS[:-1], "bytes are left"),
        (replaced(("timesteps",), 0), ARRAYS, "timesteps must be 1"),
        (replaced(("timesteps",), 5), ARRAYS, "not proven"),
        (replaced(("layers", 1, "name"), "conv"), ARRAYS, "a name of its own"),
        (replaced(("layers", 1, "name"), "input"), ARRAYS, "a name of its own"),
        (replaced(("layers", 0, "synapses", 0, "source"), "fc"), ARRAYS, "no earlier layer"),
        (replaced(("layers", 0, "shape"), [3, 5, 4]), ARRAYS, "has shape"),
        (replaced(("layers", 0, "shape"), [2**12] * 3), ARRAYS, "values"),
        (replaced(("layers", 2, "neuron"), None), ARRAYS, "must accumulate"),
        (replaced(("layers", 0, "neuron", "max_spikes"), 0), ARRAYS, "max_spikes below 1"),
        (replaced(("layers", 0, "neuron", "max_spikes"), 2**31 - 1), ARRAYS, "not proven"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_message(header: object, arrays: bytes, message: str) -> None:
    with pytest.raises(FileError, match=message):
        fixed_file.loads(rebuilt(header, arrays), "test")


POOL = {"kind": "MaxPool", "window": HEADER["layers"][0]["synapses"][0]["op"]["window"]}


@pytest.mark.parametrize(
    "window",
    [
        {"pads": [10**9] * 4, "kernel": [10**9, 10**9]},
        {"pads": [2000] * 4, "kernel": [3000, 3000]},
        {"pads": [10**6] * 4, "dilation": [10**6, 10**6]},
        {"pads": [1, 0, 0, 0], "kernel": [10**12, 1]},
    ],
    ids=str,
)
def test_no_window_costs_memory_or_time(window: dict) -> None:
    pool = {**POOL, "window": {**POOL["window"], **window}}
    with pytest.raises(FileError, match=r"positions|taps|does not fit"):
        fixed_file.loads(
            rebuilt(replaced(("layers", 1, "synapses", 0, "op"), pool), ARRAYS), "test"
        )


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda n: replace(n, threshold=n.threshold * 0), "threshold below 1"),
        (lambda n: replace(n, threshold=n.threshold[:2]), "threshold must be 3"),
        (lambda n: replace(n, threshold=n.threshold + 2**40), "threshold must be 3 32-bit"),
        (lambda n: replace(n, v_init=n.v_init + 1), "not proven"),
        (lambda n: replace(n, v_min=np.array([0, 0, 1])), "v_min above 0"),
    ],
)
def test_neurons_are_checked(damage, message: str) -> None:
    net = small_net()
    conv = net["conv"]
    layers = (replace(conv, neuron=damage(conv.neuron)), *net.layers[1:])
    with pytest.raises(FileError, match=message):
        fixed_file.loads(fixed_file.dumps(replace(net, layers=layers)), "test")


def test_levels_beyond_32_bits_are_refused() -> None:
    net = level_showcase()
    dense = net["dense"]
    assert isinstance(dense.neuron, Level) and dense.neuron.lowest < 0
    layers = [replace(dense, neuron=replace(dense.neuron, lowest=2**31 - 15))]
    layers = [layers[0] if layer.name == "dense" else layer for layer in net.layers]
    with pytest.raises(FileError, match="sends levels beyond 32 bits"):
        fixed_file.loads(fixed_file.dumps(replace(net, layers=tuple(layers))), "test")


def test_a_newer_version_says_so() -> None:
    body = bytearray(fixed_file.dumps(small_net())[:-32])
    body[8] = fixed_file.VERSION + 1
    with pytest.raises(FileError, match="version 4, this snngen reads version 3") as caught:
        fixed_file.loads(sealed(bytes(body)), "net.snn")
    assert "install a newer snngen" in str(caught.value)


def test_what_is_not_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "text.snn").write_text("hello")
    with pytest.raises(FileError, match=r"not an \.snn file"):
        fixed_file.load(tmp_path / "text.snn")
    with pytest.raises(FileError, match="No such file"):
        fixed_file.load(tmp_path / "absent.snn")
    with pytest.raises(FileError, match="not a file\n  found: a folder"):
        fixed_file.load(tmp_path)
    with pytest.raises(FileError, match="a device or a pipe"):
        fixed_file.load(Path("/dev/zero"))
