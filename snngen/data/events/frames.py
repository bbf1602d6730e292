"""Events of a recording, counted in bins: for each timestep, polarity and pixel."""

from __future__ import annotations

import numpy as np

from snngen.data.events.recording import Recording
from snngen.data.fitting import Fitting, Wanted
from snngen.data.raw import Bytes, check_size
from snngen.errors import DataError, Problem

POLARITIES = (1, 2)  # channels: all events together, or darker and brighter


def frames(recording: Recording, wanted: Wanted, where: str) -> Bytes:
    """Counts uint8 (T, C, H, W); what is more than 255 counts as 255. Channel 0 has the events of
    polarity 0; one channel has all.

    Of the sensor the centre is cut out, then pixels that shrink to one are counted together. Events
    behind the last bin are left out, and bins behind the last event are empty. DataError where the
    size that results is not `wanted`.
    """
    channels, height, width = wanted.shape
    shrink = wanted.fitting.shrink or 1
    sensor = recording.sensor or _assumed(wanted, where)
    size = frame_size(sensor, wanted.fitting, where)
    if size != (height, width):
        rule = f"the network reads frames of {height} x {width} (height x width)"
        found = f"{size[0]} x {size[1]}, of a sensor of {sensor[0]} x {sensor[1]}"
        raise DataError(Problem(where, rule, found, "fit them with --crop and --shrink"))
    binning = wanted.binning
    check_size(where, binning.steps, wanted.shape, 8)
    rows, columns = wanted.fitting.centre(sensor, where)
    events = recording.events
    y, x = events["y"].astype(np.int64), events["x"].astype(np.int64)
    bins = binning.bins(events["t"])
    seen = (y >= rows.start) & (y < rows.stop) & (x >= columns.start) & (x < columns.stop)
    seen &= bins < binning.steps
    y, x, bins = (y[seen] - rows.start) // shrink, (x[seen] - columns.start) // shrink, bins[seen]
    channel = events["polarity"][seen] if channels == 2 else 0
    place = ((bins * channels + channel) * height + y) * width + x
    counts = np.bincount(place, minlength=binning.steps * channels * height * width)
    clipped = np.minimum(counts, 255).astype(np.uint8)
    return clipped.reshape(binning.steps, channels, height, width)


def frame_size(sensor: tuple[int, int], fitting: Fitting, where: str) -> tuple[int, int]:
    """The (height, width) of frames; DataError where the sensor is too small to be cropped, or
    pixels would be left over.
    """
    shrink = fitting.shrink or 1
    rows, columns = fitting.centre(sensor, where)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    if height % shrink or width % shrink:
        rule = f"height and width must be multiples of {shrink} to shrink so much"
        hint = f"add --crop {height // shrink * shrink},{width // shrink * shrink}"
        raise DataError(Problem(where, rule, f"{height} x {width}", hint))
    return height // shrink, width // shrink


def _assumed(wanted: Wanted, where: str) -> tuple[int, int]:
    """The sensor of a file that does not say its size: the one that the network reads all of."""
    if wanted.fitting.crop is not None:
        rule = "does not say how large the sensor is, so that it has no centre"
        raise DataError(Problem(where, rule, hint="leave out --crop"))
    _, height, width = wanted.shape
    shrink = wanted.fitting.shrink or 1
    return height * shrink, width * shrink
