"""Files and emitted folders: whole or not at all, and never over what the user wrote."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from snngen import files
from snngen.errors import FileError
from snngen.files import read_file, write_file, write_tree

CHECKOUT = Path(__file__).parents[1]


def listed(files: dict[str, bytes]) -> dict[str, bytes]:
    """`files` with their manifest."""
    digests = {name: sha256(data).hexdigest() for name, data in files.items()}
    return {**files, "snngen.json": json.dumps({"files": digests}).encode()}


OLD = {"README.md": b"old\n", "src/net.c": b"int old;\n" * 1000}
NEW = {"README.md": b"new\n", "include/net.h": b"int new;\n" * 1000}


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def tree(folder: Path) -> dict[str, bytes]:
    """The files in `folder` but for its manifest."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name != "snngen.json"
    }


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_a_fresh_folder(out: Path) -> None:
    write_tree(out, listed(OLD))
    assert tree(out) == OLD
    assert sorted(json.loads((out / "snngen.json").read_text())["files"]) == sorted(OLD)
    assert names(out.parent) == ["out"]


def test_an_empty_folder_is_filled(out: Path) -> None:
    out.mkdir()
    write_tree(out, listed(OLD))
    assert tree(out) == OLD


def test_an_earlier_emission_is_replaced_with_its_build(out: Path) -> None:
    write_tree(out, listed(OLD))
    (out / "build").mkdir()
    (out / "build" / "net.o").write_bytes(b"\0")
    write_tree(out, listed(NEW))
    assert tree(out) == NEW
    assert names(out.parent) == ["out"]


@pytest.mark.parametrize("exchange", [True, False])
def test_with_and_without_exchange(out: Path, monkeypatch, exchange: bool) -> None:
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda a, b: False)
    write_tree(out, listed(OLD))
    write_tree(out, listed(NEW))
    assert tree(out) == NEW
    assert names(out.parent) == ["out"]


def test_exchange_works_here(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "in_a").touch()
    if sys.platform == "linux":
        assert files._exchange(tmp_path / "a", tmp_path / "b")
        assert (tmp_path / "b" / "in_a").exists()


def add_file(out: Path) -> None:
    (out / "src" / "mine.c").write_text("precious")


def change_file(out: Path) -> None:
    (out / "README.md").write_text("precious")


def add_link(out: Path) -> None:
    (out / "link").symlink_to("README.md")


def link_over_file(out: Path) -> None:
    (out / "README.md").rename(out.parent / "elsewhere")
    (out / "README.md").symlink_to(out.parent / "elsewhere")


def link_build(out: Path) -> None:
    (out / "build").symlink_to(out.parent)


def drop_manifest(out: Path) -> None:
    (out / "snngen.json").unlink()


def damage_manifest(out: Path) -> None:
    (out / "snngen.json").write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (add_file, "src/mine.c"),
        (change_file, "README.md"),
        (add_link, "link"),
        (link_over_file, "README.md"),
        (link_build, "build"),
        (drop_manifest, "README.md, src/net.c"),
        (damage_manifest, "README.md, src/net.c"),
    ],
)
def test_what_the_user_wrote_is_kept(out: Path, change, named: str) -> None:
    write_tree(out, listed(OLD))
    change(out)
    before = tree(out)
    with pytest.raises(FileError, match="snngen did not write") as caught:
        write_tree(out, listed(NEW))
    assert f"found: {named}\n" in str(caught.value)
    assert tree(out) == before
    assert not list(out.parent.glob(".*"))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    for name, found in (("file", "a file"), ("link", "a symbolic link")):
        with pytest.raises(FileError, match=f"not a folder\n  found: {found}"):
            write_tree(tmp_path / name, listed(NEW))
    with pytest.raises(FileError, match="a part of the path is not a folder"):
        write_tree(tmp_path / "file" / "out", listed(NEW))
    with pytest.raises(FileError, match="No such file"):
        write_tree(tmp_path / "absent" / "out", listed(NEW))
    with pytest.raises(FileError, match="embedded null"):
        write_tree(tmp_path / "a\0b", listed(NEW))
    with pytest.raises(FileError, match="too long"):
        write_tree(tmp_path / ("x" * 300), listed(NEW))


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", "build/x"])
def test_emitters_cannot_write_elsewhere(out: Path, name: str) -> None:
    with pytest.raises(AssertionError):
        write_tree(out, listed({name: b""}))
    assert not out.exists()


def test_emitters_must_list_what_they_emit(out: Path) -> None:
    with pytest.raises(AssertionError, match="manifest"):
        write_tree(out, {**listed(OLD), "more": b""})


def test_write_file_replaces_only_files(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"1")
    write_file(tmp_path / "a", b"2")
    assert (tmp_path / "a").read_bytes() == b"2"
    assert names(tmp_path) == ["a"]
    (tmp_path / "link").symlink_to("a")
    for path in (tmp_path, tmp_path / "link", Path("/dev/full"), Path("/dev/null")):
        mode = path.lstat().st_mode
        with pytest.raises(FileError, match="the output is not a file"):
            write_file(path, b"3")
        assert path.lstat().st_mode == mode
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) & 0o444


def test_read_file_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", 5) == read_file(tmp_path / "a", 2**40) == b"12345"
    with pytest.raises(FileError, match="larger than 4 bytes"):
        read_file(tmp_path / "a", 4)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="a device or a pipe"):
        read_file(tmp_path / "pipe", 5)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 64 KiB; needs root."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_leaves_everything_as_it_was(small_disk: Path) -> None:
    write_tree(small_disk / "out", listed(OLD))
    write_file(small_disk / "a", b"1")
    with pytest.raises(FileError, match="No space left") as caught:
        write_tree(small_disk / "out", listed({"a": b"x" * 10, "b": b"x" * 100_000}))
    assert "free some space" in str(caught.value)
    with pytest.raises(FileError, match="No space left"):
        write_file(small_disk / "a", b"x" * 100_000)
    assert tree(small_disk / "out") == OLD
    assert (small_disk / "a").read_bytes() == b"1"
    assert names(small_disk) == ["a", "out"]


LIMITED = """
import resource, signal, sys
from pathlib import Path
from tests.test_files import listed
from snngen.errors import FileError
from snngen.files import write_file, write_tree
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
large = b"x" * 2000
emitted = listed({"a": large})
for write in (lambda p: write_file(p / "a", large), lambda p: write_tree(p / "b", emitted)):
    try:
        write(Path(sys.argv[1]))
    except FileError as error:
        print(error)
"""


def test_a_file_that_cannot_grow_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
    )
    assert done.stdout.count("File too large") == 2 and not done.stderr
    assert not names(tmp_path)


WRITER = """
import sys
from pathlib import Path
from tests.test_files import listed
from snngen.files import write_file, write_tree
out = Path(sys.argv[1])
print("ready", flush=True)
for k in range(10**6):
    letter = bytes([65 + k % 2])
    write_tree(out / "tree", listed({f"{name}{k % 2}": letter * 3000 for name in "abcd"}))
    write_file(out / "file", letter * 3000)
"""


def test_killed_at_any_moment(tmp_path: Path) -> None:
    """After every SIGKILL the folder and the file are one of the two versions, whole."""
    for attempt in range(15):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE, cwd=CHECKOUT
        )
        assert writer.stdout and writer.stdout.readline() == b"ready\n"
        time.sleep(random.Random(attempt).uniform(0.005, 0.06))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if (tmp_path / "tree").exists():
            found = tree(tmp_path / "tree")
            assert found in [
                {f"{name}{k}": bytes([65 + k]) * 3000 for name in "abcd"} for k in (0, 1)
            ]
        if (tmp_path / "file").exists():
            assert (tmp_path / "file").read_bytes() in (b"A" * 3000, b"B" * 3000)
    write_tree(tmp_path / "tree", listed(NEW))
    write_file(tmp_path / "file", b"")
    assert names(tmp_path) == ["file", "tree"], "stale temporary folders are removed"


def test_a_folder_in_use_by_another_process_is_left_alone(tmp_path: Path) -> None:
    with files._temporary(tmp_path / "out") as folder:
        write_tree(tmp_path / "out", listed(OLD))
        assert folder.exists()
    assert names(tmp_path) == ["out"]
