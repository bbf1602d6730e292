"""The devices that networks are mapped to. `Crossbar` is the one kind so far: chips of cores in
which every neuron has columns of its own. A device of another kind, which stores a kernel once and
shares it over time, would be another dataclass here, a line in DEVICES and a module that maps to
it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Crossbar:
    """Chips of `columns` x `rows` cores, each a crossbar of `axons` lines x `dendrites` columns of
    one bit.

    A core has one width w and one extension e. A weight takes 2**w bits, w <= `widest`, in as many
    dendrites. Its axons are read in 2**e slots, e <= `longest`; each slot has dendrites of its own,
    so that a neuron reads up to axons * 2**e spikes and takes 2**(w + e) dendrites. A sum and a
    membrane have `membrane_bits`.
    """

    name: str
    columns: int
    rows: int
    axons: int
    dendrites: int
    widest: int
    longest: int
    membrane_bits: int

    def __post_init__(self) -> None:
        if not 0 <= self.widest <= 3:
            raise ValueError(f"weights must have 1 to 8 bits, widest 0..3, not {self.widest}")

    @property
    def cores(self) -> int:
        """Of one chip."""
        return self.columns * self.rows

    @property
    def bits(self) -> int:
        """Of one core's crossbar."""
        return self.axons * self.dendrites

    @property
    def weights(self) -> tuple[int, int]:
        """The smallest and the largest one: two's complement, but for one bit, which is 0 or 1."""
        bits = 2**self.widest
        return (0, 1) if bits == 1 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    def neurons(self, width: int, extension: int) -> int:
        """How many a core holds."""
        return self.dendrites >> (width + extension)

    def fan_in(self, extension: int) -> int:
        """How many spikes a core reads."""
        return self.axons << extension

    def extension(self, fan_in: int) -> int:
        """The least with which a neuron can read so many spikes; it may be more than `longest`."""
        return (max(fan_in - 1, 0) // self.axons).bit_length()


def width(lo: int, hi: int) -> int:
    """The least w for which 2**w bits hold all of lo..hi, as in `Crossbar.weights`."""
    if lo >= 0 and hi <= 1:
        return 0
    bits = max(2, 1 + hi.bit_length(), 1 + (-lo - 1).bit_length() if lo < 0 else 0)
    return (bits - 1).bit_length()


# The parameters of PAICORE 2.0 as its toolchain publishes them (github.com/PAICookers/PAIBox). 16
# of the cores are for learning; they are counted here as well. The mesh is an assumption of ours.
DEVICES = {
    "paicore-like": Crossbar(
        name="paicore-like",
        columns=32,
        rows=32,
        axons=1152,
        dendrites=512,
        widest=3,
        longest=6,
        membrane_bits=30,
    )
}
