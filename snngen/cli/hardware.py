"""Chips as lines of text."""

from __future__ import annotations

from snngen.cli.console import table
from snngen.targets.hdl.emit import Emitted
from snngen.targets.hdl.family import Area
from snngen.targets.hdl.layout import Layout


def area_lines(made: Emitted) -> list[str]:
    """What a chip takes of its board and how fast it is, estimated; of a bitstream, as routed."""
    board, layout = made.layout.board, made.layout
    period = layout.period
    lines = [
        f"board {board.name}: {board.chip}",
        f"estimated: {_of(layout.area, board.has)}",
        f"           {period:,.0f} cycles from image to image"
        + (f", {1000 * period / board.hertz:.2f} ms" if board.hertz else ""),
    ]
    if made.made is not None:
        used = ", ".join(
            f"{some:,} of {there:,} {cell}"
            for cell, (some, there) in made.made.used.items()
            if some
        )
        sizes = ", ".join(f"{name} {len(text):,} bytes" for name, text in made.made.files.items())
        lines += [f"routed: {made.made.mhz:.1f} MHz; {used}", f"bitstream: {sizes}"]
    return lines


def area_table(layout: Layout) -> list[str]:
    """Layer by layer."""
    rows = [
        (
            name,
            fold.lanes,
            fold.banks,
            fold.bank_rows,
            "all" if fold.queued else layout.board.waiting,
            *layout.cores[name].numbers,
            round(layout.cycles[name].additions),
            round(layout.cycles[name].passes),
        )
        for name, fold in layout.folds.items()
    ]
    rows.append(("around them", "", "", "", "", *layout.around.numbers, "", ""))
    headers = (
        "layer",
        "lanes",
        "columns",
        "rows",
        "queue",
        "tables",
        "registers",
        "blocks",
        "multipliers",
    )
    return table((*headers, "cycles of additions", "of passes"), rows)


def _of(used: Area, there: Area) -> str:
    names = ("tables", "registers", "blocks of memory", "multipliers")
    return ", ".join(
        f"{some:,} of {most:,} {name}" if most else f"{some:,} {name}"
        for some, most, name in zip(used.numbers, there.numbers, names, strict=True)
        if some or most
    )
