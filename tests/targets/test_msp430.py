"""Emitted C on an MSP430, whose int has 16 bits, as its addresses have: the self-test, which knows
every spike and membrane.
"""

from __future__ import annotations

import pytest

from snngen.fixed import FixedNet
from snngen.targets.c.emit import emit
from tests.drawn import drawn, way
from tests.networks import level_showcase, random_images, spiking_showcase
from tests.targets.msp430 import TOOLS, selftest

SELFTEST_FAILED = -5


@pytest.fixture(autouse=True)
def tools(require) -> None:
    for tool in TOOLS:
        require(tool)


@pytest.mark.parametrize("net", [level_showcase(), spiking_showcase()], ids=["level", "if"])
def test_small_networks_are_equal(net: FixedNet) -> None:
    assert selftest(emit(net, selftest_images=random_images(net, 1))) == 0


@pytest.mark.parametrize("number", [3, 9, 26])
def test_random_networks_are_equal(number: int) -> None:
    net, (schedule, optimise) = drawn(number), way(number)
    assert selftest(emit(net, schedule=schedule, optimise=optimise)) == 0


def test_a_fault_is_found() -> None:
    emitted = dict(emit(level_showcase()))
    text = emitted["model.c"].decode()
    assert text.count("layer4_bias[10] = {\n    ") == 1
    wrong = text.replace("layer4_bias[10] = {\n    ", "layer4_bias[10] = {\n    1 +")
    assert selftest({**emitted, "model.c": wrong.encode()}) == SELFTEST_FAILED
