"""Trained networks: every one is measured, as it is now, and its emitted C is the golden model."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest

from bench.networks import ROOT
from bench.trained import COMPARED, PAGE, RESULTS, STEPPED, TRAINED, is_golden, length, page
from snngen.convert import Options
from snngen.data import synthetic
from snngen.evaluate import Ann
from snngen.fixed import FixedNet
from snngen.golden import LayerTrace, Trace
from snngen.pipeline import Normalisation, build, read_model

KNOWN = json.loads(RESULTS.read_text())


def test_every_network_below_examples_has_a_line() -> None:
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "examples").rglob("*.onnx")}
    missing = files - {trained.network.file for trained in TRAINED.values()}
    assert not missing, f"add a line to TRAINED of bench/trained.py for {sorted(missing)}"
    for trained in TRAINED.values():
        assert (ROOT / "examples" / trained.trainer).exists()


def test_every_network_was_measured_as_it_is() -> None:
    for name, trained in TRAINED.items():
        digest = sha256(trained.network.path.read_bytes()).hexdigest()[:16]
        found = KNOWN.get(name, {}).get("model")
        assert found == digest, f"measure it: python -m bench.trained {name}"
    assert list(KNOWN) == list(TRAINED)
    assert PAGE.read_text() == page(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_emitted_c_is_the_golden_model(name: str) -> None:
    found = KNOWN[name]
    assert found["equal"] and found["golden"]
    assert (found["compared"], found["traced"], found["stepped"]) == (COMPARED, COMPARED, STEPPED)


@pytest.fixture(scope="module")
def net() -> FixedNet:
    graph = read_model(ROOT / "snngen/demo_data/digits.onnx")
    ann = Ann(graph, Normalisation().preprocess(1))
    return build(ann, synthetic(graph.input.shape, 8), Options("channel-max", "if", timesteps=4))


@pytest.mark.parametrize("quantity", ["output", "membrane"])
def test_a_single_spike_or_membrane_that_is_not_golden_is_found(
    net: FixedNet, quantity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from snngen import golden

    images = synthetic(net.input.shape, 2)
    assert is_golden(net, images)
    honest: Trace = golden.trace(net, images)
    layer = net.layers[0].name
    changed = getattr(honest[layer], quantity).copy()
    changed.flat[-1] += 1
    wrong: LayerTrace = replace(honest[layer], **{quantity: changed})
    monkeypatch.setattr(golden, "trace", lambda *_: {**honest, layer: wrong})
    assert not is_golden(net, images)


def test_what_a_network_takes(net: FixedNet) -> None:
    assert length(net) == "`if` T=4"
