"""Emits the networks of runtime_c/tests/networks anew: python -m tests.emit_networks."""

from __future__ import annotations

from pathlib import Path

from snngen.targets.c.build import EXAMPLE
from snngen.targets.c.emit import emit
from tests.networks import level_showcase, spiking_showcase
from tests.streams import stream_showcase

FOLDER = Path(__file__).parent.parent / "runtime_c/tests/networks"


def main() -> None:
    nets = {"spiking": spiking_showcase, "level": level_showcase, "stream": stream_showcase}
    for name, net in ((name, make()) for name, make in nets.items()):
        files = emit(net)
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
        for file in ("model.h", "model.c", "model_selftest.c", EXAMPLE):
            (FOLDER / name / file).write_bytes(files[file])


if __name__ == "__main__":
    main()
