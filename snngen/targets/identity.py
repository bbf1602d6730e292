"""What a device says of itself, as bytes: the identity of docs/link.md."""

from __future__ import annotations

import struct

VERSION = 1
PLAIN = 1  # a flag: neither traces nor a self-test
# version, layout, channels, height, width, timesteps, flags, outputs, ticks per second, digest
IDENTITY = struct.Struct("<BBHHHHHII64s")
