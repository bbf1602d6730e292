"""What a network costs on a device, known before anything is compiled.

Constant data and the arena are exact. Code, descriptors and stack are estimates from one
measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

from snngen.fixed import FixedNet
from snngen.spiking import INPUT
from snngen.targets.c.constants import ModelView
from snngen.targets.c.kernels import Kernel, kernels
from snngen.targets.c.schedule import Optimise, Plan, Preference, plan
from snngen.targets.c.views import model_view

# Measured with arm-none-eabi-gcc 12.2 -Os -mthumb -mcpu=cortex-m4: `size` of the runtime's objects,
# `nm -S` for the structs, the deepest chain of -fstack-usage for the stack, rounded up.
# snn_run, snn_gather, snn_line, snn_pooled, snn_row, snn_report and the calls of the network
BASE_CODE_BYTES = 3950
CODE_BYTES = {
    "snn_conv": 304,
    "snn_depthwise": 212,
    "snn_lanes": 2820,  # and snn_events
    "snn_scatter": 1250,
    "snn_linear": 88,
    "snn_scale": 80,
    "snn_sum_pool": 268,
    "snn_max_pool": 270,
    "snn_max_pool_counts": 686,
    "snn_select": 170,
    "snn_trains": 570,
    "snn_if": 718,
    "snn_level": 680,
    "snn_accumulate": 42,
}

OBJECTS = {"snn_wide": "snn_lanes", "snn_scattered": "snn_scatter"}  # else named as the function
STRUCT_BYTES = {
    "snn_conv_op": 28,
    "snn_lanes_op": 28,
    "snn_scatter_op": 28,
    "snn_linear_op": 8,
    "snn_scale_op": 8,
    "snn_sum_pool_op": 24,
    "snn_max_pool_op": 16,
    "snn_select_op": 12,
    "snn_if_op": 16,
    "snn_level_op": 24,
    "snn_pooled": 12,
}
VALUES_BYTES, SYNAPSE_BYTES, LAYER_BYTES, MODEL_BYTES = 24, 28, 64, 44
STACK_BYTES = 896


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
    32-bit Thumb-2 core at -Os: descriptors, code of the operators used, and stack. `kernels`: what
    evaluates the layers.
    """

    layers: tuple[LayerBudget, ...]
    kernels: tuple[Kernel, ...]
    const_bytes: int
    arena_bytes: int
    descriptor_bytes_estimate: int
    code_bytes_estimate: int
    stack_bytes_estimate: int

    @property
    def ram(self) -> int:
        """Bytes of RAM, the stack's estimate included."""
        return self.arena_bytes + self.stack_bytes_estimate

    @property
    def flash(self) -> int:
        """Bytes of flash, the estimates of descriptors and code included."""
        return self.const_bytes + self.descriptor_bytes_estimate + self.code_bytes_estimate


def budget(
    net: FixedNet, *, schedule: Preference = "smallest", optimise: Optimise = "speed"
) -> Budget:
    """Of the files that `emit` makes with the same options, without the self-test."""
    chosen = plan(net, schedule, optimise)
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
        kernels(net, chosen, view),
        sum(array.bytes for array in view.arrays),
        chosen.arena_bytes,
        _descriptor_bytes(view),
        _code_bytes(view),
        STACK_BYTES,
    )


def _descriptor_bytes(view: ModelView) -> int:
    synapses = sum(len(layer.synapses) for layer in view.layers)
    structs = sum(STRUCT_BYTES[struct.ctype] for struct in view.structs)
    values, layers = VALUES_BYTES * len(view.values), LAYER_BYTES * len(view.layers)
    return MODEL_BYTES + values + structs + SYNAPSE_BYTES * synapses + layers


def _code_bytes(view: ModelView) -> int:
    used: set[str] = set()
    for layer in view.layers:
        used |= {layer.run, layer.fire, *(synapse.add for synapse in layer.synapses)}
    objects = {OBJECTS.get(function, function) for function in used}
    return BASE_CODE_BYTES + sum(CODE_BYTES.get(name, 0) for name in objects)
