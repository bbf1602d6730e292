"""How what files hold becomes what a network reads: images of other sizes, recordings of events."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.errors import DataError, Problem
from snngen.ops import Shape
from snngen.spiking import Coding

BINNING = re.compile(r"([0-9]{1,5})(?:x([0-9]{1,9})(us|ms|s|ev))?")
MICROSECONDS = {"us": 1, "ms": 10**3, "s": 10**6}
MOST_SHRUNK = 1024


@dataclass(frozen=True)
class Binning:
    """The bins that the events of a recording are counted in: so many `steps`, each as long as
    `duration` in microseconds, or until so many `events` are in it. Without either they are equally
    long and cover the recording. At most one of the two is given.
    """

    steps: int = 1
    duration: int | None = None
    events: int | None = None

    def bins(self, t: NDArray[np.int64]) -> NDArray[np.int64]:
        """The bin of every event, given their times in microseconds, ascending; time counts from
        the first event. `steps` or above: behind the last bin.
        """
        if self.events is not None:
            bins: NDArray[np.int64] = np.arange(len(t)) // self.events
            return bins
        since = t - t[:1]
        if self.duration is not None:
            return since // self.duration
        return since * self.steps // (since[-1:] + 1)


def read_binning(text: str) -> Binning | None:
    """ "16", "16x10ms", "16x2500us" or "16x500ev" as a Binning; None where it is none."""
    found = BINNING.fullmatch(text)
    steps, size = (int(n) for n in found.groups("1")[:2]) if found else (0, 0)
    if found is None or min(steps, size) < 1:
        return None
    match found[3]:
        case None:
            return Binning(steps)
        case "ev":
            return Binning(steps, events=size)
        case unit:
            return Binning(steps, duration=size * MICROSECONDS[unit])


@dataclass(frozen=True)
class Fitting:
    """What is done to image files and recordings.

    `resize` an image to (shorter side,) or (height, width), bilinear; then cut out the centre,
    `crop`, (side,) or (height, width); as torchvision's Resize and CenterCrop do on Pillow images.
    Of a recording count the events of the centre in `bins`, those of `shrink` x `shrink` pixels
    together. None leaves a step out.
    """

    resize: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None
    shrink: int | None = None
    bins: Binning | None = None

    def centre(self, size: tuple[int, int], where: str, hint: str = "") -> tuple[slice, slice]:
        """The rows and columns of `size` (height, width) that `crop` leaves; DataError where it is
        larger.
        """
        if self.crop is None:
            return slice(0, size[0]), slice(0, size[1])
        height, width = self.crop if len(self.crop) == 2 else self.crop * 2
        if height > size[0] or width > size[1]:
            rule = f"smaller than the {height} x {width} (height x width) to cut out"
            raise DataError(Problem(where, rule, f"{size[0]} x {size[1]}", hint))
        top, left = round((size[0] - height) / 2), round((size[1] - width) / 2)
        return slice(top, top + height), slice(left, left + width)

    def refuse(self, source: str, what: str, *names: str) -> None:
        """DataError where one of the steps is asked for that only `what` can go through."""
        given = [f"--{name}" for name in names if getattr(self, name) is not None]
        if given:
            options = " and ".join(f"--{name}" for name in names)
            rule = f"{options} {'are' if len(names) > 1 else 'is'} for {what}"
            raise DataError(Problem(source, rule, ", ".join(given), "leave them out"))


@dataclass(frozen=True)
class Wanted:
    """What a network reads: the shape (C, H, W), of every timestep where `coding` is "events". Of
    a recording whose bins `fitting` does not say, so many `steps` are made.
    """

    shape: Shape
    fitting: Fitting
    coding: Coding = "direct"
    steps: int = 1

    @property
    def binning(self) -> Binning:
        return self.fitting.bins or Binning(self.steps)
