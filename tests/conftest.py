"""What tests need from outside: data sets, trained models, programs. Where one is missing a test is
skipped with the reason; under continuous integration (CI is set) it fails instead.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.onnx_import import build

Require = Callable[[str], None]


def missing(what: str) -> None:
    """Skip the running test because of what is missing; fail it under continuous integration."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must run every test")
    pytest.skip(what)


def _folder(variable: str, what: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        missing(f"{variable} does not name a folder of {what}")
    folder = Path(str(value)).absolute()
    if not folder.is_dir():
        missing(f"{variable} names {folder}, which is no folder")
    return folder


@pytest.fixture(autouse=True)
def same_draws() -> None:
    build.draw_anew()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of published data sets, $SNNGEN_DATA."""
    return _folder("SNNGEN_DATA", "data sets")


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """A folder of trained ONNX models, $SNNGEN_MODELS."""
    return _folder("SNNGEN_MODELS", "trained models")


@contextmanager
def local_cluster(size: int) -> Iterator[str]:
    """The address of a Dask scheduler with so many worker processes; who dies is started again."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=size, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as started:
        yield started.scheduler_address


@pytest.fixture(scope="module")
def cluster(require) -> Iterator[str]:
    """Two worker processes under a Dask scheduler."""
    require("python:distributed")
    with local_cluster(2) as address:
        yield address


@pytest.fixture(scope="session")
def require() -> Require:
    """`require("gcc")`, `require("python:torch")`: go on only where the program or package is
    there.
    """

    def check(tool: str) -> None:
        kind, _, package = tool.partition(":")
        found = importlib.util.find_spec(package) if kind == "python" else shutil.which(tool)
        if found is None:
            missing(f"{tool} is not installed")

    return check
