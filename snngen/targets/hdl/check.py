"""What the cores do not compute, said before anything is built."""

from __future__ import annotations

from snngen.errors import ConversionError, Problem
from snngen.fixed import FixedNet
from snngen.ops import MaxPool


def check_supported(net: FixedNet) -> None:
    """ConversionError, naming every layer concerned, unless the cores compute all of `net`."""
    problems = []
    if net.is_stream:
        problems.append(
            Problem(
                "the input",
                "must be images for the HDL target",
                "a stream of events",
                "emit it with --target c",
            )
        )
    for layer in net.layers:
        for synapse in layer.synapses:
            lowest = net.source_interval(synapse.source).min
            if isinstance(synapse.op, MaxPool) and lowest < 0:
                problems.append(
                    Problem(
                        f"layer '{layer.name}'",
                        "max pooling must read what is never below 0 for the HDL target",
                        f"'{synapse.source}' sends {lowest} at least",
                        "convert with another method, or pool by averages",
                    )
                )
    if problems:
        raise ConversionError(*problems)
