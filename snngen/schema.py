"""Dataclasses to and from trees of dicts, lists, numbers, strings and arrays, by their type hints.

The tree of a dataclass is a dict of its fields and, under "kind", its name. `decode` accepts
exactly what `encode` makes.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

KIND = "kind"


def encode(value: Any) -> Any:
    """The tree of a dataclass and all that it holds; arrays stay arrays."""
    if is_dataclass(value):
        tree = {
            field.name: encode(getattr(value, field.name)) for field in fields(value) if field.init
        }
        return {KIND: type(value).__name__, **tree}
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def decode(hint: Any, tree: Any, where: str) -> Any:
    """The value of type `hint` that `tree` stands for; ValueError, naming the place, if there is
    none.
    """
    origin = get_origin(hint)
    if hint is NoneType:
        return _expect(tree, tree is None, "null", where)
    if origin in (Union, UnionType):
        return _decode_union(get_args(hint), tree, where)
    if is_dataclass(hint) and isinstance(hint, type):
        return _decode_dataclass(hint, tree, where)
    if origin is Literal:
        choices = get_args(hint)
        return _expect(tree, type(tree) is str and tree in choices, f"one of {choices}", where)
    if origin is tuple:
        return _decode_tuple(get_args(hint), tree, where)
    if origin in (np.ndarray, get_origin(NDArray[Any])):
        return _decode_array(hint, tree, where)
    if hint is str:
        return _expect(tree, type(tree) is str and _is_text(tree), "text", where)
    assert hint in (int, float, bool), f"a field of type {hint} cannot be written to a file"
    return _expect(tree, type(tree) is hint, hint.__name__, where)


def _expect(tree: Any, right: bool, what: str, where: str) -> Any:
    if not right:
        raise ValueError(f"{where} must be {what}, not {_short(tree)}")
    return tree


def _short(tree: Any) -> str:
    text = type(tree).__name__ if isinstance(tree, dict | list | np.ndarray) else repr(tree)
    return text if len(text) <= 60 else text[:60] + "..."


def _is_text(text: str) -> bool:
    """Without lone surrogates, which JSON can hold and no terminal or file can."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _decode_union(members: tuple[Any, ...], tree: Any, where: str) -> Any:
    if tree is None and NoneType in members:
        return None
    others = [member for member in members if member is not NoneType]
    if len(others) == 1:
        return decode(others[0], tree, where)
    by_name = {member.__name__: member for member in others}
    kind = tree.get(KIND) if isinstance(tree, dict) else None
    if not isinstance(kind, str) or kind not in by_name:
        raise ValueError(f"{where} must be one of {', '.join(by_name)}, not {_short(kind)}")
    return _decode_dataclass(by_name[kind], tree, where)


def _decode_dataclass(cls: Any, tree: Any, where: str) -> Any:
    hints = _field_hints(cls)
    _expect(tree, isinstance(tree, dict), cls.__name__, where)
    _expect(tree.get(KIND), tree.get(KIND) == cls.__name__, cls.__name__, f"{where}: its kind")
    missing, unknown = (
        sorted(hints.keys() - tree.keys()),
        sorted(tree.keys() - hints.keys() - {KIND}),
    )
    if missing or unknown:
        raise ValueError(f"{where}: missing {missing}, unknown {unknown}")
    values = {name: decode(hint, tree[name], f"{where}.{name}") for name, hint in hints.items()}
    try:
        return cls(**values)
    except (ValueError, AssertionError) as error:
        raise ValueError(f"{where}: {str(error) or f'not a valid {cls.__name__}'}") from error


@cache
def _field_hints(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls) if field.init}


def _decode_tuple(items: tuple[Any, ...], tree: Any, where: str) -> tuple[Any, ...]:
    _expect(tree, isinstance(tree, list), "a list", where)
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(tree)
    if len(items) != len(tree):
        raise ValueError(f"{where} must have {len(items)} items, not {len(tree)}")
    return tuple(
        decode(item, value, f"{where}[{k}]")
        for k, (item, value) in enumerate(zip(items, tree, strict=True))
    )


def _decode_array(hint: Any, tree: Any, where: str) -> Any:
    """An array in the dtype of its hint; one without a dtype of its own holds integers, int64."""
    # NDArray[T] is ndarray[..., dtype[T]], or where NumPy defines it as a type alias, itself
    (scalar,) = get_args(get_args(hint)[1]) if get_origin(hint) is np.ndarray else get_args(hint)
    dtype = np.dtype(np.int64 if scalar is Any else scalar)
    is_array = isinstance(tree, np.ndarray) and (tree.dtype.kind == "f") == (dtype.kind == "f")
    _expect(tree, is_array, f"an array of {dtype}", where)
    values = tree.astype(dtype)
    if dtype.kind == "i" and not np.array_equal(values, tree):
        raise ValueError(f"{where} must hold values of {dtype}, not {tree.min()}..{tree.max()}")
    return values
