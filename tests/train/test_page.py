"""docs/training.md shows the example as it is; without torch, what is missing is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def test_the_page_shows_the_example() -> None:
    code = (CHECKOUT / "examples/training/digits.py").read_text()
    assert f"```python\n{code}```" in (CHECKOUT / "docs/training.md").read_text()
    lines = [line for line in code.splitlines() if line and not line.startswith('"""')]
    assert len(lines) <= 30


def test_without_torch_the_extra_is_named() -> None:
    code = "import sys; sys.modules['torch'] = None; import snngen.train"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert "snngen.train: needs PyTorch\n  hint:  pip install snngen[train]" in done.stderr
