"""What is asked of callers."""

from __future__ import annotations

from snngen.errors import ConversionError, Problem


def require(holds: bool, where: str, rule: str, found: object = "", hint: str = "") -> None:
    """Raise ConversionError where it does not hold."""
    if not holds:
        raise ConversionError(Problem(where, rule, str(found), hint))
