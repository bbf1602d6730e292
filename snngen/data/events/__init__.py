"""Recordings of event cameras, whatever file they are in, and their events counted in bins."""

from snngen.data.events.arrays import has_events, has_splits
from snngen.data.events.frames import frames
from snngen.data.events.recording import EVENT, Recording
from snngen.data.events.sources import (
    AEDAT,
    SUFFIXES,
    Frames,
    open_file,
    open_folder,
    open_gesture,
    open_nmnist,
    open_set,
    read,
)

__all__ = [
    "AEDAT",
    "EVENT",
    "SUFFIXES",
    "Frames",
    "Recording",
    "frames",
    "has_events",
    "has_splits",
    "open_file",
    "open_folder",
    "open_gesture",
    "open_nmnist",
    "open_set",
    "read",
]
