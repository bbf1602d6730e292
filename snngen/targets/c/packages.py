"""How emitted files lie in a folder, so that build systems take it as it is: one entry of PACKAGES
each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from snngen.targets.c.build import RUNTIME

PLAIN = "plain"
SOURCES = "src/"  # where all but plain packages have sources and headers, side by side

# What a package consists of beside sources: templates of templates/c by path, both with {prefix}.
PACKAGES: Mapping[str, Mapping[str, str]] = {
    PLAIN: {
        "example_main.c": "example_main.c.j2",
        "Makefile": "Makefile.j2",
        "CMakeLists.txt": "CMakeLists.txt.j2",
    },
    "arduino": {
        "library.properties": "packages/arduino.properties.j2",
        "examples/selftest/selftest.ino": "packages/arduino_selftest.ino.j2",
    },
    "platformio": {"library.json": "packages/platformio.json.j2"},
    "zephyr": {
        "zephyr/module.yml": "packages/zephyr_module.yml.j2",
        "zephyr/Kconfig": "packages/zephyr_kconfig.j2",
        "zephyr/CMakeLists.txt": "packages/zephyr_cmake.j2",
    },
    "esp-idf": {
        "CMakeLists.txt": "packages/esp_idf_cmake.j2",
        "idf_component.yml": "packages/esp_idf_component.yml.j2",
    },
}


def arranged(sources: Mapping[str, bytes], package: str) -> dict[str, bytes]:
    """C files, those of the runtime below runtime/, where the package wants them."""
    if package == PLAIN:
        return dict(sources)
    return {SOURCES + PurePosixPath(name).name: content for name, content in sources.items()}


def unarranged(files: Mapping[str, bytes], package: str) -> dict[str, bytes]:
    """The C files of an emitted package as those of a plain one."""
    if package == PLAIN:
        return dict(files)
    names = {name: name.removeprefix(SOURCES) for name in files if name.startswith(SOURCES)}
    return {
        f"{RUNTIME}{name}" if name.startswith("snn") else name: files[path]
        for path, name in names.items()
    }
