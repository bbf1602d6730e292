"""The link to devices: the protocol, and `snngen run` with the example firmware as a process."""

from __future__ import annotations

import re
import shlex
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snngen import fixed_file
from snngen.cli import run as cli
from snngen.errors import LinkError
from snngen.fixed import FixedNet
from snngen.graph import in_layout
from snngen.link import Device, answers, check_network, device, frames
from snngen.simulate import simulate
from snngen.targets.c.constants import harmless
from snngen.targets.c.emit import emit
from snngen.targets.identity import IDENTITY
from tests.link_devices import (
    CHECKOUT,
    Line,
    build_device,
    edited,
    on_a_terminal,
    unchanged,
)
from tests.networks import level_showcase, random_images, spiking_showcase
from tests.streams import stream_showcase

NETWORKS = {"level": level_showcase, "spiking": spiking_showcase}
IMAGE = bytes([10, 20, 30, 40, 50, 60])


@pytest.fixture(scope="module")
def programs(tmp_path_factory, require) -> dict[str, Path]:
    require("cc")
    return {
        name: build_device(emit(make()), tmp_path_factory.mktemp(name))
        for name, make in NETWORKS.items()
    }


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(device, "START_SECONDS", 0.5)
    monkeypatch.setattr(device, "ANSWER_SECONDS", 1.5)


def once(change: Callable[[bytes], bytes], *, at: int) -> Callable[[bytes], bytes]:
    """Changes only what passes from byte `at` on, to the end of the piece that brings that byte."""
    passed = 0

    def pass_on(data: bytes) -> bytes:
        nonlocal passed
        kept, passed = at - passed, passed + len(data)
        return data[:kept] + change(data[kept:]) if 0 <= kept < len(data) else data

    return pass_on


def flipped(data: bytes, where: int) -> bytes:
    changed = bytearray(data)
    changed[where] ^= 0x10
    return bytes(changed)


def device_of(net: FixedNet, line: Line) -> Device:
    return Device(line, "here", int(np.prod(net.input.shape)))


# --- Frames --------------------------------------------------------------------------------------


def reader(data: bytes) -> Callable[[int], bytes]:
    left = bytearray(data)

    def read(size: int) -> bytes:
        taken = bytes(left[:size])
        del left[:size]
        return taken

    return read


def test_frames_are_those_of_the_page_and_of_the_tests_in_c() -> None:
    page = (CHECKOUT / "docs" / "link.md").read_text()
    shown = [bytes.fromhex(line) for line in re.findall(r"^    (A5 5A .*)$", page, re.M)]
    assert shown == [frames.encode(b"I", 1), frames.encode(b"R", 2, IMAGE)]


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 255))
def test_a_frame_is_found_in_noise(noise: bytes, payload: bytes, tag: int) -> None:
    frame = frames.encode(b"r", tag, payload)
    received = frames.receive(reader(noise + frame))
    assert received == frames.Frame(b"r", tag, payload)


@given(st.integers(0, 11))
def test_a_frame_begun_twice_is_found(kept: int) -> None:
    frame = frames.encode(b"r", 3, IMAGE)
    assert frames.receive(reader(frame[:kept] + frame)) == frames.Frame(b"r", 3, IMAGE)


@pytest.mark.parametrize("where", range(22))
def test_a_changed_byte_is_noticed(where: int) -> None:
    received = frames.receive(reader(flipped(frames.encode(b"r", 3, IMAGE), where)))
    assert received == (None if where < 12 else frames.Frame(b"r", 3, None))


@pytest.mark.parametrize("length", range(22))
def test_a_frame_cut_short_is_none(length: int) -> None:
    assert frames.receive(reader(frames.encode(b"r", 3, IMAGE)[:length])) is None


# --- The device in C -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_device_answers_as_the_network(programs, name: str) -> None:
    net = NETWORKS[name]()
    with closing(Line(programs[name])) as line:
        asked = device_of(net, line)
        identity = check_network(asked, net)
        assert (identity.name, identity.shape) == (harmless(net.name), net.input.shape)
        assert (identity.layout, identity.timesteps) == (net.input.layout, net.timesteps)
        assert identity.outputs == int(np.prod(net.layers[-1].shape))
        assert asked.selftest() == 0
        found = list(answers(asked, net, random_images(net, 4), full_trace_images=2))
        assert [answer.difference for answer in found] == [None] * 4
        assert [answer.traced for answer in found] == [True, True, False, False]
        assert [answer.ticks for answer in found] == [16000] * 4
        assert asked.repeated == 0


change_a_byte = partial(flipped, where=0)


def lose_a_byte(data: bytes) -> bytes:
    return data[1:]


FAULTS = {  # on the way to the device, on the way back, from which byte on, repetitions
    "a changed byte of the image": (change_a_byte, unchanged, 20, 1),
    "a changed byte of the header": (change_a_byte, unchanged, 5, 1),
    "a lost byte of the image": (lose_a_byte, unchanged, 20, 1),
    "a lost header": (lambda data: data[12:], unchanged, 0, 1),
    "half a request": (lambda data: data[: len(data) // 2], unchanged, 0, 1),
    "noise before a request": (lambda data: b"\xa5\x5aboot\xa5" + data, unchanged, 0, 0),
    "a changed byte of the answer": (unchanged, change_a_byte, 15, 1),
    "a changed byte of the answer's header": (unchanged, change_a_byte, 5, 1),
    "a lost byte of the answer": (unchanged, lose_a_byte, 0, 1),
    "a lost answer": (unchanged, lambda data: b"", 0, 1),
    "noise before the answer": (unchanged, lambda data: b"ready\n\xa5" + data, 0, 0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_line_that_fails_once(programs, impatient, fault: str) -> None:
    sending, receiving, at, repeated = FAULTS[fault]
    net = level_showcase()
    with closing(Line(programs["level"])) as line:
        asked = device_of(net, line)
        check_network(asked, net)
        line.sending, line.receiving = once(sending, at=at), once(receiving, at=at)
        (answer,) = answers(asked, net, random_images(net, 1))
        assert answer.difference is None
        assert asked.repeated == repeated


def test_a_device_that_still_waits_for_the_rest_of_an_image(programs, impatient) -> None:
    net = level_showcase()
    with closing(Line(programs["level"])) as line:
        image = random_images(net, 1)
        line.write(frames.encode(b"R", 200, image.tobytes())[:-30])
        assert check_network(device_of(net, line), net).timesteps == net.timesteps


# --- What a device may answer --------------------------------------------------------------------


class Scripted:
    """A port that answers every request, by `script`, and none of the zeros after silence."""

    def __init__(self, script: Callable[[bytes, int], bytes]) -> None:
        self.script, self.left = script, b""

    def write(self, data: bytes) -> int:
        if data[:2] == frames.SYNC:
            self.left += self.script(data[2:3], data[3])
        return len(data)

    def read(self, size: int) -> bytes:
        taken, self.left = self.left[:size], self.left[size:]
        return taken

    def close(self) -> None: ...


def error(code: int) -> Callable[[bytes, int], bytes]:
    return lambda kind, tag: frames.encode(b"e", tag, struct.pack("<i", code))


def answered(payload: bytes) -> Callable[[bytes, int], bytes]:
    return lambda kind, tag: frames.encode(kind.lower(), tag, payload)


def broken(kind: bytes, tag: int) -> bytes:
    raise OSError(5, "Input/output error")


ASK = {
    "identify": lambda asked: asked.identify(),
    "run": lambda asked: asked.run(IMAGE),
    "selftest": lambda asked: asked.selftest(),
}


@pytest.mark.parametrize(
    ("request_", "script", "message"),
    [
        ("identify", lambda kind, tag: b"", "8 times nothing within 0.02 seconds"),
        ("run", lambda kind, tag: b"", "3 times nothing within 0.02 seconds"),
        ("run", error(1), "3 times that the request had a wrong checksum"),
        (
            "run",
            lambda kind, tag: frames.encode(b"r", tag)[:-1] + b"\x01",
            "3 times an answer with a wrong checksum",
        ),
        ("run", lambda kind, tag: frames.encode(b"r", tag - 1), "3 times nothing"),
        ("run", error(2), "does not know the request\n  found: error 2"),
        ("run", error(3), "expects images of another size\n  found: error 3"),
        ("run", error(-2), "could not run the image\n  found: error -2"),
        ("run", error(77), "refuses the request\n  found: error 77"),
        ("run", lambda kind, tag: frames.encode(b"e", tag), "refuses the request"),
        ("run", answered(b"short"), "must answer with a class and outputs\n  found: 5 bytes"),
        ("selftest", answered(b"short"), "must answer with one integer\n  found: 5 bytes"),
        ("identify", answered(b"\x01"), "version 1 of the link"),
        ("identify", answered(b"\x02" * 90), "version 1 of the link"),
        ("run", lambda kind, tag: frames.encode(kind, tag), "sends back what it receives"),
        ("run", broken, "the connection broke\n  found: [Errno 5] Input/output error"),
    ],
)
def test_what_a_device_must_not_answer(monkeypatch, request_, script, message) -> None:
    monkeypatch.setattr(device, "START_SECONDS", 0.02)
    monkeypatch.setattr(device, "ANSWER_SECONDS", 0.02)
    with pytest.raises(LinkError) as caught:
        ASK[request_](Device(Scripted(script), "port X", len(IMAGE)))
    assert str(caught.value).startswith("port X: ") and message in str(caught.value)


# --- snngen run ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch, require) -> Iterator[Path]:
    require("python:serial")
    monkeypatch.chdir(tmp_path)
    net = level_showcase()
    fixed_file.save(net, tmp_path / "level.snn")
    np.savez(tmp_path / "images.npz", x=random_images(net, 12).transpose(0, 2, 3, 1))
    yield tmp_path


def said(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = cli(shlex.split(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_run_on_a_serial_port(programs, folder: Path, capsys) -> None:
    with on_a_terminal(programs["level"]) as port:
        words = f"run level.snn --port {port} --images images.npz --baud 230400"
        code, out, err = said(words, capsys)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[1] == "the device runs this network; self-test: PASS"
    assert re.fullmatch(r"image 0: class \d, 16,000 ticks, 1\.00 ms", lines[2])
    assert lines[-1] == (
        "PASS: class and outputs are equal on 10 images, on 8 of them every spike and membrane"
    )
    assert len(lines) == 13


def test_a_device_without_self_test(folder: Path, capsys, monkeypatch) -> None:
    """As hardware is: only what it can answer is asked for."""
    net = level_showcase()
    head = (1, 1, *net.input.shape, net.timesteps, 1, int(np.prod(net.layers[-1].shape)), 1000)
    told = IDENTITY.pack(*head, fixed_file.digest(net).encode()) + b"level"
    asked = []

    def script(kind: bytes, tag: int) -> bytes:
        asked.append(kind)
        outputs = simulate(net, images[len(asked) - 2 :][:1]).outputs[0, -1].astype("<i4")
        payload = told if kind == b"I" else struct.pack("<iII", outputs.argmax(), 250, 0)
        payload += b"" if kind == b"I" else in_layout(outputs, *layout).astype("<i4").tobytes()
        return frames.encode(kind.lower(), tag, payload)

    images = random_images(net, 12)
    layout = net.layers[-1].shape, net.output_layout
    monkeypatch.setattr("snngen.cli.device.open_port", lambda port, baud: Scripted(script))
    words = "run level.snn --port X --images images.npz --limit 12"
    code, out, _ = said(words, capsys)
    assert code == 0 and set(asked) == {b"I", b"R"} and len(asked) == 13
    assert "this network; self-test: none" in out
    assert "250 ticks, 250.00 ms" in out
    assert out.endswith("PASS: class and outputs are equal on 12 images\n")


def test_another_network_is_refused(programs, folder: Path, capsys) -> None:
    with on_a_terminal(programs["spiking"]) as port:
        code, out, err = said(f"run level.snn --port {port}", capsys)
    assert (code, out) == (2, "")
    assert re.search(r"must run network '.*', digest \w{12}\n  found: network '.*', digest", err)


FAULTY = {  # a file, before or in what something is inserted, and what is said
    "a weight": (
        "model.c", r"(layer5_synapse0_weights\[\d+\] = \{\s+)", r"\1 1 +",
        r"self-test: FAIL \(-5\)",
        r"image \d: .*; differs: output 0 expected -?\d+, got -?\d+",
        r"FAIL: \d of 3 images differ from the network",
    ),
    "a bias that the outputs do not show": (
        "model.c", r"(layer4_bias\[\d+\] = \{\s+)", r"\1 1 +",
        r"self-test: FAIL \(-5\)",
        r"outputs are equal, but not all spikes and membranes: hash expected \w{8}, got \w{8}",
        "FAIL: 3 of 3 images differ from the network",
    ),
    "the class": (
        "model.c", r"return (model_run_traced\(.*NULL, NULL\);)", r"return 1 + \1",
        "self-test: PASS",
        r"image 0: .*; differs: class expected \d, got \d",
        "FAIL: 3 of 3 images differ from the network",
    ),
    "a known answer": (
        "model_selftest.c", r"(hashes\[2\] = \{\s+)", r"\1 1 +",
        r"self-test: FAIL \(-5\)",
        r"image 0: class \d, [^;]*$",
        "FAIL: 3 images are equal, the self-test fails with -5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", FAULTY)
def test_a_fault_in_the_firmware_is_named(what: str, folder: Path, capsys, require) -> None:
    require("cc")
    file, pattern, replacement, *expected = FAULTY[what]
    program = build_device(edited(level_showcase(), file, pattern, replacement), folder / "device")
    with on_a_terminal(program) as port:
        code, out, err = said(f"run level.snn --port {port} --limit 3", capsys)
    assert (code, err) == (1, "")
    for text in expected:
        assert re.search(text, out, re.M), out


def test_ports_that_are_none(folder: Path, capsys, monkeypatch) -> None:
    for port in ("absent", "foo://x", "socket://localhost:1", "socket://localhost", "/dev/null"):
        code, out, err = said(f"run level.snn --port {port}", capsys)
        assert (code, out) == (2, "")
        assert f"port {port}: cannot be opened\n  found: " in err and "list_ports" in err
    code, _, err = said("run level.snn --port loop://", capsys)
    assert code == 2 and "port loop://: sends back what it receives" in err
    code, _, err = said("run level.snn --port x --baud 0", capsys)
    assert code == 2 and "--baud" in err
    monkeypatch.setitem(sys.modules, "serial", None)
    code, _, err = said("run level.snn --port loop://", capsys)
    assert code == 2 and "needs pyserial" in err and "pip install 'snngen[serial]'" in err


def test_a_stream_is_no_image(folder: Path, capsys) -> None:
    fixed_file.save(stream_showcase(), folder / "stream.snn")
    code, out, err = said("run stream.snn --port loop://", capsys)
    assert (code, out) == (2, "") and "reads a stream of events" in err


def test_a_port_that_is_unplugged(programs, folder: Path, capsys, monkeypatch) -> None:
    heard = []

    def unplugged(asked: Device, image: bytes, *, trace: bool = False) -> object:
        heard.append(image)
        if len(heard) == 3:
            terminal.__exit__(None, None, None)
        return plain_run(asked, image, trace=trace)

    plain_run = Device.run
    monkeypatch.setattr(Device, "run", unplugged)
    terminal = on_a_terminal(programs["level"])
    code, out, err = said(f"run level.snn --port {terminal.__enter__()} --limit 3", capsys)
    assert code == 2 and "image 0: " in out
    assert "the connection broke" in err and "still connected" in err
