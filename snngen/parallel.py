"""All cores at work on batches: threads of our own, each with a single-threaded BLAS.

Two BLAS threads on a small matrix mostly wait for each other; two matrices on two threads do not.
And one BLAS thread adds up in one order: what a job computes does not depend on the cores that its
machine has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from os import cpu_count
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")

_ALONE = ContextVar("alone", default=False)


class _SingleThreadedBlas:
    """A limit on all threads of the process, for as long as any of them asks for it."""

    def __init__(self) -> None:
        self._lock, self._users = Lock(), 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._users:
                self._limits = threadpool_limits(1, "blas")
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._limits.restore_original_limits()


_single_threaded_blas = _SingleThreadedBlas()


@contextmanager
def alone() -> Iterator[None]:
    """Within it this thread computes by itself: BLAS has one thread, `ordered_map` starts none."""
    token = _ALONE.set(True)
    try:
        with _single_threaded_blas():
            yield
    finally:
        _ALONE.reset(token)


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`function` of every item, in order, one thread per core; reads only a few items ahead of what
    is taken. Within an item it runs in line.
    """
    if _ALONE.get():
        yield from map(function, items)
        return
    workers = cpu_count() or 1
    pending: deque[Future[Result]] = deque()
    with (
        _single_threaded_blas(),
        ThreadPoolExecutor(workers, initializer=_ALONE.set, initargs=(True,)) as pool,
    ):
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def over_batch(
    function: Callable[[NDArray[Any]], NDArray[Any]], values: NDArray[Any], size: int = 32
) -> NDArray[Any]:
    """`function` of `values` (N, ...), `size` at a time on all cores; the results side by side."""
    if len(values) <= size:
        return function(values)
    parts = ordered_map(function, (values[k : k + size] for k in range(0, len(values), size)))
    return np.concatenate(list(parts))
