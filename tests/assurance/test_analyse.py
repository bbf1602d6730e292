"""Static analysis finds nothing in emitted C, and finds what is planted there."""

from __future__ import annotations

import pytest

from tests.assurance.analyse import TOOLS, analyse, listed_deviations

PLANTED = {
    "gcc -fanalyzer": (
        b"#include <stdlib.h>\nint f(void);\n"
        b"int f(void) { int *p = malloc(4); if (p == NULL) { return 0; } free(p); return *p; }\n",
        "use-after-free",
    ),
    "clang-tidy": (
        b"#include <string.h>\nint f(const char *a);\n"
        b"int f(const char *a) { return strcmp(a, \"b\") == 0 ? a[0] == a[0] : 1; }\n",
        "misc-redundant-expression",
    ),
    "cppcheck": (
        b"int f(int i);\nint f(int i) { int a[4] = {0}; return i == 4 ? a[i] : 0; }\n",
        "arrayIndexOutOfBoundsCond",
    ),
    "misra": (b"int f(int i);\nint f(int i) { goto end; end: while (i) { i--; } return i; }\n",
              "rule 14.4 is broken"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def tools(require) -> None:
    for tool in TOOLS:
        require(tool)


@pytest.mark.parametrize(
    "name",
    [
        "gcc -fanalyzer",
        "cppcheck",
        pytest.param("clang-tidy", marks=pytest.mark.slow),
        pytest.param("misra", marks=pytest.mark.slow),
    ],
)
def test_nothing_is_found(name: str) -> None:
    assert analyse(name) == []


@pytest.mark.parametrize("name", PLANTED)
def test_what_is_planted_is_found(name: str) -> None:
    content, said = PLANTED[name]
    findings = analyse(name, {"planted.c": content})
    assert any(said in finding and "planted.c" in finding for finding in findings), findings


def test_a_deviation_that_does_not_occur_is_found() -> None:
    findings = analyse("misra", {"planted.c": b"int f(void);\nint f(void) { return 0; }\n"})
    assert len(findings) == len(listed_deviations())
    assert all("is not broken in" in finding for finding in findings)
