"""A search finds what trying everything finds, with a fraction of the work; whoever does the work,
and whatever is interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from snngen import fixed_file
from snngen.convert import METHODS, Options
from snngen.data import load
from snngen.errors import ConversionError, DataError, FileError
from snngen.evaluate import Ann, evaluate
from snngen.pipeline import Normalisation, read_model, spiking
from snngen.schema import encode
from snngen.tune import (
    GOALS,
    Candidate,
    Material,
    Space,
    Spent,
    Tuning,
    divide,
    front,
    ladders,
    race,
    tune,
)
from snngen.tune.candidate import Network
from snngen.tune.journal import FINDINGS, Journal
from snngen.tune.race import Bar, Judgement, Race, least_excess
from tests import graphs
from tests.test_cli import DEMO, folder, said  # noqa: F401  # a fixture
from tests.test_workers import local_cluster

CHECKOUT = Path(__file__).parents[1]
IMAGES = 1000
CNN_ERRS = 0.04
RELU_METHODS = {name for name, method in METHODS.items() if not method.quantised}
SMALL = Space(("channel-max", "ecc"), ("level", "if"), (4, 8), (3, 7, 15), (8, 4), (100.0, 99.9))
FEW = "--method channel-max,ecc --timesteps 4,8 --levels 3,7,15 --bits 8,4 --percentile 100,99.9"


class Drawn:
    """A jury whose networks err at a rate that falls with precision, on images drawn once; spikes
    grow with size. Counts what it simulates.
    """

    images = IMAGES

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        hard = self.rng.random(IMAGES)  # the CNN errs on some, networks mostly on these
        self.hard = hard[np.argsort(abs(hard - CNN_ERRS))]
        self.networks: dict[str, tuple[np.ndarray, int]] = {}
        self.work = 0

    @property
    def cnn(self) -> np.ndarray:
        return self.hard < CNN_ERRS

    def _network(self, options: Options, bits: int) -> Network:
        name = repr((options, bits))
        rng = np.random.default_rng(sum(name.encode()))
        size = options.timesteps if options.neuron == "if" else options.levels
        kind = {"channel-max": 1.0, "layer-max": 2.0}.get(options.method, 0.7)
        kind *= 1 + abs(float(options.percentile) - 99.8) if options.percentile != "auto" else 1
        loss = kind * ((0.5 if options.neuron == "if" else 0.3) / size + 0.3 / 2**bits)
        noise = self.hard + rng.normal(0, 0.01, IMAGES)
        synops = int(10_000 * kind * size * rng.uniform(0.99, 1.01))
        self.networks[name] = (noise < CNN_ERRS + loss, synops)
        return Network(name, options.steps, 100 * options.steps, 1000 * bits + 10 * size, size)

    def convert(
        self, wanted: Sequence[tuple[Options, tuple[int, ...]]]
    ) -> list[dict[int, Network]]:
        return [{b: self._network(options, b) for b in bits} for options, bits in wanted]

    def judge(self, wanted: Sequence[tuple[Network, int, int]]) -> list[Judgement]:
        self.work += sum((end - begin) * n.timesteps for n, begin, end in wanted)
        found = [(*self.networks[n.digest], begin, end) for n, begin, end in wanted]
        return [Judgement(w[a:b], synops * (b - a), 500) for w, synops, a, b in found]


def everything(jury: Drawn) -> list[Candidate]:
    climbed, _ = ladders(Space(), graphs.lenet())
    made = []
    for ladder in climbed:
        for rung in ladder.rungs:
            for bits, network in jury.convert([(rung, ladder.bits)])[0].items():
                (found,) = jury.judge([(network, 0, IMAGES)])
                options = replace(rung, bits=bits)
                made.append(Candidate(options, network, found.wrong, found.synops, found.macs))
    return made


def searched(seed: int, goal: str, drop: float) -> tuple[Candidate | None, list[Candidate], float]:
    """The chosen one, all of those that are good enough, and the fraction of the work."""
    jury = Drawn(seed)
    whole = everything(jury)
    work, jury.work = jury.work, 0
    allowed = int(jury.cnn.sum() + IMAGES * drop / 100)
    if goal == "accuracy":
        allowed = min(c.errors for c in whole)
    bar = None if goal == "accuracy" else Bar(jury.cnn, allowed)
    chosen = Race(jury, ladders(Space(), graphs.lenet())[0], GOALS[goal], bar).run()
    return chosen, [c for c in whole if c.errors <= allowed], jury.work / work


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("seed", range(3))
def test_the_search_finds_the_best_of_all(goal: str, seed: int) -> None:
    chosen, good, work = searched(seed, goal, 2.0)
    assert chosen is not None and chosen.judged == IMAGES
    most = max(c.errors for c in good)
    assert chosen.errors <= most + (2 if goal == "accuracy" else 0)
    assert GOALS[goal](chosen) <= 1.02 * min(GOALS[goal](c) for c in good)
    assert work < (0.15 if goal in ("accuracy", "flash") else 0.03)


def test_a_search_with_a_wrong_bound_fails(monkeypatch) -> None:
    """What the test above rests on: it notices a bound that is none."""
    monkeypatch.setattr(race, "least_excess", lambda *seen: 100.0)
    chosen, good, _ = searched(0, "synops", 2.0)
    least = min(c.additions for c in good)
    assert chosen is None or chosen.additions > 1.02 * least


def test_where_nothing_is_good_enough_nothing_is_chosen() -> None:
    jury = Drawn(0)
    bar = Bar(jury.cnn, 0)
    assert Race(jury, ladders(Space(), graphs.lenet())[0], GOALS["synops"], bar).run() is None


def test_the_bound_is_rarely_wrong_and_soon_right() -> None:
    """Of networks exactly at the limit few are ever refuted, of those 2 points beyond nearly all,
    on a quarter of the images.
    """
    rng = np.random.default_rng(0)
    hardness = np.exp(-np.arange(IMAGES) / 100)
    reference = rng.random(IMAGES) < 0.3 * hardness
    at_limit = beyond = 0
    for _ in range(500):
        wrong = np.where(rng.random(IMAGES) < 0.3 * hardness, ~reference, reference)
        seen = [candidate(wrong[:n]) for n in (8, 16, 32, 64, 128, 256, 512, 1000)]
        at_limit += any(Bar(reference, int(wrong.sum())).refutes(c) for c in seen)
        beyond += Bar(reference, int(wrong.sum()) - IMAGES // 50).refutes(seen[5])
    assert at_limit < 25 and beyond > 475


def test_the_least_excess() -> None:
    """McNemar: 30 and 10 differences are an excess of 20 with a variance of about 40."""
    assert least_excess(30, 10, 2.0) == pytest.approx(20 - 2 * 41**0.5)
    assert least_excess(0, 0, 2.0) < 0


def candidate(wrong: np.ndarray, synops: int = 0) -> Candidate:
    return Candidate(Options(), Network(str(synops), 1, 1, 1, 1), wrong, synops * len(wrong))


def test_the_front() -> None:
    def made(errors: int, synops: int) -> Candidate:
        return candidate(np.arange(1000) < errors, synops)

    good, dear, cheap, worse = made(1, 50), made(1, 60), made(9, 5), made(10, 6)
    assert front([dear, worse, good, cheap], GOALS["synops"]) == [cheap, good]


def test_ladders_are_the_whole_space() -> None:
    climbed, left_out = ladders(Space(), graphs.lenet())
    needs = "needs every activation quantised"
    assert [p.rule for p in left_out] == [
        f"method {name} {needs}" for name in ("quantized", "scatter-gather")
    ]
    bits: dict[Options, tuple[int, ...]] = {}
    for ladder in climbed:
        sizes = [o.timesteps if o.neuron == "if" else o.levels for o in ladder.rungs]
        assert sizes == sorted(sizes)
        for rung in ladder.rungs:
            bits[replace(rung, bits=8)] = bits.get(replace(rung, bits=8), ()) + ladder.bits
    assert set(bits.values()) == {(8, 6, 4)}
    assert {r.method for ladder in climbed for r in ladder.rungs} == set(Space().method) - {
        "quantized",
        "scatter-gather",
    }
    with pytest.raises(ConversionError) as caught:
        ladders(Space(("nonsense",), ("other",), (0,), (300,), (9,), (101.0,)), graphs.lenet())
    assert len(caught.value.problems) == 6


@pytest.mark.parametrize("method", [m for m in sorted(RELU_METHODS) if METHODS[m].rounds])
def test_methods_that_see_rounded_weights_convert_for_each_number_of_bits(method: str) -> None:
    climbed, _ = ladders(Space(method=(method,), neuron=("level",)), graphs.lenet())
    assert [(ladder.bits, ladder.rungs[0].bits) for ladder in climbed] == [
        ((8,), 8),
        ((6,), 6),
        ((4,), 4),
    ]


@pytest.mark.parametrize("method", [m for m in sorted(RELU_METHODS) if not METHODS[m].rounds])
def test_one_conversion_serves_all_bits(method: str) -> None:
    g = graphs.lenet()
    nets = [
        spiking(
            graphs.ann(g),
            graphs.images(g, 8),
            Options(method=method, neuron="if", timesteps=4, bits=bits),
        )
        for bits in (8, 4)
    ]
    first, second = (json.dumps(encode(n.layers), default=lambda a: a.tolist()) for n in nets)
    assert first == second


# Journals


def test_a_journal_forgets_nothing_but_what_was_cut_short(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add("a", {"x": [1, 2]})
        journal.add("b", 5)
    path = tmp_path / FINDINGS
    whole = path.read_bytes()
    for cut in range(len(whole) - 1, whole.index(b"\n"), -1):
        path.write_bytes(whole[:cut])
        with Journal(tmp_path) as journal:
            assert journal.find("a") == {"x": [1, 2]} and journal.find("b") is None
            journal.add("b", 5)
        assert path.read_bytes() == whole


def test_a_journal_believes_nothing_that_it_did_not_write(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add("a", 1)
        journal.add("b", 2)
    path = tmp_path / FINDINGS
    altered = path.read_bytes().replace(b'"a",1', b'"a",7') + b"[]\n{}\nnull\n\xff\n[[[\n"
    path.write_bytes(altered)
    with Journal(tmp_path) as journal:
        assert journal.find("a") is None and journal.find("b") == 2


def test_a_journal_has_one_writer(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(FileError, match="in use by another run"):
        Journal(tmp_path).__enter__()
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot hold"):
        Journal(tmp_path / "file").__enter__()


# The command


@pytest.fixture(scope="module")
def digits() -> Material:
    return digits_material()


def digits_material() -> Material:
    graph = read_model(Path(str(DEMO / "digits.onnx")))
    ann = Ann(graph, Normalisation().preprocess(1))
    samples = load(str(DEMO / "digits.npz"), graph.input.shape, split="train")
    return divide(ann, samples.images, samples.labels, 256)


def test_held_out_images_calibrate_nothing(digits: Material) -> None:
    held = {image.tobytes() for image in digits.held_out}
    assert len(digits.held_out) == 256 and len(held) > 250
    assert not held & {image.tobytes() for image in digits.calibration}
    with pytest.raises(DataError, match="--held-out"):
        divide(digits.ann, digits.held_out, None, 256)


def test_what_is_reported_is_what_the_network_does(digits: Material, tmp_path: Path) -> None:
    found = tune(digits, SMALL, "synops", 1.0, tmp_path)
    assert found.chosen is not None and found.network is not None
    net = fixed_file.loads(found.network, "")
    again = evaluate(net, digits.held_out, digits.wanted, ann=digits.ann)
    assert again.correct is not None and again.ann_correct == 256 - found.cnn_errors
    assert again.images - again.correct[-1] == found.chosen.errors
    assert found.chosen.additions == again.synops + 3 * again.macs
    assert found.chosen.errors <= found.cnn_errors + 2


def test_without_labels_the_cnn_is_the_measure(digits: Material, tmp_path: Path) -> None:
    unlabelled = divide(digits.ann, digits.held_out, None, 128)
    found = tune(unlabelled, SMALL, "flash", 5.0, tmp_path)
    assert found.cnn_errors == 0 and found.chosen is not None and found.chosen.errors <= 6
    np.testing.assert_array_equal(unlabelled.wanted, unlabelled.cnn)


def test_what_cannot_be_converted_is_left_out_with_the_reason(tmp_path: Path) -> None:
    g = graphs.lenet()
    huge = replace(g, nodes=tuple(
        replace(n, op=replace(n.op, weight=n.op.weight * 1e39)) if n.name == "fc2" else n
        for n in g.nodes
    ))  # fmt: skip
    ann = graphs.ann(huge)
    material = divide(ann, graphs.images(g, 64), None, 32)
    with pytest.raises(ConversionError, match="must be finite"):
        tune(material, SMALL, "ram", 100.0, tmp_path)
    material = divide(graphs.ann(g), graphs.images(g, 64), None, 32)
    both = replace(SMALL, method=("channel-max", "quantized"))
    found = tune(material, both, "ram", 100.0, tmp_path)
    assert found.chosen is not None
    assert [p.rule for p in found.refusals] == ["method quantized needs every activation quantised"]
    with pytest.raises(ConversionError, match="needs every activation quantised"):
        tune(material, replace(SMALL, method=("quantized",)), "ram", 100.0, tmp_path)


def test_tune_writes_the_network_it_shows(folder: Path, capsys) -> None:  # noqa: F811
    code, out, err = said(f"tune digits.onnx --data digits.npz {FEW}", capsys)
    assert (code, err) == (0, "") and "wrote digits.snn" in out
    (row,) = [line for line in out.splitlines() if line.startswith("*")]
    content = Path("digits.snn").read_bytes()
    code, text, err = said(f"tune digits.onnx --data digits.npz {FEW} --json", capsys)
    shown = json.loads(text)
    (chosen,) = [network for network in shown["networks"] if network["chosen"]]
    assert (code, err) == (0, "") and Path("digits.snn").read_bytes() == content
    assert chosen["digest"] == fixed_file.digest(fixed_file.loads(content, ""))
    assert chosen["front"] and f"{100 * chosen['rate']:.2f} %" in row
    assert shown["spent_now"] == {"judging": 0, "calibrating": 0}
    assert 0 < shown["spent"]["judging"] < shown["whole"]


def test_every_goal_is_met(folder: Path, capsys) -> None:  # noqa: F811
    best = {}
    for goal in GOALS:
        words = f"tune digits.onnx --data digits.npz {FEW} --json --drop 1 --goal {goal}"
        code, text, _ = said(words, capsys)
        assert code == 0
        (best[goal],) = [n for n in json.loads(text)["networks"] if n["chosen"]]
    costs = {"synops": "additions", "latency": "instructions", "flash": "flash", "ram": "ram"}
    for goal, cost in costs.items():
        assert best[goal][cost] == min(n[cost] for n in best.values())
    assert best["accuracy"]["rate"] == max(n["rate"] for n in best.values())


def test_nothing_good_enough_is_no_and_writes_nothing(folder: Path, capsys) -> None:  # noqa: F811
    words = "tune digits.onnx --data digits.npz --neuron level --levels 1 --bits 2 --drop 0"
    code, out, err = said(words, capsys)
    assert code == 1 and "no network comes within 0 points" in err
    assert not Path("digits.snn").exists() and "*" not in out


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("--goal speed", "--goal: must be one of"),
        ("--drop -1 --goal x", "--drop: must be a number"),
        ("--drop nan", "--drop: must be a number"),
        ("--levels 3,x", "--levels: must be values separated by commas"),
        ("--bits 1,9", "--bits: must be 2..8"),
        ("--percentile 99,nan", "--percentile: must be numbers"),
        ("--method best", "--method: must be one of"),
        ("--held-out 5000", "--held-out: must be at least 1 and leave some"),
        ("--held-out 0", "--held-out: must be at least 1"),
        ("--samples 0", "--samples: must be at least 1"),
        ("--workers 0", "--workers: must be at least 1"),
        ("--cluster nonsense://x", "no Dask scheduler answers"),
        ("-o net.txt", "-o: must name a file that ends in .snn"),
        ("--resume digits.npz", "cannot hold what is found out"),
        ("--resume thesis/thesis.tex/x", "cannot hold what is found out"),
    ],
)
def test_wrong_words(folder: Path, capsys, words: str, rule: str) -> None:  # noqa: F811
    code, out, err = said(f"tune digits.onnx --data digits.npz {words}", capsys)
    assert code == 2 and rule in err and out == "" and not list(Path().glob("*.snn.*"))
    assert Path("thesis/thesis.tex").read_text() == "precious"


def test_test_images_are_refused(folder: Path, capsys) -> None:  # noqa: F811
    code, _, err = said("tune digits.onnx --data mnist:test", capsys)
    assert code == 2 and "give mnist:train" in err


# Whoever does the work


def essence(found: Tuning) -> object:
    """All that a search finds, apart from what it took just now."""
    judged = [(c.options, c.network, c.wrong.tolist(), c.synops) for c in found.candidates]
    return found.network, judged, found.spent


@pytest.fixture(scope="module")
def expected(digits: Material, tmp_path_factory) -> object:
    return essence(tune(digits, SMALL, "synops", 1.0, tmp_path_factory.mktemp("one"), workers=1))


@pytest.mark.parametrize("workers", [None, 2, 3])
def test_any_number_of_workers_finds_the_same(
    digits: Material, expected: object, workers: int | None, tmp_path: Path
) -> None:
    assert essence(tune(digits, SMALL, "synops", 1.0, tmp_path, workers=workers)) == expected


def test_a_cluster_finds_the_same_though_a_worker_dies(
    digits: Material, expected: object, tmp_path: Path, require
) -> None:
    require("python:distributed")
    from distributed import Client

    with local_cluster(2) as address, Client(address) as client:
        pids = list(client.run(os.getpid).values())
        barriers = []

        def heard(text: str) -> None:
            barriers.append(text)
            if len(barriers) in (2, 5):  # in the middle of what this barrier asks for
                threading.Timer(0.05, os.kill, (pids.pop(), signal.SIGKILL)).start()

        found = tune(digits, SMALL, "synops", 1.0, tmp_path, cluster=address, heard=heard)
        survivors = set(client.run(os.getpid).values())
    assert not pids and not survivors & {*pids} and len(barriers) > 5
    assert essence(found) == expected


def test_a_killed_search_goes_on_where_it_was(
    digits: Material, expected: object, tmp_path: Path
) -> None:
    """SIGKILL whenever a few more findings are on disk, until a run comes through."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom snngen.tune import tune\n"
        "from tests.test_tune import SMALL, digits_material\n"
        "tune(digits_material(), SMALL, 'synops', 1.0, Path(sys.argv[1]), workers=1)"
    )
    path, kills = tmp_path / FINDINGS, 0
    while True:
        before = _lines(path)
        search = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=CHECKOUT)
        while search.poll() is None and _lines(path) < before + 15:
            time.sleep(0.005)
        if search.poll() is not None:
            break
        search.kill()
        search.wait()
        kills += 1
    assert search.returncode == 0 and kills >= 3
    found = tune(digits, SMALL, "synops", 1.0, tmp_path, workers=1)
    assert essence(found) == expected and found.spent_now == Spent()
    keys = [json.loads(line)[1] for line in path.read_text().splitlines()]
    assert len(keys) == len(set(keys)), "nothing was found out twice"


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
