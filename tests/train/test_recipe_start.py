"""A recipe that begins with a given network's weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from snngen.errors import RecipeError
from snngen.pipeline import read_model
from snngen.train import QCFS, export_onnx
from snngen.train.recipes import Training, models, parse
from snngen.train.recipes.assembly import parts_of
from snngen.train.recipes.schema import Quantisation
from snngen.train.recipes.start import SHARES, begin_with
from tests.train.recipe_data import write_images
from tests.train.test_recipes import FLOAT, SMALL, kept, said

__all__ = ["said"]
REAL = Quantisation("relu", weights="real", ends=8)
IMAGES = torch.from_numpy(np.random.default_rng(3).integers(0, 256, (64, 3, 12, 12), np.uint8))


def built(name: str, how: Quantisation, seed: int, shape=(3, 12, 12)) -> nn.Sequential:
    torch.manual_seed(seed)
    return models.build(name, parts_of(how), shape, 10)


def exported(path: Path, name: str = "resnet8", seed: int = 1, norms: bool = True) -> nn.Sequential:
    """A float model, whose batch norms have seen images, in an ONNX file."""
    model = built(name, REAL, seed)
    with torch.no_grad():
        for _ in range(20 * norms):
            model.train()(IMAGES / 255)
    export_onnx(model.eval(), IMAGES[:1] / 255, path)
    return model


@pytest.mark.parametrize("name", ("small", "resnet8", "mlperf-resnet8"))
def test_a_float_model_computes_what_the_file_does(name: str, tmp_path) -> None:
    """Batch norms, which the file's weights no longer show, change nothing."""
    given = exported(tmp_path / "given.onnx", name)
    model = built(name, REAL, seed=2).eval()
    x = IMAGES / 255
    with torch.no_grad():
        assert not torch.allclose(model(x), given(x), atol=1e-2)
        begin_with(tmp_path / "given.onnx", model, IMAGES, 255.0)
        assert torch.allclose(model(x), given(x), atol=1e-4)
        assert not model.training
        model.train()
        assert torch.allclose(model(x), given(x), atol=1e-3), "nor do they while it trains"


def test_weights_of_few_bits_keep_the_spread_of_every_channel(tmp_path) -> None:
    exported(tmp_path / "given.onnx")
    model = built("resnet8", Quantisation("relu", weights="ternary", ends=8), seed=2).eval()
    begin_with(tmp_path / "given.onnx", model, IMAGES, 255.0)
    first, norm = model[0], model[1]
    with torch.no_grad():
        sums = first(IMAGES / 255)
        made = norm(sums)
    assert torch.allclose(made.mean((0, 2, 3)), norm.bias, atol=1e-4)
    assert torch.allclose(made.std((0, 2, 3)), norm.weight, rtol=1e-2)


def test_a_bound_is_that_of_the_values_that_reach_it(tmp_path) -> None:
    given = exported(tmp_path / "given.onnx", "small")
    model = built("small", Quantisation(weights=8, ends=8), seed=2)
    begin_with(tmp_path / "given.onnx", model, IMAGES, 255.0)
    with torch.no_grad():
        seen = given[0](IMAGES / 255).relu()
    (first, *_) = [m for m in model.modules() if isinstance(m, QCFS)]
    chosen = float(first.bound.detach())
    peak = float(np.percentile(seen, 99.9))
    with torch.no_grad():
        errors = {s: (QCFS(8, s * peak)(seen) - seen).square().mean() for s in SHARES}
    assert chosen / peak == pytest.approx(min(errors, key=errors.__getitem__), abs=0.06)
    assert chosen < 0.98 * peak, "few levels are better spent on what is frequent"
    assert model.training


def test_a_recipe_goes_on_with_what_another_one_trained(said, tmp_path) -> None:
    assert said(FLOAT)[0] == 0
    more = SMALL.replace("epochs = 3", 'epochs = 2\nstart = "teacher/model.onnx"')
    code, out, err = said(more)
    assert (code, err) == (0, "")
    begins = out.splitlines()[1]
    assert begins.startswith("begins with teacher/model.onnx: test ")
    assert float(begins.split()[-2]) > 50, "trained already"
    before = kept(tmp_path / "out")
    code, out, _ = said(more)
    assert code == 0 and "begins with" not in out and kept(tmp_path / "out") == before
    text = more.encode()
    other = FLOAT.replace('"teacher"', '"other"').replace("batch", "seed = 5\nbatch")
    assert said(other)[0] == 0
    (tmp_path / "teacher/model.onnx").write_bytes((tmp_path / "other/model.onnx").read_bytes())
    with pytest.raises(RecipeError, match="what it starts with: the training in this folder was"):
        Training(parse(text, ""), text, "cpu")


def refused(model: nn.Sequential, path: Path, images: torch.Tensor = IMAGES) -> str:
    before = [v.clone() for v in model.state_dict().values()]
    with pytest.raises(RecipeError) as error:
        begin_with(path, model, images, 255.0)
    after = model.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "nothing is taken"
    return str(error.value)


def test_files_that_do_not_fit_are_refused(tmp_path) -> None:
    exported(tmp_path / "small.onnx", "small")
    path = tmp_path / "small.onnx"
    layer = read_model(path).nodes[0].name
    said = refused(built("resnet8", REAL, 1), path)
    assert f"start: {path}: must have the model's 10 convolutions and dense layers" in said
    assert "found: 3 of them\n  hint:  choose another model" in said
    said = refused(built("small", REAL, 1, (1, 12, 12)), path, IMAGES[:, :1])
    assert f"start: {path}: node '{layer}': its weight must be 16x1x3x3, as" in said
    assert "found: 16x3x3x3" in said
    bare = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.AvgPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(288, 10),
    )  # fmt: skip
    said = refused(bare, path)
    assert said.count(": node ") == 1 and "must have no bias, which the model's layer has" in said


def test_a_file_that_normalises_its_input_is_refused(tmp_path) -> None:
    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = built("small", REAL, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model((x - 0.5) / 0.25)

    export_onnx(Normalised().eval(), IMAGES[:1] / 255, tmp_path / "own.onnx")
    said = refused(built("small", REAL, 1), tmp_path / "own.onnx")
    assert "its input: must read its input as it is" in said


def test_no_file(said) -> None:
    code, out, err = said(SMALL.replace("epochs", 'start = "none.onnx"\nepochs'))
    assert (code, out) == (2, "") and "file 'none.onnx': cannot be read" in err
    write_images(Path("flat.npz"))
    code, out, err = said(SMALL.replace("epochs", 'start = "flat.npz"\nepochs'))
    assert (code, out) == (2, "") and "error: " in err and "Traceback" not in err
