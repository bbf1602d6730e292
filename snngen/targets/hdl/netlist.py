"""A chip as the cells of an FPGA that synthesis makes of it, or place and route, for simulation."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from snngen_hdl.chip import ChipPlan
from snngen_hdl.watch import Watched

from snngen.errors import ConversionError, Problem, ToolError
from snngen.resources import resource_dir
from snngen.targets.hdl.boards import BOARDS, Board
from snngen.targets.hdl.simulation import verilog_of_chip
from snngen.targets.hdl.toolchain import FLAT, run

SYNTHESISED, ROUTED = STAGES = ("synthesised", "routed")
NETLIST = "netlist.v"
QUICK = ("-MAKEFLAGS", "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0")  # compilers take longer else
PULLED_UP = ("CEN", "RCLKE", "WCLKE")  # pins of iCE40 that are 1 where nothing is connected
PACKAGES = {"hx8k_evn": ("--hx8k", "--package", "ct256")}  # with pins enough for a chip's bus


@dataclass(frozen=True)
class Models:
    """What the cells of a family do. `synthesis`: the command of bitstreams that makes them.
    `files`: yosys' own Verilog, in its share folder; `ours`: of cells that this leaves out, in
    templates/hdl; `defined`: macros for both.
    """

    synthesis: str
    files: tuple[str, ...]
    ours: tuple[str, ...]
    defined: tuple[str, ...]


MODELS: Mapping[str, Models] = {
    "ice40": Models("synth_ice40", ("ice40/cells_sim.v",), (), ("NO_ICE40_DEFAULT_ASSIGNMENTS",)),
    "ecp5": Models(
        "synth_ecp5",
        ("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh"),
        ("ecp5_cells.v",),
        ("NO_INCLUDES",),
    ),
}


@dataclass(frozen=True, eq=False)
class Netlist:
    """`design`: what went into synthesis. `files`: what came out, NETLIST, with the models of its
    cells, for Verilator with `options`.
    """

    design: bytes
    files: Mapping[str, bytes]
    options: tuple[str, ...]

    @property
    def cells(self) -> Counter[str]:
        """How many there are of each kind."""
        return Counter(re.findall(r"^  ([A-Z]\w*) ", self.files[NETLIST].decode(), re.M))


def netlist_of(plan: ChipPlan, board: Board, stage: str = SYNTHESISED) -> Netlist:
    """The chip, its bus plain and without witnesses, as cells of `board` after one of STAGES.

    ConversionError for a board without tools for that stage, ToolError where one is missing or
    fails.
    """
    check_stage(board, stage)
    # witnesses speak to the link only; with nobody to ask them, yosys' ABC was seen to crash
    layers = tuple(replace(layer, witnessed=0) for layer in plan.network.layers)
    plan = replace(plan, network=replace(plan.network, layers=layers))
    return cells_of(verilog_of_chip(Watched(plan, watched=False)), board, stage)


def cells_of(design: bytes, board: Board, stage: str) -> Netlist:
    """Module `top` of the Verilog `design` as cells, after one of STAGES that `board` has."""
    models = MODELS[board.family.name]
    with TemporaryDirectory(prefix="snngen-") as name:
        folder = Path(name)
        (folder / "top.v").write_bytes(design)
        made = [f"{models.synthesis} -top top", "write_json top.json"]
        _yosys(folder, "read_verilog top.v", *FLAT, *made, *_written())
        if stage == ROUTED:
            _route(folder, board)
        copied = [PurePosixPath(path).name for path in models.files]
        _yosys(
            folder, *(f"write_file {PurePosixPath(path).name} +/{path}" for path in models.files)
        )
        files = {file: (folder / file).read_bytes() for file in (NETLIST, *copied)}
    ours = resource_dir("templates") / "hdl"
    files |= {file: (ours / file).read_bytes() for file in models.ours}
    # Verilator has no z, and all pins are connected
    files = {file: re.sub(rb"\w+ === 1'bz", b"1'b0", text) for file, text in files.items()}
    fast = (
        "-MAKEFLAGS",
        "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0",
    )  # optimised code takes longer to compile than to run
    return Netlist(design, files, (*(f"-D{macro}" for macro in models.defined), *fast))


def check_stage(board: Board, stage: str) -> None:
    """ConversionError where `board` has no cells after `stage`."""
    if stage not in STAGES:
        rule = f"must be one of {', '.join(STAGES)}"
        raise ConversionError(Problem("option --netlist", rule, stage))
    known = [board.name for board in BOARDS.values() if board.platform]
    if stage == ROUTED:
        known = [name for name in known if name in PACKAGES]
    if board.name not in known:
        rule = f"{stage} needs one of the boards {', '.join(known)}"
        raise ConversionError(Problem("option --netlist", rule, board.name, "--on names it"))


def _yosys(folder: Path, *steps: str) -> None:
    run("yosys", ["-q", "-p", "; ".join(steps)], folder)


def _written() -> tuple[str, ...]:
    """Bit by bit: of vectors that take part in what they depend on Verilator sees loops."""
    return "splitnets", f"write_verilog -noattr {NETLIST}"


def _route(folder: Path, board: Board) -> None:
    """Replaces the netlist by what was placed and routed, on whichever pins."""
    files = ["--json", "top.json", "--write", "routed.json"]
    run("nextpnr-ice40", ["--quiet", *PACKAGES[board.name], *files], folder)
    routed = json.loads((folder / "routed.json").read_text())
    for cell in routed["modules"]["top"]["cells"].values():
        for pin, direction in cell["port_directions"].items():
            if direction == "input" and not cell["connections"].get(pin):
                cell["connections"][pin] = ["1" if pin in PULLED_UP else "0"]
    (folder / "routed.json").write_text(json.dumps(routed))
    pads = resource_dir("templates") / "hdl" / "ice40_pads.v"
    (folder / "pads.v").write_bytes(pads.read_bytes())
    _yosys(folder, "read_json routed.json", "techmap -map pads.v", *_written())
    if b"  SB_IO " in (folder / NETLIST).read_bytes():
        raise ToolError(Problem("the routed chip", "must have pads of one direction only"))
