"""Proves everything in `hdl.proofs.table`, each also with its bug, and writes docs/hdl-proofs.md.

python -m hdl.proofs [WORD]    only what has WORD in its name, and writes nothing
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hdl.proofs.engine import Verdict, check, planted
from hdl.proofs.table import PROOFS, Proof

PAGE = Path(__file__).parents[2] / "docs" / "hdl-proofs.md"
BEGIN, END = "<!-- proofs -->\n", "<!-- end -->\n"
HEAD = [
    "| core | claim | size | proven | seconds | the bug that was planted | what it broke |",
    "|---|---|---|---|---|---|---|",
]


def proven(proof: Proof) -> tuple[Verdict, Verdict]:
    """Of the core, and of the core with the bug."""
    sound = check(proof.make, proof.engine, proof.depth)
    with planted(proof.bug):
        broken = check(proof.make, proof.engine, proof.depth, only=proof.bug.breaks)
    return sound, broken


def row(proof: Proof, sound: Verdict, broken: Verdict) -> str:
    """Of the table."""
    reach = {
        "pdr": "for every cycle",
        "bmc": f"for {proof.depth} cycles",
        "window": f"for every cycle, by {proof.depth} from any state",
    }[proof.engine]
    state = reach if sound.holds else f"NOT: {sound.broken or sound.missed or 'undecided'}"
    change = f"becomes `{proof.bug.new}`" if proof.bug.new else "is missing"
    bug = f"`{proof.bug.old.strip()}` {change}".replace("|", "\\|")
    cells = [
        proof.name, proof.claim, proof.size, state, f"{sound.seconds:.1f}", bug,
        broken.broken or "NOTHING",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def main(words: Sequence[str]) -> None:
    """Of the proofs whose names have all `words`."""
    rows, failures = [], 0
    for proof in PROOFS:
        if all(word in proof.name for word in words):
            sound, broken = proven(proof)
            failures += not sound.holds or broken.broken != proof.bug.breaks
            rows.append(row(proof, sound, broken))
            print(rows[-1], flush=True)
    if not words:
        text = PAGE.read_text()
        head, foot = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
        PAGE.write_text(head + "\n".join([*HEAD, *rows]) + "\n" + foot)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main(sys.argv[1:])
