"""joblib's Dask backend, mended, and the way to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

from distributed import Client, Security
from distributed.comm.core import connect as reach
from joblib._dask import DaskDistributedBackend

from snngen.errors import Problem, ToolError


@contextmanager
def connect(address: str, patience: float) -> Iterator[DaskBackend]:
    """The workers of the Dask scheduler at `address`, for joblib; ToolError where none answers
    within `patience` seconds.
    """
    try:
        asyncio.run(_reach(address, patience))  # a Client that fails would complain for ever
        client = Client(address, timeout=patience, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        rule = "no Dask scheduler answers"
        hint = "give the address that the scheduler prints, for example tcp://host:8786"
        raise ToolError(Problem("option --cluster", rule, address, hint)) from error
    with client:
        yield DaskBackend(client=client, wait_for_workers_timeout=patience)


async def _reach(address: str, patience: float) -> None:
    arguments = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
    stream = await reach(address, timeout=patience, **arguments)  # type: ignore[no-untyped-call]
    await stream.close()


class DaskBackend(DaskDistributedBackend):  # type: ignore[misc]
    """The backend without two surprises of joblib 1.6."""

    def effective_n_jobs(self, n_jobs: int) -> int:
        """At least 2: where a cluster has one core, joblib would do the work here instead."""
        cores: int = super().effective_n_jobs(n_jobs)
        return max(2, cores)

    def submit(self, func: Any, callback: Callable[[Any], None]) -> Future[Any]:
        """Call back also when Dask has given a task up, since it killed its workers: otherwise
        nobody would ever hear of it.
        """
        future: Future[Any] = super().submit(func, callback)

        def call_back(done: Future[Any]) -> None:
            error = done.exception()
            if error is not None:
                callback(error)

        future.add_done_callback(call_back)
        return future
