"""The benchmark on PCs: compiled contenders compute what the golden model does; the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.mcu.contenders import Ours, ordered
from bench.pc import FLAGS, Compiled
from bench.pc_page import page
from snngen.convert import Options
from snngen.pipeline import build
from snngen.simulate import simulate
from tests import graphs


@pytest.mark.parametrize("flags", FLAGS.values())
def test_compiled_contender(flags: tuple[str, ...], tmp_path: Path) -> None:
    g = graphs.lenet()
    images = graphs.images(g, 8)
    net = build(graphs.ann(g), images, Options("channel-max", "level", levels=7))
    made = Compiled(Ours("ours", net, "fastest", "vectors"), flags, tmp_path)
    expected = net.classes(simulate(net, images).outputs)[:, -1]
    assert made.classes(ordered(net, images)).tolist() == expected.tolist()


def test_page() -> None:
    def row(contender: str, flags: str, least: float, **more: int) -> dict[str, object]:
        return {"contender": contender, "flags": flags, "least": least, "median": 50.0, **more}

    text = page(
        {
            "processor": "Z80",
            "compiler": "cc 1",
            "flags": {"all": "-O2"},
            "onnxruntime": "1",
            "emx-onnx-cgen": "2",
            "rounds": 3,
            "networks": {
                "net": {
                    "inference": [
                        row("onnxruntime, float", "", 40.0, correct=9, images=10),
                        row("emx-onnx-cgen, float", "all", 80.0, correct=9, images=10),
                        row("`level` N=7", "all", 10.0, correct=8, images=10),
                    ],
                    "evaluation": [{"threads": 2, "images": 10, "golden": 10.0, "c": 25.0}],
                    "evaluated": "`level` N=7",
                }
            },
        }
    )
    assert "| `level` N=7 | all | 10.0 | 50.0 | 0.25 | 0.12 | 80.00 |" in text
    assert "| onnxruntime, float |  | 40.0 | 50.0 |  |  | 90.00 |" in text
    assert "| net, `level` N=7 | 2 | 10 | 25 | 2.5x |" in text
