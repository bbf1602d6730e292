"""The output folder of a recipe: a training that was killed goes on from its last epoch.

`checkpoint.pt` is all that is needed, and replaced in one step at the end of each epoch; every
other file is made from it again. Random numbers have no state to keep: each epoch draws from a seed
of its own.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from snngen.errors import FileError, Problem, RecipeError
from snngen.files import read_file, reporting, write_file

CHECKPOINT, RECIPE, LOG = "checkpoint.pt", "recipe.toml", "log.csv"
MODEL, RESULT = "model.onnx", "result.json"
MAX_BYTES = 2**32
DIGEST = 32


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a training was begun with, by name; a row of numbers for each epoch that is done; the
    state of the model and of the optimiser.
    """

    begun: dict[str, str]
    rows: list[list[float]]
    model: dict[str, Any]
    optimiser: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint in `folder`."""
    buffer = io.BytesIO()
    torch.save(vars(checkpoint), buffer)
    content = buffer.getvalue()
    write_file(folder / CHECKPOINT, content + sha256(content).digest())


def load(folder: Path) -> Checkpoint | None:
    """The checkpoint in `folder`, on the CPU; None where there is none yet. FileError where it is
    damaged; nothing that it holds is executed.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    content = read_file(path, MAX_BYTES)
    body, digest = content[:-DIGEST], content[-DIGEST:]
    if sha256(body).digest() != digest:
        raise FileError(Problem(str(path), "the checkpoint is damaged", hint="remove the folder"))
    return Checkpoint(**torch.load(io.BytesIO(body), map_location="cpu", weights_only=True))


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make `folder`, which one process holds at a time; FileError where it is another one's, or
    holds what no recipe wrote.
    """
    with reporting(folder, "cannot hold what is trained"):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            rule, hint = "is in use by another snngen train", "wait, or choose another output"
            raise FileError(Problem(str(folder), rule, hint=hint)) from error
        foreign = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
        if foreign and CHECKPOINT not in foreign:
            rule, hint = "holds files, and no training that could go on", "choose another output"
            raise FileError(Problem(str(folder), rule, ", ".join(foreign[:5]), hint))
        yield
    finally:
        os.close(descriptor)


def check_same(folder: Path, begun: dict[str, str], now: dict[str, str]) -> None:
    """RecipeError with all in which a training that goes on differs from what was begun."""
    names = [name for name in {**begun, **now} if begun.get(name) != now.get(name)]
    hint = f"choose another output, or remove {folder}"
    problems = [
        Problem(f"{folder}: {name}", "the training in this folder was begun with another one",
                f"{begun.get(name)}, now {now.get(name)}", hint)
        for name in names
    ]  # fmt: skip
    if problems:
        raise RecipeError(*problems)
