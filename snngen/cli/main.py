"""From the command line's words to an exit code, whatever happens in between.

0: done. 1: snngen worked, and the answer is no (a mismatch, a limit exceeded). 2: what the user
gave cannot be used; every problem is on standard error. 3: a bug in snngen. 130: interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.main import get_command

from snngen.cli.commands import app
from snngen.cli.console import complain
from snngen.errors import Problem, SnngenError

REFUSED, BUG, INTERRUPTED = 2, 3, 130
BROKEN_PIPE = 141  # what a shell reports of a program that SIGPIPE ended

# Wrong usage, as the click library has it; newer releases of typer bring their own copy of click.
USAGE_ERRORS: tuple[type[Exception], ...] = tuple(
    c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"
)


def main() -> None:
    """The program `snngen`."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one command and give its exit code; whatever goes wrong is said on standard error."""
    try:
        code = _run(words)
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_output()
        return BROKEN_PIPE
    except OSError as error:
        _abandon_output()
        complain([Problem("standard output", "cannot be written", error.strerror or str(error))])
        return REFUSED
    return code


def _run(words: Sequence[str]) -> int:
    try:
        with get_command(app).make_context("snngen", list(words)) as context:
            context.command.invoke(context)
    except typer.Exit as done:
        return done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        complain([Problem("snngen", "interrupted")])
        return INTERRUPTED
    except SnngenError as error:
        complain(error.problems)
        return REFUSED
    except MemoryError:
        complain(
            [Problem("snngen", "not enough memory", hint="use a smaller model or fewer images")]
        )
        return REFUSED
    except OSError as error:
        if error.filename is None:
            raise
        complain([Problem(str(error.filename), "cannot be used", error.strerror or str(error))])
        return REFUSED
    except USAGE_ERRORS as error:
        return _usage(error)
    except Exception as error:
        if os.environ.get("SNNGEN_DEBUG"):
            raise
        found = f"{type(error).__name__}: {error}"
        hint = "please report it; SNNGEN_DEBUG=1 shows where"
        complain([Problem("snngen", "a bug in snngen", found, hint)])
        return BUG
    return 0


def _usage(error: Any) -> int:
    """Wrong words: say which. Without any, the help text is the answer."""
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message())
        return REFUSED
    hint = f"{error.ctx.command_path} --help" if getattr(error, "ctx", None) else "snngen --help"
    complain([Problem("usage", str(error.format_message()).rstrip("."), hint=hint)])
    return REFUSED


def _abandon_output() -> None:
    """Let Python's own flush at exit go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
