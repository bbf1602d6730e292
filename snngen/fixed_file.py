"""The `.snn` file: a FixedNet in one file, the same bytes for the same network, and nothing that
executes.

    magic    8 bytes   89 53 4E 4E 0D 0A 1A 0A, which text-mode transfers destroy
    version  u32 LE    3
    length   u64 LE    of the header
    header             JSON: keys sorted, no spaces, ASCII; the fields of the dataclasses by name
    arrays             raw little-endian, in the order in which the header mentions them
    digest  32 bytes   SHA-256 of everything before it; its hex form names the network

An array stands in the header as {"array": dtype, "shape": [...]}, with the smallest signed dtype
that holds its values. Reading checks the digest, the schema, every invariant of a FixedNet and the
overflow proof, and that writing the network again gives the same bytes.
"""

from __future__ import annotations

import json
import struct
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen.check_fixed import check_fixed
from snngen.errors import FileError, Problem, printable
from snngen.files import read_file, write_file
from snngen.fixed import FixedNet
from snngen.schema import decode, encode

MAGIC = b"\x89SNN\r\n\x1a\n"
VERSION = 3
MAX_BYTES = 2**26
MAX_HEADER = 2**22
MAX_DIMENSIONS = 4
LONGEST_MESSAGE = 200
PREFIX = struct.Struct("<8sIQ")
DIGEST_BYTES = 32
DTYPES = {name: np.dtype(name).newbyteorder("<") for name in ("int8", "int16", "int32", "int64")}
FLOAT = np.dtype("<f8")
REPEAT = "the file is damaged: copy it again, or convert the model again"


def save(net: FixedNet, path: Path) -> None:
    """Write `net` to `path`, at once or not at all; FileError where that fails."""
    write_file(path, dumps(net))


def load(path: Path) -> FixedNet:
    """The network in the file at `path`; FileError where it is missing, damaged or from a newer
    snngen.
    """
    return loads(read_file(path, MAX_BYTES), str(path))


def digest(net: FixedNet) -> str:
    """The 64 hexadecimal digits that name the exact content of `net`."""
    return dumps(net)[-DIGEST_BYTES:].hex()


def dumps(net: FixedNet) -> bytes:
    """`net` as the bytes of its file."""
    arrays: list[bytes] = []
    header = _canonical(_detach(encode(net), arrays))
    body = b"".join([PREFIX.pack(MAGIC, VERSION, len(header)), header, *arrays])
    return body + sha256(body).digest()


def loads(data: bytes, where: str) -> FixedNet:
    """The network in the bytes of a file called `where`; FileError where they are not one."""
    header, arrays = _open(data, where)
    try:
        tree = _attach(_parse(header), _Cursor(arrays))
        net: FixedNet = decode(FixedNet, tree, "network")
        check_fixed(net)
    except ValueError as error:
        raise _damaged(where, str(error)) from error
    if dumps(net) != data:
        raise _damaged(where, "the network is not written in its one canonical form")
    return net


def _damaged(where: str, found: str) -> FileError:
    short = found if len(found) <= LONGEST_MESSAGE else found[:LONGEST_MESSAGE] + "..."
    return FileError(Problem(where, "not a valid .snn file", short, REPEAT))


def _open(data: bytes, where: str) -> tuple[bytes, memoryview]:
    """Header and arrays of a file whose magic, version, digest and lengths are right."""
    if not data.startswith(MAGIC):
        raise FileError(
            Problem(
                where,
                "not an .snn file",
                f"it begins with {printable(data[:8])}" if data else "it is empty",
                "snngen convert MODEL.onnx -o NETWORK.snn makes one",
            )
        )
    if len(data) < PREFIX.size + DIGEST_BYTES:
        raise _damaged(where, f"it ends after {len(data)} bytes")
    _, version, length = PREFIX.unpack_from(data)
    if version != VERSION:
        raise FileError(
            Problem(
                where,
                f"the file has format version {version}, this snngen reads version {VERSION}",
                hint="install a newer snngen" if version > VERSION else "convert the model again",
            )
        )
    if sha256(data[:-DIGEST_BYTES]).digest() != data[-DIGEST_BYTES:]:
        raise _damaged(where, "the content does not have the digest at its end")
    content = memoryview(data)[PREFIX.size : -DIGEST_BYTES]
    if length > min(len(content), MAX_HEADER):
        raise _damaged(where, f"a header of {length} bytes in a file of {len(data)}")
    return bytes(content[:length]), content[length:]


def _canonical(header: object) -> bytes:
    return json.dumps(
        header, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    ).encode("ascii")


def _parse(header: bytes) -> object:
    """The header's JSON value; ValueError where it is not JSON in canonical form."""
    try:
        value: object = json.loads(header)
        canonical = _canonical(value) == header
    except RecursionError:
        raise ValueError("the header is nested too deeply") from None
    if not canonical:
        raise ValueError("the header is not in canonical form")
    return value


def _detach(value: Any, arrays: list[bytes]) -> Any:
    """`value` with its arrays replaced by their descriptions and appended to `arrays`."""
    if isinstance(value, dict):
        return {key: _detach(value[key], arrays) for key in sorted(value)}
    if isinstance(value, list):
        return [_detach(item, arrays) for item in value]
    if isinstance(value, np.ndarray):
        dtype = _smallest(value)
        arrays.append(value.astype(dtype).tobytes())
        return {"array": dtype.name, "shape": list(value.shape)}
    return value


def _smallest(values: NDArray[Any]) -> np.dtype[Any]:
    if values.dtype.kind == "f":
        return FLOAT
    lowest, highest = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for dtype in DTYPES.values():
        if np.iinfo(dtype).min <= lowest and highest <= np.iinfo(dtype).max:
            return dtype
    raise AssertionError("an array of integers beyond 64 bits")


def _attach(value: Any, cursor: _Cursor) -> Any:
    """The inverse of `_detach`; ValueError where the arrays and the descriptions do not match."""
    attached = _attach_from(value, cursor)
    if cursor.left:
        raise ValueError(f"{cursor.left} bytes that no array claims")
    return attached


def _attach_from(value: Any, cursor: _Cursor) -> Any:
    if isinstance(value, list):
        return [_attach_from(item, cursor) for item in value]
    if isinstance(value, dict):
        if "array" in value:
            return cursor.take(value)
        return {key: _attach_from(value[key], cursor) for key in sorted(value)}
    return value


class _Cursor:
    """Takes arrays off the front of the file's array bytes, never more than there are."""

    def __init__(self, content: memoryview) -> None:
        self.content = content

    @property
    def left(self) -> int:
        return len(self.content)

    def take(self, description: dict[str, Any]) -> NDArray[Any]:
        """Integers as int64, floats as float64; ValueError where the bytes do not suffice."""
        name, shape = description["array"], description.get("shape")
        dtype = FLOAT if name == FLOAT.name else DTYPES.get(name) if isinstance(name, str) else None
        if dtype is None or set(description) != {"array", "shape"}:
            raise ValueError(f"an array is described as {description}")
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"an array has the shape {shape}")
        if len(shape) > MAX_DIMENSIONS or prod(shape) * dtype.itemsize > self.left:
            raise ValueError(f"an array of shape {shape} where {self.left} bytes are left")
        size = prod(shape) * dtype.itemsize
        taken, self.content = self.content[:size], self.content[size:]
        wide = np.float64 if dtype is FLOAT else np.int64
        return np.frombuffer(taken, dtype).reshape(shape).astype(wide)
