"""Emitted folders are what build systems take: each is built, or, where its SDK is not here, with
what stands for the few functions of the SDK that it calls.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from snngen.targets.c.build import write_tree
from snngen.targets.c.emit import emit
from snngen.targets.c.engine import Engine
from snngen.targets.c.packages import PACKAGES, unarranged
from tests.networks import level_showcase, random_images, spiking_showcase

USER = """#include <stdio.h>
#include "digits.h"
static digits_arena arena;
int main(void)
{
    printf("%d", digits_selftest(&arena, sizeof arena));
    return 0;
}
"""
ARDUINO_H = """#include <stddef.h>
#include <stdint.h>
struct Port {
    void begin(long) {}
    void println(const char *) {}
    operator bool() { return true; }
};
static Port Serial;
"""
SDK_STUBS = {
    "esp-idf": """
include(CMakeParseArguments)
function(idf_component_register)
    cmake_parse_arguments(C "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
    add_library(network STATIC ${C_SRCS})
    target_include_directories(network PUBLIC ${C_INCLUDE_DIRS})
endfunction()
add_subdirectory(package)
""",
    "zephyr": """
function(zephyr_library_named NAME)
    add_library(${NAME} STATIC)
    set(library ${NAME} PARENT_SCOPE)
endfunction()
function(zephyr_library_sources)
    foreach(source ${ARGN})
        target_sources(${library} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/${source})
    endforeach()
endfunction()
function(zephyr_include_directories DIR)
    target_include_directories(${library} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/${DIR})
endfunction()
set(CONFIG_SNNGEN_DIGITS y)
add_subdirectory(package/zephyr)
add_library(network ALIAS digits)
""",
}


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def needs(*tools: str) -> None:
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_the_same_network(package: str) -> None:
    net = spiking_showcase()
    files = emit(net, prefix="digits", package=package)
    plain = emit(net, prefix="digits")
    sources = unarranged(files, package)
    assert {n: c for n, c in plain.items() if n.endswith((".c", ".h")) and "main" not in n} == {
        n: c for n, c in sources.items() if n.endswith((".c", ".h")) and "main" not in n
    }
    assert json.loads(files["snngen.json"])["options"]["package"] == package
    images = random_images(net, 2)
    with Engine(net, {**sources, "snngen.json": files["snngen.json"]}) as engine:
        assert engine.selftest() == 0
        run = engine.run(images)
    with Engine(net) as engine:
        np.testing.assert_array_equal(run.membranes, engine.run(images).membranes)


def test_cmake_finds_it_installed(tmp_path: Path) -> None:
    needs("cmake")
    write_tree(emit(level_showcase(), prefix="digits"), tmp_path / "network")
    (tmp_path / "user").mkdir()
    (tmp_path / "user/user.c").write_text(USER)
    (tmp_path / "user/CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(user C)\nfind_package(digits REQUIRED)\n"
        "add_executable(user user.c)\ntarget_link_libraries(user digits)\n"
    )
    run(["cmake", "-S", "network", "-B", "built", "-DCMAKE_INSTALL_PREFIX=at"], tmp_path)
    run(["cmake", "--build", "built"], tmp_path)
    run(["cmake", "--install", "built", "--prefix", str(tmp_path / "at")], tmp_path)
    found = f"-DCMAKE_PREFIX_PATH={tmp_path / 'at'}"
    run(["cmake", "-S", "user", "-B", "user/build", found], tmp_path)
    run(["cmake", "--build", "user/build"], tmp_path)
    assert run(["user/build/user"], tmp_path) == "0"


@pytest.mark.parametrize("package", SDK_STUBS)
def test_cmake_of_an_sdk(package: str, tmp_path: Path) -> None:
    needs("cmake")
    write_tree(emit(level_showcase(), prefix="digits", package=package), tmp_path / "package")
    (tmp_path / "user.c").write_text(USER)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(user C)\n"
        f"{SDK_STUBS[package]}"
        "add_executable(user user.c)\ntarget_link_libraries(user network)\n"
    )
    run(["cmake", "-S", ".", "-B", "build"], tmp_path)
    run(["cmake", "--build", "build"], tmp_path)
    assert run(["build/user"], tmp_path) == "0"


def test_arduino_compiles_for_an_avr(tmp_path: Path) -> None:
    """As its builder does: all of src/ with src/ to include from, and the sketch as C++."""
    needs("avr-gcc")
    files = emit(level_showcase(), prefix="digits", package="arduino", optimise="size")
    write_tree(files, tmp_path)
    (tmp_path / "Arduino.h").write_text(ARDUINO_H)
    chip = ["-mmcu=atmega2560", "-Os", "-ffunction-sections", "-fdata-sections", "-Isrc"]
    sources = sorted(name for name in files if name.endswith(".c"))
    run(["avr-gcc", "-std=gnu11", *chip, "-c", *sources], tmp_path)
    sketch = ["-include", "Arduino.h", "-x", "c++", "examples/selftest/selftest.ino"]
    run(["avr-g++", "-std=gnu++11", *chip, "-c", *sketch, "-o", "sketch.o"], tmp_path)
    (tmp_path / "main.cpp").write_text("void setup(); void loop(); int main() { setup(); loop(); }")
    run(["avr-g++", *chip, "-c", "main.cpp", "-o", "main.o"], tmp_path)
    objects = [f"{Path(name).stem}.o" for name in sources]
    run(["avr-gcc", *chip, "-Wl,--gc-sections", *objects, "sketch.o", "main.o"], tmp_path)
    properties = dict(
        line.split("=", 1) for line in files["library.properties"].decode().splitlines()
    )
    assert properties["name"] == "digits"
    assert properties["includes"] == "digits.h"


def test_platformio_describes_itself() -> None:
    files = emit(level_showcase(), prefix="digits", package="platformio")
    described = json.loads(files["library.json"])
    assert described["name"] == "digits"
    assert f"src/{described['headers']}" in files
