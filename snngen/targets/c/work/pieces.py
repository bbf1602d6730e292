"""The pieces of the runtime's code whose turns are counted: bodies of loops, mostly.

A name is the function or what several functions do, a dot, and the part of it. Every piece has a
coefficient for every processor that has it, in `estimated/BOARD.json`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float64]
TYPES = ("bits", "u8", "i8", "i16", "i32")


def _of(kernel: str, parts: str) -> tuple[str, ...]:
    return tuple(f"{kernel}.{part}" for part in parts.split())


_SUMS = "call slice event"

SHARED = (
    *_of("model", "run byte code output"),  # the input and the class
    *_of("gather", "call line step synapse prepare"),
    *_of("clear", "call block byte"),  # blocks of 32 bytes
    *_of("copy", "call four word"),
    *_of("array", "call i8 i16 i32"),  # parameters of channels, widened
    *_of("get", " ".join(TYPES)),  # an element, wherever its type is asked for
    *_of("at", "i8 i16 i32"),  # the same of parameters
    *_of("widen", f"call {' '.join(TYPES)}"),  # snn_get_row
    *_of("put", f"call eight {' '.join(TYPES)}"),  # snn_put_row; bits by eights, and the others
    *_of("add_row", f"call byte bit place {' '.join(TYPES[1:3])} any"),
    *_of("products", "call bytes byte bit place any"),
    *_of("add_events", "call element bit event eight rest any"),
    *_of("packed", "column tap row place event four rest"),
    *_of("packed_any", "row position output"),
    *_of("unpack_bits", "weight"),
    *_of("unpack_ternary", "weight"),
    *_of("conv", "position row tap"),
    *_of("linear", "call byte event flush row"),
    *_of("depthwise", "line position eight row u8 i8"),
    *_of("depthwise_any", "position row tap"),
    *_of("scale", "position"),
    *_of("sum_pool", "position row tap product"),
    *_of("max_pool", "position row tap element higher"),
    *_of("max_pool_counts", "call step tap element channel behind"),
    *_of("select", "position channel taken"),
    *_of("list", "call line row column position u8 event byte bit place i8 any"),
    *_of("merged", "line column quad quad_row zero element event"),
    *_of("slices", "call row position tested found add merged"),
    *_of("if", "call position"),
    *_of("if_bits", "eight rest spike"),
    *_of("if_signed", "neuron"),
    *_of("if_clamped", "neuron"),
    *_of("if_any", "neuron bounded spike divided signed"),
    *_of("trains", "line channel neuron active step spike"),
    *_of("accumulate", "neuron"),
    *_of("saturate", "neuron"),
    *_of("pool_bits", "line position byte bit place"),
    *_of("pool_words", "line position single pair"),
    *_of("pool_bytes", "line position sum maximum"),
    *_of("pool_values", "line position tap raised"),
    *_of("level", "call channel"),
    *_of("climb", "channel neuron fired step"),
    *_of("add_8", _SUMS),
    *_of("add_4", _SUMS),
)
WORDS = (  # of processors of more than 8 bits
    *_of("lanes_16", "call"),
    *_of("lanes_8", "call slice event"),
    *_of("lanes_4", "call slice event"),
    *_of("lanes_2", "call slice event"),
    *_of("unpack", "output"),
    *_of("wide_8", "call slice event"),
    *_of("wide_4", "call slice event output"),
    *_of("level_bytes", "neuron fired wide wide_fired"),
    *_of("levels", "neuron fired wide wide_fired"),
    *_of("compared", "neuron fired step"),
)
BYTES = (  # of those of 8 bits
    *_of("lanes_last", "output"),
    *_of("lanes_any", "slice event output"),
    *_of("search_bytes", "neuron fired"),
    *_of("search", "neuron half step"),
)


def pieces(*, is_8_bit: bool) -> tuple[str, ...]:
    """All that a processor can run."""
    return SHARED + (BYTES if is_8_bit else WORDS)


class Tally:
    """Turns of pieces, float64 (runs,) each."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.turns: dict[str, Counts] = {}

    def add(self, piece: str, turns: Counts | float) -> None:
        """So many more, (runs,) or the same in every run."""
        before = self.turns.get(piece)
        self.turns[piece] = np.broadcast_to(
            np.asarray(turns, np.float64) + (0 if before is None else before), (self.runs,)
        )

    def add_all(self, kernel: str, **turns: Counts | float) -> None:
        """The same of several parts of a kernel."""
        for part, count in turns.items():
            self.add(f"{kernel}.{part}", count)
