"""The training that a recipe describes, epoch by epoch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass
from math import cos, isfinite, pi
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from snngen.errors import Problem, RecipeError
from snngen.files import write_file
from snngen.train.distillation import distillation, relative_error
from snngen.train.export import onnx_bytes
from snngen.train.recipes import checkpoint as store
from snngen.train.recipes.assembly import digest_of, facts_of, models_of, optimiser_of, seed_epoch
from snngen.train.recipes.checkpoint import LOG, MODEL, RECIPE, Checkpoint
from snngen.train.recipes.material import augmented, read_material
from snngen.train.recipes.schema import Recipe, Schedule
from snngen.train.recipes.watched import watched
from snngen.train.synops import SynOps

Sent = dict[str, Tensor]
TESTED_AT_ONCE = 250
COLUMNS = ("epoch", "rate", "loss", "train", "test", "synops")


@dataclass(frozen=True)
class Epoch:
    """What came of an epoch: the rate at its end, the mean loss, the shares of training and test
    images that were right, and the mean synaptic operations of an image where they are in the loss.
    """

    number: int
    rate: float
    loss: float
    train: float
    test: float
    synops: float


@contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """While torch computes the same whenever it is asked, on so many threads."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])


def device_of(name: str) -> str:
    """The device that "auto", "cpu" or "cuda" stands for; RecipeError where there is none."""
    has_cuda = torch.cuda.is_available()
    devices = {"auto": "cuda" if has_cuda else "cpu", "cpu": "cpu"}
    if has_cuda:
        devices["cuda"] = "cuda"
    if name not in devices:
        rule = f"must be one of {', '.join(devices)}, which this machine and torch have"
        raise RecipeError(Problem("option --device", rule, name))
    return devices[name]


class Training:
    """A recipe, and its text, on its way in its output folder, which the caller holds.

    Goes on from the checkpoint there; RecipeError where that was begun with something else.
    """

    def __init__(self, recipe: Recipe, text: bytes, device: str) -> None:
        self.recipe, self.folder, self._text = recipe, Path(recipe.output), text
        self.material = read_material(recipe)
        self.train = self.material.train.to(device)
        self.test = self.material.test.to(device)
        self._device = device
        model, teacher = models_of(recipe, self.material)
        self.model: nn.Module = model.to(device)
        begun = facts_of(recipe, self.material, device)
        if recipe.start is not None:
            begun["what it starts with"] = digest_of(model)
        self._teacher: nn.Module | None = None
        if teacher is not None:
            begun["teacher"] = digest_of(teacher)
            self._teacher = teacher.to(device)
        self._optimiser = optimiser_of(recipe.optimiser, self.model)
        found = store.load(self.folder)
        if found is not None:
            store.check_same(self.folder, found.begun, begun)
            self.model.load_state_dict(found.model)
            self._optimiser.load_state_dict(found.optimiser)
        self._begun = begun
        self.done = [Epoch(int(n), *rest) for n, *rest in found.rows] if found else []
        self._keep()

    def epoch(self, heard: Callable[[int], None] = lambda done: None) -> Epoch:
        """Train the next epoch; on return its checkpoint is on disk. `heard` is told how many
        batches are done.
        """
        self.done.append(self._epoch(len(self.done) + 1, heard))
        self._keep()
        return self.done[-1]

    @property
    def batches(self) -> int:
        """Of an epoch; images that do not fill one are left to the next epoch's draw."""
        return len(self.train) // self.recipe.batch

    def tested(self) -> float:
        """The share of test images that the model gets right, as it will be exported."""
        self.model.eval()
        right, test = 0, self.test
        with torch.no_grad():
            for k in range(0, len(test), TESTED_AT_ONCE):
                images, labels = (v[k : k + TESTED_AT_ONCE] for v in (test.images, test.labels))
                right += int((self.model(self._seen(images)).argmax(1) == labels).sum())
        return right / len(test)

    def export(self) -> Path:
        """Write the ONNX file."""
        plain = deepcopy(self.model).cpu()
        example = torch.zeros(1, *self.material.shape)
        write_file(self.folder / MODEL, onnx_bytes(plain, example))
        return self.folder / MODEL

    def _keep(self) -> None:
        rows = [list(asdict(epoch).values()) for epoch in self.done]
        state = self.model.state_dict(), self._optimiser.state_dict()
        store.save(self.folder, Checkpoint(self._begun, rows, *state))
        lines = [COLUMNS, *([f"{v:.6g}" for v in row] for row in rows)]
        write_file(self.folder / LOG, "".join(",".join(line) + "\n" for line in lines).encode())
        write_file(self.folder / RECIPE, self._text)

    def _epoch(self, number: int, heard: Callable[[int], None]) -> Epoch:
        seed_epoch(self.recipe, number)
        self.model.eval().train()  # as if it was just tested, whether or not: see QuantisedReLU
        sums = torch.zeros(3, dtype=torch.float64, device=self._device)
        order = torch.randperm(len(self.train))[: self.batches * self.recipe.batch]
        for step, picked in enumerate(order.split(self.recipe.batch)):
            at = number - 1 + step / self.batches
            for group in self._optimiser.param_groups:
                group["lr"] = self.recipe.optimiser.rate * rate_at(
                    at, self.recipe.epochs, self.recipe.schedule
                )
            sums += self._step(picked.to(self._device), min(at, 1.0))
            heard(step + 1)
        loss, right, synops = (sums / self.batches).tolist()
        if not isfinite(loss):
            rule, hint = "the loss is no number any more", "make rate smaller, or warm_up longer"
            raise RecipeError(Problem(f"epoch {number}", rule, str(loss), hint))
        rate = self._optimiser.param_groups[0]["lr"]
        return Epoch(number, rate, loss, right / self.recipe.batch, self.tested(), synops)

    def _step(self, picked: Tensor, grown: float) -> Tensor:
        """One batch; its loss, how many images were right, and the synaptic operations of one."""
        images = augmented(self.train.images[picked], self.recipe.augmentation)
        labels, x = self.train.labels[picked], self._seen(images)
        loss, scores, synops = self._loss(x, labels, grown)
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        right = (scores.argmax(1) == labels).sum()
        return torch.stack([v.detach().double() for v in (loss, right, synops)])

    def _loss(self, x: Tensor, labels: Tensor, grown: float) -> tuple[Tensor, Tensor, Tensor]:
        """The loss, the scores, the synaptic operations. What these cost grows over the first
        epoch: a network that is fined before it has learned anything falls silent.
        """
        how = self.recipe.loss
        with self._watching(self.model) as sent:
            if not how.synops_price and not how.synops_target:
                scores = self.model(x)
                return self._wrongness(scores, sent, x, labels), scores, x.new_zeros(())
            with SynOps(self.model) as synops:
                scores = self.model(x)
        total = synops.total()
        cost = how.synops_price * total
        if how.synops_target:
            cost = synops.off_target(how.synops_target)
        return self._wrongness(scores, sent, x, labels) + grown * cost, scores, total

    def _watching(self, model: nn.Module) -> AbstractContextManager[Sent]:
        return watched(model) if self.recipe.loss.activations else nullcontext({})

    def _wrongness(self, scores: Tensor, sent: Sent, x: Tensor, labels: Tensor) -> Tensor:
        """`scores` against labels and teacher, and what the model's activations have `sent`."""
        how = self.recipe.loss
        if self._teacher is None:
            return functional.cross_entropy(scores, labels)
        with torch.no_grad(), self._watching(self._teacher) as wanted:
            teacher = self._teacher(x)
        learned = distillation(scores, teacher, how.temperature)
        for name, values in sent.items():
            learned = learned + how.activations * relative_error(values, wanted[name])
        if not how.labels:
            return learned
        return how.labels * functional.cross_entropy(scores, labels) + (1 - how.labels) * learned

    def _seen(self, images: Tensor) -> Tensor:
        """What the model reads of bytes."""
        return images.float() / self.recipe.scale


def rate_at(epoch: float, epochs: int, how: Schedule) -> float:
    """The share of the highest rate after so many epochs: warming up, then falling."""
    if epoch < how.warm_up:
        return epoch / how.warm_up
    if how.name == "cosine":
        return (1 + cos(pi * (epoch - how.warm_up) / (epochs - how.warm_up))) / 2
    return how.factor ** sum(epoch >= at for at in how.at)
