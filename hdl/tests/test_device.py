"""The whole design of a board, simulated: `snngen run` at the pins of its UART."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from snngen_hdl.device import Device, DevicePlan

from snngen import fixed_file
from snngen.cli import run as cli
from snngen.fixed import FixedNet
from snngen.link import answers, check_network
from snngen.link.device import Device as Asked
from snngen.targets.hdl.boards import BOARDS
from snngen.targets.hdl.emit import device_of
from snngen.targets.hdl.layout import lay_out
from snngen.targets.hdl.netlist import QUICK
from snngen.targets.hdl.simulation import VERILATOR
from snngen.targets.hdl.toolchain import rtlil_of, verilog_of
from tests.chips import small, with_weight_changed
from tests.link_devices import Line, on_a_terminal
from tests.networks import random_images

DIVISOR = 4  # cycles of a bit: the fewest
PROGRAM = Path(__file__).parent / "uart.cpp"


def compiled(plan: DevicePlan, folder: Path) -> Path:
    """A program whose standard input and output are the pins of the device."""
    folder.mkdir()
    source = rtlil_of(Device(replace(plan, divisor=DIVISOR)))
    (folder / "top.v").write_bytes(verilog_of(source))
    (folder / "bench.cpp").write_bytes(PROGRAM.read_bytes())
    command = [*VERILATOR, *QUICK, "-CFLAGS", f"-DDIVISOR={DIVISOR}", "top.v"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "obj_dir" / "bench"


@pytest.fixture(scope="module")
def plan() -> DevicePlan:
    net = small()
    return device_of(net, lay_out(net, BOARDS["hx8k_evn"]))


@pytest.fixture(scope="module")
def program(plan, tmp_path_factory, require) -> Path:
    require("verilator")
    return compiled(plan, tmp_path_factory.mktemp("device") / "right")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "small.snn"
    fixed_file.save(small(), path)
    return path


def said(program: Path, network: Path, capsys) -> tuple[int, str]:
    """What `snngen run` ends with and prints."""
    with on_a_terminal(program) as port:
        code = cli(["run", str(network), "--port", port, "--limit", "5"])
    told = capsys.readouterr()
    assert not told.err
    return code, told.out


def test_run(program, network, capsys) -> None:
    code, told = said(program, network, capsys)
    assert code == 0 and "the device runs this network; self-test: PASS" in told
    assert len(re.findall(r"^image \d: class \d, [\d,]+ ticks, .* ms$", told, re.M)) == 5
    assert told.endswith("on 5 images, on 5 of them every spike and membrane\n")


def test_a_wrong_weight_is_found(plan, network, tmp_path, capsys, require) -> None:
    require("verilator")
    faulty = replace(plan, chip=with_weight_changed(plan.chip, "dense"))
    code, told = said(compiled(faulty, tmp_path / "wrong"), network, capsys)
    assert code == 1 and re.search(r"^image \d: .*; differs: output \d expected", told, re.M)
    assert re.search(r"^FAIL: \d of 5 images differ from the network", told, re.M)


def corrupted(at: int) -> Callable[[bytes], bytes]:
    """Flips a bit of byte `at` of what passes, once."""
    passed = 0

    def change(data: bytes) -> bytes:
        nonlocal passed
        where, passed = at - passed, passed + len(data)
        if not 0 <= where < len(data):
            return data
        return data[:where] + bytes([data[where] ^ 4]) + data[where + 1 :]

    return change


@pytest.mark.parametrize("way", ["sending", "receiving"])
def test_a_corrupted_byte_is_survived(program, way: str) -> None:
    net: FixedNet = small()
    with closing(Line(program)) as line:
        asked = Asked(line, "here", 60)
        check_network(asked, net)
        setattr(line, way, corrupted(20))
        found = list(answers(asked, net, random_images(net, 3), full_trace_images=0))
        assert [answer.difference for answer in found] == [None] * 3
        assert asked.repeated == 1
