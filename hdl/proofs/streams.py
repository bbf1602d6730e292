"""What the parts that join streams must do, said of nothing but their ends."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import stream
from snngen_hdl.streams import Fork

from hdl.proofs.engine import Claims

TOKEN = unsigned(2)  # no part looks into tokens: two bits tell them apart in every order


class StreamClaims(Claims):
    """Whose inputs and outputs are streams."""

    def give(self, into: stream.Interface, name: str = "i") -> tuple[Value, Value]:
        """Any tokens at any pace, each offered until it is taken; whether one is, and which."""
        valid, payload = self.free(1, f"{name}_valid"), self.free(into.payload.shape(), f"{name}")
        self.m.d.comb += [into.valid.eq(valid), into.payload.eq(payload)]
        word = Value.cast(payload)
        waits = self.before(valid & ~into.ready)
        self.assume(~waits | (valid & (word == self.before(word))))
        return valid & into.ready, word

    def take(self, out: stream.Interface, name: str = "o") -> tuple[Value, Value]:
        """At any pace; whether a token is taken, and which. Claims that one not taken stays."""
        ready = self.free(1, f"{name}_ready")
        self.m.d.comb += out.ready.eq(ready)
        word = Value.cast(out.payload)
        waits = self.before(out.valid & ~ready)
        self.claim(
            f"{name}: a token stays until it is taken",
            ~waits | (out.valid & (word == self.before(word))),
        )
        return out.valid & ready, word

    def soon(self, name: str, due: Value, done: Value, cycles: int) -> None:
        """Claims that what is due is done after at most so many cycles."""
        waited = Signal(range(cycles + 2), name=f"waited{len(self.claimed)}")
        self.m.d.sync += waited.eq(Mux(due & ~done, waited + 1, 0))
        self.claim(name, waited <= cycles)


class Passes(StreamClaims):
    """`make` hands on what it gets: a list of at most `most` tokens describes it. It takes a token
    wherever it holds fewer than `least`, and offers one `latency` cycles after it has one; None
    where it promises neither, and hands on in the same cycle.
    """

    def __init__(
        self, make: Callable[[], Any], *, most: int, least: int = 0, latency: int | None = None
    ) -> None:
        super().__init__()
        self.make, self.most, self.least, self.latency = make, most, least, latency

    def becomes(self, part: Any, comes: Value, token: Value) -> Value:
        """What leaves for the `token` that comes."""
        return token

    def alike(self, part: Any, found: Value, due: Value) -> Value:
        """Whether what leaves is what was due."""
        return found == due

    def state(self, m: Module) -> None:
        m.submodules.core = part = self.make()
        comes, token = self.give(part.i)
        goes, found = self.take(part.o)
        made = self.becomes(part, comes, token)
        held = [Signal(len(made), name=f"held{k}") for k in range(self.most + 2)]
        count = Signal(range(self.most + 2))
        left = Signal.like(count)  # of those held before
        m.d.comb += left.eq(count - goes)
        m.d.sync += count.eq(count + comes - goes)
        with m.If(goes):
            m.d.sync += [a.eq(b) for a, b in pairwise(held)]
        with m.If(comes):
            m.d.sync += Array(held)[left].eq(made)
        at_once = self.latency is None
        oldest = Mux(count == 0, made, held[0]) if at_once else held[0]
        there = (count != 0) | (comes if at_once else 0)
        self.claim("nothing is invented", ~goes | there)
        self.claim("the right token, in order", ~(goes & there) | self.alike(part, found, oldest))
        self.claim("it holds no more than it has room for", count <= self.most)
        if self.latency is not None:
            self.soon("nothing is lost", count != 0, part.o.valid, self.latency)
        if self.least:
            self.claim("it takes what it has room for", (count >= self.least) | part.i.ready)
        self.happens(goes, self.most + 3)

    def happens(self, goes: Value, enough: int) -> None:
        """`enough` tokens can pass."""
        passed = Signal(range(enough + 1))
        self.m.d.sync += passed.eq(Mux(passed == enough, passed, passed + goes))
        self.reaches(f"{enough} tokens pass", passed == enough)


class Forks(StreamClaims):
    """Each of `count` readers gets every token once, when it wants it."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def state(self, m: Module) -> None:
        m.submodules.core = fork = Fork(TOKEN, self.count)
        comes, token = self.give(fork.i)
        ends = [self.take(o, f"o{k}") for k, o in enumerate(fork.o)]
        ahead = [Signal(signed(3), name=f"ahead{k}") for k in range(self.count)]
        for k, (goes, found) in enumerate(ends):
            m.d.sync += ahead[k].eq(ahead[k] + goes - comes)  # of the source, in tokens
            self.claim(f"o{k}: nothing is invented", ~goes | (fork.i.valid & (found == token)))
            self.claim(f"o{k}: no token comes twice", ahead[k] <= 1)
            self.claim(f"o{k}: no token is lost", ahead[k] >= 0)
            self.claim(
                f"o{k}: no reader waits for another",
                ~(fork.i.valid & (ahead[k] == 0)) | fork.o[k].valid,
            )
        ready = Cat(o.ready for o in fork.o).all()
        self.claim("a token that all want is taken", ~(fork.i.valid & ready) | comes)
        self.reaches("one reader is ahead of another", (ahead[0] == 1) & (ahead[1] == 0) & comes)
