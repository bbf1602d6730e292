"""Everything that can go wrong because of what the user gave: the rule, what was found, where, and
the way out.
"""

from __future__ import annotations

from dataclasses import dataclass


def printable(text: object) -> str:
    """`text` on one line with control characters escaped: names come from files that nobody
    vetted.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


@dataclass(frozen=True)
class Problem:
    """One broken rule.

    `where` names the place ("node 'pool1' (MaxPool)"), `rule` says what is not allowed or missing,
    `found` quotes the offending value, `hint` is the way out. The last two may be empty.
    """

    where: str
    rule: str
    found: str = ""
    hint: str = ""

    def __str__(self) -> str:
        lines = [f"{printable(self.where)}: {printable(self.rule)}"]
        lines += [f"  found: {printable(self.found)}"] if self.found else []
        lines += [f"  hint:  {printable(self.hint)}"] if self.hint else []
        return "\n".join(lines)


class SnngenError(Exception):
    """One or more problems in what the user gave; the command line prints them all and exits with
    code 2.
    """

    def __init__(self, *problems: Problem) -> None:
        assert problems, "an error needs at least one problem"
        self.problems = problems
        super().__init__("\n".join(str(p) for p in problems))


class ModelError(SnngenError):
    """The ONNX model is damaged, or uses what snngen does not support."""


class ConversionError(SnngenError):
    """The network is valid but cannot be converted as asked."""


class RecipeError(SnngenError):
    """A recipe is no recipe, or what it trains comes to nothing."""


class BoundError(SnngenError):
    """An accumulator or membrane cannot be proven to fit 32 bits."""


class DataError(SnngenError):
    """Images, labels or a data set are missing, damaged, or do not fit the network."""


class FileError(SnngenError):
    """A file cannot be read, is not what it claims to be, or cannot be written."""


class ToolError(SnngenError):
    """An external program (compiler, emulator) is missing or failed."""


class LinkError(SnngenError):
    """A device does not answer over its port, or not as the protocol says."""
