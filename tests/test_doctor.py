"""Errors that add up, damage that is named, causes that are known because they were made."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.networks import IMAGENET
from snngen import fixed_file
from snngen.bounds import prove
from snngen.cli import run
from snngen.cli.diagnosis import diagnosis_lines
from snngen.convert import METHODS, Options, resolve
from snngen.data import load
from snngen.doctor import (
    Advice,
    Answers,
    Diagnosis,
    Effect,
    Finding,
    advise,
    altered,
    diagnose,
    worst,
)
from snngen.doctor.advice import _reason
from snngen.doctor.channels import findings, outliers
from snngen.doctor.split import COMPONENTS, Split, layers_of, split
from snngen.doctor.substitute import outputs
from snngen.doctor.sums import LayerSums
from snngen.evaluate import Ann
from snngen.fixed import FixedNet
from snngen.graph import Graph, Node, Relu, Staircase, forward
from snngen.neurons import IF, Level
from snngen.ops import WEIGHTED
from snngen.pipeline import Built, Normalisation, build_in_steps, read_model
from snngen.simulate import simulate
from snngen.spiking import INPUT
from tests import graphs

DEMO = files("snngen") / "demo_data"
SPLITS = ("train", "test")
GRAPHS = {"lenet": graphs.lenet, "residual": graphs.residual}


@st.composite
def conversions(draw: st.DrawFn) -> Options:
    """Any method for ReLUs with options that it reads."""
    method = draw(st.sampled_from(sorted(n for n, m in METHODS.items() if not m.quantised)))
    neuron = draw(st.sampled_from(["if", "level"]))
    own = {
        "percentile": st.sampled_from([100.0, 99.0, 80.0]),
        "scaling": st.sampled_from(["consistent", "literal"] if neuron == "if" else ["consistent"]),
        "v_init": st.sampled_from([0.0, 0.5, 0.9]),
    }
    read = {name: draw(values) for name, values in own.items() if name in METHODS[method].options}
    return Options(
        method, neuron, timesteps=draw(st.integers(1, 20)), levels=draw(st.integers(1, 20)),
        bits=draw(st.integers(2, 8)), **read,
    )  # fmt: skip


def built(g: Graph, options: Options) -> Built:
    return build_in_steps(graphs.ann(g), graphs.images(g, 16), options)


def parts_of(g: Graph, made: Built, images: np.ndarray) -> Split:
    layers = layers_of(g, made.spiking, made.net, made.units)
    return split(layers, made.spiking, made.net, images, simulate(made.net, images))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(GRAPHS)), conversions(), st.integers(0, 100))
def test_components_add_up_to_the_whole_error(name: str, options: Options, seed: int) -> None:
    """The whole error from the float graph and the spikes, not from what was added up; and the CNN
    with all errors added is the network.
    """
    g = GRAPHS[name]()
    made = built(g, options)
    images = graphs.images(g, 6, seed)
    parts = parts_of(g, made, images)
    seen = graphs.ann(g).preprocess.apply(images, np.float64)
    cnn = forward(g, seen, [node.name for node in g.nodes])
    simulated = simulate(made.net, images)
    for layer in made.net.layers:
        if layer.is_wiring:
            assert layer.name not in parts.components
            continue
        after = [n.name for n in g.consumers(layer.name) if isinstance(n.op, Relu | Staircase)]
        wanted = cnn[after[0] if after else layer.name]
        if layer.name in simulated.counts:
            worth = made.units[layer.name].amplitude[:, None, None] / made.net.timesteps
            got = simulated.counts[layer.name] * worth
        else:
            last = simulated.outputs[:, -1].reshape(wanted.shape)
            got = last * made.net.output_scale
        size = np.abs(parts.components[layer.name]).sum(0).max() + np.abs(wanted).max()
        whole = parts.components[layer.name].sum(0)
        np.testing.assert_allclose(whole, got - wanted, rtol=0, atol=1e-12 * size)
    layers = layers_of(g, made.spiking, made.net, made.units)
    own = {name: errors[1:].sum(0) for name, errors in parts.components.items()}
    given_in = {INPUT: parts.cnn[INPUT]}
    again = outputs(layers, given_in, given_in, own)
    np.testing.assert_allclose(again, parts.decoded[layers[-1].name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("options", [Options(), Options(neuron="level"), Options(timesteps=64)])
def test_what_cannot_be_uneven_is_not(options: Options) -> None:
    """Level neurons, and the first layer, whose current does not change over time."""
    g = graphs.residual()
    parts = parts_of(g, built(g, options), graphs.images(g, 20, 3))
    unevenness = {name: e[COMPONENTS.index("unevenness")] for name, e in parts.components.items()}
    assert not unevenness["conv1"].any() and not parts.components["conv1"][0].any()
    assert any(e.any() for e in unevenness.values()) == (options.neuron != "level")


@pytest.mark.parametrize("neuron", ["if", "level"])
def test_a_network_quantised_in_training_has_no_error_but_unevenness(neuron: str) -> None:
    """Thresholds, steps and weights that binary fractions hold exactly."""
    g = graphs.lenet()
    rng = np.random.default_rng(0)
    nodes = []
    for node in g.nodes:
        if isinstance(node.op, WEIGHTED):
            weight = rng.integers(-7, 8, node.op.weight.shape) / 16
            nodes.append(replace(node, op=replace(node.op, weight=weight), bias=None))
        elif isinstance(node.op, Relu):
            stairs = Staircase(np.arange(1, 9)[None] / 8 - 1 / 16, np.array([1 / 8]))
            nodes.append(replace(node, op=stairs))
        else:
            nodes.append(node)
    first = Staircase(np.arange(1, 16)[None] / 16, np.array([1 / 16]))
    g = replace(g, nodes=(Node("steps", first, ("input",)), *nodes))
    g = replace(
        g, nodes=tuple(replace(n, inputs=("steps",)) if n.name == "conv1" else n for n in g.nodes)
    )
    ann, images = graphs.ann(g), graphs.images(g, 30)
    options = Options(neuron=neuron, **({"timesteps": 8} if neuron == "if" else {}))
    made = build_in_steps(ann, images, options)
    found = diagnose(ann, made, images)
    assert {cause.what for cause in found.causes} == ({"unevenness"} if neuron == "if" else set())
    if neuron == "level":
        assert found.network == found.cnn and not any(layer.rms for layer in found.errors)


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (Options(percentile=90.0, timesteps=256), "clipping"),
        (Options(percentile=90.0, neuron="level", levels=60), "clipping"),
        (Options(bits=2), "weights"),
        (Options(bits=2, neuron="level"), "weights"),
        (Options(neuron="level", levels=2), "levels"),
        (Options(neuron="level", levels=1), "levels"),
    ],
)
@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_a_cause_that_was_made_is_found(name: str, options: Options, cause: str) -> None:
    g = GRAPHS[name]()
    found = diagnose(graphs.ann(g), built(g, options), graphs.images(g, 48, 3))
    worst_cause = worst(found.causes)
    assert worst_cause is not None and worst_cause.what == cause
    added = {
        name: sum(layer.components[name].rms ** 2 for layer in found.errors)
        for name in COMPONENTS[1:]
    }
    assert max(added, key=lambda name: added[name]) == cause
    for layer in found.errors:
        assert abs(sum(c.share for c in layer.components.values()) - 1) < 1e-9
        assert abs(sum(c.mean for c in layer.components.values()) - layer.mean) < 1e-9


def damaged(net: FixedNet, name: str, channel: int, what: str) -> FixedNet:
    """`net` with the weights of one channel negated, or its thresholds doubled or a quarter."""
    layers = []
    for layer in net.layers:
        if layer.name == name and what == "weights":
            synapses = []
            for synapse in layer.synapses:
                assert isinstance(synapse.op, WEIGHTED)
                weight = synapse.op.weight.copy()
                weight[channel] *= -1
                synapses.append(replace(synapse, op=replace(synapse.op, weight=weight)))
            layer = replace(layer, synapses=tuple(synapses))
        elif layer.name == name:
            assert isinstance(layer.neuron, IF | Level)
            held = "threshold" if isinstance(layer.neuron, IF) else "thresholds"
            values = getattr(layer.neuron, held).copy()
            values[channel] = values[channel] * 2 if what == "doubled" else values[channel] // 4
            layer = replace(layer, neuron=replace(layer.neuron, **{held: values}))
        sources = [net.source_interval(s.source) for s in layer.synapses]
        b = prove(name, layer.synapses, sources, layer.bias, layer.neuron, net.timesteps)
        layer = replace(layer, current=b.current, membrane=b.membrane, output=b.output)
        layers.append(layer)
    return replace(net, layers=tuple(layers))


@pytest.fixture(scope="module")
def digits() -> tuple[Ann, np.ndarray, np.ndarray]:
    """The trained CNN of the demo, images to calibrate on and others to examine."""
    with as_file(DEMO) as folder:
        g = read_model(folder / "digits.onnx")
        shown = [load(str(folder / "digits.npz"), g.input.shape, split=s).images for s in SPLITS]
    return Ann(g, Normalisation().preprocess(1)), shown[0][:64], shown[1][:128]


@pytest.mark.parametrize("options", [Options(), Options(neuron="level")])
@pytest.mark.parametrize("what", ["weights", "doubled", "a quarter"])
@pytest.mark.parametrize(("layer", "channel"), [("/0/Conv", 2), ("/3/Conv", 5), ("/7/Gemm", 7)])
def test_a_damaged_channel_is_named(
    digits: tuple[Ann, np.ndarray, np.ndarray],
    options: Options,
    what: str,
    layer: str,
    channel: int,
) -> None:
    ann, calibration, images = digits
    made = build_in_steps(ann, calibration, options)
    before = diagnose(ann, made, images)
    assert not [f for f in before.findings if f.kind == "outlier"]
    bad = damaged(made.net, layer, channel, what)
    after = diagnose(ann, replace(made, net=bad), images)
    assert {(f.layer, f.channel) for f in after.findings if f.kind == "outlier"} == {
        (layer, channel)
    }
    cost = [{e.what: e.alone.likeness for e in d.layers}[layer] for d in (before, after)]
    assert cost[1] < cost[0]
    assert [(a.layer, a.channels) for a in altered(bad, made.net)] == [(layer, (channel,))]


@pytest.mark.parametrize(
    ("errors", "channels"),
    [
        ([0.004, 0.003, 0.006, 0.2, 0.005], [3]),
        ([0.004, 0.003, 0.006, 0.04, 0.005], []),  # far from the others, but not worth a word
        ([0.1, 0.2, 0.15, 0.3, 0.12, 0.25], []),  # all bad alike
        ([0.02, 0.02, 0.02, 0.02, 0.3, 0.4], [4, 5]),
    ],
)
def test_outliers(errors: list[float], channels: list[int]) -> None:
    assert np.flatnonzero(outliers(np.array(errors))).tolist() == channels


def test_silent_dead_and_saturated_channels_are_told_apart() -> None:
    g = graphs.lenet()
    made = built(g, Options())
    layer = layers_of(g, made.spiking, made.net, made.units)[0]
    no_error = np.zeros((len(COMPONENTS), 4))
    sums = LayerSums(
        100,
        cnn=np.array([0.0, 30.0, 50.0, 0.0]),
        error=no_error,
        squared=no_error,
        shared=no_error,
        sent=np.array([0.0, 0.0, 80.0, 9.0]),
        active=np.array([0.0, 20.0, 80.0, 0.0]),
        beyond=np.array([0.0, 0.0, 6.0, 5.0]),
    )
    assert list(findings(layer, sums)) == [
        Finding("dead", "conv1", 0),
        Finding("silent", "conv1", 1, (30 / 20) ** 0.5),
        Finding("saturated", "conv1", 2, 0.06),
    ]


def diagnosis(agreement: int, **alone: tuple[int, int]) -> Diagnosis:
    """Of 100 images; causes by name, with the agreement that they leave alone, and without them."""
    answers = [Answers(n, None, n / 100) for n in range(101)]
    causes = tuple(Effect(name, answers[a], answers[w]) for name, (a, w) in alone.items())
    return Diagnosis(100, answers[100], answers[agreement], (), causes, (), ())


@pytest.mark.parametrize(
    ("found", "options", "tried"),
    [
        (diagnosis(99, unevenness=(99, 100)), Options(), []),
        (
            diagnosis(50, levels=(90, 52), unevenness=(51, 89)),
            Options(),
            ["--neuron level", "--timesteps 64"],
        ),
        (diagnosis(50, levels=(51, 89)), Options(timesteps=1024), []),
        (diagnosis(50, levels=(51, 89)), Options(neuron="level"), ["--levels 31"]),
        (diagnosis(50, clipping=(51, 89)), Options(), ["--percentile 100"]),
        (diagnosis(50, clipping=(51, 89)), Options(percentile=100.0), ["more --samples"]),
        (diagnosis(50, clipping=(51, 89)), Options(method="ecc"), ["more --samples"]),
        (diagnosis(50, clipping=(5, 89)), Options(scaling="literal"), ["--scaling consistent"]),
        (diagnosis(50, clipping=(100, 52), levels=(100, 70)), Options(), ["--timesteps 64"]),
        (
            diagnosis(50, weights=(40, 97), levels=(98, 53)),
            Options(bits=3, neuron="level"),
            ["--bits 5", "--levels 31"],
        ),
        (diagnosis(50, weights=(50, 99), correction=(98, 50)), Options(), ["another --method"]),
    ],
)
def test_advice(found: Diagnosis, options: Options, tried: list[str]) -> None:
    advice = advise(found, resolve(graphs.lenet(), options))
    assert [one.option for one in advice] == tried
    assert all("the CNN's class" in one.reason for one in advice)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """The demo's model and images, and a network of it, sound and damaged."""
    monkeypatch.chdir(tmp_path)
    for name in ("digits.onnx", "digits.npz"):
        Path(name).write_bytes((DEMO / name).read_bytes())
    assert run(shlex.split("convert digits.onnx --data digits.npz --samples 64")) == 0
    sound = fixed_file.load(Path("digits.snn"))
    fixed_file.save(damaged(sound, "/3/Conv", 5, "a quarter"), Path("damaged.snn"))
    return tmp_path


def said(words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    code = run(shlex.split(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


DOCTOR = "doctor digits.onnx --data digits.npz --samples 64 --limit 100"


def test_a_damaged_file_beside_its_model(folder: Path, capsys) -> None:
    code, out, err = said(f"{DOCTOR} --network damaged.snn", capsys)
    assert (code, err) == (0, "")
    assert "/3/Conv: error of weights stands out" in out and "\n  channel 5 (" in out
    assert "/3/Conv: thresholds of 1 in 32 channels\n  channel 5\n" in out
    assert "costliest cause: weights; costliest layer: /3/Conv\n" in out
    code, sound, err = said(f"{DOCTOR} --network digits.snn", capsys)
    assert (code, err) == (0, "") and "stands out" not in sound and "thresholds of" not in sound
    assert said(DOCTOR, capsys)[1] == sound


def test_json_holds_the_same_with_names_in_full(folder: Path, capsys) -> None:
    code, out, err = said(f"{DOCTOR} --network damaged.snn --json", capsys)
    found = json.loads(out)
    assert (code, err) == (0, "") and found["images"] == 100
    assert [layer["name"] for layer in found["errors"]] == [
        "/0/Conv", "/3/Conv", "/7/Gemm", "/9/Gemm"
    ]  # fmt: skip
    assert found["altered"] == [
        {"layer": "/3/Conv", "what": "thresholds", "channels": [5], "of": 32}
    ]
    named = [f for f in found["findings"] if f["kind"] == "outlier"]
    assert {(f["layer"], f["channel"]) for f in named} == {("/3/Conv", 5)}
    assert named[0]["component"] == "weights" and named[0]["value"] > 5 * named[0]["typical"]
    for layer in found["errors"]:
        assert sum(part["share"] for part in layer["components"].values()) == pytest.approx(1)


def test_a_network_that_the_options_do_not_make_is_refused(folder: Path, capsys) -> None:
    code, out, err = said(f"{DOCTOR} --network digits.snn --timesteps 8", capsys)
    assert (code, out) == (2, "") and "the timesteps must be as in the network that these" in err
    assert "found: 16 instead of 8" in err and err.count("error:") == 1
    code, out, err = said(f"{DOCTOR} --network digits.snn --neuron level", capsys)
    assert (code, out) == (2, "") and err.count("error:") == 4  # the timesteps, and three layers
    assert "15 levels from 0" in err and "Traceback" not in err
    for words in ("--network absent.snn", "--limit 0"):
        code, out, err = said(f"{DOCTOR} {words}", capsys)
        assert (code, out) == (2, "") and "error: " in err


def test_lines_fit_100_columns_whatever_layers_are_called() -> None:
    g = graphs.residual()
    long = {node.name: f"/features/stage.1/block.2/{node.name}/" + "x" * 200 for node in g.nodes}
    nodes = tuple(
        replace(n, name=long[n.name], inputs=tuple(long.get(i, i) for i in n.inputs))
        for n in g.nodes
    )
    g = replace(g, nodes=nodes, output=long[g.output])
    images = graphs.images(g, 20)
    made = built(g, Options(bits=2, timesteps=4))
    found = diagnose(graphs.ann(g), made, images, np.zeros(20, np.int64))
    troubles = [
        Finding(kind, long["conv1"], channel, 0.999, "weights", 0.123)
        for kind in ("silent", "dead", "saturated", "outlier")
        for channel in range(1000, 1300)
    ]
    advice = [Advice("--neuron level", _reason(found.causes[0], found))]
    parts = {name: replace(c, rms=1.0) for name, c in found.errors[0].components.items()}
    found = replace(found, errors=(replace(found.errors[0], components=parts), *found.errors[1:]))
    other = replace(made.net, layers=[replace(x, bias=None) for x in made.net.layers])
    lines = diagnosis_lines(replace(found, findings=troubles), altered(made.net, other), advice)
    assert max(map(len, lines)) <= 100, max(lines, key=len)
    assert (
        "  channels 1000 (1.00), 1001 (1.00), 1002 (1.00), 1003 (1.00), 1004 (1.00) and 295 more"
        in lines
    )


@pytest.mark.parametrize("neuron", ["if", "level"])
def test_a_deep_network_suffers_from_unevenness(
    neuron: str, data_dir: Path, models_dir: Path
) -> None:
    """ResNet-20 in 16 timesteps; in counts it has none."""
    g = read_model(models_dir / "cifar10/akamaster_resnet20.onnx")
    ann = Ann(g, IMAGENET.preprocess(3))
    images = load("cifar10", g.input.shape, split="train", limit=40).images
    made = build_in_steps(ann, images[:16], Options(neuron=neuron))
    found = diagnose(ann, made, images[16:])
    causes = {cause.what: cause for cause in found.causes}
    if neuron == "level":
        assert "unevenness" not in causes and found.network.agreement > 18
    else:
        assert worst(found.causes) == causes["unevenness"] and found.network.agreement < 18
        assert causes["unevenness"].without.agreement > 18
