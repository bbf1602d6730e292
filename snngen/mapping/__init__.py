"""Networks on crossbar chips: which core computes what, whether it does so exactly, and how
fast.
"""

from snngen.mapping.cores import Axons, Core, Group
from snngen.mapping.device import DEVICES, Crossbar
from snngen.mapping.mapping import Mapping, map_network

__all__ = ["DEVICES", "Axons", "Core", "Crossbar", "Group", "Mapping", "map_network"]
