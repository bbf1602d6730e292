"""Runs `snngen train recipe.toml` in a folder again and again, each time killed (SIGKILL) later
than before: in the middle of writing a file, or of an epoch. Prints how often.

    python -m tests.train.killed FOLDER
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import torch

from snngen import files
from snngen.cli import run
from snngen.train import recipes

STEPS = 3  # of the optimiser before it dies of one; less than an epoch has


def main(folder: Path) -> None:
    os.chdir(folder)
    with recipes.deterministic(1):
        pass  # it loads much of torch, here and not in every child
    for deaths in count():
        child = os.fork()  # before this process has computed anything
        if child == 0:
            os._exit(_dying_run(deaths))
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            print(deaths)
            raise SystemExit(os.waitstatus_to_exitcode(status))


def _dying_run(deaths: int) -> int:
    """Dies writing a file, or on every third death as it trains."""
    if deaths % 3 == 2:
        torch.optim.Adam.step = _deadly(torch.optim.Adam.step, STEPS)  # type: ignore
    else:
        files._write = _deadly(files._write, deaths + 1)
    return run(["train", "recipe.toml"])


def _deadly(function: Callable[..., Any], calls: int) -> Callable[..., Any]:
    """`function`, whose so-manieth call does half of what it should and then kills the process."""
    done = 0

    def dying(*args: Any, **given: Any) -> Any:
        nonlocal done
        done += 1
        if done < calls:
            return function(*args, **given)
        if isinstance(args[-1], bytes):
            function(*args[:-1], args[-1][: len(args[-1]) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    return dying


if __name__ == "__main__":
    main(Path(sys.argv[1]))
