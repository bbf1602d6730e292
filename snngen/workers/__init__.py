"""Jobs on threads, on processes or on a cluster: the same results in the same order, wherever they
were computed and whatever died on the way.

    for tally in run(tally_of, (net, source), shards, workers=8): ...

A job sees what all of them share, and its own part. It computes alone, with one thread and one BLAS
thread, so that its result depends neither on the number of workers nor on what runs beside it.
"""

from __future__ import annotations

import pickle
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from functools import lru_cache, partial
from typing import Any, TypeVar

from snngen import __version__
from snngen.errors import Problem, ToolError
from snngen.parallel import alone, ordered_map

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Result = TypeVar("Result")
Outcome = Any  # a result, or the exception that took its place
Backend = Callable[[], AbstractContextManager[dict[str, Any]]]  # of options for joblib.Parallel

FAILURES = 3  # of the workers, without a result in between, before a job is taken to be the reason
PATIENCE = 10  # seconds for a scheduler, or for its first worker


def run(
    function: Callable[[Shared, Job], Result],
    shared: Shared,
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[Result]:
    """`function(shared, job)` of every job, in the order of `jobs`.

    `workers` is a number of processes; 1 is this one, and None is threads of this one, one for each
    core. `cluster` is the address of a Dask scheduler, "tcp://host:8786", whose workers are used
    instead; they need this version of snngen, and the files that jobs read under the same paths.

    For other processes `function` must stand at the top level of a module; `shared`, jobs and
    results must be picklable. `shared` travels with every job, is unpickled once per process, and
    must not be changed. `progress` hears how many results are through.

    A job whose worker dies is done again by another. What a job raises is raised here when its turn
    comes: the first job that fails decides, not the fastest. ToolError where the cluster cannot be
    used or the workers keep dying.
    """
    if workers is not None and workers < 1:
        raise ToolError(Problem("option --workers", "must be at least 1", str(workers)))
    if cluster is not None and workers is not None:
        hint = "the cluster decides how many it has"
        raise ToolError(Problem("option --workers", "is for this machine alone", cluster, hint))
    if cluster is not None:
        outcomes = _elsewhere(partial(_on_cluster, cluster), function, shared, jobs)
    elif workers is not None and min(workers, len(jobs)) > 1:
        outcomes = _elsewhere(partial(_on_processes, workers), function, shared, jobs)
    else:
        outcomes = _here(partial(_attempt, function, shared), jobs, use_threads=workers is None)
    with closing(outcomes):
        for done, outcome in enumerate(outcomes, 1):
            if isinstance(outcome, Exception):
                raise outcome
            progress(done)
            yield outcome


def _here(
    attempt: Callable[[Job], Outcome], jobs: Sequence[Job], *, use_threads: bool
) -> Generator[Outcome]:
    yield from ordered_map(attempt, jobs) if use_threads else map(attempt, jobs)


def _attempt(function: Callable[[Shared, Job], Result], shared: Shared, job: Job) -> Outcome:
    try:
        with alone():
            return function(shared, job)
    except Exception as error:
        error.add_note(traceback.format_exc())  # which pickling would lose
        return error


def _elsewhere(
    backend: Backend,
    function: Callable[[Shared, Job], Result],
    shared: Shared,
    jobs: Sequence[Job],
) -> Generator[Outcome]:
    """Outcomes in the order of `jobs`; those that come early wait for their turn."""
    work = partial(_work, __version__, pickle.dumps((function, shared)))
    early: dict[int, Outcome] = {}
    due = 0
    with warnings.catch_warnings(), closing(_outcomes(backend, work, jobs)) as outcomes:
        # that a network is large, or that work was cancelled, is nothing a user should act on
        warnings.filterwarnings("ignore", category=UserWarning, module="joblib|distributed")
        for index, outcome in outcomes:
            early[index] = outcome
            while due in early:
                yield early.pop(due)
                due += 1


def _outcomes(
    backend: Backend, work: Callable[[int, Job], tuple[int, Outcome]], jobs: Sequence[Job]
) -> Generator[tuple[int, Outcome]]:
    """Indices and outcomes as they come. What is left when a worker dies is given out again."""
    import joblib  # not needed where threads do

    left, failures = set(range(len(jobs))), 0
    while left:
        calls = (joblib.delayed(work)(index, jobs[index]) for index in sorted(left))
        try:
            with backend() as options:
                parallel = joblib.Parallel(
                    return_as="generator_unordered", batch_size=1, max_nbytes=None, **options
                )
                with closing(parallel(calls)) as outcomes:
                    for index, outcome in outcomes:
                        left.remove(index)
                        failures = 0
                        yield index, outcome
        except ToolError:  # there are no workers
            raise
        except Exception as error:  # of the workers: what a job raises is its outcome
            failures += 1
            if failures == FAILURES:
                raise ToolError(
                    Problem(
                        "the worker processes",
                        f"failed {failures} times in a row",
                        str(error).partition("\n")[0],
                        "they may be short of memory: use fewer at once",
                    )
                ) from error


def _work(version: str, call: bytes, index: int, job: Job) -> tuple[int, Outcome]:
    """What a worker process does: `call` holds the function and what all jobs share, pickled."""
    if version != __version__:
        rule = f"must have snngen {version}, as here"
        return index, ToolError(Problem("the cluster's workers", rule, __version__))
    return index, _attempt(*_unpickled(call), job)


@lru_cache(maxsize=1)
def _unpickled(call: bytes) -> tuple[Callable[[Any, Any], Any], Any]:
    function, shared = pickle.loads(call)
    return function, shared


@contextmanager
def _on_processes(workers: int) -> Iterator[dict[str, Any]]:
    yield {"n_jobs": workers, "backend": "loky"}


@contextmanager
def _on_cluster(address: str) -> Iterator[dict[str, Any]]:
    try:
        from snngen.workers.dask import connect
    except ImportError as error:
        hint = "pip install 'snngen[cluster]'"
        raise ToolError(Problem("option --cluster", "needs more packages", "", hint)) from error
    with connect(address, PATIENCE) as backend:
        yield {"backend": backend}
