"""Cores from groups: one each for those that fill it, the others packed together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from snngen.mapping.cores import Core, Group
from snngen.mapping.device import Crossbar

TRIES = 100  # cores with room for its neurons whose axons are looked at, for one group


def pack(cores: Sequence[Core], groups: Iterable[Group], device: Crossbar, most: int) -> list[Core]:
    """`cores`, and `groups` in them where there is room, else in new ones: the largest groups
    first, each in the first core that has room for its neurons and axons (first-fit decreasing). No
    core takes more than `most` axons by that.
    """
    packed = list(cores)
    open_cores: dict[tuple[int, int], dict[int, int]] = {}  # by kind: core -> room for neurons

    def keep(place: int) -> None:
        """Remember how much room that core has, if any."""
        core = packed[place]
        kind = core.groups[0].kind
        room = device.neurons(*kind) - core.neurons
        of_kind = open_cores.setdefault(kind, {})
        of_kind.pop(place, None) if room == 0 else of_kind.__setitem__(place, room)

    for place in range(len(packed)):
        keep(place)
    for group in sorted(groups, key=lambda group: -len(group.neurons)):
        rooms = open_cores.get(group.kind, {})
        fitting = [place for place, room in rooms.items() if room >= len(group.neurons)]
        joined = ((place, Core((*packed[place].groups, group))) for place in fitting[:TRIES])
        limit = min(most, device.fan_in(group.extension))
        found = next(((place, core) for place, core in joined if core.fan_in <= limit), None)
        if found is None:
            packed.append(Core((group,)))
            keep(len(packed) - 1)
        else:
            packed[found[0]] = found[1]
            keep(found[0])
    return packed
