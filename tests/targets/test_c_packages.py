"""Emitted folders are what build systems take: each is built, or, where its SDK is not here, with
what stands for the few functions of the SDK that it calls.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from snngen.link import Device, answers, check_network
from snngen.targets.c.build import write_tree
from snngen.targets.c.emit import emit
from snngen.targets.c.engine import Engine
from snngen.targets.c.packages import PACKAGES, unarranged
from tests.link_devices import Line
from tests.networks import level_showcase, random_images, spiking_showcase

USER = """#include <stdio.h>
#include "digits.h"
#include "snn_link.h"
static digits_arena arena;
int main(void)
{
    printf("%d", digits_selftest(&arena, sizeof arena));
    return 0;
}
"""
ARDUINO_H = b"""#include <stddef.h>
#include <stdint.h>
struct Port {
    void begin(long) {}
    void println(const char *) {}
    operator bool() { return true; }
    int available() { return 0; }
    int read() { return -1; }
    size_t write(const uint8_t *, size_t count) { return count; }
};
static Port Serial;
static inline unsigned long micros() { return 0; }
"""
HOST_ARDUINO_H = b"""#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
struct Port {
    void begin(long) {}
    int available() { return 1; }
    int read() { uint8_t byte; if (::read(0, &byte, 1) != 1) { exit(0); } return byte; }
    size_t write(const uint8_t *bytes, size_t count) { return (size_t)::write(1, bytes, count); }
};
static Port Serial;
static inline unsigned long micros() { return 0; }
"""
ARDUINO_MAIN = b"void setup(); void loop(); int main() { setup(); for (;;) { loop(); } }"
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


def test_cmake_finds_it_installed(tmp_path: Path, require) -> None:
    require("cmake")
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
def test_cmake_of_an_sdk(package: str, tmp_path: Path, require) -> None:
    require("cmake")
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


def test_make_for_a_microcontroller(tmp_path: Path, require) -> None:
    """The library, with the command that its Makefile shows, and a program that links to it."""
    for tool in ("make", "arm-none-eabi-gcc"):
        require(tool)
    write_tree(emit(level_showcase(), prefix="digits"), tmp_path)
    flags = "-Os -mcpu=cortex-m4 -mthumb"
    command = ["make", "CC=arm-none-eabi-gcc", "AR=arm-none-eabi-ar", f"CFLAGS={flags}"]
    run([*command, "build/libdigits.a"], tmp_path)
    (tmp_path / "user.c").write_text(USER)
    link = ["arm-none-eabi-gcc", *flags.split(), "-I.", "-Iruntime", "--specs=nosys.specs"]
    run([*link, "user.c", "build/libdigits.a", "-o", "user.elf"], tmp_path)
    listing = run(["arm-none-eabi-nm", "user.elf"], tmp_path)
    assert " T digits_selftest" in listing and "snn_link" not in listing


def test_cmake_of_a_larger_project(tmp_path: Path, require) -> None:
    require("cmake")
    write_tree(emit(level_showcase(), prefix="digits"), tmp_path / "network")
    (tmp_path / "user.c").write_text(USER)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(user C)\nadd_subdirectory(network)\n"
        "add_executable(user user.c)\ntarget_link_libraries(user digits)\n"
    )
    run(["cmake", "-S", ".", "-B", "build"], tmp_path)
    run(["cmake", "--build", "build", "--target", "user"], tmp_path)
    assert run(["build/user"], tmp_path) == "0"


@pytest.mark.parametrize("sketch", ["selftest", "link"])
def test_arduino_compiles_for_an_avr(sketch: str, tmp_path: Path, require) -> None:
    """As its builder does: all of src/ with src/ to include from, and the sketch as C++."""
    require("avr-gcc")
    files = emit(level_showcase(), prefix="digits", package="arduino", optimise="size")
    write_tree({**files, "Arduino.h": ARDUINO_H, "main.cpp": ARDUINO_MAIN}, tmp_path)
    chip = ["-mmcu=atmega2560", "-Os", "-ffunction-sections", "-fdata-sections", "-Isrc"]
    sources = sorted(name for name in files if name.endswith(".c"))
    run(["avr-gcc", "-std=gnu11", *chip, "-c", *sources], tmp_path)
    source = ["-include", "Arduino.h", "-x", "c++", f"examples/{sketch}/{sketch}.ino"]
    run(["avr-g++", "-std=gnu++11", *chip, "-c", *source, "-o", "sketch.o"], tmp_path)
    run(["avr-g++", *chip, "-c", "main.cpp", "-o", "main.o"], tmp_path)
    objects = [f"{Path(name).stem}.o" for name in sources]
    run(["avr-gcc", *chip, "-Wl,--gc-sections", *objects, "sketch.o", "main.o"], tmp_path)
    properties = dict(
        line.split("=", 1) for line in files["library.properties"].decode().splitlines()
    )
    assert properties["name"] == "digits"
    assert properties["includes"] == "digits.h"


def test_the_arduino_sketch_answers_a_host(tmp_path: Path, require) -> None:
    """Compiled for this machine, its serial port standard input and output."""
    require("g++")
    net = level_showcase()
    files = emit(net, prefix="digits", package="arduino")
    write_tree({**files, "Arduino.h": HOST_ARDUINO_H, "main.cpp": ARDUINO_MAIN}, tmp_path)
    sources = sorted(name for name in files if name.endswith(".c"))
    run(["gcc", "-std=gnu11", "-Isrc", "-c", *sources], tmp_path)
    source = ["-include", "Arduino.h", "-x", "c++", "examples/link/link.ino", "main.cpp"]
    objects = [f"{Path(name).stem}.o" for name in sources]
    command = ["g++", "-std=gnu++11", "-Wall", "-Wextra", "-Isrc", "-o", "device"]
    run([*command, *source, "-x", "none", *objects], tmp_path)
    with closing(Line(tmp_path / "device")) as line:
        device = Device(line, "here", int(np.prod(net.input.shape)))
        identity = check_network(device, net)
        assert (identity.shape, identity.ticks_per_second) == (net.input.shape, 1_000_000)
        assert device.selftest() == 0
        found = list(answers(device, net, random_images(net, 2)))
        assert [answer.difference for answer in found] == [None, None]


def test_platformio_describes_itself() -> None:
    files = emit(level_showcase(), prefix="digits", package="platformio")
    described = json.loads(files["library.json"])
    assert described["name"] == "digits"
    assert f"src/{described['headers']}" in files
