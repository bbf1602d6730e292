"""The rules that keep the code in one direction and the decisions in Python."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PACKAGE = CHECKOUT / "snngen"
LONGEST = 450  # lines of a file

# Imports run from later groups to earlier ones, and within a group where no cycle comes of it.
ORDER = [
    {"errors", "grid", "parallel", "resources", "schema", "workers"},
    {"ops"},
    {"neurons", "graph", "spiking", "fixed", "bounds", "files"},
    {"check_fixed", "data", "levels"},
    {"fixed_file", "onnx_import", "fold", "convert", "golden", "simulate"},
    {"quantise", "dequantise", "expand", "check"},
    {"mapping", "targets"},
    {"evaluate", "link", "verify"},
    {"pipeline"},
    {"compare", "doctor", "tune"},
    {"train"},  # torch is an extra: only its own command imports it, when it runs
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def modules() -> dict[str, Path]:
    """Dotted name below snngen -> file."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def imports(path: Path) -> set[str]:
    """Dotted names below snngen that a file imports when it is loaded."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            names = []
        found |= {name.removeprefix("snngen.") for name in names if name.startswith("snngen.")}
    return found


def test_every_module_has_its_place() -> None:
    tops = {name.split(".")[0] for name in modules()} - {"__init__"}
    assert tops == RANK.keys()


@pytest.mark.parametrize("name", modules())
def test_imports_run_one_way(name: str) -> None:
    if name == "__init__":
        return
    rank = RANK[name.split(".")[0]]
    for other in imports(modules()[name]):
        top = other.split(".")[0]
        if top in RANK:
            assert RANK[top] <= rank, f"{name} imports {other}"


def test_no_cycles() -> None:
    known = modules()

    def resolve(name: str) -> str | None:
        parts = name.split(".")
        for end in (len(parts), len(parts) - 1):
            dotted = ".".join(parts[:end])
            if dotted in known:
                return dotted
            if f"{dotted}.__init__" in known:
                return f"{dotted}.__init__"
        return None

    graph = {n: {r for i in imports(p) if (r := resolve(i))} - {n} for n, p in known.items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for other in sorted(graph[name]):
                visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_targets_know_nothing_of_models() -> None:
    for name, path in modules().items():
        if name.startswith("targets"):
            tops = {other.split(".")[0] for other in imports(path)}
            assert not tops & {"onnx_import", "fold", "convert", "quantise"}, name


def test_cores_know_nothing_of_networks() -> None:
    allowed = {"__future__", "amaranth", "collections", "dataclasses", "functools", "numpy",
               "snngen_hdl", "typing"}  # fmt: skip
    for path in (CHECKOUT / "hdl" / "snngen_hdl").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] in allowed, path.name
            elif isinstance(node, ast.Import):
                assert {name.name for name in node.names} <= allowed, path.name


def test_only_the_command_line_prints_and_exits() -> None:
    for name, path in modules().items():
        if not name.startswith(("cli", "__main__")):
            calls = [
                n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)
            ]
            named = {call.id for call in calls if isinstance(call, ast.Name)}
            assert not named & {"print", "exit", "input"}, name
            assert "sys.exit" not in path.read_text(), name


def test_nothing_is_registered_by_decorators() -> None:
    """What exists is written in a table; a decorator may describe a function, not collect it."""
    allowed = {"dataclass", "property", "staticmethod", "classmethod", "cache", "contextmanager",
               "cached_property", "lru_cache", "overload", "shared"}  # fmt: skip
    for name, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text())):
            for decorator in getattr(node, "decorator_list", []):
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                text = ast.unparse(called)
                is_command = name == "cli.commands" and text in ("app.command", "app.callback")
                assert text in allowed or is_command, f"{name}: @{text}"


def test_importing_has_no_side_effects() -> None:
    """Nothing is printed, and neither torch nor a compiler is woken."""
    code = "import sys, snngen.cli; sys.exit(any(m in sys.modules for m in ('torch', 'sklearn')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=CHECKOUT)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_templates_decide_nothing() -> None:
    for path in (CHECKOUT / "templates").rglob("*.j2"):
        tags = re.findall(r"\{%-?\s*(\w+)", path.read_text())
        assert set(tags) <= {"for", "endfor"}, path.name
        for expression in re.findall(r"\{\{(.*?)\}\}", path.read_text()):
            assert re.fullmatch(r"\s*[\w.]+\s*", expression), f"{path.name}: {expression}"


def test_templates_are_strict() -> None:
    for path in (PACKAGE / "targets").rglob("*.py"):
        if "Environment(" in path.read_text():
            assert "undefined=StrictUndefined" in path.read_text()


@pytest.mark.parametrize("name", modules())
def test_files_stay_readable(name: str) -> None:
    text = modules()[name].read_text()
    assert len(text.splitlines()) <= LONGEST
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    assert name.endswith("__init__") or ast.get_docstring(ast.parse(text)), (
        "a module says what it is"
    )
