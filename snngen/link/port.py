"""Ways to a device: what pyserial opens."""

from __future__ import annotations

from typing import Protocol

from snngen.errors import LinkError, Problem

POLL_SECONDS = 0.05  # after which a read gives what there is
WRITE_SECONDS = 10.0  # for one write


class Port(Protocol):
    """A stream of bytes in both directions. OSError where it breaks."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; fewer, or none, where they do not come within a moment."""
        ...

    def write(self, data: bytes, /) -> int | None: ...

    def close(self) -> None: ...


def open_port(url: str, baud: int) -> Port:
    """The serial port `url`, at so many bits per second: /dev/ttyACM0, COM3, socket://host:port, or
    any other URL of pyserial's. LinkError where it cannot be opened.
    """
    try:
        import serial
    except ImportError as error:
        hint = "pip install 'snngen[serial]'"
        raise LinkError(
            Problem("option --port", "needs pyserial, which is not installed", hint=hint)
        ) from error
    try:
        port: Port = serial.serial_for_url(
            url, baudrate=baud, timeout=POLL_SECONDS, write_timeout=WRITE_SECONDS
        )
    except (OSError, ValueError, OverflowError) as error:
        hint = "for example /dev/ttyACM0, COM3 or socket://localhost:5555; "
        hint += "python -m serial.tools.list_ports lists those of this machine"
        raise LinkError(Problem(f"port {url}", "cannot be opened", str(error), hint)) from error
    return port
