"""What a random search draws: the options of Graciosa et al. (2025), smaller networks and our regularisation too.

A trial follows from the seed and its number alone.
"""

import dataclasses
import math

import numpy as np

from ml4szeq.config import Recipe, SearchConfig

BATCHES = (8, 16, 32, 64, 128)
RATES = (1e-4, 0.1)  # of learning
DECAYS = (1e-3, 3.0)  # of weights
LAYERS = 2
DIGITS = 3  # that count of what is drawn

# column of the table of trials: its axis in figures
AXES = {
    "batch": "segments in a step",
    "hidden_1": "units, first layer",
    "hidden_2": "units, second layer",
    "learning_rate": "learning rate",
    "dropout": "dropout",
    "batch_norm": "batch norm",
    "weight_decay": "weight decay",
    "noise": "noise (std of features)",
    "label_smoothing": "label smoothing",
}
LOGARITHMIC = ("hidden_1", "hidden_2", "learning_rate", "weight_decay")
LISTED = ("batch", "batch_norm")  # of few values


def propose(config: SearchConfig, number: int) -> Recipe:
    """The recipe of trial ``number``, counted from 0, which is the default one of the network.

    All options are drawn in every trial, and those that ``config`` gives are put in their place: fixing one does not
    change the draws of the others.
    """
    recipe = config.recipe(config.network)
    if number == 0:
        return recipe
    rng = np.random.default_rng([config.seed, number])
    drawn = {
        "batch": BATCHES[rng.integers(len(BATCHES))],
        "hidden": tuple(round(_between(rng, *config.units)) for _ in range(LAYERS)),
        "learning_rate": _rounded(_between(rng, *RATES)),
        "dropout": _rounded(rng.uniform(0.0, 0.5)),
        "batch_norm": bool(rng.random() < 0.5),
        "weight_decay": _rounded(_between(rng, *DECAYS)),
        "noise": _rounded(rng.uniform(0.0, 0.5)),
        "label_smoothing": _rounded(rng.uniform(0.0, 0.2)),
    }
    return dataclasses.replace(recipe, **{name: each for name, each in drawn.items() if getattr(config, name) is None})


def columns(recipe: Recipe) -> dict[str, float]:
    """The recipe's searched options, for tables: `AXES`; further hidden layers are left out, missing ones NaN."""
    sizes = (*recipe.hidden, *[math.nan] * LAYERS)[:LAYERS]
    values = {f"hidden_{k}": size for k, size in enumerate(sizes, start=1)}
    return {name: values[name] if name in values else getattr(recipe, name) for name in AXES}


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Uniform in the logarithm."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
