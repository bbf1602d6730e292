"""Training from a recipe: a TOML file that names data, model, quantisation, loss and optimiser.
docs/training.md lists what it may say.
"""

from snngen.train.recipes.checkpoint import MODEL, RESULT, held
from snngen.train.recipes.schema import MAX_BYTES, Recipe, parse
from snngen.train.recipes.training import Epoch, Training, deterministic, device_of

__all__ = [
    "MAX_BYTES",
    "MODEL",
    "RESULT",
    "Epoch",
    "Recipe",
    "Training",
    "deterministic",
    "device_of",
    "held",
    "parse",
]
