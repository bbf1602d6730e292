"""`snngen map` and its drawing; what it prints, word for word, is in tests/cli/map.txt."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snngen import fixed_file
from snngen.cli import mapping as map_command
from snngen.cli import run as command
from snngen.mapping import Core, Mapping, map_network
from snngen.mapping.floorplan import SIDE, UNUSED, floorplan
from tests.mapping.networks import TINY, residual_net

SVG = "{http://www.w3.org/2000/svg}"


def test_the_drawing_shows_every_core_once() -> None:
    mapping = map_network(residual_net(), TINY, chips=None)
    drawing = ET.fromstring(floorplan(mapping))
    cores = drawing.findall(f"{SVG}g")
    assert len(cores) == len(mapping.cores)
    places = set()
    for number, (drawn, core) in enumerate(zip(cores, mapping.cores, strict=True)):
        title = drawn.findtext(f"{SVG}title")
        assert title is not None and title.startswith(f"core {number}: neurons ")
        parts = drawn.findall(f"{SVG}rect")
        assert len(parts) == len({group.layer for group in core.groups})
        places.add((parts[0].attrib["x"], parts[0].attrib["y"]))
        assert sum(float(part.attrib["width"]) for part in parts) == pytest.approx(
            SIDE - 1, abs=0.1
        )
    assert len(places) == len(cores)
    colours = {part.attrib["fill"] for core in cores for part in core.findall(f"{SVG}rect")}
    assert len(colours) == len(mapping.layers) and UNUSED not in colours
    chips = [text for text in drawing.itertext() if text.startswith("chip ")]
    assert len(chips) == mapping.chips > 1


def test_names_from_files_are_escaped_in_the_drawing() -> None:
    net = residual_net()
    layers = tuple(
        replace(layer, name="<b>&\x1b") if layer.name == "output" else layer for layer in net.layers
    )
    drawing = ET.fromstring(floorplan(map_network(replace(net, layers=layers), TINY, chips=None)))
    assert any("<b>&\\x1b" in text for text in drawing.itertext())


def test_cores_that_compute_something_else_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed_file.save(residual_net(), tmp_path / "a.snn")
    words = ["map", str(tmp_path / "a.snn"), "--limit", "3"]
    assert command(words) == 0
    assert "PASS" in capsys.readouterr().out

    def faulty(*given: object, **options: object) -> Mapping:
        mapping = map_network(*given, **options)  # type: ignore[arg-type]
        place = mapping.cores_of["output"][0]
        (group,) = mapping.cores[place].groups
        weights = np.where(group.weights == 0, 0, group.weights ^ 1).astype(np.int8)
        cores = list(mapping.cores)
        cores[place] = Core((replace(group, weights=weights),))
        return replace(mapping, cores=tuple(cores))

    monkeypatch.setattr(map_command, "map_network", faulty)
    assert command(words) == 1
    said = capsys.readouterr().out
    where = r"core \d+, layer 'output', neuron \(0, 0, 0, 0\), image 0, timestep 0"
    assert re.search(rf"FAIL: {where}: membrane expected -?\d+, got -?\d+", said)
