"""What the operations of an image would take, from how often neurons send: an estimate by published
energies, of no FPGA.

Horowitz 2014, ISSCC, "Computing's Energy Problem (and what we can do about it)", 45 nm at 0.9 V: an
addition of 32 bits 0.1 pJ, a multiplication of 32 bits 3.1 pJ, 64 bits of an 8 kB cache 10 pJ. An
addition is taken as proportional to its bits, a multiplication to the product of both. The clock,
leakage, registers, routing, links and the search for levels are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Shape
from snngen_hdl.layer import LayerPlan

from snngen.fixed import FixedLayer, FixedNet
from snngen.targets.hdl.fold import Rates

SOURCE = "Horowitz 2014 (ISSCC), 45 nm at 0.9 V: not of an FPGA"
ADDER_BIT, PRODUCT_BIT, MEMORY_BIT = 0.1 / 32, 3.1 / 32**2, 10 / 64  # pJ
PASS_ADDITIONS = 2  # of a neuron at a timestep: its bias, and its threshold


@dataclass(frozen=True)
class Activity:
    """Of an image: additions and their bits; products, and for each the bits of one factor times
    those of the other; bits of memory read or written.
    """

    additions: float = 0
    adder_bits: float = 0
    products: float = 0
    product_bits: float = 0
    memory_bits: float = 0

    def __add__(self, other: Activity) -> Activity:
        return Activity(*(getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__))

    @property
    def picojoules(self) -> Mapping[str, float]:
        return {
            "additions": self.adder_bits * ADDER_BIT,
            "multiplications": self.product_bits * PRODUCT_BIT,
            "memory": self.memory_bits * MEMORY_BIT,
        }


def activity(net: FixedNet, plans: Mapping[str, LayerPlan], rates: Rates) -> Activity:
    """What the cores do for an image where neurons send at `rates`, events per image. All lanes of
    a word work, also those beyond the last channel.
    """
    parts = (_of_layer(net, net[name], plan, rates) for name, plan in plans.items())
    return sum(parts, Activity())


def _of_layer(net: FixedNet, layer: FixedLayer, plan: LayerPlan, rates: Rates) -> Activity:
    bits, lanes = plan.neurons.bits, plan.lanes
    work = Activity()
    for synapse, routes, value in zip(layer.synapses, plan.routes, plan.received, strict=True):
        rows, columns = (np.array([len(t) for t in axis]) for axis in (routes.rows, routes.columns))
        groups = np.array([len(routes.groups_of(c, plan.groups)) for c in range(routes.source[0])])
        reached = groups[:, None, None] * rows[:, None] * columns
        sums = lanes * float((reached * rates[synapse.source]).sum())
        weight_bits = 0 if routes.weights is None else routes.weight_bits
        factors = Shape.cast(value).width * weight_bits
        products = sums if factors > weight_bits else 0.0  # no multiplier for a single bit
        memory = sums * (weight_bits + 2 * bits)
        work += Activity(sums, sums * bits, products, products * factors, memory)
    seen = layer.shape[1] * layer.shape[2] * plan.groups * lanes * net.timesteps
    additions = PASS_ADDITIONS * seen
    return work + Activity(additions, additions * bits, 0, 0, 2 * seen * bits)
