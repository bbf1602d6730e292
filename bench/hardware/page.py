"""What was measured of chips, as a page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Record = dict[str, Any]
Records = Mapping[str, Mapping[str, Record]]

HEADER = """# Chips, simulated

Printed by `python -m bench.hardware`; the top of that file says what is compared. All cycles and
values are those of the RTL, compiled by Verilator. How chips come about is on
[the page about hardware](../hardware.md).
"""
IMAGES = """
## Trained networks

Class, output membranes at every timestep and the spikes of every neuron, of images that follow
each other; of the first 20 every output and membrane at every timestep. The demo's digits
have 400 test images, the others are training images; accuracy is that on the test images.

| network, board | images | numbers compared | different | right |
|---|---|---|---|---|
"""
CYCLES = """
*Latency*: cycles from the first byte of an image, looked at, to its class, of every image alone in
the chip. *Image to image*: from answer to answer, where images follow each other. *Estimated*: what
`emit` says of image to image beforehand, from images drawn at random. *Spikes*: of all neurons at
all timesteps; a level neuron that sends counts once, whatever its level.

| network, board | | best | mean | worst | mean, ms | worst, ms |
|---|---|---|---|---|---|---|
"""
RANDOM = """
## Random networks

Whole traces of three images that follow each other: every output and membrane of every neuron at
every timestep. *Width*: lanes x banks x rows of banks of every layer that has as many channels,
columns and rows. *Stops*: at random, between cores (links), or where images are given and answers
taken (bench).

| input | T | layers | width | stops | numbers compared | different |
|---|---|---|---|---|---|---|
"""
RATES = """
## How often neurons fire

`lenet_ref` as IF neurons over 8 timesteps, weights of 7 bits, on cores as they are laid out for
`ulx3s_85f` and a rate of 10 %, the same for all rows. To let neurons fire at a given rate, all
thresholds of a layer are multiplied by one number, layer by layer from the first, until on 32
training images so many of its neurons fire at a timestep; weights stay. So the classes mean little:
as converted, about 13 % fire. Cycles of 20 test images. The input is the same in all rows: its
bytes are looked at, and its events sent, at each of the 8 timesteps.

| rate | measured by layer | spikes | latency | image to image, best | mean | worst | different |
|---|---|---|---|---|---|---|---|
"""
FAULTS = """
## Planted faults

One number of a chip is changed, and 20 images are compared as above: by whole traces, which must
find it and name the layer; and by outputs and spike counts alone, which do where a spike changes,
and then look up the place in a trace.

| chip | changed | whole traces | outputs and spike counts |
|---|---|---|---|
"""


def page(records: Records) -> str:
    """From the records by part, and in a part by label."""
    text = HEADER
    images = records.get("images", {})
    if images:
        text += IMAGES
        text += _rows(_compared(label, r) for label, r in images.items())
        text += CYCLES + _rows(row for label, r in images.items() for row in _cycles(label, r))
    if "random" in records:
        random = records["random"]
        text += RANDOM + _rows(_random(r) for r in random.values())
        numbers = sum(r["numbers"] for r in random.values())
        text += f"\nTogether {numbers:,} numbers of {len(random)} networks.\n"
    if "rates" in records:
        text += RATES + _rows(_rate(label, r) for label, r in records["rates"].items())
    if "faults" in records:
        text += FAULTS + _rows(_fault(label, r) for label, r in records["faults"].items())
    return text


def wrong(records: Records) -> list[str]:
    """What differs, and faults that were not found in the layer where they are."""
    compared = ("images", "random", "rates")
    found = [
        f"{part} {label}"
        for part in compared
        for label, record in records.get(part, {}).items()
        if _different(record) not in ("0", "")
    ]
    faults = records.get("faults", {})
    missed = [
        label for label, r in faults.items() if f"layer '{r['layer']}'" not in (r["traces"] or "")
    ]
    if faults and not any(r["counts"] for r in faults.values()):
        missed.append("by outputs and spike counts")
    return found + [f"fault {label}" for label in missed]


def _compared(label: str, r: Record) -> tuple[str, ...]:
    if "refused" in r:
        return label, "", "", f"{r['refused']}: {r['found'].split(';')[0]}", ""
    accuracy = f"{r['correct']:,} of {r['labelled']:,}"
    return label, f"{r['images']:,}", f"{r['numbers']:,}", _different(r), accuracy


def _different(r: Record) -> str:
    if "refused" in r:
        return ""
    if r["difference"] is None and not r.get("same_alone", True):
        return "**answers of images alone**"
    return "0" if r["difference"] is None else f"**{r['difference']}**"


def _cycles(label: str, r: Record) -> Iterator[tuple[str, ...]]:
    if "refused" in r:
        return
    for name in ("latency", "interval"):
        spread = r[name]
        milliseconds = (f"{1000 * spread[k] / r['hertz']:.3f}" for k in ("mean", "worst"))
        shown = "image to image" if name == "interval" else name
        yield label, shown, *_spread(spread), *milliseconds
    period = r["estimated"]
    yield label, "estimated", "", f"{period:,.0f}", "", f"{1000 * period / r['hertz']:.3f}", ""
    yield label, "spikes", *_spread(r["spikes"]), "", ""


def _spread(spread: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(f"{spread[k]:,.0f}" for k in ("best", "mean", "worst"))


def _random(r: Record) -> tuple[str, ...]:
    numbers = f"{r['numbers']:,}"
    steps = str(r["timesteps"])
    return r["input"], steps, r["layers"], r["width"], r["stops"], numbers, _different(r)


def _rate(label: str, r: Record) -> tuple[str, ...]:
    rates = ", ".join(f"{100 * rate:.1f} %" for rate in r["rates"].values())
    means = (f"{r[name]['mean']:,.0f}" for name in ("spikes", "latency"))
    return label, rates, *means, *_spread(r["interval"]), _different(r)


def _fault(label: str, r: Record) -> tuple[str, ...]:
    return label, r["changed"], r["traces"] or "**not found**", r["counts"] or "not found"


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
