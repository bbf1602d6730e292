"""What `snngen emit --target hdl` writes, and the emitted chip beside the network."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from snngen import fixed_file
from snngen.errors import ConversionError
from snngen.targets.hdl import layout, simulation
from snngen.targets.hdl.boards import BOARDS
from snngen.targets.hdl.emit import device_of, emit
from snngen.targets.hdl.layout import HASH, lay_out
from snngen.targets.hdl.netlist import MODELS
from snngen.targets.identity import IDENTITY, PLAIN
from snngen.verify import verify
from tests.chips import small
from tests.networks import random_images
from tests.test_cli import said


def test_verilog_for_any_fpga() -> None:
    net = small()
    files = emit(net)
    assert sorted(files) == ["README.txt", "report.json", "snngen.json", "top.v"]
    assert re.search(rb"^module top\(", files["top.v"], re.M) and b"/root" not in files["top.v"]
    report, manifest = json.loads(files["report.json"]), json.loads(files["snngen.json"])
    assert set(report["estimated"]["layers"]) == {"conv", "dense"}
    assert manifest["target"] == "hdl" and manifest["options"]["board"] == "generic"
    assert manifest["files"]["top.v"] == sha256(files["top.v"]).hexdigest()
    assert emit(net) == files


@pytest.mark.parametrize("board", ["hx8k_evn", "ulx3s_85f"])
def test_sources_for_a_board(board: str) -> None:
    files = emit(small(), board=board)
    pins = files["top.pcf" if board == "hx8k_evn" else "top.lpf"]
    assert b"uart_0__rx__io" in pins and b"uart_0__rx__io" in files["top.v"]
    synthesis = MODELS[BOARDS[board].family.name].synthesis  # of simulated netlists: the same one
    steps = [" ".join(line.split()) for line in files["top.ys"].decode().splitlines()]
    assert f"{synthesis} -top top" in steps[steps.index("rename -hide w:*") :]
    assert b"read_verilog top.v" in files["top.ys"] and b"nextpnr" in files["build_top.sh"]
    assert b"sh build_top.sh" in files["README.txt"]


def test_identity_of_the_device() -> None:
    net = small()
    link = device_of(net, lay_out(net, BOARDS["ulx3s_85f"])).link
    told, fields = link.identity, IDENTITY.unpack_from(link.identity)
    assert fields[:9] == (1, 1, 2, 6, 5, 1, 0, 4, 25_000_000)
    assert fields[9].decode() == fixed_file.digest(net)
    assert told[IDENTITY.size :] == net.name.encode()
    assert link.known is not None  # there is room for witnesses


def test_where_there_is_no_room_for_witnesses(monkeypatch) -> None:
    """The chip does without, and says so."""
    net, board = small(), BOARDS["hx8k_evn"]
    laid_out = lay_out(net, board)
    assert laid_out.plan.network.witnessed
    monkeypatch.setattr(layout, "HASH", HASH + board.has)
    plain = device_of(net, lay_out(net, board)).link
    assert plain.known is None
    assert IDENTITY.unpack_from(plain.identity)[6] == PLAIN


def _with_a_weight_off(design: bytes) -> bytes:
    text = design.decode()
    found = re.search(r"^( *synapse0_weights\[\d+\] = \d+'h[0-9a-f]*)([0-9a-f]);$", text, re.M)
    assert found is not None
    digit = "1" if found[2] == "0" else "0"
    return (text[: found.end(1)] + digit + text[found.end(2) :]).encode()


def test_verify(monkeypatch, require) -> None:
    """Equal as it is; with one weight off, that is named."""
    require("verilator")
    net = small()
    images = random_images(net, 40)
    result = verify(net, images, target="hdl", full_trace_images=2)
    assert result.is_equal and "target hdl: equal on 40 images" in str(result)
    assert result.timing is not None and result.timing.hertz == 0
    latency, interval = result.timing.latency, result.timing.interval
    assert latency is not None and (latency.images, interval.images) == (2, 37)
    assert 0 < interval.best <= interval.mean <= interval.worst < latency.best <= latency.worst
    right = simulation.verilog_of

    monkeypatch.setattr(simulation, "verilog_of", lambda source: _with_a_weight_off(right(source)))
    result = verify(net, images, target="hdl", full_trace_images=2)
    assert re.search("layer '(conv|dense)', neuron .*: membrane expected", str(result))


@pytest.mark.slow
def test_waves(monkeypatch, require, tmp_path: Path, capsys) -> None:
    """Of the image that differs; nothing where none does."""
    require("verilator")
    fixed_file.save(small(), tmp_path / "small.snn")
    out = tmp_path / "out.vcd"
    words = f"verify {tmp_path / 'small.snn'} --target hdl --limit 2 --waves {out}"
    assert said(words, capsys)[0] == 0 and not out.exists()
    right = simulation.verilog_of
    monkeypatch.setattr(simulation, "verilog_of", lambda source: _with_a_weight_off(right(source)))
    code, told, _ = said(words, capsys)
    assert code == 1 and f"waves of image 0: {out}" in told
    text = out.read_text()
    assert "$date" not in text and re.search(r"^ *\$var .* out_data ", text, re.M)
    assert text.count("\n#") > 500


@pytest.fixture
def network(tmp_path: Path) -> Path:
    path = tmp_path / "small.snn"
    fixed_file.save(small(), path)
    return path


def test_command(network: Path, capsys) -> None:
    out = network.parent / "out"
    code, told, _ = said(f"emit {network} --target hdl -o {out} -v", capsys)
    assert code == 0 and "cycles from image to image" in told and "around them" in told
    assert (out / "top.v").exists()
    code, _, errors = said(f"verify {network} --target hdl --out {out}", capsys)
    assert code == 2 and "out: holds no C" in errors


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ("--board arty", "must be one of generic, icebreaker"),
        ("--bitstream", "option --bitstream: needs --board icebreaker"),
        ("--schedule fastest", "option --schedule: applies to --target c only"),
        ("--prefix a --max-ram 1k", "option --max-ram: applies to --target c only"),
    ],
)
def test_options_that_do_not_apply(options: str, wrong: str, network: Path, capsys) -> None:
    out = network.parent / "out"
    code, _, errors = said(f"emit {network} --target hdl -o {out} {options}", capsys)
    assert code == 2 and wrong in errors and not out.exists()


def test_a_board_is_for_hardware(network: Path, capsys) -> None:
    code, _, errors = said(f"emit {network} --board hx8k_evn", capsys)
    assert code == 2 and "option --board: applies to --target hdl only" in errors


def test_emitted_files_are_not_simulated() -> None:
    net = small()
    with pytest.raises(ConversionError, match="simulates a chip as it would be emitted now"):
        verify(net, random_images(net, 1), target="hdl", files={})
