"""The networks that are compared: one CNN, four ways to let it send fewer spikes."""

from __future__ import annotations

from dataclasses import dataclass

SCALING, QUANTISED = "weight scaling", "quantised"
SYNOP, BOTH = "SynOp", "SynOp, quantised"
CURVES = (SCALING, QUANTISED, SYNOP, BOTH)
FACTOR = 4.0  # of the first layer's weights, where a target of synaptic operations does the rest


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

    def recipe(self, text: str, output: str) -> str:
        """`text`, the recipe of examples/recipes, as it trains this network in folder `output`."""
        rounding = "down" if self.curve in (QUANTISED, BOTH) else "none"
        settings = {
            "output": f'"{output}"',
            "scale": f"{255 / self.factor:g}",
            "rounding": f'"{rounding}"',
            "synops_target": str(self.target),
        }
        keys = [line.split(" = ")[0] for line in text.splitlines()]
        assert settings.keys() <= set(keys), "the recipe has a line for each"
        return "".join(
            f"{key} = {settings[key]}\n" if key in settings else f"{line}\n"
            for key, line in zip(keys, text.splitlines(), strict=True)
        )


POINTS = (
    *(Point(SCALING, factor) for factor in (1.0, 2.0, 4.0, 8.0, 16.0)),
    *(Point(QUANTISED, factor) for factor in (1.0, 2.0)),
    *(Point(SYNOP, FACTOR, target) for target in (300_000, 600_000, 1_200_000)),
    *(Point(BOTH, FACTOR, target) for target in (300_000, 600_000, 1_200_000)),
)
