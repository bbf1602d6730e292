"""What users install: the sdist makes a wheel, and the wheel works away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

CHECKOUT = Path(__file__).parents[1]
pytestmark = pytest.mark.xdist_group("packaging")  # one worker prepares, and tries all


def run(*command: str | Path, cwd: Path) -> str:
    """What `command` prints; fails the test with its complaint where it fails."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SNNGEN_DATA")}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory, require) -> Path:
    require("python:hatchling")
    out = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", out, cwd=CHECKOUT)
    (archive,) = out.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory) -> Path:
    """Built from the sdist alone."""
    out = tmp_path_factory.mktemp("wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(out, filter="data")
    (source,) = out.iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def snngen(wheel: Path, tmp_path_factory) -> Path:
    """The program in a fresh environment, whose other packages are those of this one."""
    home = tmp_path_factory.mktemp("installed") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", home, cwd=home.parent)
    python = home / "bin" / "python"
    site = Path(
        run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=home).strip()
    )
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    run(sys.executable, *install, wheel, cwd=home)
    return home / "bin" / "snngen"


def test_the_wheel_holds_what_it_needs_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"snngen", "snngen_hdl"}
    resources = [name for name in names if name.startswith("snngen/_resources/")]
    assert any(name.endswith("templates/c/model.c.j2") for name in resources)
    assert any("runtime_c/include/" in name for name in resources)
    assert not any(name.endswith(".py") for name in resources)
    assert {"snngen/demo_data/digits.onnx", "snngen/demo_data/digits.npz"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_no_python_among_the_resources_of_the_checkout() -> None:
    for folder in ("templates", "runtime_c"):
        assert not list((CHECKOUT / folder).rglob("*.py"))


def test_the_installed_program_works(snngen: Path, tmp_path: Path, require) -> None:
    require("cc")
    python = snngen.parent / "python"
    where = run(python, "-c", "import snngen; print(snngen.__file__)", cwd=tmp_path)
    assert snngen.parents[1] in Path(where.strip()).parents
    demo = where.strip().replace("__init__.py", "demo_data")
    model, images = f"{demo}/digits.onnx", f"{demo}/digits.npz"
    run(snngen, "convert", model, "--data", images, "-o", "digits.snn", cwd=tmp_path)
    run(snngen, "emit", "digits.snn", "--target", "c", "-o", "out", cwd=tmp_path)
    verified = run(
        snngen, "verify", "digits.snn", "--target", "c", "--images", images, "--limit", "20",
        "--out", "out", cwd=tmp_path,
    )  # fmt: skip
    assert "equal on 20 images" in verified
    np.testing.assert_equal(sorted(p.name for p in tmp_path.iterdir()), ["digits.snn", "out"])


def test_version_is_that_of_the_package(snngen: Path, tmp_path: Path) -> None:
    version = run(snngen.parent / "python", "-c", "print(__import__('snngen').__version__)",
                  cwd=tmp_path)  # fmt: skip
    assert version.strip() in (CHECKOUT / "CHANGELOG.md").read_text()
