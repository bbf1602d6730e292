"""The link in hardware beside the host's frames, and bytes over wires."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from driving import Bench
from snngen_hdl.link import Link, LinkPlan
from snngen_hdl.uart import Receiver, Transmitter

from snngen.link import frames

IMAGE = bytes([7, 0xA5, 0x5A, 0, 255])
PLAN = LinkPlan(identity=b"who this is", image_bytes=len(IMAGE), outputs=2)
RESULT = (1, 1234, -5, 70000)  # class, cycles, outputs
RUN_ANSWER = struct.pack("<iIIii", 1, 1234, 0, -5, 70000)
ERROR = struct.Struct("<i")


def answers(
    sent: bytes,
    expected: list[tuple[bytes, int, bytes]],
    gaps: float,
    plan: LinkPlan = PLAN,
    found_hash: int = 0,
) -> None:
    """The link answers the bytes `sent` with the `expected` frames and hands on an image for each
    run, whose trace has `found_hash`.
    """
    told = b"".join(frames.encode(*frame) for frame in expected)
    runs = sum(kind in b"rts" for kind, _, _ in expected)
    link = Link(plan)
    bench = Bench(link, gaps=gaps)
    if plan.known is not None:
        bench.hold(link.seen.sum, found_hash)
        bench.hold(link.seen.idle, 1)
    bench.give(link.rx, list(sent))
    bench.give(link.result, [v & 0xFFFFFFFF for v in RESULT * runs])
    handed = bench.take(link.image, runs * len(IMAGE))
    found = bench.take(link.tx, len(told))
    bench.run()
    assert bytes(found) == told
    assert bytes(handed) == IMAGE * runs


@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_requests_are_answered(gaps: float) -> None:
    sent = frames.encode(b"I", 3) + frames.encode(b"R", 4, IMAGE) + frames.encode(b"R", 5, IMAGE)
    expected = [(b"i", 3, PLAN.identity), (b"r", 4, RUN_ANSWER), (b"r", 5, RUN_ANSWER)]
    answers(sent, expected, gaps)


@pytest.mark.parametrize("gaps", [0.0, 0.5])
@pytest.mark.parametrize(("found_hash", "verdict"), [(0x89ABCDEF, 0), (0x89ABCDEE, -5)])
def test_traces_and_self_tests(found_hash: int, verdict: int, gaps: float) -> None:
    plan = replace(PLAN, known=(IMAGE, 0x89ABCDEF))
    sent = frames.encode(b"S", 3) + frames.encode(b"T", 4, IMAGE) + frames.encode(b"R", 5, IMAGE)
    hashed = struct.pack("<iIIii", 1, 1234, found_hash, -5, 70000)
    expected = [(b"s", 3, ERROR.pack(verdict)), (b"t", 4, hashed), (b"r", 5, RUN_ANSWER)]
    answers(sent, expected, gaps, plan, found_hash)


def test_who_has_no_witnesses_knows_no_traces() -> None:
    sent = frames.encode(b"S", 1) + frames.encode(b"T", 2) + frames.encode(b"I", 3)
    refused = [(b"e", tag, ERROR.pack(frames.UNKNOWN)) for tag in (1, 2)]
    answers(sent, [*refused, (b"i", 3, PLAN.identity)], 0.0)


@pytest.mark.parametrize("noise", [b"\xa5", b"\xa5\x5aboot\xa5\x5a\xa5", bytes(40)])
def test_frames_are_found_in_noise(noise: bytes) -> None:
    answers(noise + frames.encode(b"R", 9, IMAGE), [(b"r", 9, RUN_ANSWER)], 0.0)


def test_what_cannot_be_answered() -> None:
    damaged = bytearray(frames.encode(b"R", 1, IMAGE))
    damaged[13] ^= 1
    sent = bytes(damaged) + frames.encode(b"X", 2, b"abc") + frames.encode(b"R", 3, IMAGE[1:])
    codes = [(1, frames.DAMAGED), (2, frames.UNKNOWN), (3, frames.WRONG_SIZE)]
    expected = [(b"e", tag, ERROR.pack(code)) for tag, code in codes]
    answers(sent + frames.encode(b"I", 4), [*expected, (b"i", 4, PLAN.identity)], 0.0)


class Wire(wiring.Component):
    """A transmitter and a receiver, joined."""

    def __init__(self, divisor: int) -> None:
        self.divisor = divisor
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.sends = sends = Transmitter(self.divisor)
        m.submodules.receives = receives = Receiver(self.divisor)
        wiring.connect(m, wiring.flipped(self.i), sends.i)
        wiring.connect(m, receives.o, wiring.flipped(self.o))
        m.d.comb += receives.pin.eq(sends.pin)
        return m


@pytest.mark.parametrize("divisor", [4, 5, 16])
@pytest.mark.parametrize("gaps", [0.0, 0.2])
def test_bytes_over_a_wire(divisor: int, gaps: float) -> None:
    sent = [0, 255, 0x55, 0xA5, 1, 128, 77]
    wire = Wire(divisor)
    bench = Bench(wire, gaps=gaps)
    bench.give(wire.i, sent)
    found = bench.take(wire.o, len(sent))
    bench.run()
    assert found == sent
