"""A trained model as a standard ONNX file that says itself what is quantised."""

from __future__ import annotations

import warnings
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import onnx
import torch
from onnx import ModelProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from snngen.files import write_file
from snngen.train.weights import Grid

OPSET = 17


def export_onnx(model: nn.Module, example: Tensor, path: str | Path) -> None:
    """Write `model`, as it evaluates, to the ONNX file `path`; `example` is a batch of what it
    reads, (N, C, H, W), of any size N.

    Activations are chains of standard operators and batch norms nodes of their own, which `snngen
    convert` reads as what they are; weights of `ternary` and `integer` are int8 with a
    DequantizeLinear behind. The file needs no other beside it.
    """
    write_file(Path(path), onnx_bytes(model, example))


def onnx_bytes(model: nn.Module, example: Tensor) -> bytes:
    """What `export_onnx` writes."""
    plain = deepcopy(model).eval()
    parametrised = [(name, m) for name, m in plain.named_modules() if is_parametrized(m)]
    grids = {name: _grid(module) for name, module in parametrised}
    values = [_values(module) for _, module in parametrised]  # of all first: some rest on others
    for (_, module), made in zip(parametrised, values, strict=True):
        _make_plain(module, made)
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an exporter older than that by torch.export
        torch.onnx.export(
            plain,
            (example[:1],),
            buffer,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "batch"}, "scores": {0: "batch"}},
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.PRESERVE,  # or it would merge batch norms
            do_constant_folding=False,
            dynamo=False,
        )
    made = onnx.load_from_string(buffer.getvalue())
    for name, grid in grids.items():
        if grid is not None:
            _store_as_bytes(made, f"{name}.weight".lstrip("."), *grid)
    onnx.checker.check_model(made)
    content: bytes = made.SerializeToString()
    return content


def _grid(module: nn.Module) -> tuple[Tensor, Tensor] | None:
    """Integers and units of the weight, where its last parametrisation makes them."""
    if not is_parametrized(module, "weight"):
        return None
    *before, last = module.parametrizations.weight
    weight = module.parametrizations.weight.original.detach()
    for parametrisation in before:
        weight = parametrisation(weight)
    return last.split(weight) if isinstance(last, Grid) and last.bits <= 8 else None


def _values(module: nn.Module) -> dict[str, Tensor]:
    """The numbers that a parametrised module computes with."""
    return {name: getattr(module, name).detach() for name in module.parametrizations}


def _make_plain(module: nn.Module, values: dict[str, Tensor]) -> None:
    """Leaves `module`, a copy, the numbers that it computes with. (What torch has for this removes
    them from the class, which is also that of the module that was copied.)
    """
    module.__class__ = type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        setattr(module, name, nn.Parameter(value))


def _store_as_bytes(model: ModelProto, name: str, integers: Tensor, unit: Tensor) -> None:
    """The constant `name` as integers * unit along its first axis."""
    graph = model.graph
    tensors = [t for t in graph.initializer if t.name == name]
    if not tensors:
        return  # torch stores equal ones once, under the name of the first
    graph.initializer.remove(tensors[0])
    parts = {f"{name}.int8": integers.to(torch.int8), f"{name}.unit": unit}
    graph.initializer.extend(numpy_helper.from_array(v.numpy(), k) for k, v in parts.items())
    graph.node.insert(0, helper.make_node("DequantizeLinear", list(parts), [name], axis=0))
