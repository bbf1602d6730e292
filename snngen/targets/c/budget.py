"""What a network costs on a device, known before anything is compiled.

Constant data and the arena are exact. Code and stack are estimates, measured once (see
`CODE_BYTES`).
"""

from __future__ import annotations

from dataclasses import dataclass

from snngen.fixed import FixedNet
from snngen.spiking import INPUT
from snngen.targets.c.schedule import Plan, Preference, plan
from snngen.targets.c.views import ModelView, model_view

CODE_BYTES = {"snn_run": 0}
DESCRIPTOR_BYTES = {"values": 24, "synapse": 16, "layer": 68, "struct": 28, "model": 44}
STACK_BYTES = 0


@dataclass(frozen=True)
class LayerBudget:
    """One layer, or the input. `const_bytes`: weights, biases, thresholds and tables in flash.

    `values_bytes`, `state_bytes`, `scratch_bytes`: in the arena, where layers that are not alive at
    the same time share memory. `runs`: "at once" or "each timestep".
    """

    name: str
    const_bytes: int
    values_bytes: int
    state_bytes: int
    scratch_bytes: int
    runs: str


@dataclass(frozen=True)
class Budget:
    """Totals: `const_bytes` (flash, exact), `arena_bytes` (RAM, exact), and three estimates for a
    32-bit Thumb-2 core at -Os: descriptors, code of the operators used, and stack.
    """

    layers: tuple[LayerBudget, ...]
    const_bytes: int
    arena_bytes: int
    descriptor_bytes_estimate: int
    code_bytes_estimate: int
    stack_bytes_estimate: int


def budget(net: FixedNet, *, schedule: Preference = "smallest") -> Budget:
    """Of the files that `emit` makes with the same schedule, without the self-test."""
    chosen = plan(net, schedule)
    return budget_of(net, chosen, model_view(net, chosen))


def budget_of(net: FixedNet, chosen: Plan, view: ModelView) -> Budget:
    """Of a network that is planned and put into constants already."""
    stepped = {net.layers[i].name for i in chosen.order[chosen.at_once :]}

    def arena(owner: str, *roles: str) -> int:
        regions = chosen.regions.items()
        return sum(r.storage.bytes for key, r in regions if key[0] == owner and key[1] in roles)

    layers = tuple(
        LayerBudget(
            name,
            sum(array.bytes for array in view.arrays if array.owner == name),
            arena(name, "values"),
            arena(name, "membrane", "balance"),
            arena(name, "scratch"),
            "each timestep" if name in stepped else "at once",
        )
        for name in (INPUT, *(layer.name for layer in net.layers))
    )
    return Budget(
        layers,
        sum(array.bytes for array in view.arrays),
        chosen.arena_bytes,
        _descriptor_bytes(view),
        _code_bytes(view),
        STACK_BYTES,
    )


def _descriptor_bytes(view: ModelView) -> int:
    sizes = DESCRIPTOR_BYTES
    synapses = sum(len(layer.synapses) for layer in view.layers)
    return (
        sizes["model"]
        + sizes["values"] * len(view.values)
        + sizes["struct"] * len(view.structs)
        + sizes["synapse"] * synapses
        + sizes["layer"] * len(view.layers)
    )


def _code_bytes(view: ModelView) -> int:
    used = {"snn_run"}
    for layer in view.layers:
        used |= {layer.run, layer.fire, *(synapse.add for synapse in layer.synapses)}
    return sum(CODE_BYTES.get(function, 0) for function in used)
