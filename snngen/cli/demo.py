"""The tour: everything that snngen does, on a small network that comes with it."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory

from snngen import data
from snngen.cli import summaries
from snngen.cli.console import say
from snngen.cli.options import Conversion
from snngen.cli.stages import obtain
from snngen.evaluate import evaluate
from snngen.files import write_tree
from snngen.targets import TARGETS
from snngen.targets.c.budget import budget_for
from snngen.verify import verify


def run_demo() -> bool:
    """Whether the emitted C did bit for bit what the network does."""
    with as_file(files("snngen") / "demo_data") as folder, TemporaryDirectory() as temporary:
        return _tour(folder, Path(temporary) / "digits_c")


def _tour(folder: Path, out: Path) -> bool:
    model, images = folder / "digits.onnx", str(folder / "digits.npz")
    say("digits.onnx: a CNN for 8x8 digits, trained by examples/digits/train.py", "")
    say("$ snngen convert digits.onnx --data digits.npz -o digits.snn")
    obtained = obtain(model, Conversion(calibrate=images))
    net = obtained.net
    say(*summaries.network_lines(net), "")
    say("$ snngen emit digits.snn --target c -o digits_c")
    emitted = TARGETS["c"].emit(net)
    write_tree(out, emitted)
    budget = budget_for(net)
    say(f"{len(emitted)} files of C99", *summaries.budget_lines(budget), "")
    say("$ snngen verify digits.snn --target c --images digits.npz")
    samples = data.load(images, net.input.shape)
    result = verify(net, samples.images, files=emitted)
    say(str(result), "")
    say("$ snngen evaluate digits.onnx --data digits.npz")
    found = evaluate(net, samples.images, samples.labels, ann=obtained.ann)
    say(*summaries.evaluation_lines(net, found, budget)[1:])
    return result.is_equal
