"""Networks that run on a device, asked over a serial port or a socket.

The protocol is that of docs/link.md; runtime_c/src/snn_link.c is the device's side of it.
"""

from snngen.link.compare import Answer, answers, check_network
from snngen.link.device import Device, Identity, Result
from snngen.link.port import Port, open_port

__all__ = [
    "Answer",
    "Device",
    "Identity",
    "Port",
    "Result",
    "answers",
    "check_network",
    "open_port",
]
