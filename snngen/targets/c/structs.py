"""What the structs of the runtime's header take on a processor, read from their declarations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from snngen.resources import resource_dir
from snngen.targets.c.boards import ARM, AVR, RISCV

COMMENT = re.compile(r"/\*.*?\*/", re.S)
CHOICE = re.compile(r"#if SNN_8_BIT\n(.*?)#else\n(.*?)#endif", re.S)
ALIAS = re.compile(r"typedef (\w+) (\w+);")
STRUCT = re.compile(r"typedef struct \w+ \{(.*?)\} (\w+);", re.S)
QUALIFIER = re.compile(r"\b(?:const|struct|SNN_FLASH)\b")
NUMBERS = {"bool": 1, "uint8_t": 1, "int8_t": 1, "uint16_t": 2, "int16_t": 2, "int32_t": 4}
NUMBERS |= {"uint32_t": 4, "int64_t": 8}


@dataclass(frozen=True)
class Abi:
    """How a compiler lays out constants. `pointer`: bytes of a pointer and of size_t. `most`: the
    largest alignment of a number. `aggregates`: at least that of a variable that is an array or a
    struct, by the optimisation that it is compiled with. `is_8_bit`: as in the header.
    """

    pointer: int
    most: int
    aggregates: Mapping[str, int]
    is_8_bit: bool = False


ABIS: Mapping[str, Abi] = {
    ARM: Abi(pointer=4, most=8, aggregates={"-Os": 1, "-O2": 4}),
    RISCV: Abi(pointer=4, most=8, aggregates={"-Os": 4, "-O2": 4}),
    AVR: Abi(pointer=2, most=1, aggregates={"-Os": 1, "-O2": 1}, is_8_bit=True),
}


@dataclass(frozen=True)
class Type:
    """What a C type takes: `bytes`, at multiples of `align`."""

    bytes: int
    align: int


def padded(offset: int, align: int) -> int:
    """The next multiple of `align`."""
    return -(-offset // align) * align


@cache
def declarations(*, is_8_bit: bool) -> Mapping[str, tuple[str, ...]]:
    """The types of the fields of each struct of snn_model.h in order; of pointers "*"."""
    text = (resource_dir("runtime_c") / "include" / "snn_model.h").read_text("ascii")
    text = CHOICE.sub(r"\1" if is_8_bit else r"\2", COMMENT.sub("", text))
    found: dict[str, tuple[str, ...]] = {name: (kind,) for kind, name in ALIAS.findall(text)}
    for body, name in STRUCT.findall(text):
        types: list[str] = []
        for line in QUALIFIER.sub("", body).split(";"):
            if line.strip():
                kind, _, names = line.strip().partition(" ")
                types += ["*" if "*" in each else kind for each in names.split(",")]
        found[name] = tuple(types)
    return found


def type_of(name: str, abi: Abi) -> Type:
    """A number, "size_t", a pointer "*", or a struct of the header. KeyError for others."""
    if name in ("*", "size_t"):
        return Type(abi.pointer, min(abi.pointer, abi.most))
    if name in NUMBERS:
        return Type(NUMBERS[name], min(NUMBERS[name], abi.most))
    end, align = 0, 1
    declared = declarations(is_8_bit=abi.is_8_bit)[name]
    for field in (type_of(each, abi) for each in declared):
        end, align = padded(end, field.align) + field.bytes, max(align, field.align)
    return Type(padded(end, align), align)
