"""The example firmware for the micro:bit, in QEMU with its UART on a socket, and `snngen run`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from snngen import fixed_file
from snngen.cli import run as cli
from snngen.link import device, frames
from snngen.targets.c.build import write_tree
from snngen.targets.c.emit import emit
from tests.link_devices import FIRMWARE, Relay, edited, emulated
from tests.networks import level_showcase, spiking_showcase
from tests.targets.test_boards import digits


@pytest.fixture(autouse=True)
def tools(require) -> None:
    for tool in ("make", "arm-none-eabi-gcc", "qemu-system-arm", "python:serial"):
        require(tool)


def firmware(files: Mapping[str, bytes], folder: Path) -> Path:
    """The example built as its README says, outside the checkout."""
    write_tree(files, folder / "network")
    sources = {path.name: path.read_bytes() for path in FIRMWARE.iterdir() if path.is_file()}
    write_tree(sources, folder / "uart")
    command = ["make", "-C", folder / "uart", "NETWORK=../network", "CFLAGS=-O2 -Werror"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (folder / "uart/build/firmware.hex").read_bytes().startswith(b":")
    return folder / "uart/build/firmware.elf"


@pytest.fixture
def run_on(tmp_path: Path, capsys):
    def run(relay: Relay, *words: str) -> tuple[int, str, str]:
        code = cli(["run", str(tmp_path / "net.snn"), "--port", relay.url, *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_digits_from_end_to_end(tmp_path: Path, run_on, monkeypatch) -> None:
    net, _ = digits()
    fixed_file.save(net, tmp_path / "net.snn")
    program = firmware(emit(net), tmp_path)
    with emulated(program) as relay:
        code, out, err = run_on(relay, "--limit", "9")
        assert (code, err) == (0, "")
        first = next(line for line in out.splitlines() if line.startswith("image 0"))
        found = re.fullmatch(r"image 0: class \d, ([\d,]+) ticks, ([\d.]+) ms", first)
        assert found and int(found[1].replace(",", "")) / 16000 == pytest.approx(
            float(found[2]), 0.01
        )
        assert out.splitlines()[-1] == (
            "PASS: class and outputs are equal on 9 images, on 8 of them every spike and membrane"
        )

        changed = []

        def change_one_byte(data: bytes) -> bytes:
            """Of the first image."""
            if changed or data[2:3] != frames.RUN:
                return data
            changed.append(data)
            return data[:30] + bytes([data[30] ^ 1]) + data[31:]

        relay.sending = change_one_byte
        code, out, err = run_on(relay, "--limit", "2")
        assert code == 0 and out.splitlines()[-1].startswith("PASS: ")
        assert re.search(r"warning: port \S+: 1 of 6 requests had to be repeated", err)

        monkeypatch.setattr(device, "START_SECONDS", 10.0)
        relay.sending = lambda data: data[:-1] + bytes([data[-1] ^ 1])
        code, out, err = run_on(relay, "--limit", "2")
        assert (code, out) == (2, "")
        assert "no valid answer of a device\n  found: 8 times that the request had a wrong" in err

        relay.sending = lambda data: data
        fixed_file.save(level_showcase(), tmp_path / "net.snn")
        code, out, err = run_on(relay)
        assert (code, out) == (2, "")
        assert "must run network 'level showcase'" in err and "found: network 'digits'" in err


def test_a_flipped_weight_in_the_firmware(tmp_path: Path, run_on) -> None:
    net = level_showcase()
    fixed_file.save(net, tmp_path / "net.snn")
    pattern = r"(layer5_synapse0_weights\[\d+\] = \{\s+)"
    files = edited(net, "model.c", pattern, r"\1 1 +")
    with emulated(firmware(files, tmp_path)) as relay:
        code, out, err = run_on(relay)
    assert (code, err) == (1, "")
    assert "self-test: FAIL (-5)" in out
    assert re.search(r"image \d: .*; differs: output 0 expected -?\d+, got -?\d+", out)
    assert re.search(r"FAIL: \d+ of 10 images differ from the network", out)


def test_spikes_over_time(tmp_path: Path, run_on) -> None:
    net = spiking_showcase()
    fixed_file.save(net, tmp_path / "net.snn")
    with emulated(firmware(emit(net), tmp_path)) as relay:
        code, out, err = run_on(relay, "--limit", "3")
    assert (code, err) == (0, "") and out.splitlines()[-1].startswith("PASS: ")
