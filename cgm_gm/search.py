"""Search for a recipe by hyperopt's tree of Parzen estimators (Bergstra et al. 2011), on validation events.

Every finished trial is a folder (`search_trials`). On one machine the next proposal follows from the seed, its number
and the trials before it: a search that was stopped goes on as if it never had been. On a Ray cluster (`ray_search`)
it follows from the trials that happen to be finished; none of these is lost, nor run again.
"""

import dataclasses
import math
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hyperopt import STATUS_FAIL, STATUS_OK, Trials, tpe
from hyperopt.base import JOB_STATE_DONE, Domain
from tqdm import tqdm

from cgm_gm import option_bounds
from cgm_gm.config import PublishedRecipe, Recipe, SearchConfig
from cgm_gm.data import Source
from cgm_gm.fas import FREQUENCIES
from cgm_gm.generator import CHECKPOINT
from cgm_gm.search_objective import LISTS
from cgm_gm.search_spaces import SPACES, STARTUP, Point, Space
from cgm_gm.search_trials import TRIAL, Shelf, Trial, run_trial
from shared import ray_cluster
from shared.command import InputError

PROJECT, WHAT = "cgm_gm-search", "search"  # apart from trained runs: runs/cgm_gm/latest is always a generator
TRIALS, TABLE = "trials", "trials.csv"
TRIAL_ONLY = ("epochs", "validation_share")  # options that a trial has otherwise than the final training
SHOWN = ("trial", "misfit", "bias_spread", "discriminative", "validation_loss", "sigma")


# --- which point is next ---
def propose(space: Space, seed: int, earlier: list[Trial]) -> Point:
    """The point to try after those ``earlier``: first the default recipe, then what hyperopt says."""
    number = len(earlier)
    if not earlier:
        return space.default()
    known = Trials()
    for tid, trial in enumerate(earlier):
        known.insert_trial_doc(_document(space, tid, trial))
    known.refresh()
    drawn = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) % 2**31
    domain = Domain(lambda point: 0.0, dict(space.variables))
    (found,) = tpe.suggest([number], domain, known, drawn, n_startup_jobs=STARTUP, verbose=False)
    return {name: float(value[0]) for name, value in sorted(found["misc"]["vals"].items())}


def _document(space: Space, tid: int, trial: Trial) -> dict[str, Any]:
    values = {name: [int(value) if name in space.whole else value] for name, value in trial.point.items()}
    failed = not math.isfinite(trial.misfit)
    return {
        "tid": tid,
        "state": JOB_STATE_DONE,
        "spec": None,
        "result": {"status": STATUS_FAIL} if failed else {"status": STATUS_OK, "loss": trial.misfit},
        "misc": {"tid": tid, "cmd": None, "workdir": None, "idxs": {name: [tid] for name in values}, "vals": values},
        **dict.fromkeys(("exp_key", "owner", "book_time", "refresh_time")),
        "version": 0,
    }


# --- the trials ---
def check(config: SearchConfig) -> None:
    """Refuse, before any work, what cannot be searched.

    Raises
    ------
    InputError
        An option asks for what is not there.
    """
    if config.engine == "ray":
        ray_cluster.check(config.address)
    elif config.address is not None:
        raise InputError("--address: is of a Ray cluster; add --engine ray, or drop it")
    foreign = ("free_running",) if config.network == "ours" else ("backbone", "precision")
    for name in foreign:
        if getattr(config, name) != getattr(SearchConfig, name):
            other = "published" if config.network == "ours" else "ours"
            option = name.replace("_", "-")
            raise InputError(f"--{option}: an option of --network {other}; drop it, or choose that network")
    option_bounds.check(config)


def search(
    shelf: Shelf, config: SearchConfig, folder: Path, provenance: dict[str, Any], device: torch.device | str = "cpu"
) -> list[Trial]:
    """Every trial of the search, in order; those that ``folder`` holds already are not run again.

    Raises
    ------
    InputError
        A stored trial is not one of this search, or no trial succeeded.
    """
    if config.engine == "ray":
        from cgm_gm import ray_search  # Ray is an extra

        trials = ray_search.search(shelf.data, config, folder, provenance, device)
    else:
        trials = _one_by_one(shelf, config, folder, provenance, device)
    if not any(math.isfinite(trial.misfit) for trial in trials):
        raise InputError(f"none of {len(trials)} trials succeeded; the last: {trials[-1].note}")
    return trials


def _one_by_one(
    shelf: Shelf, config: SearchConfig, folder: Path, provenance: dict[str, Any], device: torch.device | str
) -> list[Trial]:
    space = SPACES[config.network]
    homes = [folder / f"{number + 1:04d}" for number in range(config.max_evals)]
    done, trials = sum((home / TRIAL).exists() for home in homes), []
    with tqdm(total=len(homes), initial=done, desc=WHAT, unit="trial") as bar:
        for home in homes:
            point = propose(space, config.seed, trials)
            if (home / TRIAL).exists():
                trials.append(Trial.load(home / TRIAL, config, point))
            else:
                trials.append(run_trial(shelf, point, space.recipe(point, config), home, provenance, device))
                trials[-1].save(home / TRIAL)  # last: from now on it is finished
                bar.update()
            best = min(trials, key=lambda trial: trial.misfit)
            bar.set_postfix_str(f"best misfit {best.misfit:.3f} (trial {trials.index(best) + 1})")
    return trials


# --- what came of it ---
def searched(recipe: Recipe | PublishedRecipe) -> list[str]:
    """Options of the recipe that a search varies."""
    ((space,),) = [[each for each in SPACES.values() if each.kind is type(recipe)]]
    return list(space.searched)


def trial_table(trials: list[Trial]) -> pd.DataFrame:
    """A row for every trial, least misfit first; columns as in `Trial` and `search_objective.fas_misfit`."""
    rows = []
    for number, trial in enumerate(trials, start=1):
        judged = trial.judged
        row = {"trial": number, "misfit": judged.misfit, "bias_spread": judged.bias_spread}
        row["discriminative"] = judged.discriminative
        row |= {"validation_loss": trial.validation_loss, "sigma": float(np.mean(judged.sigma))}
        row |= {name: getattr(trial.recipe, name) for name in searched(trial.recipe)}
        for name in LISTS:
            values = zip(FREQUENCIES, getattr(judged, name), strict=True)
            row |= {f"{name}_{frequency:g}hz": value for frequency, value in values}
        rows.append({**row, "seconds": trial.seconds, "note": trial.note})
    return pd.DataFrame(rows).sort_values(["misfit", "trial"], ignore_index=True)


def results(trials: list[Trial], config: SearchConfig) -> dict[str, Any]:
    """For ``results.json``: the best recipe, its figures, what the search took, how to train with it."""
    best = trial_table(trials).iloc[0]
    recipe = trials[best["trial"] - 1].recipe
    return {
        "trials": len(trials),
        "failed": sum(not math.isfinite(trial.misfit) for trial in trials),
        "seconds": sum(trial.seconds for trial in trials),
        "best": {name: best[name] for name in SHOWN},
        "checkpoint": f"{TRIALS}/{best['trial']:04d}/{CHECKPOINT}",
        "recipe": recipe,
        "command": command(recipe, config),
    }


def command(recipe: Recipe | PublishedRecipe, config: SearchConfig) -> str:
    """The line that trains with ``recipe``, on the same records and with the same test events as the search.

    Epochs and the share of validation events are left to the trainer: a trial trains for less, and keeps more to judge.
    """
    given = {"network": config.network, **dataclasses.asdict(recipe)}
    for name in TRIAL_ONLY:
        del given[name]
    given |= {"test_share": config.test_share, "seed": config.seed}
    if config.data is not None:
        given["data"] = config.data
    words = ["python", "cgm_gm/train_cgm.py"]
    for name, value in given.items():
        option = name.replace("_", "-")
        words += [f"--{'' if value else 'no-'}{option}"] if isinstance(value, bool) else [f"--{option}", str(value)]
    return shlex.join(words)


def results_text(trials: list[Trial], found: dict[str, Any]) -> str:
    """Table and best trial for the terminal; the last line trains."""
    shown = [*SHOWN, *searched(trials[0].recipe), "seconds"]
    best = found["best"]
    return (
        f"{trial_table(trials)[shown].to_string(index=False, float_format='{:.4g}'.format)}\n"
        f"best of {found['trials']} trials: trial {best['trial']}, misfit {best['misfit']:.3f}, discriminative score "
        f"{best['discriminative']:.2f}"
        + (f"; {found['failed']} trials failed" if found["failed"] else "")
        + f"\ntrain with it:\n{found['command']}"
    )


def described(source: Source, shelf: Shelf) -> str:
    """One line for the screen: what is learnt from, what judges."""
    event = shelf.data.table["event_id"]
    counts = [f"{len(rows)} records of {event.iloc[rows].nunique()} events" for rows in (shelf.rows, shelf.held)]
    return f"{source.summary()}\nlearnt from: {counts[0]}; judged by: {counts[1]}"
