"""Search for a recipe: trials on event-grouped folds of the training rows, the paper's grid or a wider space.

A trial is the held-out loss (negative evidence lower bound, nats a record) of one recipe, fold by fold. All trials have
the same folds, so their differences are known better than the losses themselves. Every finished trial is a file, and
the next recipe follows from the seed and those before it: a search that was stopped goes on as if it never had been.
"""

import dataclasses
import itertools
import math
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from tqdm import tqdm

from cvae_sa.config import Recipe, SearchConfig
from cvae_sa.data import Records
from cvae_sa.model import ROADS
from cvae_sa.training import Training
from shared import runs, scores
from shared.command import InputError
from shared.sessions import number, read_json

PROJECT, WHAT = "cvae_sa-search", "search"  # apart from trained runs: runs/cvae_sa/latest is always a model
TRIALS, TABLE = "trials", "trials.csv"  # below the run folder
OPTIONS = [field.name for field in dataclasses.fields(Recipe) if field.name != "folds"]
FIGURES = ("rmse", "llh", "seconds")  # of a trial
CHANGED = 2  # options in which the later trials of the wide space differ from the best so far

# Neelamraju, Singh and Raghukanth (2025); what a space does not name is as given on the command line
SPACES: dict[str, dict[str, list[Any]]] = {
    "paper": {
        "latent": [3],
        "hidden": list(itertools.product((16, 12, 8), (12, 9, 6))),
        "learning_rate": [1e-4, 2e-4],
        "dropout": [0.2, 0.3],
        "batch": [32],
    },
    # not ``matching``: what it mends is how codes of the prior predict, which the bound does not see
    "wide": {
        "latent": [2, 3, 4, 5, 6],
        "hidden": [(8, 6), (16, 12), (24, 16), (32, 24), (48, 32), (64, 48)],
        "dropout": [0.0, 0.05, 0.1, 0.2, 0.3],
        "learning_rate": [1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2],
        "weight_decay": [0.0, 1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0],
        "batch": [64, 128, 256, 512, 1024],
        "epochs": [15, 30, 60, 100, 150],
        "annealing": [0.0, 0.2, 0.5],
        "backbone": ["classical", "classical", "classical", "none"],  # the draws are uneven on purpose
    },
}


@dataclass(frozen=True)
class Trial:
    """What came of a recipe: held-out loss of every fold, NaN where the training failed, for the reason in ``note``."""

    recipe: Recipe
    held_out_loss: tuple[float, ...]  # nats a record
    rmse: float  # of the held-out ln medians, codes of the prior, all periods together, ln units
    llh: float  # `shared.scores.llh` of those predictions, their spread not yet calibrated, mean of the periods, bits
    seconds: float
    note: str = ""

    @property
    def loss(self) -> float:
        """Mean over the folds; infinite for a trial that failed."""
        mean = float(np.mean(self.held_out_loss))
        return mean if math.isfinite(mean) else math.inf

    @classmethod
    def load(cls, file: Path, recipe: Recipe) -> "Trial":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            The file is damaged, or of another recipe.
        """
        content = read_json(file)
        try:
            if content.pop("recipe") != runs.plain(recipe):
                raise ValueError("another recipe")
            losses = tuple(number(each) for each in content.pop("held_out_loss"))
            if len(losses) != recipe.folds:
                raise ValueError("other folds")
            numbers = {name: number(content.pop(name)) for name in FIGURES}
            return cls(recipe, losses, **numbers, note=str(content.pop("note")))
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{file}: not the trial that belongs there; remove it, and --resume runs it again"
            ) from None

    def save(self, file: Path) -> None:
        """Write the trial, whole or not at all."""
        runs.write_json(file, self)


# --- which recipe is next ---
def recipe_of(config: Recipe) -> Recipe:
    """The recipe among the options of a command."""
    return Recipe(**{field.name: getattr(config, field.name) for field in dataclasses.fields(Recipe)})


def paper_grid(start: Recipe) -> list[Recipe]:
    """The 36 recipes of the paper; what it does not name is that of ``start``."""
    space = SPACES["paper"]
    return [
        dataclasses.replace(start, **dict(zip(space, values, strict=True)))
        for values in itertools.product(*space.values())
    ]


def propose(config: SearchConfig, earlier: list[Trial]) -> Recipe:
    """The recipe to try after those ``earlier``; never one of them.

    "paper": the grid, in an order drawn from the seed. "wide": first the recipe of the command line, then random draws
    up to half of the trials, then the best so far with two options drawn anew.
    """
    number, start = len(earlier), recipe_of(config)
    if config.space == "paper":
        grid = paper_grid(start)
        return grid[np.random.default_rng(config.seed).permutation(len(grid))[number]]
    if not earlier:
        return start
    space, generator = SPACES["wide"], np.random.default_rng([config.seed, number])
    best = min(earlier, key=lambda trial: trial.loss).recipe
    tried = [trial.recipe for trial in earlier]
    while True:
        names = list(space) if number <= config.trials // 2 else generator.choice(list(space), CHANGED, replace=False)
        drawn = {name: space[name][generator.integers(len(space[name]))] for name in names}
        if (recipe := dataclasses.replace(best, **drawn)) not in tried:
            return recipe


# --- the trials ---
def check(records: Records, config: SearchConfig) -> None:
    """Refuse, before a run folder is made, what no trial could be fitted to; ``records`` are training rows only.

    Raises
    ------
    InputError
        There are too few events or records.
    """
    Training(records, recipe_of(config), config.seed, whole=False)


def search(records: Records, config: SearchConfig, folder: Path) -> list[Trial]:
    """Every trial of the search, in order; those that ``folder`` holds already are not run again.

    ``records`` are training rows only: the folds are taken among their events.

    Raises
    ------
    InputError
        A stored trial is not one of this search, or no trial succeeded.
    """
    files = [folder / f"{number + 1:04d}.json" for number in range(config.trials)]
    trials: list[Trial] = []
    with tqdm(total=len(files), initial=sum(file.exists() for file in files), desc=WHAT, unit="trial") as bar:
        for file in files:
            recipe = propose(config, trials)
            if file.exists():
                trials.append(Trial.load(file, recipe))
                continue
            trials.append(run_trial(records, recipe, config.seed))
            trials[-1].save(file)
            best = min(trials, key=lambda trial: trial.loss)
            bar.set_postfix_str(f"best {best.loss:.3f} (trial {trials.index(best) + 1})", refresh=False)
            bar.update()
    if not any(math.isfinite(trial.loss) for trial in trials):
        raise InputError(f"none of {len(trials)} trials succeeded; the last: {trials[-1].note}")
    return trials


def run_trial(records: Records, recipe: Recipe, seed: int) -> Trial:
    """Train ``recipe`` on every fold of the events of ``records``; one that diverges is a trial that failed."""
    keras.utils.set_random_seed(seed)  # whatever ran before in this process
    began = time.perf_counter()
    losses, rmse, llh, note = [math.nan] * recipe.folds, math.nan, math.nan, ""
    try:
        training = Training(records, recipe, seed, whole=False)
        with tqdm(total=training.n_epochs, desc="  epochs of the trial", unit="epoch", leave=False) as bar:
            training.run(lambda metrics: bar.update())
        losses = [float(loss) for loss in training.held_out_loss]
        road = ROADS.index("prior")
        residual = (records.ln_sa - training.ln_median[road]).astype(float)
        rmse = float(np.sqrt(np.nanmean(residual**2)))
        llh = float(scores.llh(residual, training.sigma[road]).mean())
    except InputError as error:
        note = str(error)
    return Trial(recipe, tuple(losses), rmse, llh, time.perf_counter() - began, note)


# --- what came of it ---
def trial_table(trials: list[Trial]) -> pd.DataFrame:
    """A row for every trial, least loss first.

    ``loss``, ``rmse`` and ``llh`` as in `Trial`. ``loss_error`` is the standard error over the folds, most of which all
    trials share; ``above_best`` the mean difference to the best trial on the same folds, ``above_best_error`` its own.
    """
    losses = np.array([trial.held_out_loss for trial in trials])  # (trials, folds)
    best = losses[int(np.argmin([trial.loss for trial in trials]))]
    rows = []
    for place, (trial, own) in enumerate(zip(trials, losses, strict=True), start=1):
        recipe = {name: _shown(getattr(trial.recipe, name)) for name in OPTIONS}
        folds = {f"fold_{k}": loss for k, loss in enumerate(own, start=1)}
        found = {"loss": own.mean(), "loss_error": _error(own)}
        found |= {"above_best": (own - best).mean(), "above_best_error": _error(own - best)}
        found |= {**{name: getattr(trial, name) for name in FIGURES}, **folds, "note": trial.note}
        rows.append({"trial": place, **recipe, **found})
    return pd.DataFrame(rows).sort_values(["loss", "trial"], ignore_index=True)


def _shown(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def results(trials: list[Trial], config: SearchConfig) -> dict[str, Any]:
    """For ``results.json``: the best recipe, its figures, what the search took, how to train with it."""
    best = trial_table(trials).iloc[0]
    figures = ("loss", "loss_error", "rmse", "llh")
    return {
        "space": config.space,
        "trials": len(trials),
        "failed": sum(not math.isfinite(trial.loss) for trial in trials),
        "seconds": sum(trial.seconds for trial in trials),
        "best": {"trial": best["trial"], **{name: best[name] for name in figures}},
        "recipe": {name: getattr(trials[best["trial"] - 1].recipe, name) for name in OPTIONS},
        "command": command(trials[best["trial"] - 1].recipe, config),
    }


def command(recipe: Recipe, config: SearchConfig) -> str:
    """The line that trains with ``recipe``, on the same records and with the same test events as the search."""
    words = ["python", "cvae_sa/train_cvae.py"]
    given = {name: getattr(recipe, name) for name in OPTIONS}
    for name in ("data", "periods", "tectonic", "seed", "test_share"):
        if getattr(config, name) != getattr(SearchConfig(), name):
            given[name] = getattr(config, name)
    for name, value in given.items():
        words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, tuple) else (value,))]
    return shlex.join(words)


def results_text(found: dict[str, Any]) -> str:
    """`results` for the terminal; the last line trains."""
    best = found["best"]
    return (
        f"best of {found['trials']} trials: trial {best['trial']}, held-out loss {best['loss']:.3f} "
        f"± {best['loss_error']:.3f} nats a record, RMSE of ln medians {best['rmse']:.3f}, LLH {best['llh']:.3f} bits"
        + (f"; {found['failed']} trials failed" if found["failed"] else "")
        + f"\ntrain with it:\n{found['command']}"
    )
