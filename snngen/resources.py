"""Where the files lie that are not Python: templates and the C runtime."""

from __future__ import annotations

from pathlib import Path


def resource_dir(name: str) -> Path:
    """The folder `name` ("templates", "runtime_c"): beside the installed package, else in the
    checkout.
    """
    package = Path(__file__).parent
    installed = package / "_resources" / name
    return installed if installed.is_dir() else package.parent / name
