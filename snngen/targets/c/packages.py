"""How emitted files lie in a folder, so that build systems take it as it is: one entry of PACKAGES
each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from snngen.targets.c.build import RUNTIME

PLAIN = "plain"
SOURCES = "src/"  # where all but plain packages have sources and headers, side by side


@dataclass(frozen=True)
class Package:
    """`templates` of templates/c by path, of what a package has beside sources; `use` says in its
    README.txt what to do with it, with {prefix} and, in capitals, {PREFIX}.
    """

    templates: Mapping[str, str]
    use: tuple[str, ...]


PACKAGES: Mapping[str, Package] = {
    PLAIN: Package(
        {
            "example_main.c": "example_main.c.j2",
            "Makefile": "Makefile.j2",
            "CMakeLists.txt": "CMakeLists.txt.j2",
        },
        (
            "In a firmware, compile {prefix}.c and runtime/*.c with -I. -Iruntime, and with",
            "-ffunction-sections -fdata-sections -Wl,--gc-sections, or link the library, so that",
            "unused operators are left out. On a PC, make selftest runs example_main.c.",
        ),
    ),
    "arduino": Package(
        {
            "library.properties": "packages/arduino.properties.j2",
            "examples/selftest/selftest.ino": "packages/arduino_selftest.ino.j2",
            "examples/link/link.ino": "packages/arduino_link.ino.j2",
        },
        (
            "Copy this folder to the libraries folder of your sketchbook, and open",
            "File > Examples > {prefix} > selftest, or link, which answers snngen run --port.",
        ),
    ),
    "platformio": Package(
        {"library.json": "packages/platformio.json.j2"},
        ("Copy this folder to lib/ of your project.",),
    ),
    "zephyr": Package(
        {
            "zephyr/module.yml": "packages/zephyr_module.yml.j2",
            "zephyr/Kconfig": "packages/zephyr_kconfig.j2",
            "zephyr/CMakeLists.txt": "packages/zephyr_cmake.j2",
        },
        ("Name this folder in EXTRA_ZEPHYR_MODULES, and set CONFIG_SNNGEN_{PREFIX}=y.",),
    ),
    "esp-idf": Package(
        {
            "CMakeLists.txt": "packages/esp_idf_cmake.j2",
            "idf_component.yml": "packages/esp_idf_component.yml.j2",
        },
        ("Copy this folder to components/ of your project.",),
    ),
}


def readme_facts(package: str, prefix: str) -> dict[str, object]:
    """What README.txt says of a package."""
    names = {"prefix": prefix, "PREFIX": prefix.upper()}
    return {
        "folder": "" if package == PLAIN else SOURCES,
        "runtime_folder": RUNTIME if package == PLAIN else SOURCES,
        "use": [line.format(**names) for line in PACKAGES[package].use],
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
