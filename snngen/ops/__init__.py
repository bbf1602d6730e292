"""The operators of a network, float and integer alike: one frozen dataclass per file.

An operator knows shapes, its own arithmetic (exact in any dtype wide enough), bounds and fan-out.
Values have shape (batch, C, H, W); a vector of n values is (n, 1, 1), a 1-D signal (C, 1, L).

Weighted operators (`Conv`, `Linear`, `Scale`) carry one weight per synapse and turn spikes into
current. Wiring operators (`SumPool`, `Select`, `MaxPool`) carry none: they pass integers on
unchanged in kind.
"""

from snngen.ops.conv import Conv
from snngen.ops.interval import Interval
from snngen.ops.linear import Linear
from snngen.ops.max_pool import MaxPool
from snngen.ops.scale import Scale
from snngen.ops.select import Select
from snngen.ops.sum_pool import SumPool
from snngen.ops.window import Pads, Shape, Window

WeightedOp = Conv | Linear | Scale
WiringOp = SumPool | Select | MaxPool
Op = WeightedOp | WiringOp

WEIGHTED: tuple[type[WeightedOp], ...] = (Conv, Linear, Scale)
WIRING: tuple[type[WiringOp], ...] = (SumPool, Select, MaxPool)

__all__ = [
    "WEIGHTED",
    "WIRING",
    "Conv",
    "Interval",
    "Linear",
    "MaxPool",
    "Op",
    "Pads",
    "Scale",
    "Select",
    "Shape",
    "SumPool",
    "WeightedOp",
    "Window",
    "WiringOp",
]
