"""From a file to a ModelProto and arrays: what is damaged or hostile is refused here."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from snngen.errors import FileError, ModelError, Problem
from snngen.onnx_import.values import MAX_ELEMENTS, Refused
from snngen.ops.window import Array

MAX_BYTES = 2**29  # of a model file: its decoded form must also fit the memory of a small machine
OLDEST_OPSET = 7
STANDARD_DOMAINS = ("", "ai.onnx")


def parse(path: Path) -> onnx.ModelProto:
    """The model in the file, external data not loaded; raises FileError or ModelError."""
    place = f"file '{path}'"
    try:
        size = path.stat().st_size
        if path.exists() and not path.is_file():
            raise FileError(Problem(place, "is not a file", "", "name the .onnx file"))
        if size > MAX_BYTES:
            raise ModelError(
                Problem(place, f"a model may have at most {MAX_BYTES} bytes", f"{size} bytes")
            )
        content = path.read_bytes()
    except OSError as error:
        raise FileError(
            Problem(place, "cannot be read", str(error.strerror or error), "check the path")
        ) from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError; which module has it depends on the version
        raise ModelError(
            Problem(
                place,
                "is not an ONNX model, or it is damaged",
                str(error),
                "download or export it again (Git LFS pointers are a common cause)",
            )
        ) from None
    return model


def standard_opset(model: onnx.ModelProto) -> int:
    """The version of the standard operator set; raises ModelError for one outside the range."""
    newest = onnx.defs.onnx_opset_version()
    versions = [o.version for o in model.opset_import if o.domain in STANDARD_DOMAINS]
    if not versions:
        raise ModelError(Problem("the model", "declares no operator set", "", "export it again"))
    if not OLDEST_OPSET <= versions[0] <= newest:
        raise ModelError(
            Problem(
                "the model",
                f"the operator set must be {OLDEST_OPSET} to {newest}",
                f"opset {versions[0]}",
                "export with opset_version=13, or convert with onnx.version_converter",
            )
        )
    return int(versions[0])


def to_array(tensor: onnx.TensorProto, base_dir: Path | None) -> Array:
    """The tensor's numbers; raises Refused where it is inconsistent, too large, or points to a
    file outside the model's folder.
    """
    dims = list(tensor.dims)
    if any(d < 0 for d in dims):
        raise Refused("a tensor has a negative dimension", dims)
    if prod(dims) > MAX_ELEMENTS:
        raise Refused(f"a tensor may have at most {MAX_ELEMENTS} elements", dims)
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        tensor = _with_external_data(tensor, base_dir)
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:  # onnx validates little: TypeError, KeyError, ValueError and others
        raise Refused(
            "a tensor is damaged", f"dims {dims}, data type {tensor.data_type}: {error}"
        ) from None


def _with_external_data(tensor: onnx.TensorProto, base_dir: Path | None) -> onnx.TensorProto:
    """A copy of the tensor that holds its data, read from a file below `base_dir`."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if base_dir is None:
        raise Refused(
            "a tensor's data is in another file", location, "load the model from its file"
        )
    folder = base_dir.resolve()
    path = (folder / location).resolve()
    if not location or Path(location).is_absolute() or not path.is_relative_to(folder):
        raise Refused(
            "external data must lie in the model's folder",
            location,
            "put the data file beside the model and save the model again",
        )
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        offset, needed = int(entries.get("offset", 0)), prod(tensor.dims) * dtype.itemsize
        length = int(entries.get("length", needed))
    except (KeyError, ValueError, TypeError) as error:
        raise Refused("external data is described wrongly", f"{entries}: {error}") from None
    if length != needed or offset < 0:
        raise Refused(
            "external data has the wrong length",
            f"{length} bytes at {offset} for {list(tensor.dims)} of {dtype}",
        )
    if not path.is_file():
        raise Refused(
            "external data is missing", location, "the model has several files: keep them together"
        )
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(needed)
    except OSError as error:
        raise Refused("external data cannot be read", f"{location}: {error.strerror}") from None
    if len(data) != needed:
        raise Refused("external data is truncated", f"{location}: {len(data)} of {needed} bytes")
    loaded = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, raw_data=data)
    loaded.dims.extend(tensor.dims)
    return loaded
