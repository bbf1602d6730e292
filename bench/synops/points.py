"""The networks that are compared: one CNN, four ways to let it send fewer spikes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.networks import ROOT

SCALING, QUANTISED = "weight scaling", "quantised"
SYNOP, BOTH = "SynOp", "SynOp, quantised"
CURVES = (SCALING, QUANTISED, SYNOP, BOTH)
CNN = "cnn"  # the folder of what has ReLUs
RECIPES = ROOT / "examples/recipes"
Settings = Mapping[str, str | None]


@dataclass(frozen=True)
class Point:
    """A network: `factor` of the first layer's weights, the target of synaptic operations that it
    is trained for, 0 for none.
    """

    curve: str
    factor: float
    target: int = 0

    @property
    def name(self) -> str:
        """Of its folder."""
        short = {SCALING: "scaled", QUANTISED: "quantised", SYNOP: "synop", BOTH: "both"}
        setting = f"{self.target}" if self.target else f"{self.factor:g}"
        return f"{short[self.curve]}_{setting}"

    @property
    def setting(self) -> str:
        return f"target {self.target:,}" if self.target else f"weights x {self.factor:g}"

    @property
    def is_trained(self) -> bool:
        return self.curve != SCALING


@dataclass(frozen=True)
class Study:
    """Networks that are compared on the data of `recipe`, one of examples/recipes.

    `cnn`: the ONNX file that all of them begin with; None: they begin with nothing, the CNN too,
    which then is the recipe's model with ReLUs. All have `epochs`; where the study `goes_on`, so
    has the CNN before its weights are scaled. The CNN sees byte / `scale`. All is done once for
    each of `seeds`. `budgets`: synaptic operations at which curves are compared.
    """

    title: str
    key: str
    note: str
    recipe: str
    scale: float
    epochs: int
    points: tuple[Point, ...]
    budgets: tuple[int, ...]
    cnn: str | None = None
    goes_on: bool = False
    seeds: tuple[int, ...] = (1,)

    def text(self, point: Point, folder: Path, seed: int) -> str:
        """The recipe that trains `point` below `folder`; not trained, that scales the weights."""
        rounding = "down" if point.curve in (QUANTISED, BOTH) else "none"
        start = self.cnn if point.is_trained else str(self.scaled(folder))
        return varied(
            self.base,
            {
                "start": None if start is None else f'"{start}"',
                "output": f'"{folder / point.name}"',
                "seed": str(seed),
                "epochs": str(self.epochs),
                "scale": f"{self.scale / point.factor:g}",
                "rounding": f'"{rounding}"',
                "synops_target": str(point.target),
            },
        )

    def cnn_text(self, folder: Path, seed: int) -> str:
        """The recipe of the CNN, or of what goes on from it."""
        return varied(
            self.base,
            {
                "start": None if self.cnn is None else f'"{self.cnn}"',
                "output": f'"{folder / CNN}"',
                "seed": str(seed),
                "epochs": str(self.epochs),
                "scale": f"{self.scale:g}",
                "activation": '"relu"',
                **dict.fromkeys(("k", "bound", "rounding", "synops_target")),
            },
        )

    @property
    def trains_cnn(self) -> bool:
        return self.cnn is None or self.goes_on

    def scaled(self, folder: Path) -> Path:
        """The ONNX file whose weights are scaled."""
        return folder / CNN / "model.onnx" if self.trains_cnn else ROOT / str(self.cnn)

    @property
    def base(self) -> str:
        return (RECIPES / self.recipe).read_text()


def varied(text: str, settings: Settings) -> str:
    """A recipe with other `settings`, None for none."""
    keys = [line.split(" = ")[0] for line in text.splitlines()]
    new = [f"{k} = {v}\n" for k, v in settings.items() if v is not None and k not in keys]
    old = [
        f"{line}\n" if key not in settings else f"{key} = {settings[key]}\n"
        for key, line in zip(keys, text.splitlines(), strict=True)
        if key not in settings or settings[key] is not None
    ]
    return "".join(new + old)


FASHION = "examples/threshold_balancing/fashion_mnist.onnx"
FACTOR = 4.0  # of the first layer's weights, where a target of synaptic operations does the rest
STUDIES = (
    Study(
        "Fashion-MNIST",
        "fashion",
        "Trained on for 4 epochs; the weights that are scaled are the CNN's as it is.",
        "sorbaro_fashion.toml",
        255.0,
        4,
        (
            *(Point(SCALING, factor) for factor in (1.0, 2.0, 4.0, 8.0, 16.0)),
            *(Point(QUANTISED, factor) for factor in (0.5, 1.0, 2.0, 4.0)),
            *(Point(SYNOP, FACTOR, target) for target in (150_000, 300_000, 600_000, 1_200_000)),
            *(Point(BOTH, FACTOR, target) for target in (150_000, 300_000, 600_000, 1_200_000)),
        ),
        (350_000, 600_000, 1_100_000),
        cnn=FASHION,
    ),
    Study(
        "Fashion-MNIST, ten epochs",
        "fashion_longer",
        "All are trained on for 10 epochs, the CNN too before its weights are scaled.",
        "sorbaro_fashion.toml",
        255.0,
        10,
        (
            *(Point(SCALING, factor) for factor in (2.0, 4.0, 8.0, 16.0)),
            Point(QUANTISED, 2.0),
            *(Point(BOTH, FACTOR, target) for target in (300_000, 600_000, 1_200_000)),
        ),
        (600_000, 1_100_000),
        cnn=FASHION,
        goes_on=True,
    ),
    Study(
        "N-MNIST",
        "nmnist",
        "Thirds of recordings as frames: 3,000 frames of 1,000 recordings to train on, and to test "
        "on only 300 of 100, so that intervals are wide. All begin with nothing, the CNN too, and "
        "have 40 epochs, three times with other seeds; what is compared is the mean, and a "
        "difference of a point or two may be chance.",
        "sorbaro_nmnist.toml",
        1.0,
        40,
        (
            *(Point(SCALING, factor) for factor in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)),
            *(Point(QUANTISED, factor) for factor in (0.5, 1.0)),
            *(Point(SYNOP, 1.0, target) for target in (200_000, 400_000)),
            *(Point(BOTH, 1.0, target) for target in (100_000, 150_000, 200_000, 400_000)),
        ),
        (150_000, 280_000),
        seeds=(1, 2, 3),
    ),
)
