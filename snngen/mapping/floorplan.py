"""The chips of a mapping as a drawing: which core holds what."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from snngen.errors import printable
from snngen.mapping.cores import Core
from snngen.mapping.mapping import Mapping

SIDE = 12  # pixels of a core
MARGIN = 24
LINE = 18  # pixels of a line of the legend
LEGEND = 300
PARTS = (0.62, 0.75, 0.50)  # lightness, one after the other, so that neighbours differ
UNUSED = "#eee"


def floorplan(mapping: Mapping) -> str:
    """An SVG document: chips side by side, a square for each core, coloured by layer; a mouse that
    rests on one is told what the core holds.
    """
    device = mapping.device
    chip = device.columns * SIDE
    left = MARGIN + mapping.chips * (chip + MARGIN)
    names = list(mapping.layers)
    width = left + LEGEND
    height = max(2 * MARGIN + device.rows * SIDE, 2 * MARGIN + (len(names) + 2) * LINE)
    colours = {name: _colour(k, len(names)) for k, name in enumerate(names)}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        *_chips(mapping, colours),
        *_legend(mapping, colours, left),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _chips(mapping: Mapping, colours: dict[str, str]) -> Iterator[str]:
    device = mapping.device
    for chip in range(mapping.chips):
        x0 = MARGIN + chip * (device.columns * SIDE + MARGIN)
        yield f'<text x="{x0}" y="{MARGIN - 8}">chip {chip}</text>'
        yield (
            f'<rect x="{x0}" y="{MARGIN}" width="{device.columns * SIDE}" '
            f'height="{device.rows * SIDE}" fill="{UNUSED}"/>'
        )
    for number, core in enumerate(mapping.cores):
        chip, within = divmod(number, device.cores)
        column, row = divmod(within, device.rows)
        x = MARGIN + chip * (device.columns * SIDE + MARGIN) + column * SIDE
        yield from _core(number, core, x, MARGIN + row * SIDE, colours)


def _core(number: int, core: Core, x: int, y: int, colours: dict[str, str]) -> Iterator[str]:
    """A square, divided among the layers that share the core."""
    layers = list(dict.fromkeys(group.layer for group in core.groups))
    held = ", ".join(
        f"{printable(layer)} {sum(len(g.neurons) for g in core.groups if g.layer == layer)}"
        for layer in layers
    )
    title = escape(f"core {number}: neurons {held}; {core.fan_in} axons")
    yield f"<g><title>{title}</title>"
    part = (SIDE - 1) / len(layers)
    for k, layer in enumerate(layers):
        yield (
            f'<rect x="{x + k * part:g}" y="{y}" width="{part:g}" height="{SIDE - 1}" '
            f'fill="{colours[layer]}"/>'
        )
    yield "</g>"


def _legend(mapping: Mapping, colours: dict[str, str], x: int) -> Iterator[str]:
    there = mapping.chips * mapping.device.cores
    entries = [
        (colours[name], f"{printable(name)}: {len(numbers):,}")
        for name, numbers in mapping.cores_of.items()
    ]
    entries.append((UNUSED, f"unused: {there - len(mapping.cores):,} of {there:,}"))
    yield f'<text x="{x}" y="{MARGIN - 8}">cores of each layer</text>'
    for k, (colour, text) in enumerate(entries):
        y = MARGIN + k * LINE
        yield f'<rect x="{x}" y="{y}" width="{SIDE}" height="{SIDE}" fill="{colour}"/>'
        yield f'<text x="{x + SIDE + 8}" y="{y + SIDE - 2}">{escape(text)}</text>'


def _colour(number: int, count: int) -> str:
    hue = round(360 * number / max(count, 1))
    return f"hsl({hue}, 65%, {round(100 * PARTS[number % len(PARTS)])}%)"
