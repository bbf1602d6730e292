"""Frama-C proves the absence of run-time errors, and reports those that are planted."""

from __future__ import annotations

import pytest

from snngen.targets.c.emit import emit
from snngen.targets.c.schedule import Optimise, Preference
from tests.assurance.networks import FORMS
from tests.assurance.prove import NETWORKS, WIDTH, level_network, prove

QUICK = ("level", FORMS[2])


@pytest.fixture(autouse=True)
def frama_c(require) -> None:
    require("frama-c")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        pytest.param(name, form, marks=[] if (name, form) == QUICK else [pytest.mark.slow])
        for name in NETWORKS
        for form in FORMS
    ],
)  # fmt: skip
def test_no_run_time_error(name: str, form: tuple[Preference, Optimise]) -> None:
    proof = prove(NETWORKS[name](WIDTH), *form)
    assert proof.alarms == ()
    assert proof.reached > 600


PLANTED = {  # in the runtime: one too many, a product that is too large, a column too wide
    "snn_climb.c": (b"while (level < neuron->levels",
                    b"while (level <= neuron->levels", "out of bounds read"),
    "snn_packed.c": (b"value * *weights++", b"value * *weights++ * 1048576", "signed overflow"),
    "snn_lanes.c": (b"at + window->kernel_width]", b"at + window->kernel_width + 1]",
                    "uninitialized"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "optimise"),
    [
        ("snn_climb.c", "size"),
        pytest.param("snn_packed.c", "size", marks=pytest.mark.slow),
        pytest.param("snn_lanes.c", "speed", marks=pytest.mark.slow),
    ],
)
def test_what_is_planted_is_reported(file: str, optimise: Optimise) -> None:
    sound, planted, said = PLANTED[file]
    net = level_network(WIDTH)
    content = emit(net)[f"runtime/{file}"]
    assert sound in content
    changes = {f"runtime/{file}": content.replace(sound, planted)}
    alarms = prove(net, optimise=optimise, changes=changes).alarms
    assert any(said in alarm for alarm in alarms), alarms
