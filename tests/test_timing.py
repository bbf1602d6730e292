"""What is said of cycles."""

from __future__ import annotations

from snngen.cli.summaries import cycle_lines
from snngen.targets.timing import Spread, Timing


def test_lines() -> None:
    timing = Timing(Spread.of([2000, 1000, 1200]), Spread.of([600]), 12_000_000)
    assert cycle_lines(timing) == [
        "latency: best 1,000, mean 1,400, worst 2,000 cycles (0.083, 0.117, 0.167 ms at 12 MHz), "
        "of 3 images alone in the chip",
        "image to image: best 600, mean 600, worst 600 cycles (0.050, 0.050, 0.050 ms at 12 MHz), "
        "of 1 images behind another",
    ]


def test_without_clock_or_images() -> None:
    assert cycle_lines(None) == []
    assert cycle_lines(Timing(None, Spread.of([7, 9]))) == [
        "image to image: best 7, mean 8, worst 9 cycles, of 2 images behind another"
    ]
