"""The command line: the only place that prints, reads options and sets exit codes."""

from snngen.cli.main import main, run

__all__ = ["main", "run"]
