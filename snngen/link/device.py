"""The host's side of the link: requests, repeated where the line fails, and their answers."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from snngen.errors import LinkError, Problem
from snngen.link import frames
from snngen.link.frames import Frame
from snngen.link.port import Port
from snngen.ops import Shape
from snngen.targets.identity import IDENTITY, PLAIN, VERSION

RESULT = struct.Struct("<iII")
INTEGER = struct.Struct("<i")
START_ATTEMPTS, START_SECONDS = 8, 1.0  # a board may begin anew when its port is opened
ATTEMPTS, ANSWER_SECONDS = 3, 30.0
WRITE_BYTES = 1024
REFUSALS = {
    frames.UNKNOWN: "does not know the request",
    frames.WRONG_SIZE: "expects images of another size",
}


@dataclass(frozen=True)
class Identity:
    """What a device says of itself: its network's name, digest, input shape (C, H, W) with the
    layout of images, timesteps and outputs; `is_plain` where it knows neither traces nor a
    self-test; and `ticks_per_second`, 0 without a clock.
    """

    name: str
    digest: str
    shape: Shape
    layout: str
    timesteps: int
    is_plain: bool
    outputs: int
    ticks_per_second: int


@dataclass(frozen=True, eq=False)
class Result:
    """One run: the class, the output membranes int32 (K,) in the layout of the model, the device's
    `ticks`, and of a traced run the sum of the hashes of all that its neurons did.
    """

    winner: int
    membranes: NDArray[np.int32]
    ticks: int
    trace_hash: int


class Device:
    """A device at the other end of `port`, which messages call `where`, and whose images have
    `image_bytes`. `requests` have been sent so far, `repeated` of them once more because the line
    had lost or changed bytes.

    Every method raises LinkError where the device does not answer, or not as the protocol says.
    """

    def __init__(self, port: Port, where: str, image_bytes: int) -> None:
        self.where = where
        self._longest_request = image_bytes + frames.OVERHEAD
        self.requests = self.repeated = 0
        self._port = port
        self._tag = 0

    def identify(self) -> Identity:
        """Which network runs there."""
        payload = self._ask(frames.IDENTIFY, b"", START_ATTEMPTS, START_SECONDS)
        if len(payload) < IDENTITY.size or payload[0] != VERSION:
            rule = f"must identify itself as version {VERSION} of the link does"
            raise self._error(rule, payload[:32].hex(" "))
        _, layout, *shape, timesteps, plain, outputs, ticks, digest = IDENTITY.unpack_from(payload)
        name, digest = (
            text.decode("ascii", "replace") for text in (payload[IDENTITY.size :], digest)
        )
        order = "HWC" if layout else "CHW"
        return Identity(
            name, digest, tuple(shape), order, timesteps, bool(plain & PLAIN), outputs, ticks
        )

    def run(self, image: bytes, *, trace: bool = False) -> Result:
        """Run one image, in the layout that the network expects."""
        kind = frames.TRACE if trace else frames.RUN
        payload = self._ask(kind, image, ATTEMPTS, ANSWER_SECONDS)
        if len(payload) < RESULT.size or (len(payload) - RESULT.size) % INTEGER.size:
            raise self._error("must answer with a class and outputs", f"{len(payload)} bytes")
        winner, ticks, trace_hash = RESULT.unpack_from(payload)
        membranes = np.frombuffer(payload, "<i4", offset=RESULT.size).astype(np.int32)
        return Result(winner, membranes, ticks, trace_hash)

    def selftest(self) -> int:
        """What the self-test returns there: 0 where it passes."""
        payload = self._ask(frames.SELFTEST, b"", ATTEMPTS, ANSWER_SECONDS)
        if len(payload) != INTEGER.size:
            raise self._error("must answer with one integer", f"{len(payload)} bytes")
        return int(INTEGER.unpack(payload)[0])

    def _ask(self, kind: bytes, payload: bytes, attempts: int, seconds: float) -> bytes:
        """The payload of the answer to a request, which is sent up to `attempts` times."""
        self.requests += 1
        found = ""
        for attempt in range(attempts):
            self.repeated += attempt == 1 and kind != frames.IDENTIFY
            self._tag = (self._tag + 1) % 256
            self._write(frames.encode(kind, self._tag, payload))
            answer = self._answer(kind, monotonic() + seconds)
            if answer is None:
                found = f"{attempts} times nothing within {seconds:g} seconds"
                self._write(bytes(self._longest_request))  # ends one that arrived incomplete
            elif answer.payload is None:
                found = f"{attempts} times an answer with a wrong checksum"
            elif answer.kind == frames.ERROR:
                found = f"{attempts} times that the request had a wrong checksum"
                self._check_damage(answer.payload)
            else:
                return answer.payload
        hint = "check the port, --baud, the wires, and that the firmware is running"
        raise LinkError(Problem(self.where, "no valid answer of a device", found, hint))

    def _answer(self, kind: bytes, deadline: float) -> Frame | None:
        """The answer to the last request, or None after `deadline`."""

        def read(size: int) -> bytes:
            return self._read(size, deadline)

        while (frame := frames.receive(read)) is not None:
            if frame.tag != self._tag:
                continue  # the late answer to a request that has been repeated
            if frame.kind in (kind.lower(), frames.ERROR):
                return frame
            if frame.kind == kind:
                raise self._error("sends back what it receives", hint="is it the right port?")
        return None

    def _check_damage(self, payload: bytes) -> None:
        """LinkError where an error is another one than that the request was damaged."""
        code = INTEGER.unpack(payload)[0] if len(payload) == INTEGER.size else 0
        if code != frames.DAMAGED:
            failed = "could not run the image" if code < 0 else "refuses the request"
            raise self._error(REFUSALS.get(code, failed), f"error {code}")

    def _read(self, size: int, deadline: float) -> bytes:
        """So many bytes, or fewer after `deadline`."""
        found = b""
        while len(found) < size and monotonic() < deadline:
            try:
                found += self._port.read(size - len(found))
            except OSError as error:
                raise self._broken(error) from error
        return found

    def _write(self, data: bytes) -> None:
        try:
            for k in range(0, len(data), WRITE_BYTES):  # a port's patience is with one write
                self._port.write(data[k : k + WRITE_BYTES])
        except OSError as error:
            raise self._broken(error) from error

    def _broken(self, error: OSError) -> LinkError:
        hint = "check that the board is still connected, and that nothing else uses the port"
        return self._error("the connection broke", str(error), hint)

    def _error(self, rule: str, found: str = "", hint: str = "") -> LinkError:
        return LinkError(Problem(self.where, rule, found, hint))
