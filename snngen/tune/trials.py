"""The jury of a race: converts, simulates, counts what that takes, and remembers the findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snngen import fixed_file
from snngen.convert import Options
from snngen.data.raw import spread
from snngen.errors import BoundError, ConversionError, DataError, FileError, Problem
from snngen.evaluate import Ann, evaluate
from snngen.fixed import FixedNet
from snngen.neurons import IF, Level
from snngen.pipeline import calibration_size, spiking, with_bits
from snngen.schema import encode
from snngen.targets.c.budget import PROCESSOR, budget_for
from snngen.tune.candidate import Network
from snngen.tune.journal import Journal, key_of
from snngen.tune.race import Judgement
from snngen.workers import run

Images = NDArray[np.uint8]
Classes = NDArray[np.int64]
BLOCK = 64  # images of one job

_Found = tuple[dict[str, Any], list[bytes]]  # for the journal: a finding, and networks


@dataclass(frozen=True, eq=False)
class Material:
    """The CNN, images to calibrate on, and others, `held_out` (M, C, H, W), to judge by: a network
    is right where its class is the one `wanted` (M,), and `cnn` (M,) are the CNN's classes.
    """

    ann: Ann
    calibration: Images
    held_out: Images
    wanted: Classes
    cnn: Classes


def divide(ann: Ann, images: Images, labels: Classes | None, held_out: int) -> Material:
    """Hold out so many of `images`, evenly spread, in order of how sure of its class the CNN is,
    the least sure first: there networks differ, and few images tell them apart. Without `labels`
    the CNN's classes are wanted. DataError where no images are left for one part.
    """
    if not 1 <= held_out < len(images):
        rule = f"must be at least 1 and leave some of the {len(images)} images for calibration"
        raise DataError(Problem("option --held-out", rule, str(held_out)))
    chosen = spread(len(images), held_out)
    left = np.setdiff1d(np.arange(len(images)), chosen)
    outputs = ann.outputs(images[chosen])
    order = np.argsort(_margins(outputs), kind="stable")
    chosen, cnn = chosen[order], ann.classes_of(outputs[order])
    wanted = cnn if labels is None else labels[chosen]
    return Material(ann, images[left], images[chosen], wanted, cnn)


def _margins(outputs: NDArray[np.floating]) -> NDArray[np.floating]:
    """By how much the largest of the outputs (N, K) exceeds the second largest (N,)."""
    if outputs.shape[1] == 1:
        return np.zeros(len(outputs), outputs.dtype)
    largest = np.partition(outputs, -2, axis=1)
    return largest[:, -1] - largest[:, -2]


@dataclass(frozen=True)
class Spent:
    """Images times timesteps: `judging` networks on held-out images, and `calibrating` them."""

    judging: int = 0
    calibrating: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.judging + other.judging, self.calibrating + other.calibrating)


class Trials:
    """A `Jury` on `material`, which works in processes or on a cluster as `snngen.workers` has it.

    `samples`: calibration images per conversion, or None for what is affordable. `on`: the
    processor whose RAM and flash count. `spent` counts all
    that was asked for, `spent_now` what `journal` did not know. `refusals`: why configurations
    could not be made.
    """

    def __init__(
        self,
        material: Material,
        journal: Journal,
        *,
        samples: int | None = None,
        on: str = PROCESSOR,
        workers: int | None = None,
        cluster: str | None = None,
    ) -> None:
        self.spent, self.spent_now = Spent(), Spent()
        self.refusals: list[Problem] = []
        self._material, self._journal, self._samples = material, journal, samples
        self._workers, self._cluster = workers, cluster
        self._model, self._on = _content(material.ann), on

    @property
    def images(self) -> int:
        return len(self._material.held_out)

    def convert(
        self, wanted: Sequence[tuple[Options, tuple[int, ...]]]
    ) -> list[dict[int, Network]]:
        """See `Jury`; what cannot be made is left out, and the reason kept in `refusals`."""
        tasks = []
        for options, bits in wanted:
            images = self._calibration(options)
            asked = key_of(
                "convert", self._model, repr((options, bits, self._on)), _content(images)
            )
            work = Spent(calibrating=len(images) * options.steps)
            tasks.append(_Task(asked, (options, bits, images, self._on), work))
        found = self._findings(_convert, self._material.ann, tasks)
        problems = [Problem(**problem) for finding in found for problem in finding["problems"]]
        self.refusals += [p for p in dict.fromkeys(problems) if p not in self.refusals]
        return [
            {int(bits): Network(**network) for bits, network in finding["networks"].items()}
            for finding in found
        ]

    def judge(self, wanted: Sequence[tuple[Network, int, int]]) -> list[Judgement]:
        """See `Jury`."""
        tasks, parts = [], []
        for k, (network, begin, end) in enumerate(wanted):
            for at in range(begin, end, BLOCK):
                part = slice(at, min(at + BLOCK, end))
                images = self._material.held_out[part]
                asked = key_of("judge", network.digest, _content(images))
                work = Spent(judging=len(images) * network.timesteps)
                tasks.append(_Task(asked, (self.content(network), images), work))
                parts.append((k, part))
        found = self._findings(_judge, None, tasks)
        judgements = [Judgement(np.zeros(0, bool), 0, 0) for _ in wanted]
        for (k, part), finding in zip(parts, found, strict=True):
            wrong = np.array(finding["classes"]) != self._material.wanted[part]
            before = judgements[k]
            judgements[k] = Judgement(
                np.append(before.wrong, wrong), before.synops + finding["synops"], finding["macs"]
            )
        return judgements

    def content(self, network: Network) -> bytes:
        """The .snn file of a network that was made."""
        content = self._journal.network(network.digest)
        if content is None:
            rule, hint = "the file of a network is gone or damaged", "start again"
            raise FileError(Problem(network.digest, rule, hint=hint))
        return content

    def _calibration(self, options: Options) -> Images:
        """Of all images to calibrate on, those of one conversion."""
        pool = self._material.calibration
        count = self._samples or calibration_size(self._material.ann.graph, options)
        return pool[spread(len(pool), count)]

    def _findings(
        self, function: Callable[..., _Found], shared: Any, tasks: Sequence[_Task]
    ) -> list[dict[str, Any]]:
        """The finding of each task: from the journal, or by `function` of its job."""
        unknown = {task.key: task for task in tasks if not self._is_known(task.key)}
        jobs = [task.job for task in unknown.values()]
        results = run(function, shared, jobs, workers=self._workers, cluster=self._cluster)
        for key, (finding, networks) in zip(unknown, results, strict=True):
            for network in networks:
                self._journal.add_network(network)
            self._journal.add(key, finding)
        self.spent = sum((task.work for task in tasks), self.spent)
        self.spent_now = sum((task.work for task in unknown.values()), self.spent_now)
        return [self._journal.find(task.key) for task in tasks]

    def _is_known(self, key: str) -> bool:
        finding = self._journal.find(key)
        made = () if finding is None else finding.get("networks", {}).values()
        return finding is not None and all(self._journal.network(n["digest"]) for n in made)


@dataclass(frozen=True, eq=False)
class _Task:
    """What a worker is given, `key` being all that its finding depends on, and what it takes."""

    key: str
    job: Any
    work: Spent


def _convert(ann: Ann, job: tuple[Options, tuple[int, ...], Images, str]) -> _Found:
    """The networks of one configuration with each number of bits, and why others are none."""
    options, all_bits, images, on = job
    networks: dict[str, Any] = {}
    contents: list[bytes] = []
    problems: list[Problem] = []
    try:
        net = spiking(ann, images, options)
        for bits in all_bits:
            try:
                fixed = with_bits(net, bits).net
            except (BoundError, ConversionError) as error:
                problems += error.problems
                continue
            contents.append(fixed_file.dumps(fixed))
            budget = budget_for(fixed, on=on)
            digest, updates = fixed_file.digest(fixed), _updates(fixed)
            network = Network(digest, fixed.timesteps, budget.ram, budget.flash, updates)
            networks[str(bits)] = asdict(network)
    except ConversionError as error:
        problems += error.problems
    return {"networks": networks, "problems": [asdict(p) for p in problems]}, contents


def _judge(shared: None, job: tuple[bytes, Images]) -> _Found:
    """The classes of some images, and what that took."""
    content, images = job
    found = evaluate(fixed_file.loads(content, "a network"), images)
    synops = round(found.synops * found.images)
    return {"classes": found.classes.tolist(), "synops": synops, "macs": found.macs}, []


def _updates(net: FixedNet) -> int:
    """Comparisons with a threshold per image; among N levels by bisection."""
    updates = 0
    for layer in net.layers:
        if isinstance(layer.neuron, IF):
            updates += prod(layer.shape) * net.timesteps
        if isinstance(layer.neuron, Level):
            updates += prod(layer.shape) * layer.neuron.thresholds.shape[1].bit_length()
    return updates


def _content(value: Any) -> str:
    """The digest of a dataclass or an array, all that it holds included."""

    def of_array(array: NDArray[Any]) -> list[str]:
        return [str(array.dtype), str(array.shape), sha256(array.tobytes()).hexdigest()]

    return sha256(json.dumps(encode(value), default=of_array).encode()).hexdigest()
