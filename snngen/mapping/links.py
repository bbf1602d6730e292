"""Packets on the mesh, to the cycle.

A packet goes along the row of its sender to the columns of its readers, and along these to their
rows: a tree, each link of which carries it once. A link carries one packet per cycle, first come,
first served (of those that come at once the packet that is listed first), and queues are as long as
they need be. All rows share one link from chip to chip,
from the host to the first column and from the last column back to the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snngen.mapping.device import Crossbar

Ints = NDArray[np.int64]
HOST = -1  # the core that stands for the host, as a sender and as a reader


@dataclass(frozen=True)
class Mesh:
    """The cores of so many chips, side by side, as columns and rows. The host is left of the first
    column as a sender, and right of the last one as a reader.
    """

    device: Crossbar
    chips: int

    @property
    def columns(self) -> int:
        return self.chips * self.device.columns

    @property
    def middle(self) -> int:
        """The row in which the host's packets come in."""
        return self.device.rows // 2

    def place(self, cores: Ints) -> tuple[Ints, Ints]:
        """Columns and rows of `cores`, which are numbered column by column."""
        return cores // self.device.rows, cores % self.device.rows

    def senders(self, cores: Ints) -> tuple[Ints, Ints]:
        """The same with the host as a sender."""
        x, y = self.place(cores)
        return np.where(cores == HOST, -1, x), np.where(cores == HOST, self.middle, y)

    def is_shared(self, x: int) -> bool:
        """Whether one link serves all rows between columns x and x + 1."""
        return (x + 1) % self.device.columns == 0


@dataclass(frozen=True, eq=False)
class Packets:
    """Packet p leaves core `sender[p]` when this has computed, at cycle `ready[p]`, one after the
    other; copy k goes, as a part of packet `packet[k]`, to core `reader[k]`. The host is HOST.
    """

    sender: Ints
    ready: Ints
    packet: Ints
    reader: Ints


def arrivals(mesh: Mesh, packets: Packets) -> Ints:
    """The cycle by which each copy has arrived, in the order of `packets`."""
    left = packets.ready.copy()
    from_core = packets.sender != HOST
    left[from_core] = serve(packets.sender[from_core], packets.ready[from_core])
    sx, sy = mesh.senders(packets.sender)
    x, y = mesh.place(packets.reader)
    x = np.where(packets.reader == HOST, mesh.columns, x)
    branch = packets.packet * (mesh.columns + 1) + x  # a packet in a column
    branches, of_copy = np.unique(branch, return_inverse=True)
    packet, column = branches // (mesh.columns + 1), branches % (mesh.columns + 1)
    turned = np.where(column == sx[packet], left[packet], 0)
    for step in (1, -1):
        _along(mesh, step, packet, column, sx, sy, left, turned)
    to_core = packets.reader != HOST
    arrived = turned[of_copy]
    start, goal = sy[packets.packet], np.where(to_core, y, sy[packets.packet])
    for step in (1, -1):
        _down(mesh, step, of_copy, column, start, goal, turned, arrived)
    arrived[to_core] = serve(packets.reader[to_core], arrived[to_core])
    return arrived


def _along(
    mesh: Mesh,
    step: int,
    packet: Ints,
    column: Ints,
    sx: Ints,
    sy: Ints,
    left: Ints,
    turned: Ints,
) -> None:
    """Moves packets along their rows, right (`step` 1) or left (-1), and notes in `turned` when
    branch k, `packet[k]` in `column[k]`, reaches its column.
    """
    ahead = (column - sx[packet]) * step > 0
    if not ahead.any():
        return
    far = sx * step
    np.maximum.at(far, packet[ahead], column[ahead] * step)
    by_column = np.flatnonzero(ahead)
    by_column = by_column[np.argsort(column[by_column] * step, kind="stable")]
    order = np.argsort(sx * step, kind="stable")
    order = order[far[order] > sx[order] * step]
    time = left.copy()
    joins, turns = sx[order] * step, column[by_column] * step
    moving = np.empty(0, np.int64)
    for x in range(int(joins[0]), int(turns[-1])):
        new = order[np.searchsorted(joins, x) : np.searchsorted(joins, x, "right")]
        moving = np.sort(np.concatenate([moving[far[moving] > x], new]))
        if not len(moving):
            continue
        shared = mesh.is_shared(x if step == 1 else -x - 1)
        time[moving] = serve(np.zeros_like(moving) if shared else sy[moving], time[moving])
        there = slice(np.searchsorted(turns, x + 1), np.searchsorted(turns, x + 1, "right"))
        turned[by_column[there]] = time[packet[by_column[there]]]


def _down(
    mesh: Mesh,
    step: int,
    branch: Ints,
    column: Ints,
    start: Ints,
    goal: Ints,
    turned: Ints,
    arrived: Ints,
) -> None:
    """Moves branches along their columns, down (`step` 1) or up (-1), and notes in `arrived` when
    copy k, of `branch[k]`, comes from row `start[k]` to row `goal[k]`.
    """
    ahead = np.flatnonzero((goal - start) * step > 0)
    if not len(ahead):
        return
    far = np.full(len(column), -mesh.device.rows)
    first = np.zeros(len(column), np.int64)
    np.maximum.at(far, branch[ahead], goal[ahead] * step)
    first[branch[ahead]] = start[ahead] * step
    by_row = ahead[np.argsort(goal[ahead] * step, kind="stable")]
    order = np.flatnonzero(far > -mesh.device.rows)
    order = order[np.argsort(first[order], kind="stable")]
    joins, stops = first[order], goal[by_row] * step
    time = turned.copy()
    moving = np.empty(0, np.int64)
    for y in range(int(joins[0]), int(stops[-1])):
        new = order[np.searchsorted(joins, y) : np.searchsorted(joins, y, "right")]
        moving = np.sort(np.concatenate([moving[far[moving] > y], new]))
        if not len(moving):
            continue
        time[moving] = serve(column[moving], time[moving])
        there = slice(np.searchsorted(stops, y + 1), np.searchsorted(stops, y + 1, "right"))
        arrived[by_row[there]] = time[branch[by_row[there]]]


def serve(server: Ints, arrival: Ints) -> Ints:
    """When customers that come at `arrival` (n,) have been served, each by its `server` (n,): one
    cycle each, first come, first served, of those that come at once the first listed.
    """
    count = np.arange(len(arrival))
    apart = int(arrival.max(initial=0)) + 2 * len(arrival) + 1
    key = server * apart + arrival  # no queue reaches the next server's
    order = np.argsort(key, kind="stable")
    base = server[order] * apart
    done = np.maximum.accumulate(key[order] - count) + count + 1
    served = np.empty_like(arrival)
    served[order] = done - base
    return served
