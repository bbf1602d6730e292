"""Packed weights: read back as they were, and run as the golden model says, on every processor."""

from __future__ import annotations

import numpy as np
import pytest

from snngen.fixed import FixedNet
from snngen.neurons import IF, Accumulate, Level
from snngen.ops import Conv, Linear, Op, Window
from snngen.spiking import INPUT
from snngen.targets.c.boards import BOARDS
from snngen.targets.c.budget import budget_for
from snngen.targets.c.emit import emit
from snngen.targets.c.packed import bits_of, packed_bits, packed_ternary
from snngen.targets.c.schedule import plan
from snngen.targets.c.views import model_view
from snngen.verify import verify
from tests.networks import Builder, fixed_input, random_images

PROCESSORS = ["cortex-m0", "cortex-m4", "rv32imac", "atmega2560", "powerpc"]
RANGES = {"ternary": (-1, 1), "2 bits": (-2, 1), "4 bits": (-8, 7), "7 bits": (-63, 63)}
RANGES |= {"8 bits": (-128, 127)}


def weights(rng: np.random.Generator, most: tuple[int, int], *shape: int) -> np.ndarray:
    """Both ends of the range occur."""
    drawn = rng.integers(most[0], most[1] + 1, shape)
    drawn.flat[0], drawn.flat[-1] = most
    return drawn


def network(seed: int, kind: str, *, over_time: bool) -> FixedNet:
    """A convolution with stride, one in groups, a depthwise one of distant taps, dense layers of
    more outputs than a chunk; neurons that often fire.
    """
    rng = np.random.default_rng(seed)
    most = RANGES[kind]
    builder = Builder(fixed_input(rng, (2, 8, 7), "HWC", -20, 90), 6 if over_time else 1)

    def add(name: str, source: str, op: Op) -> None:
        bias = rng.integers(-9, 10, op.shape(builder.shape(source))[0])
        high = np.maximum(builder.current([(source, op)], bias).hi, 4)
        if over_time:
            theta = high // 3 + 1
            builder.add(name, [(source, op)], bias, IF(theta, theta // 2, max_spikes=2))
        else:
            thresholds = high[:, None] * np.arange(-1, 3) // rng.integers(4, 9, (len(high), 1))
            builder.add(name, [(source, op)], bias, Level(np.sort(thresholds, axis=1)))

    strided = Window((3, 2), (2, 1), (1, 0, 1, 1))
    add("conv", INPUT, Conv(weights(rng, most, 6, 2, 3, 2), strided))
    add("groups", "conv", Conv(weights(rng, most, 9, 2, 2, 2), Window((2, 2)), 3))
    apart = Window((2, 2), (1, 1), (1, 1, 1, 1), (2, 2))
    add("depthwise", "groups", Conv(weights(rng, most, 9, 1, 2, 2), apart, 9))
    add("dense", "depthwise", Linear(weights(rng, most, 47, *builder.shape("depthwise"))))
    last = Linear(weights(rng, most, 5, 47, 1, 1))
    builder.add("output", [("dense", last)], rng.integers(-9, 9, 5), Accumulate())
    return builder.finish(f"packed, {kind}")


@pytest.mark.parametrize("over_time", [False, True])
@pytest.mark.parametrize("kind", RANGES)
def test_networks_are_equal(kind: str, over_time: bool) -> None:
    for seed in range(3):
        net = network(seed, kind, over_time=over_time)
        images = random_images(net, 4)
        emitted = emit(net, optimise="size")
        function = b"snn_ternary" if kind == "ternary" else b"snn_packed"
        packed = 0 if kind == "8 bits" else len(net.layers)  # bytes hold 8 bits as they are
        assert emitted["model.c"].count(b".add = " + function) == packed
        assert verify(net, images, files=emitted, full_trace_images=4).is_equal


@pytest.mark.parametrize("board", PROCESSORS)
@pytest.mark.parametrize("kind", ["ternary", "4 bits", "7 bits"])
def test_networks_are_equal_on_processors(board: str, kind: str, require) -> None:
    for tool in BOARDS[board].tools:
        require(tool)
    for over_time in (False, True):
        net = network(7, kind, over_time=over_time)
        emitted = emit(net, optimise="size")
        assert verify(net, random_images(net, 2), files=emitted, on=board).is_equal


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("4 bits", "(held & mask) ^ sign", "(held & mask)"),
        ("7 bits", "(left + 8)", "(left + 9)"),
        ("ternary", "left = PER_BYTE", "left = 4"),
        ("ternary", "from += op->chunk_bytes", "from += 7"),
    ],
)
def test_a_fault_in_unpacking_is_found(kind: str, right: str, wrong: str) -> None:
    net = network(1, kind, over_time=False)
    emitted = dict(emit(net, optimise="size"))
    text = emitted["runtime/snn_packed.c"].decode()
    assert text.count(right) == 1
    emitted["runtime/snn_packed.c"] = text.replace(right, wrong).encode()
    images = random_images(net, 4)
    assert not verify(net, images, files=emitted, full_trace_images=4).is_equal


@pytest.mark.parametrize("bits", range(2, 9))
def test_bits_are_those_of_the_weights(bits: int) -> None:
    """As one long number, lowest bits first."""
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    rng = np.random.default_rng(bits)
    for count in (1, 3, 8, 13):
        rows = rng.integers(least, most + 1, (5, count))
        rows[0, 0], rows[1, -1] = least, most
        assert bits_of(rows) == (bits if bits > 2 or rows.min() < -1 else 0)
        packs = packed_bits(rows, bits)
        assert packs.shape == (5, -(-count * bits // 8))
        for row, pack in zip(rows.tolist(), packs.tolist(), strict=True):
            number = sum((w % 2**bits) << (k * bits) for k, w in enumerate(row))
            assert int.from_bytes(bytes(pack), "little") == number


def test_all_ternary_bytes() -> None:
    """3^5 of them: as snn_packed.c unpacks them."""
    rows = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 5), axis=-1).reshape(-1, 5)
    rest = packed_ternary(rows)[:, 0]
    assert len(np.unique(rest)) == 3**5 and rest.min() >= 0 and rest.max() < 2**8
    for k in range(5):
        rest = 3 * (rest & 0xFF)
        np.testing.assert_array_equal((rest >> 8) - 1, rows[:, k])


def test_weights_of_more_bits_stay_as_they_are() -> None:
    net = network(0, "8 bits", over_time=False)
    builder = Builder(net.input, 1)
    builder.add("output", [(INPUT, Linear(np.full((3, 2, 8, 7), 300)))], None, Accumulate())
    wide = builder.finish()
    (kernel, _) = budget_for(wide, optimise="size").kernels
    assert (kernel.function, kernel.reason) == ("snn_linear", "weights need more than 7 bits")
    assert verify(wide, random_images(wide, 2), files=emit(wide, optimise="size")).is_equal


def test_weights_take_the_bytes_that_their_bits_need() -> None:
    for kind, per_byte in (("ternary", 5), ("2 bits", 4), ("4 bits", 2), ("8 bits", 1)):
        net = network(0, kind, over_time=False)
        view = model_view(net, plan(net, optimise="size"))
        held = {a.name: a.bytes for a in view.arrays if a.name.endswith("_weights")}
        dense = net["dense"].synapses[0].op.weight[0].size
        assert held["layer3_synapse0_weights"] == dense * -(-47 // per_byte)
        assert held["layer2_synapse0_weights"] == 4 * -(-9 // per_byte)
