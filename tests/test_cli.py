"""The command line, word for word: tests/cli/*.txt are transcripts of commands and their output.

`python -m tests.test_cli` writes them anew, for a look at the difference.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from snngen import fixed_file
from snngen.cli import emission, main, run
from tests.test_fixed_file import small_net

TRANSCRIPTS = Path(__file__).parent / "cli"
DEMO = files("snngen") / "demo_data"


def prepare(folder: Path) -> None:
    """What the transcripts find in their folder."""
    for name in ("digits.onnx", "digits.npz"):
        (folder / name).write_bytes((DEMO / name).read_bytes())
    (folder / "thesis").mkdir()
    (folder / "thesis" / "thesis.tex").write_text("precious")
    fixed_file.save(small_net(), folder / "small.snn")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 6, 6), dtype=np.uint8)
    np.savez(folder / "images.npz", x=images, y=np.arange(50) % 4)


def transcript(commands_: list[str]) -> str:
    """The commands with what they print, standard error after standard output."""
    lines = []
    for command in commands_:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(shlex.split(command)[1:])
        lines += [f"$ {command}\n", out.getvalue(), err.getvalue()]
        lines += [f"[exit code {code}]\n"] if code else []
    return "".join(lines)


def commands_of(text: str) -> list[str]:
    return [line[2:] for line in text.splitlines() if line.startswith("$ ")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SNNGEN_DATA", raising=False)
    prepare(tmp_path)
    return tmp_path


def said(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = run(shlex.split(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("path", sorted(TRANSCRIPTS.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript(folder: Path, path: Path) -> None:
    expected = path.read_text()
    assert transcript(commands_of(expected)) == expected


def test_convert_emit_verify_evaluate(folder: Path, capsys) -> None:
    code, out, err = said("convert digits.onnx --data digits.npz -o digits.snn", capsys)
    assert (code, err) == (0, "") and "6 layers, 16 timesteps" in out
    code, out, err = said("emit digits.snn --target c -o out -v", capsys)
    assert (code, err) == (0, "") and "of arena, " in out
    code, out, err = said("verify digits.snn --images digits.npz --limit 30 --out out", capsys)
    assert (code, err) == (0, "") and "equal on 30 images" in out
    code, out, err = said("evaluate digits.snn --data digits.npz", capsys)
    accuracy = re.search(r"accuracy ([\d.]+) %", out)
    assert (code, err) == (0, "") and accuracy and float(accuracy[1]) > 95


def test_the_same_model_gives_the_same_bytes(folder: Path, capsys) -> None:
    for name in ("a", "b"):
        said(f"convert digits.onnx --data digits.npz -o {name}.snn", capsys)
        said(f"emit {name}.snn -o {name}", capsys)
    assert Path("a.snn").read_bytes() == Path("b.snn").read_bytes()
    for path in (p for p in Path("a").rglob("*") if p.is_file()):
        assert path.read_bytes() == (Path("b") / path.relative_to("a")).read_bytes()


def test_with_nothing_else_given_the_c_compiles_and_passes_its_self_test(
    folder: Path, capsys, require
) -> None:
    require("make")
    code, out, err = said("emit --target c digits.onnx", capsys)
    assert code == 0 and "files to digits_c" in out and err.startswith("warning: calibration: ")
    done = subprocess.run(
        ["make", "-C", "digits_c", "selftest"], capture_output=True, text=True, check=True
    )
    assert "selftest: PASS" in done.stderr


def test_convert_shows_both_forms_and_names_its_file(folder: Path, capsys) -> None:
    code, out, _ = said("convert digits.onnx --data digits.npz --neuron level", capsys)
    assert code == 0 and Path("digits.snn").is_file()
    first, second = out.splitlines()[-2:]
    assert first.startswith("level, N=15 ") and second.startswith("if, T=16 ")
    assert (
        said("convert digits.snn -o twice.snn", capsys)[0] == 2 and not Path("twice.snn").exists()
    )


def test_a_model_without_images_is_warned_about(folder: Path, capsys) -> None:
    code, _, err = said("convert digits.onnx -o digits.snn", capsys)
    assert code == 0 and err.startswith("warning: calibration: ")


def test_a_changed_weight_is_found(folder: Path, capsys) -> None:
    said("emit small.snn -o out", capsys)
    source = next(p for p in Path("out").glob("*.c") if "int8_t" in p.read_text())
    text = source.read_text()
    first = re.search(r"int8_t [^{]*\{\s*(-?\d+)", text)
    assert first
    source.write_text(text[: first.start(1)] + str(int(first[1]) + 5) + text[first.end(1) :])
    code, out, err = said("verify small.snn --out out", capsys)
    assert (code, err) == (1, "")
    assert re.search(r"layer '.*', neuron .*, timestep \d+: .* expected -?\d+, got -?\d+", out)


def test_emitted_from_another_network(folder: Path, capsys) -> None:
    said("emit small.snn -o out", capsys)
    said("convert digits.onnx --data digits.npz -o digits.snn", capsys)
    code, _, err = said("verify digits.snn --out out", capsys)
    assert code == 2 and "emitted from another network" in err


@pytest.mark.parametrize(
    "words",
    ["check digits.onnx --json", "evaluate small.snn --data images.npz --json",
     "evaluate digits.onnx --data digits.npz --json --limit 20"],
)  # fmt: skip
def test_json_is_only_json_with_sorted_keys(folder: Path, capsys, words: str) -> None:
    code, out, err = said(words, capsys)
    assert (code, err) == (0, "")
    assert json.dumps(json.loads(out), indent=2, sort_keys=True) + "\n" == out


def test_json_of_a_refused_model(folder: Path, capsys) -> None:
    Path("bad.onnx").write_text("hello")
    code, out, err = said("check bad.onnx --json", capsys)
    assert (code, err) == (2, "")
    assert json.loads(out)["ok"] is False and json.loads(out)["problems"]


def test_limits(folder: Path, capsys) -> None:
    code, out, err = said("emit small.snn -o out --max-ram 64k --max-flash 1M", capsys)
    assert (code, err) == (0, "")
    code, out, err = said("emit small.snn -o other --max-ram 10 --max-flash 10", capsys)
    assert code == 1 and err.count("error: option --max-") == 2 and out == ""
    assert not Path("other").exists()
    code, out, err = said("evaluate small.snn --data images.npz --max-ram 10", capsys)
    assert code == 1 and "accuracy" in out and "conv " in err


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 2, "not enough memory"),
        (PermissionError(13, "Permission denied", "x"), 2, "x: cannot be used"),
        (ZeroDivisionError("oops"), 3, "a bug in snngen\n  found: ZeroDivisionError: oops"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_happens(folder: Path, capsys, monkeypatch, raised, code, message) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise raised

    monkeypatch.setattr(emission, "obtain", fail)
    got, out, err = said("emit small.snn -o out", capsys)
    assert (got, out) == (code, "") and message in err and "Traceback" not in err


def test_a_debugger_gets_the_traceback(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(emission, "obtain", lambda *a, **k: 1 / 0)
    monkeypatch.setenv("SNNGEN_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        run(["emit", "small.snn", "-o", "out"])


def test_names_are_never_markup(folder: Path, capsys) -> None:
    from dataclasses import replace

    fixed_file.save(replace(small_net(), name="[red]\x1b[0m\u20ac"), Path("a.snn"))
    code, out, err = said("info a.snn", capsys)
    assert (code, err) == (0, "") and "'[red]\\x1b[0m\u20ac'" in out


def test_main_exits_with_the_code(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", ["snngen", "info", "absent.snn"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2


def rewrite() -> None:
    """Run the commands of every transcript, and of COMMANDS on the command line, anew."""
    os.environ.pop("SNNGEN_DATA", None)
    for path in sorted(TRANSCRIPTS.glob("*.txt")):
        with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
            prepare(Path(temporary))
            path.write_text(transcript(commands_of(path.read_text())))


if __name__ == "__main__":
    rewrite()


def test_version(capsys) -> None:
    code, out, err = said("--version", capsys)
    assert (code, err) == (0, "") and re.fullmatch(r"snngen \d+\.\d+\.\d+\n", out)
