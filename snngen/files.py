"""Reading and writing files so that nothing is half done: after any interruption a path holds what
it held before or what it should hold now.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from hashlib import sha256
from pathlib import Path, PurePosixPath

from snngen.errors import FileError, Problem

BUILD = "build"  # what compilers leave in an emitted folder; ours to remove
HINTS = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.EACCES: "check the permissions",
    errno.EROFS: "choose another folder",
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some space, or choose another folder",
    errno.EFBIG: "choose a file system that holds larger files",
}
AT_FDCWD = -100
RENAME_EXCHANGE = 2


def read_file(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes; FileError where there is none."""
    with reporting(path, "cannot be read"), open_regular(path) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise FileError(
                Problem(str(path), f"the file is larger than {limit} bytes", f"{size} bytes")
            )
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(size)


@contextmanager
def open_regular(path: Path) -> Iterator[int]:
    """A descriptor of the file at `path`; FileError where it is a folder, a pipe or a device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileError(
                Problem(str(path), "not a file", _kind(os.fstat(descriptor)), "name a file")
            )
        yield descriptor
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`, replacing the file there in one step; FileError where that fails."""
    path = _named(path)
    with reporting(path, "cannot be written"):
        found = _lstat(path)
        if found is not None and not stat.S_ISREG(found.st_mode):
            raise FileError(
                Problem(
                    str(path), "the output is not a file", _kind(found), "choose another file name"
                )
            )
        with _temporary(path) as folder:
            _write(folder / path.name, data)
            (folder / path.name).replace(path)
        _sync_folder(path.parent)


def write_tree(
    out: Path, files: Mapping[str, bytes], *, manifest_name: str = "snngen.json"
) -> None:
    """Make `out` a folder of exactly `files`, relative POSIX path -> content.

    One of them is the manifest, a JSON object whose "files" holds the SHA-256 of every other. A
    folder that an earlier call wrote, and that nobody changed since, is replaced in one step (two
    on systems that cannot exchange folders: a kill in between leaves the old one beside the new
    one, under a name that begins with a dot); its `build/` goes with it. FileError for anything
    else that stands in the way: what the user has written is never touched.
    """
    _check_files(files, manifest_name)
    out = _named(out)
    with reporting(out, "cannot be written"):
        _refuse_foreign(out, manifest_name)
        with _temporary(out) as folder:
            new = folder / "new"
            for name, data in files.items():
                target = new / name
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(target, data)
            for parent, _, _ in os.walk(new):
                _sync_folder(Path(parent))
            _put(new, out, folder / "old")
        _sync_folder(out.parent)


@contextmanager
def reporting(path: Path, rule: str) -> Iterator[None]:
    """Turn the operating system's errors into a FileError about `path`."""
    try:
        yield
    except OSError as error:
        hint = HINTS.get(error.errno or 0, "")
        raise FileError(Problem(str(path), rule, error.strerror or str(error), hint)) from error
    except ValueError as error:  # a path with a zero byte
        raise FileError(Problem(str(path), rule, str(error), "check the path")) from error


def _check_files(files: Mapping[str, bytes], manifest_name: str) -> None:
    """Assert that emitted files lie below their folder and that their manifest is right."""
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or parts[0] == BUILD:
            raise AssertionError(f"an emitted file cannot be called '{name}'")
    listed = _parse_manifest(files[manifest_name])
    digests = {name: sha256(files[name]).hexdigest() for name in files if name != manifest_name}
    assert listed == digests, "the manifest does not list the emitted files"


def _named(path: Path) -> Path:
    """`path` with a last part that can be renamed: not "." or ".."."""
    return path if path.name not in ("", "..") else path.resolve()


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _kind(found: os.stat_result) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link", stat.S_IFREG: "a file"}
    return kinds.get(stat.S_IFMT(found.st_mode), "a device or a pipe")


def _refuse_foreign(out: Path, manifest_name: str) -> None:
    """FileError unless `out` is absent, an empty folder, or exactly what `write_tree` once
    wrote.
    """
    found = _lstat(out)
    if found is None:
        return
    if not stat.S_ISDIR(found.st_mode):
        raise FileError(
            Problem(str(out), "the output is not a folder", _kind(found), "choose another folder")
        )
    listed = _read_manifest(out / manifest_name)
    foreign = []
    for path in _contents(out):
        name = path.relative_to(out).as_posix()
        if name != manifest_name and not _is_unchanged(path, listed.get(name)):
            foreign.append(name)
    if foreign:
        shown = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if foreign[5:] else "")
        rule = "the folder holds files that snngen did not write, or that were changed since"
        raise FileError(Problem(str(out), rule, shown, "choose another folder, or empty this one"))


def _contents(out: Path) -> Iterator[Path]:
    """Everything under `out` but its folders and what lies in its `build/`, in order of name."""
    for path in sorted(out.iterdir()):
        is_folder = path.is_dir() and not path.is_symlink()
        if is_folder and path.name != BUILD:
            yield from (p for p in sorted(path.rglob("*")) if p.is_symlink() or not p.is_dir())
        elif not is_folder:
            yield path


def _read_manifest(path: Path) -> dict[str, str]:
    """File name -> SHA-256, empty where there is no valid manifest."""
    try:
        return _parse_manifest(path.read_bytes())
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}


def _parse_manifest(content: bytes) -> dict[str, str]:
    listed = json.loads(content)["files"]
    return {str(name): str(listed[name]) for name in listed}


def _is_unchanged(path: Path, digest: str | None) -> bool:
    if digest is None or not stat.S_ISREG(path.lstat().st_mode):
        return False
    with path.open("rb") as file:
        content = sha256()
        while chunk := file.read(2**20):
            content.update(chunk)
    return content.hexdigest() == digest


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, locked while in use and removed afterwards.

    A killed process loses its lock, so that the next one knows which folders nobody needs.
    """
    prefix = f".{path.name}.snngen-"
    for stale in path.parent.glob(f"{escape(prefix)}*"):
        with _lock(stale) as locked:
            if locked:
                shutil.rmtree(stale, ignore_errors=True)
    folder = path.parent / f"{prefix}{secrets.token_hex(8)}"
    folder.mkdir()
    with _lock(folder) as locked:
        if not locked:
            raise OSError(errno.EBUSY, "another snngen is writing here")
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Whether this process now holds `folder`, and no other one did."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # gone, or not a folder
        yield False
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locked = True
    except OSError:
        locked = False
    try:
        yield locked
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put(new: Path, out: Path, old: Path) -> None:
    """Rename folder `new` to `out`; what was there goes to `new` or to `old`."""
    try:
        new.rename(out)  # where `out` is absent or empty
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not _exchange(new, out):
            out.rename(old)
            new.rename(out)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two paths in one step; False where the system cannot."""
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(code, os.strerror(code))
