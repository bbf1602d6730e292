"""All cores at work on batches: threads of our own, each with a single-threaded BLAS.

Two BLAS threads on a small matrix mostly wait for each other; two matrices on two threads do not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from os import cpu_count
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`function` of every item, in order, one thread per core; reads only a few items ahead of what
    is taken.
    """
    workers = cpu_count() or 1
    pending: deque[Future[Result]] = deque()
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(workers) as pool:
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
