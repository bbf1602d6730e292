"""What a network costs on a processor, to the byte, known before anything is compiled.

Of the network linked alone, see docs/boards.md: constants and arena follow from the network, code
and stack from tables that were measured with the processor's compiler (`linking.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from snngen.fixed import FixedNet
from snngen.spiking import INPUT
from snngen.targets.c.boards import BOARDS, processor_of
from snngen.targets.c.constants import ArrayView, ModelView
from snngen.targets.c.kernels import Kernel, kernels
from snngen.targets.c.linking import SMALL, Linked, Section, end_of, table_of
from snngen.targets.c.schedule import Optimise, Plan, Preference, plan
from snngen.targets.c.structs import ABIS, Abi, padded, type_of
from snngen.targets.c.views import model_view

PROCESSOR = "cortex-m4"  # unless another one is asked for
OUTPUT_ALIGN = 4  # of what the linker makes of constants, in board.ld
AVR_OUTPUT_ALIGN = 2  # the same in avr-libc's script, and of code behind constants
AVR_STUB_BYTES = 4  # a jump to a function that a pointer could be too short for


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
class Footprint:
    """Bytes with one optimisation of the compiler. `flash`: `constants`, which are parameters,
    `descriptors` and what aligns them, and `code`. `ram`: `arena`, `copied` descriptors where flash
    is apart, and `stack`, the deepest, from the call of model_run on.
    """

    parameters: int
    descriptors: int
    code: int
    arena: int
    copied: int
    stack: int

    @property
    def flash(self) -> int:
        return self.parameters + self.descriptors + self.code

    @property
    def ram(self) -> int:
        return self.arena + self.copied + self.stack


@dataclass(frozen=True)
class Budget:
    """`processor` and `compiler`: what `builds` are for, by optimisation. `const_bytes`: parameters
    in flash; `arena_bytes`: RAM that the caller provides. `kernels`: what evaluates the layers.
    """

    layers: tuple[LayerBudget, ...]
    kernels: tuple[Kernel, ...]
    processor: str
    compiler: str
    const_bytes: int
    arena_bytes: int
    builds: Mapping[str, Footprint]

    @property
    def ram(self) -> int:
        """Bytes of RAM with the smallest code."""
        return self.builds[SMALL].ram

    @property
    def flash(self) -> int:
        """Bytes of flash with the smallest code."""
        return self.builds[SMALL].flash


def budget_for(
    net: FixedNet,
    *,
    schedule: Preference = "smallest",
    optimise: Optimise = "speed",
    on: str = PROCESSOR,
) -> Budget:
    """Of the files that `emit` makes with the same options, without the self-test, `on` a board or
    the processor that is named like one. ConversionError for an unknown one.
    """
    chosen = plan(net, schedule, optimise)
    return budget_of(net, chosen, model_view(net, chosen), on)


def budget_of(net: FixedNet, chosen: Plan, view: ModelView, on: str) -> Budget:
    """Of a network that is planned and put into constants already."""
    stepped = {net.layers[i].name for i in chosen.order[chosen.at_once :]}

    def arena(owner: str, *roles: str) -> int:
        regions = chosen.regions.items()
        return sum(r.storage.bytes for key, r in regions if key[0] == owner and key[1] in roles)

    def size(array: ArrayView) -> int:
        each = type_of(array.element.ctype, abi).bytes
        return each * array.length if _has(abi, array) else 0

    processor = processor_of(on)
    abi = ABIS[BOARDS[processor].compiler[0]]
    layers = tuple(
        LayerBudget(
            name,
            sum(size(array) for array in view.arrays if array.owner == name),
            arena(name, "values"),
            arena(name, "membrane", "balance"),
            arena(name, "scratch"),
            "each timestep" if name in stepped else "at once",
        )
        for name in (INPUT, *(layer.name for layer in net.layers))
    )
    table, functions = table_of(processor), _functions(view)

    def linked(sections: Sequence[Section]) -> Linked:
        return Linked(sections, functions, is_stream=net.is_stream)

    return Budget(
        layers,
        kernels(net, chosen, view),
        processor,
        table.compiler,
        sum(size(array) for array in view.arrays),
        chosen.arena_bytes,
        {
            optimisation: _footprint(view, chosen, processor, optimisation, linked(sections))
            for optimisation, sections in table.builds.items()
        },
    )


def _footprint(
    view: ModelView, chosen: Plan, processor: str, optimisation: str, linked: Linked
) -> Footprint:
    """As the linker places sections: those of model.c first, whose constants gcc writes the last
    one first.
    """
    board = BOARDS[processor]
    abi = ABIS[board.compiler[0]]
    least = abi.aggregates[optimisation]
    held = [array for array in reversed(view.arrays) if _has(abi, array)]
    arrays = [*_variables(((a.element.ctype, a.length) for a in held), abi, least)]
    const_bytes = sum(size for size, _ in arrays)
    structs = [*_variables(_descriptors(view), abi, least)]
    others = [*linked.constants()]
    if board.flash_is_apart:
        begin = padded(end_of(arrays), AVR_OUTPUT_ALIGN)
        stubs = AVR_STUB_BYTES * linked.addressed() if board.return_bytes > abi.pointer else 0
        code = stubs + linked.code_bytes(begin + stubs)
        copied = padded(end_of([*structs, *others]), AVR_OUTPUT_ALIGN)
        constants = begin + copied
    else:
        code, copied = linked.code_bytes(), 0
        constants = padded(end_of([*structs, *arrays, *others]), OUTPUT_ALIGN)
    descriptors = constants - const_bytes
    arena, stack = chosen.arena_bytes, linked.stack_bytes()
    return Footprint(const_bytes, descriptors, code, arena, copied, stack)


def _has(abi: Abi, array: ArrayView) -> bool:
    """Whether the processor's model.c has an array: some are for those of 8 bits, or for others."""
    return array.width in ("any", "8 bit" if abi.is_8_bit else "more")


def _descriptors(view: ModelView) -> Iterator[tuple[str, int]]:
    """Types and numbers of the structs of model.c, the last one first."""
    yield "snn_model", 1
    yield "snn_layer", len(view.layers)
    yield from (("snn_synapse", len(layer.synapses)) for layer in reversed(view.layers))
    yield from ((struct.ctype, 1) for struct in reversed(view.structs))
    yield from (("snn_values", 1) for _ in view.values)


def _variables(kinds: Iterable[tuple[str, int]], abi: Abi, least: int) -> Iterator[tuple[int, int]]:
    """Bytes and alignments of arrays of so many elements of a type."""
    for name, count in kinds:
        each = type_of(name, abi)
        yield each.bytes * count, max(each.align, least)


def _functions(view: ModelView) -> dict[str, set[str]]:
    """Those that descriptors name, by field."""
    synapses = [synapse for layer in view.layers for synapse in layer.synapses]
    named = {
        "run": {layer.run for layer in view.layers},
        "fire": {layer.fire for layer in view.layers},
        "add": {synapse.add for synapse in synapses},
        "prepare": {synapse.prepare for synapse in synapses},
    }
    return {field: functions - {"NULL"} for field, functions in named.items()}
