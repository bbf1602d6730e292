"""What was found out so far, in a folder: a run that was killed goes on where it was.

`findings.jsonl` holds one finding per line, on disk before the next one is written; a last line
that was cut short is cut off. A finding's key is the digest of all that it depends on, so that one
folder may serve several models, data and goals. Networks lie beside it, named by their digests.
"""

from __future__ import annotations

import fcntl
import json
import os
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from snngen import __version__, fixed_file
from snngen.errors import FileError, Problem
from snngen.files import read_file, reporting, write_file

FINDINGS = "findings.jsonl"
MAX_BYTES = 2**28


def key_of(*parts: str | bytes) -> str:
    """The digest of all that a finding depends on, the version of snngen included."""
    content = sha256(__version__.encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        content.update(len(data).to_bytes(8, "little") + data)
    return content.hexdigest()


class Journal:
    """Findings, JSON values by key, in `folder`, which one process holds at a time. FileError where
    the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, folder / FINDINGS
        self._findings: dict[str, Any] = {}

    def __enter__(self) -> Journal:
        with reporting(self._folder, "cannot hold what is found out"):
            self._folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o666)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(self._file)
                rule, hint = "is in use by another run of snngen tune", "wait, or use --resume"
                raise FileError(Problem(str(self._folder), rule, hint=hint)) from error
            content = read_file(self._path, MAX_BYTES)
            whole = content.rfind(b"\n") + 1
            os.ftruncate(self._file, whole)
        for line in content[:whole].splitlines():
            self._remember(line)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def find(self, key: str) -> Any:
        """The finding with that key, or None."""
        return self._findings.get(key)

    def add(self, key: str, value: Any) -> None:
        """Keep a finding from now on; it is on disk on return."""
        self._findings[key] = value
        line = json.dumps([_check(key, value), key, value], sort_keys=True, separators=(",", ":"))
        with reporting(self._path, "cannot be written"):
            rest = line.encode() + b"\n"
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)

    def network(self, digest: str) -> bytes | None:
        """The .snn file of that network, or None where it is not whole."""
        try:
            content = read_file(self._network_path(digest), fixed_file.MAX_BYTES)
        except FileError:
            return None
        body, tail = content[: -len(digest) // 2], content[-len(digest) // 2 :]
        return content if sha256(body).hexdigest() == tail.hex() == digest else None

    def add_network(self, content: bytes) -> None:
        """Keep the .snn file of a network."""
        write_file(self._network_path(content[-32:].hex()), content)

    def _network_path(self, digest: str) -> Path:
        return self._folder / f"{digest}.snn"

    def _remember(self, line: bytes) -> None:
        """What is not as it was written is not used."""
        try:
            check, key, value = json.loads(line)
            if check == _check(key, value):
                self._findings[key] = value
        except (ValueError, TypeError, RecursionError):
            return


def _check(key: str, value: Any) -> str:
    return key_of(key, json.dumps(value, sort_keys=True))[:16]
