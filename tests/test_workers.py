"""Results do not depend on who computed them, nor on who died."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from snngen import workers
from snngen.errors import DataError, Problem, ToolError
from snngen.parallel import ordered_map
from snngen.workers import run
from tests.conftest import local_cluster

pytestmark = pytest.mark.xdist_group("workers")
MATRIX = np.random.default_rng(0).normal(size=(8, 300, 300)).astype(np.float32)


def product(shared: np.ndarray, k: int) -> tuple[int, bytes]:
    """Rounded differently by every order of additions, and slowest for the first jobs."""
    time.sleep(0.02 * max(0, 3 - k))
    values = sum(ordered_map(np.linalg.det, [shared[k % 8] / 10, shared[k % 7] / 10]))
    return k, np.append(shared[k % 8] @ shared[k % 7], values).tobytes()


def fail(shared: None, k: int) -> int:
    time.sleep(0.3 if k == 1 else 0)
    if k:
        raise DataError(Problem(f"sample {k}", "is damaged"))
    return k


def die_once(marker: Path, k: int) -> int:
    if k == 2 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return k * k


def die(shared: None, k: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return k


def where(shared: None, k: int) -> int:
    time.sleep(0.05)
    return os.getpid()


@pytest.fixture(scope="module", params=["threads", "1", "2", "3", "cluster"])
def how(request) -> dict[str, object]:
    if request.param == "cluster":
        return {"cluster": request.getfixturevalue("cluster")}
    return {"workers": None if request.param == "threads" else int(request.param)}


@pytest.mark.filterwarnings("error")
def test_the_same_bytes_in_the_same_order_from_everybody(how) -> None:
    seen: list[int] = []
    found = list(run(product, MATRIX, range(20), progress=seen.append, **how))
    assert found == list(run(product, MATRIX, range(20), workers=1))
    assert [k for k, _ in found] == list(range(20)) and seen == list(range(1, 21))


@pytest.mark.filterwarnings("error")
def test_the_first_job_that_fails_decides(how) -> None:
    results = run(fail, None, range(4), **how)
    assert next(results) == 0
    with pytest.raises(DataError) as caught:
        next(results)
    assert caught.value.problems == (Problem("sample 1", "is damaged"),)
    assert "in fail" in caught.value.__notes__[0]


@pytest.mark.filterwarnings("error")
def test_a_job_whose_worker_dies_is_done_again(how, tmp_path: Path) -> None:
    if how.get("workers") in (None, 1):
        pytest.skip("these jobs run in this very process")
    marker = tmp_path / "died"
    assert list(run(die_once, marker, range(12), **how)) == [k * k for k in range(12)]
    assert marker.exists()


def test_jobs_that_kill_every_worker_are_an_error() -> None:
    with pytest.raises(ToolError, match="failed 3 times in a row"):
        list(run(die, None, range(2), workers=2))


def test_workers_are_processes() -> None:
    assert len(set(run(where, None, range(8), workers=2))) == 2
    assert set(run(where, None, range(3), workers=1)) == {os.getpid()}


def test_a_cluster_of_one_is_used(require) -> None:
    require("python:distributed")
    with local_cluster(1) as address:
        used = set(run(where, None, range(3), cluster=address))
    assert len(used) == 1 and os.getpid() not in used


@pytest.mark.filterwarnings("error")
def test_who_stops_listening_stops_the_work(how) -> None:
    results = run(where, None, range(10**4), **how)
    next(results)
    begun = time.monotonic()
    results.close()
    assert time.monotonic() - begun < 5


def test_what_cannot_be_used_is_said(require, monkeypatch) -> None:
    with pytest.raises(ToolError, match="must be at least 1"):
        next(run(where, None, range(2), workers=0))
    require("python:distributed")
    monkeypatch.setattr(workers, "PATIENCE", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense://x", ""):
        with pytest.raises(ToolError, match="no Dask scheduler answers"):
            next(run(where, None, range(2), cluster=address))
