"""What `verify` says, and that it finds faults among many images."""

from __future__ import annotations

import numpy as np
import pytest

from snngen.errors import ConversionError, DataError, FileError, ToolError
from snngen.targets.c.emit import emit
from snngen.verify import Difference, verify
from tests.networks import level_showcase, random_images, spiking_showcase


def test_an_emitted_network_is_equal() -> None:
    net = spiking_showcase()
    result = verify(net, random_images(net, 300), full_trace_images=3)
    assert result.is_equal
    assert (result.images, result.traced_images) == (300, 3)
    assert str(result) == (
        "target c: equal on 300 images, 3 of them with every spike and membrane, "
        f"{result.values:,} numbers in all"
    )


def changed(files, find: str, replace: str) -> dict[str, bytes]:
    text = files["model.c"].decode()
    assert text.count(find) == 1
    return {**files, "model.c": text.replace(find, replace).encode()}


def test_a_difference_names_its_place() -> None:
    net = level_showcase()
    files = changed(emit(net), "layer4_bias[10] = {\n    ", "layer4_bias[10] = {\n    1 +")
    difference = verify(net, random_images(net, 3), files=files).difference
    assert difference is not None
    expected = difference.expected
    assert difference == Difference(0, "dense", (0, 0, 0), 0, "membrane", expected, expected + 1)
    assert str(difference) == (
        "image 0, layer 'dense', neuron (c=0, y=0, x=0), timestep 0: "
        f"membrane expected {expected}, got {expected + 1}"
    )


def test_a_rare_difference_is_found_after_the_traced_images() -> None:
    net = level_showcase()
    images = random_images(net, 600)
    images[images == 77] = 78
    images[555, 0, 3, 3] = 77
    files = emit(net)
    table = files["model.c"].decode().split("input_table[768] = {\n")[1].split("};")[0]
    numbers = table.replace("\n", " ").split(",")
    numbers[77] = str(int(numbers[77]) - 3 if int(numbers[77]) > 0 else int(numbers[77]) + 3)
    text = files["model.c"].decode().replace(table, ",".join(numbers))
    files = {**files, "model.c": text.encode()}
    difference = verify(net, images, files=files, full_trace_images=2).difference
    assert difference is not None
    assert (difference.image, difference.layer) == (555, "grouped")


def test_a_wrong_result_is_told_apart_from_a_wrong_trace() -> None:
    net = spiking_showcase()
    files = dict(emit(net))
    run = files["runtime/snn_ends.c"].decode()
    assert run.count("most = v;") == 1
    files["runtime/snn_ends.c"] = run.replace("most = v;", "most = -v;").encode()
    difference = verify(net, random_images(net, 8), files=files).difference
    assert difference is not None and difference.quantity == "class"
    files["runtime/snn_ends.c"] = run.replace("membranes[k] = v;", "membranes[k] = v + 1;").encode()
    difference = verify(net, random_images(net, 8), files=files).difference
    assert difference is not None and difference.quantity == "result"


def test_a_failing_selftest_is_no_pass() -> None:
    net = level_showcase()
    files = dict(emit(net))
    text = files["model_selftest.c"].decode()
    files["model_selftest.c"] = text.replace("    0x", "    1 + 0x", 1).encode()
    result = verify(net, random_images(net, 2), files=files)
    assert not result.is_equal
    assert str(result) == "target c: the emitted self-test fails with -5"


def test_images_must_fit() -> None:
    net = level_showcase()
    with pytest.raises(DataError, match=r"must be bytes of shape \(n, 3, 7, 5\)"):
        verify(net, np.zeros((2, 7, 5, 3), np.uint8))


def test_targets_are_known_by_name() -> None:
    net = level_showcase()
    with pytest.raises(ConversionError, match="must be one of c"):
        verify(net, random_images(net, 1), target="fortran")


def test_a_missing_compiler_is_named(monkeypatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    net = level_showcase()
    with pytest.raises(ToolError, match="apt install gcc"):
        verify(net, random_images(net, 1))


def test_c_that_does_not_compile_is_quoted() -> None:
    net = level_showcase()
    files = {**emit(net), "model.c": b"#error broken\n"}
    with pytest.raises(ToolError, match="did not accept the emitted files"):
        verify(net, random_images(net, 1), files=files)


def test_files_of_something_else_are_refused() -> None:
    net = level_showcase()
    with pytest.raises(FileError, match=r"snngen\.json: must be the manifest"):
        verify(net, random_images(net, 1), files={"model.c": b""})
