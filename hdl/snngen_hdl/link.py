"""The device's end of the link (docs/link.md), in hardware: frames with a CRC, one request at a
time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Array, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import memory, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from snngen_hdl.witness import WITNESS

SYNC = (0xA5, 0x5A)
HEADER_BYTES, CRC_BYTES = 12, 4
ANSWERED_WORDS = 3  # class, ticks and a 0, before the outputs
BAD_PAYLOAD, BAD_REQUEST, BAD_SIZE = 1, 2, 3
SELFTEST_FAILED = -5  # as snn.h numbers it


@dataclass(frozen=True)
class LinkPlan:
    """`identity`: the payload that answers `I`. `known`: an image and the hash of its trace, where
    the chip has witnesses.
    """

    identity: bytes
    image_bytes: int
    outputs: int
    known: tuple[bytes, int] | None = None


class Link(wiring.Component):
    """`rx` and `tx`: bytes from and to the host. `image`: those of an image whose CRC is right.
    `result`: for each image the words of `snngen_hdl.source.Readout`. `seen`: asks for the hash.
    """

    def __init__(self, plan: LinkPlan) -> None:
        self.plan = plan
        byte = stream.Signature(unsigned(8))
        super().__init__(
            {
                "rx": In(byte),
                "tx": Out(byte),
                "image": Out(byte),
                "result": In(stream.Signature(unsigned(32))),
                **({} if plan.known is None else {"seen": Out(WITNESS)}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        plan = self.plan
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        m.submodules.kept = kept = memory.Memory(
            shape=unsigned(8), depth=plan.image_bytes, init=[], attrs={"no_rw_check": "1"}
        )
        kept_read, kept_write = kept.read_port(), kept.write_port()
        m.submodules.identity = identity = memory.Memory(
            shape=unsigned(8), depth=len(plan.identity), init=list(plan.identity)
        )
        identity_read = identity.read_port()

        window = Signal(8 * HEADER_BYTES)  # the last bytes that came, the oldest lowest
        at = Signal(range(max(plan.image_bytes, len(plan.identity), 4 * plan.outputs) + 16))
        size = Signal.like(at)  # of the payload, without its CRC
        kind, tag = Signal(8), Signal(8)
        error = Signal(2)
        answer = Array(
            Value.cast(v)
            for v in (*(Const(b, 8) for b in SYNC), kind, tag, size[:8], size[8:], 0, 0)
        )
        asked, length = window[16:24], window[32:64]
        takes_image, is_known = asked == ord("R"), (asked == ord("R")) | (asked == ord("I"))
        hashed, hash_ready, failed = Const(0, 32), Const(1), Signal()
        image, addresses = kept_read.data, [kept_read.addr]
        expected = 0 if plan.known is None else plan.known[1]
        if plan.known is not None:
            takes_image = takes_image | (asked == ord("T"))
            is_known = is_known | (asked == ord("T")) | (asked == ord("S"))
            hashed, hash_ready = self.seen.sum, self.seen.idle
            m.submodules.known = known = memory.Memory(
                shape=unsigned(8), depth=plan.image_bytes, init=list(plan.known[0])
            )
            known_read = known.read_port()
            addresses.append(known_read.addr)
            image = Mux(kind == ord("s"), known_read.data, image)
            m.d.comb += self.seen.on.eq((kind == ord("s")) | (kind == ord("t")))

        def told(code: int) -> None:
            m.d.sync += [error.eq(code), kind.eq(ord("e")), size.eq(4), at.eq(0)]
            m.d.comb += crc.start.eq(1)
            m.next = "tell header"

        def sends(byte: Value) -> Value:
            """`byte` goes to the host, and into the CRC; whether it is taken in this cycle."""
            m.d.comb += [self.tx.valid.eq(1), self.tx.payload.eq(byte)]
            m.d.comb += [crc.data.eq(byte), crc.valid.eq(self.tx.ready)]
            return self.tx.ready

        with m.FSM():
            with m.State("listen"):
                m.d.comb += self.rx.ready.eq(1)
                with m.If(self.rx.valid):
                    m.d.sync += window.eq(Value.cast((window >> 8) | (self.rx.payload << 88)))
                    m.next = "look"
            with m.State("look"):
                m.d.comb += crc.start.eq(1)
                m.d.sync += at.eq(0)
                m.next = "listen"
                with m.If((window[:8] == SYNC[0]) & (window[8:16] == SYNC[1])):
                    m.next = "check"
            with m.State("check"):
                m.d.comb += [crc.data.eq(window[:8]), crc.valid.eq(1)]
                m.d.sync += [at.eq(at + 1), window.eq(Value.cast(window.rotate_right(8)))]
                with m.If(at == HEADER_BYTES - 1):
                    m.next = "judge"
            with m.State("judge"):
                m.next = "listen"
                with m.If(crc.match_detected):
                    m.d.sync += [tag.eq(window[24:32]), window.eq(0), at.eq(0)]
                    with m.If(~is_known):
                        told(BAD_REQUEST)
                    with m.Elif(length != Mux(takes_image, plan.image_bytes, 0)):
                        told(BAD_SIZE)
                    with m.Else():
                        m.d.sync += [
                            kind.eq(asked | 0x20),
                            size.eq(Mux(takes_image, plan.image_bytes, 0)),
                        ]
                        m.d.comb += crc.start.eq(1)
                        m.next = "take"
            with m.State("take"):
                m.d.comb += [
                    self.rx.ready.eq(1),
                    crc.data.eq(self.rx.payload),
                    crc.valid.eq(self.rx.valid),
                    kept_write.addr.eq(at),
                    kept_write.data.eq(self.rx.payload),
                    kept_write.en.eq(self.rx.valid & (at < size)),
                ]
                with m.If(self.rx.valid):
                    m.d.sync += at.eq(at + 1)
                    with m.If(at == size + CRC_BYTES - 1):
                        m.next = "taken"
            with m.State("taken"):
                m.d.sync += at.eq(0)
                self._restarts(m)
                with m.If(~crc.match_detected):
                    told(BAD_PAYLOAD)
                with m.Elif(kind != ord("i")):
                    m.next = "look up"
                with m.Else():
                    m.d.sync += size.eq(len(plan.identity))
                    m.d.comb += crc.start.eq(1)
                    m.next = "tell header"
            with m.State("look up"):
                m.d.comb += [address.eq(at) for address in addresses]
                m.next = "hand on"
            with m.State("hand on"):
                m.d.comb += [address.eq(at) for address in addresses]
                m.d.comb += [self.image.valid.eq(1), self.image.payload.eq(image)]
                with m.If(self.image.ready):
                    m.d.sync += at.eq(at + 1)
                    m.next = "look up"
                    with m.If(at == plan.image_bytes - 1):
                        m.d.sync += at.eq(0)
                        m.next = "judge itself"
                        with m.If(kind != ord("s")):
                            m.d.sync += size.eq(4 * (ANSWERED_WORDS + plan.outputs))
                            m.d.comb += crc.start.eq(1)
                            m.next = "tell header"
            with m.State("judge itself"):  # once all its answer, which nobody asked for, is there
                all_there = at == ANSWERED_WORDS - 1 + plan.outputs
                m.d.comb += self.result.ready.eq(~all_there)
                with m.If(self.result.valid & ~all_there):
                    m.d.sync += at.eq(at + 1)
                with m.If(all_there & hash_ready):
                    m.d.sync += [failed.eq(hashed != expected), size.eq(4), at.eq(0)]
                    m.d.comb += crc.start.eq(1)
                    m.next = "tell header"
            with m.State("tell header"), m.If(sends(answer[at[:3]])):
                m.d.sync += at.eq(at + 1)
                with m.If(at == len(answer) - 1):
                    m.d.sync += at.eq(0)
                    m.next = "tell header's CRC"
            with m.State("tell header's CRC"):
                m.d.comb += identity_read.addr.eq(0)
                with m.If(self._tells_crc(m, crc, at)):
                    m.d.comb += crc.start.eq(1)
                    m.next = "tell payload"
            with m.State("tell payload"):
                word = at[2:]
                byte, ready = Signal(8), Signal()
                m.d.comb += identity_read.addr.eq(at)
                with m.If(kind == ord("e")):
                    m.d.comb += [byte.eq(Mux(at == 0, error, 0)), ready.eq(1)]
                with m.Elif(kind == ord("s")):
                    verdict = Const(SELFTEST_FAILED, 32).word_select(at[:2], 8)
                    m.d.comb += [byte.eq(Mux(failed, verdict, 0)), ready.eq(1)]
                with m.Elif(kind == ord("i")):
                    m.d.comb += [byte.eq(identity_read.data), ready.eq(1)]
                with m.Elif(word == ANSWERED_WORDS - 1):
                    shown = Mux(kind == ord("t"), hashed, 0)
                    m.d.comb += [byte.eq(shown.word_select(at[:2], 8)), ready.eq(hash_ready)]
                with m.Else():
                    m.d.comb += [
                        byte.eq(self.result.payload.word_select(at[:2], 8)),
                        ready.eq(self.result.valid),
                    ]
                with m.If(ready), m.If(sends(byte)):
                    m.d.sync += at.eq(at + 1)
                    is_answer = (kind == ord("r")) | (kind == ord("t"))
                    m.d.comb += [
                        identity_read.addr.eq(at + 1),
                        self.result.ready.eq(
                            is_answer & (at[:2] == 3) & (word != ANSWERED_WORDS - 1)
                        ),
                    ]
                    with m.If(at == size - 1):
                        m.d.sync += at.eq(0)
                        m.next = "tell payload's CRC"
            with m.State("tell payload's CRC"), m.If(self._tells_crc(m, crc, at)):
                m.next = "listen"
        return m

    def _restarts(self, m: Module) -> None:
        if self.plan.known is not None:
            m.d.comb += self.seen.restart.eq(1)

    def _tells_crc(self, m: Module, crc: Any, at: Signal) -> Value:
        """Sends the CRC, byte after byte; whether its last byte is taken in this cycle."""
        held = Signal(24)
        value = Mux(at == 0, crc.crc, held)
        m.d.comb += [self.tx.valid.eq(1), self.tx.payload.eq(value[:8])]
        with m.If(self.tx.ready):
            m.d.sync += [held.eq(value >> 8), at.eq(Mux(at == CRC_BYTES - 1, 0, at + 1))]
        return self.tx.ready & (at == CRC_BYTES - 1)
