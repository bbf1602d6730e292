"""docs/training.md shows the examples as they are, and lists what a recipe may say; without torch,
what is missing is said. `python -m tests.train.test_page` writes the lists anew.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from snngen.train.recipes.models import MODELS
from snngen.train.recipes.schema import Recipe, parse, table_of

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "training.md"
BEGIN, END = "<!-- recipe -->\n", "<!-- end -->\n"


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


def row(name: str, field: Field[Any]) -> str:
    """A key of a recipe as a line of a table."""
    rule, what, only = (field.metadata[k] for k in ("rule", "what", "only"))
    default = field.default
    shown = (
        "needed" if default is MISSING else "" if default in (None, ()) else f"`{toml(default)}`"
    )
    applies = [f"{other} `{value}`" for other, value in only.items()]
    notes = "; ".join(text for text in (what, *(f"with {text} only" for text in applies)) if text)
    return f"| `{name}` | {rule} | {shown} | {notes} |"


def toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def recipe_tables() -> str:
    """All keys, table by table, and all models."""
    lines = ["", "| key | must be | default | |", "|---|---|---|---|"]
    for field in fields(Recipe):
        table = table_of(field)
        if table is None:
            lines.append(row(field.name, field))
            continue
        lines.append(f"| **`[{field.name}]`** | | | {table.__doc__} |")
        lines += [row(key.name, key) for key in fields(table)]
    lines += ["", "| model | |", "|---|---|"]
    lines += [f"| `{name}` | {model.what} |" for name, model in MODELS.items()]
    return "\n".join(lines) + "\n\n"


def test_the_page_lists_what_a_recipe_may_say() -> None:
    text = PAGE.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == recipe_tables()


def test_the_page_shows_a_recipe_and_all_recipes_are_some() -> None:
    recipes = sorted((CHECKOUT / "examples" / "recipes").glob("*.toml"))
    assert len(recipes) >= 4
    outputs = {parse(path.read_bytes(), path.name).output for path in recipes}
    assert len(outputs) == len(recipes)
    assert f"```toml\n{(recipes[0]).read_text()}```" in PAGE.read_text()
    assert recipes[0].name == "digits.toml"


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(
        text[: text.index(BEGIN) + len(BEGIN)] + recipe_tables() + text[text.index(END) :]
    )
