"""What is searched: the options of either network, hyperopt's space of them, and the recipe that a point stands for."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from hyperopt import hp

from cgm_gm.config import PublishedRecipe, Recipe, SearchConfig

Point = dict[str, float]  # as hyperopt names it; of a choice its position among the choices
STARTUP = 10  # trials at random before the tree
FRAMES = ((128, 37), (160, 46), (256, 74))  # samples of a frame, and from frame to frame
BATCHES = (32, 64, 128)
PUBLISHED_CHOICES: dict[str, tuple[float, ...]] = {
    "learning_rate": (8e-4, 7e-4, 6e-4),
    "recurrent": (16, 32),
    "latent": (8, 16, 32),
    "beta": (0.01, 0.02, 0.04, 0.05, 0.06, 0.08, 0.1, 0.2),
    "weight_decay": (5e-6, 1e-5, 1e-6),
    "alpha": (0.01, 0.05, 0.1),
    "embedded": (16, 32),
    "batch": (128, 256),
}


@dataclasses.dataclass(frozen=True)
class Space:
    """``searched`` options with their names in figures; ``whole`` parameters are positions of choices."""

    variables: Mapping[str, Any]  # of hyperopt
    whole: tuple[str, ...]
    searched: Mapping[str, str]
    logarithmic: tuple[str, ...]
    epochs: int  # of a trial, where it is not told
    of_point: Callable[[Point], dict[str, Any]]  # options of the recipe
    of_recipe: Callable[[Any], Point]
    kind: type[Recipe] | type[PublishedRecipe]

    def default(self) -> Point:
        """The point of the default recipe."""
        return dict(sorted(self.of_recipe(self.kind()).items()))

    def recipe(self, point: Point, config: SearchConfig) -> Recipe | PublishedRecipe:
        """The recipe of a point; what is not searched is that of ``config``."""
        names = ("backbone", "precision") if self.kind is Recipe else ("free_running",)
        fixed = {name: getattr(config, name) for name in ("tcondvar", "validation_share", *names)}
        epochs = self.epochs if config.epochs is None else config.epochs
        return self.kind(**fixed, epochs=epochs, **self.of_point(point))


def _ours(point: Point) -> dict[str, Any]:
    n_fft, hop = FRAMES[int(point["frame"])]
    whole = {"latent": int(point["latent"]), "hidden": int(point["hidden"]), "batch": BATCHES[int(point["batch"])]}
    return {**whole, "n_fft": n_fft, "hop": hop} | {name: point[name] for name in ("learning_rate", "weight_decay")}


def _of_ours(recipe: Recipe) -> Point:
    found = {name: float(getattr(recipe, name)) for name in ("latent", "hidden", "learning_rate", "weight_decay")}
    frame = FRAMES.index((recipe.n_fft, recipe.hop))
    return {**found, "batch": float(BATCHES.index(recipe.batch)), "frame": float(frame)}


def _published(point: Point) -> dict[str, Any]:
    return {name: choices[int(point[name])] for name, choices in PUBLISHED_CHOICES.items()}


def _of_published(recipe: PublishedRecipe) -> Point:
    return {name: float(choices.index(getattr(recipe, name))) for name, choices in PUBLISHED_CHOICES.items()}


OURS = Space(
    variables={
        "latent": hp.quniform("latent", 4, 32, 4),
        "hidden": hp.quniform("hidden", 32, 192, 32),
        "learning_rate": hp.loguniform("learning_rate", math.log(1e-3), math.log(2e-2)),
        "weight_decay": hp.loguniform("weight_decay", math.log(1e-3), math.log(1.0)),
        "batch": hp.choice("batch", range(len(BATCHES))),
        "frame": hp.choice("frame", range(len(FRAMES))),
    },
    whole=("batch", "frame"),
    searched={
        "learning_rate": "learning rate (peak)",
        "weight_decay": "weight decay",
        "latent": "dimensions of the code",
        "hidden": "units of the layers",
        "batch": "records in a step",
        "n_fft": "samples of a frame",
        "hop": "samples from frame to frame",
    },
    logarithmic=("learning_rate", "weight_decay"),
    epochs=15,
    of_point=_ours,
    of_recipe=_of_ours,
    kind=Recipe,
)
PUBLISHED = Space(
    variables={name: hp.choice(name, range(len(choices))) for name, choices in PUBLISHED_CHOICES.items()},
    whole=tuple(PUBLISHED_CHOICES),
    searched={
        "learning_rate": "learning rate (first)",
        "weight_decay": "weight decay",
        "latent": "dimensions of the code",
        "recurrent": "units of the prior",
        "embedded": "dimensions of the condition",
        "beta": "weight of the divergence",
        "alpha": "weight of waveforms",
        "batch": "records in a step",
    },
    logarithmic=(),
    epochs=60,
    of_point=_published,
    of_recipe=_of_published,
    kind=PublishedRecipe,
)
SPACES = {"ours": OURS, "published": PUBLISHED}
