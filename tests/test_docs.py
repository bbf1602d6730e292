"""The documentation does what it says: every ```console block is run, in order, page by page, and
what it shows is what comes out, but for the numbers. docs/cli.md lists every command and option;
`python -m tests.test_docs` writes its tables anew.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from snngen.cli.commands import app
from snngen.cli.options import Conversion
from snngen.targets.c.boards import PACKAGES

CHECKOUT = Path(__file__).parents[1]
PAGES = sorted([CHECKOUT / "README.md", *(CHECKOUT / "docs").rglob("*.md"),
                *(CHECKOUT / "examples").rglob("*.md")])  # fmt: skip
CLI = CHECKOUT / "docs" / "cli.md"
BEGIN, END = "<!-- commands -->\n", "<!-- end -->\n"
HEAD = ["| argument or option | meaning |", "|---|---|"]
OTHER_TESTS = ("pip install", "make demo", "make check")  # test_packaging, and this very run


def blocks(page: Path) -> list[tuple[str, str]]:
    """The (needs, content) of a page's console blocks."""
    return re.findall(r"^```console ?([\w ]*)\n(.*?)^```", page.read_text(), re.M | re.S)


def masked(line: str) -> str:
    """`line` without what differs between machines and versions."""
    line = re.sub(r"digest [0-9a-f]+", "digest", line)
    return re.sub(r"\s+", " ", re.sub(r"[\d.,]*\d", "0", line)).strip()


def chapters(content: str) -> list[tuple[str, list[str]]]:
    """The (command, shown output) pairs of a block."""
    found: list[tuple[str, list[str]]] = []
    for line in content.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line != "...":
            found[-1][1].append(line)
    return found


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A folder with the files that the pages name."""
    built = shutil.ignore_patterns("build")
    shutil.copytree(CHECKOUT / "examples", tmp_path / "examples", ignore=built)
    shutil.copytree(CHECKOUT / "snngen" / "demo_data", tmp_path / "snngen" / "demo_data")
    yield tmp_path
    for left_running in tmp_path.rglob("qemu.pid"):
        with contextlib.suppress(OSError):
            os.kill(int(left_running.read_text()), signal.SIGTERM)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if blocks(p)], ids=lambda page: str(page.relative_to(CHECKOUT))
)
def test_commands_of_a_page(page: Path, checkout: Path, require, request) -> None:
    require("make")
    require("cc")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for needs, content in blocks(page):
        if "boards" in needs:
            for tool in PACKAGES:
                require(tool)
            require("python:serial")
        if "torch" in needs:
            require("python:torch")
        if "mnist" in needs:
            if "SNNGEN_DATA" not in os.environ and "CI" not in os.environ:
                continue
            env["SNNGEN_DATA"] = str(request.getfixturevalue("data_dir"))
        for command, shown in chapters(content):
            if command.startswith(OTHER_TESTS):
                continue
            done = subprocess.run(
                command, shell=True, cwd=checkout, env=env, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stdout}"
            printed = [masked(line) for line in done.stdout.splitlines()]
            for line in shown:
                assert masked(line) in printed, f"{command}\n{line}\nnot in\n{done.stdout}"


def test_links_lead_somewhere() -> None:
    for page in [*PAGES, CHECKOUT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_pages_name_existing_files() -> None:
    for page in PAGES:
        for name in re.findall(r"`((?:snngen|examples|docs|tests)/[\w./-]+)`", page.read_text()):
            assert (CHECKOUT / name).exists(), f"{page.name}: {name}"


def row(param: Any) -> str:
    """An argument or option as a line of a table."""
    if param.param_type_name == "argument":
        return f"| `{param.name.upper()}` | {param.help} |"
    needed = "; required" if param.required else ""
    default = f"; default {param.default}" if isinstance(param.default, str) else ""
    return f"| {', '.join(f'`{o}`' for o in param.opts)} | {param.help}{needed}{default} |"


def command_tables() -> str:
    """Every command with its arguments and options, as Markdown; shared options once."""
    commands = get_command(app).commands  # type: ignore[attr-defined]
    shared = {field.name for field in fields(Conversion)}
    lines = ["## Conversion options", "", *HEAD]
    lines += [row(p) for p in commands["emit"].params if p.name in shared]
    for name, command in commands.items():
        has_all = shared <= {p.name for p in command.params}
        own = [row(p) for p in command.params if not has_all or p.name not in shared]
        lines += ["", f"## snngen {name}", "", command.help.strip(), *(["", *HEAD] if own else [])]
        lines += own
        if len(own) < len(command.params):
            lines += ["", "And the conversion options."]
    return "\n".join(lines) + "\n"


def test_the_command_line_page_is_complete() -> None:
    text = CLI.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)] == command_tables()


if __name__ == "__main__":
    text = CLI.read_text()
    CLI.write_text(
        text[: text.index(BEGIN) + len(BEGIN)] + command_tables() + text[text.index(END) :]
    )
