"""How long a pipeline takes, beside chips that run; and where lanes, banks and queues go."""

from __future__ import annotations

import numpy as np
import pytest

from snngen.fixed import FixedNet
from snngen.neurons import Accumulate, Level
from snngen.ops import Conv, Linear, Window
from snngen.spiking import INPUT
from snngen.targets.hdl.boards import BOARDS
from snngen.targets.hdl.fold import Cycles, cycles, pace
from snngen.targets.hdl.layout import lay_out
from snngen.targets.hdl.plan import Fold, plan_layer
from tests.chips import small
from tests.networks import Builder, fixed_input


def residual() -> FixedNet:
    """Of a layer's events, one branch goes through another layer, and one past it."""
    rng = np.random.default_rng(5)
    builder = Builder(fixed_input(rng, (1, 4, 4), "HWC", 0, 40), 1)
    levels = Level(np.array([[40, 90, 200]] * 2))

    def conv(channels: int) -> Conv:
        weights = rng.integers(-7, 8, (2, channels, 3, 3))
        return Conv(weights, Window((3, 3), pads=(1, 1, 1, 1)))

    builder.add("fork", [(INPUT, conv(1))], None, levels)
    builder.add("branch", [("fork", conv(2))], None, levels)
    builder.add("join", [("fork", conv(2)), ("branch", conv(2))], None, levels)
    dense = Linear(rng.integers(-7, 8, (3, 2, 4, 4)))
    builder.add("dense", [("join", dense)], None, Accumulate())
    return builder.finish()


@pytest.mark.parametrize(("queued", "expected"), [(False, 300), (True, 201)])
def test_a_queue_frees_a_layer(queued: bool, expected: float) -> None:
    """Without one, `conv` adds nothing while `dense` takes what it sends."""
    taken = {"conv": Cycles((100.0,), 10, queued), "dense": Cycles((200.0,), 1, False)}
    assert pace(small(), taken) == expected


def test_the_input_may_be_slowest() -> None:
    taken = {"conv": Cycles((3.0,), 1, False), "dense": Cycles((2.0,), 1, False)}
    assert pace(small(), taken) == 2 * 6 * 5  # its bytes


def test_layers_of_a_residual_block_take_turns() -> None:
    """`join` takes the events of `fork` for the next image when it is done with this one."""
    taken = {
        "fork": Cycles((10.0,), 1, True),
        "branch": Cycles((100.0,), 1, True),
        "join": Cycles((50.0, 100.0), 1, True),
        "dense": Cycles((5.0,), 1, True),
    }
    assert pace(residual(), taken) >= 100 + 100


@pytest.mark.parametrize("fold", [Fold(), Fold(banks=3), Fold(2, 3, 2), Fold(2, 3, 3)])
def test_operations_are_counted(fold: Fold) -> None:
    """An event of each neuron: as many cycles as its operations, and those in which the next one
    waits for its sums.
    """
    net = small()
    layer = net["conv"]
    plan = plan_layer(net, layer, fold, 4)
    rates = {INPUT: np.ones(net.input.shape)}
    rows, columns = (-(-3 // n) for n in (fold.bank_rows, fold.banks))
    groups = -(-3 // fold.lanes)
    inner = rows * columns * groups
    found = cycles(net, layer, plan, rates)
    assert found.passes == 6 * 5 * groups
    most = 60 * max(inner, 3)
    assert 0.5 * most < found.additions <= most  # at the borders there are fewer


def test_room_is_used_where_it_helps() -> None:
    """On a large board, images follow each other as closely as they arrive."""
    net = small()
    layout = lay_out(net, BOARDS["generic"])
    least = lay_out(net, BOARDS["icebreaker"])
    assert layout.period <= least.period
    assert any(fold != Fold() for fold in layout.folds.values())
