"""What a terminal, a pipe or a script gets to see."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from snngen.errors import Problem, printable


def say(*lines: str) -> None:
    """Lines of the result, to standard output."""
    for line in lines:
        print(line)
    sys.stdout.flush()  # who waits for the next one sees these


def say_json(value: Mapping[str, Any]) -> None:
    """The result as one JSON object with sorted keys."""
    print(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True))


def warn(problem: Problem) -> None:
    """What the user should know, though it stops nothing."""
    print(f"warning: {problem}", file=sys.stderr)


def complain(problems: Sequence[Problem]) -> None:
    """What stopped snngen: one block each."""
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Aligned columns: numbers to the right, text to the left, no line longer than its content."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[k]) for row in [list(headers), *cells]) for k in range(len(headers))]
    numeric = [
        bool(rows) and all(isinstance(row[k], int | float) or row[k] is None for row in rows)
        for k in range(len(headers))
    ]

    def line(row: Sequence[str]) -> str:
        padded = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return [line(list(headers)), *(line(row) for row in cells)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.3f}"
    return printable(value)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to call with the number of things done; shows a bar where a person watches."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """A function to call with what is being done; shows it where a person watches."""
    if not sys.stderr.isatty():
        yield lambda text: None
        return
    with Console(stderr=True).status("", spinner="line") as shown:
        yield lambda text: shown.update(escape(text))


class _Speed(ProgressColumn):
    """Things done per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.1f}/s" if task.speed else "")
