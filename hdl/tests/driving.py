"""Streams of simulated components: what is given in, what comes out, at whatever pace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Elaboratable
from amaranth.lib import stream
from amaranth.sim import Simulator, SimulatorContext

PERIOD = 1e-6


class Bench:
    """`gaps`: the share of cycles in which a stream pauses, each on its own."""

    def __init__(self, component: Elaboratable, *, gaps: float = 0.0, seed: int = 0) -> None:
        self._simulator = Simulator(component)
        self._simulator.add_clock(PERIOD)
        self._gaps, self._random = gaps, np.random.default_rng(seed)
        self._watched: list[tuple[Any, tuple[Any, ...], list[tuple[Any, ...]]]] = []

    def give(self, into: stream.Interface, tokens: Sequence[Any]) -> None:
        """Hands in `tokens`, one after the other."""

        async def run(ctx: SimulatorContext) -> None:
            for token in tokens:
                while self._random.random() < self._gaps:
                    await ctx.tick()
                ctx.set(into.payload, token)
                ctx.set(into.valid, 1)
                await ctx.tick().until(into.ready)
                ctx.set(into.valid, 0)

        self._simulator.add_testbench(run, background=True)

    def take(
        self, out: stream.Interface, count: int, *, cycles: int = 100_000, then: int = 0
    ) -> list[Any]:
        """Filled by `run` with the first `count` tokens that come out; `then` cycles follow."""
        found: list[Any] = []

        async def run(ctx: SimulatorContext) -> None:
            for _ in range(cycles):
                if len(found) == count:
                    if then:
                        await ctx.tick().repeat(then)
                    return
                ctx.set(out.ready, int(self._random.random() >= self._gaps))
                _, _, valid, ready, token = await ctx.tick().sample(
                    out.valid, out.ready, out.payload
                )
                if valid and ready:
                    found.append(token)
            raise AssertionError(f"{len(found)} of {count} tokens in {cycles} cycles")

        self._simulator.add_testbench(run)
        return found

    def watch(self, valid: Any, *signals: Any) -> list[tuple[Any, ...]]:
        """Filled by `run` with the values of `signals` in the cycles where `valid`."""
        found: list[tuple[Any, ...]] = []
        self._watched.append((valid, signals, found))
        return found

    async def _observe(self, ctx: SimulatorContext) -> None:
        """In the middle of each cycle, when all has settled; sampling at its end is dearer."""
        valid = Cat(valid for valid, _, _ in self._watched)
        while True:
            await ctx.tick()
            await ctx.delay(PERIOD / 4)
            now = ctx.get(valid)
            for k, (_, signals, found) in enumerate(self._watched):
                if now >> k & 1:
                    found.append(tuple(ctx.get(signal) for signal in signals))

    def hold(self, signal: Any, value: int) -> None:
        """Keeps an input at a value."""

        async def run(ctx: SimulatorContext) -> None:
            ctx.set(signal, value)

        self._simulator.add_testbench(run, background=True)

    def run(self) -> None:
        """Until everything that is taken has come."""
        if self._watched:
            self._simulator.add_testbench(self._observe, background=True)
        self._simulator.run()


def fields(token: Any) -> dict[str, int]:
    """The fields of a token, as integers."""
    return {
        name: int(getattr(token, name).value) if name == "kind" else int(getattr(token, name))
        for name, _ in token.shape()
    }
