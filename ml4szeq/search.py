"""Random search for recipes, judged inside the training part of every split and never by its test segments.

The training part of a split, without anything else of the table, is cut anew: contiguous blocks along strike that keep
the same exclusion distance, and an earthquake that a block cuts goes out of training with all its segments, so that
none is on both sides; a held-out region is chosen for by holding out regions. A trial's score is the mean macro-F1 of
these blocks. Each split's recipe is the best by its own score; it is then fitted to the whole training part and judged
by the test segments once, beside the default recipe. What is found so is nested: the choosing is judged as well.

A trial follows from the seed and its number, so that it is the same wherever and in whatever order trials are run.
"""

import dataclasses
import math
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ml4szeq import metrics, option_bounds, training
from ml4szeq.classes import classified
from ml4szeq.config import Recipe, SearchConfig
from ml4szeq.labels import rupture_groups
from ml4szeq.parallel import in_processes
from ml4szeq.recipes import DRAWN, SEARCHES, Recipes, Searched
from ml4szeq.search_space import columns, propose
from ml4szeq.segments import Segments
from ml4szeq.splits import Split, blocks, distance_to, kept_distance
from shared import ray_cluster, runs
from shared.command import InputError
from shared.sessions import number, read_json
from shared.splits import k_fold

PROJECT, WHAT = SEARCHES, "search"
TRIALS, REFITS = "trials", "refits"  # folders of the run
LEAST = 2  # segments to learn from, as batch norm needs
KEPT = ("macro_f1", "balanced_accuracy", "accuracy")  # scores of a refit


@dataclasses.dataclass(frozen=True)
class Trial:
    """What came of a recipe: macro-F1 of the inner blocks by split, NaN where the training diverged."""

    number: int  # from 0, the default recipe
    recipe: Recipe
    scores: dict[str, tuple[float, ...]]
    seconds: float

    def score(self, split: str | None = None) -> float:
        """The mean over a split's blocks, or over all splits; -inf where one diverged."""
        found = np.mean([np.mean(each) for name, each in self.scores.items() if split in (None, name)])
        return float(found) if math.isfinite(found) else -math.inf

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        runs.write_json(path, self)

    @classmethod
    def load(cls, path: Path, recipe: Recipe, splits: Sequence[Split], folds: int) -> "Trial":
        """Read what `save` wrote of a trial of ``recipe``.

        Raises
        ------
        InputError
            It is damaged, or of another search.
        """
        content = read_json(path)
        try:
            scores = {str(name): tuple(map(number, each)) for name, each in content["scores"].items()}
            if content["recipe"] != runs.plain(recipe) or list(scores) != [split.name for split in splits]:
                raise ValueError("another trial")
            if any(len(each) != folds for each in scores.values()):
                raise ValueError("other blocks")
            return cls(int(content["number"]), recipe, scores, number(content["seconds"]))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError(
                f"{path}: not the trial that belongs there; remove it, and --resume runs it again"
            ) from None


def check(config: SearchConfig) -> None:
    """Refuse, before any work, what cannot be searched.

    Raises
    ------
    InputError
        It names the option.
    """
    option_bounds.check(config)
    low, high = config.units
    if not 1 <= low <= high <= option_bounds.MOST_UNITS:
        raise InputError(f"--units {low} {high}: give the least and the most, 1 to {option_bounds.MOST_UNITS}")
    if config.batch == 1 and config.batch_norm is None:
        raise InputError("--batch 1: batch norm, which is searched, needs 2 segments or more; add --batch-norm False")
    if config.engine == "ray":
        ray_cluster.check(config.address)
    elif config.address is not None:
        raise InputError("--address: is of a Ray cluster; add --engine ray, or drop it")


# --- one trial -------------------------------------------------------------------------------------------------------
def inner_folds(table: pd.DataFrame, config: SearchConfig) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and validation rows of the blocks of ``table``, which is the training part of a split.

    Raises
    ------
    InputError
        A block leaves nothing to learn from.
    """
    if config.split == "region":
        return list(k_fold(table["region"].to_numpy(), folds=config.folds, seed=config.seed))
    block, groups, found = blocks(table, config.folds), rupture_groups(table), []
    for k in range(config.folds):
        held = np.flatnonzero(block == k)
        cut = np.isin(groups, groups[held])
        train = np.flatnonzero((block != k) & (distance_to(table, held) > config.exclusion) & ~cut)
        if len(train) < LEAST or not len(held):
            raise InputError(
                f"inner block {k + 1} of {config.folds} leaves too few segments to learn from or to judge by; give "
                "more data, or lower --exclusion or --folds"
            )
        found.append((train, held))
    return found


def check_folds(segments: Segments, splits: Sequence[Split], config: SearchConfig) -> None:
    """Refuse, before any work, splits whose training part cannot be cut.

    Raises
    ------
    InputError
        See `inner_folds`.
    """
    for split in splits:
        inner_folds(training_part(segments, split).table, config)


def run_trial(segments: Segments, splits: Sequence[Split], config: SearchConfig, trial: int) -> Trial:
    """The inner scores of a trial's recipe in every split."""
    torch.set_num_threads(1)  # trials are what runs side by side
    began, recipe = time.perf_counter(), propose(config, trial)
    fewer, scores = dataclasses.replace(recipe, members=config.trial_members), {}
    exclusion = 0.0 if config.split == "region" else config.exclusion  # of `inner_folds`
    for split in splits:
        known = training_part(segments, split)
        folds = inner_folds(known.table, config)
        scores[split.name] = tuple(_scores(known, *fold, fewer, config.seed, exclusion)["macro_f1"] for fold in folds)
    return Trial(trial, recipe, scores, time.perf_counter() - began)


def training_part(segments: Segments, split: Split) -> Segments:
    """The segments that a split's search sees: nothing of the test segments, not even their features."""
    known = segments.rows(split.train)
    return dataclasses.replace(known, table=known.table.reset_index(drop=True))


def _scores(
    segments: Segments, train: np.ndarray, held: np.ndarray, recipe: Recipe, seed: int, exclusion: float
) -> dict[str, float]:
    """`KEPT` scores of a fit, NaN where it diverged."""
    made = training.fitted(segments, train, recipe, seed, exclusion=exclusion)
    with np.errstate(invalid="ignore"):
        probability = made.probabilities(segments.table)[held]
    if not np.isfinite(probability).all():
        return dict.fromkeys(KEPT, math.nan)
    found = metrics.scored(classified(segments.magnitude[held], made.edges), probability, made.edges)
    return {name: found[name] for name in KEPT}


# --- all of them -----------------------------------------------------------------------------------------------------
def search(segments: Segments, splits: Sequence[Split], config: SearchConfig, folder: Path) -> list[Trial]:
    """Every trial, in order; those that ``folder`` holds already are not run again.

    Raises
    ------
    InputError
        A stored trial is not one of this search, a block leaves nothing to learn from, or there is no cluster.
    """
    files = [folder / f"{trial + 1:04d}.json" for trial in range(config.trials)]
    found = {
        trial: Trial.load(file, propose(config, trial), splits, config.folds)
        for trial, file in enumerate(files)
        if file.exists()
    }
    jobs = [(segments, splits, config, trial) for trial in range(config.trials) if trial not in found]
    with tqdm(total=config.trials, initial=len(found), desc=WHAT, unit="trial") as bar:
        for trial in _spread(config, jobs):
            trial.save(files[trial.number])
            found[trial.number] = trial
            best = chosen(list(found.values()))
            bar.set_postfix_str(f"best macro-F1 {best.score():.3f} (trial {best.number + 1})")
            bar.update()
    return [found[trial] for trial in range(config.trials)]


def _spread(config: SearchConfig, jobs: list[tuple[Any, ...]]) -> Iterator[Trial]:
    if config.engine == "ray":
        from ml4szeq.ray_jobs import on_cluster  # Ray is an extra

        return on_cluster(run_trial, jobs, config.workers, config.address)
    return in_processes(run_trial, jobs, config.workers)


def chosen(trials: Sequence[Trial], split: str | None = None) -> Trial:
    """The best by the inner score of a split, or by all; of equal ones the first."""
    return max(sorted(trials, key=lambda trial: trial.number), key=lambda trial: trial.score(split))


def recipes(trials: Sequence[Trial], segments: Segments, splits: Sequence[Split], config: SearchConfig) -> Recipes:
    """What `train_fcn.py --recipe` goes by."""
    return Recipes(
        Searched(
            config.network, config.split, config.exclusion, config.seed, segments.sha256, tuple(segments.features)
        ),
        {split.name: chosen(trials, split.name).recipe for split in splits},
        chosen(trials).recipe,
    )


# --- the test segments, once -----------------------------------------------------------------------------------------
def refit(segments: Segments, split: Split, recipe: Recipe, config: SearchConfig) -> dict[str, float]:
    """`KEPT` scores of a split's test segments by an ensemble trained on all of its training segments."""
    torch.set_num_threads(1)
    exclusion = kept_distance(split.kind, config.exclusion)  # as of `train_fcn.py --recipe`
    return _scores(segments, split.train, split.test, recipe, config.seed, exclusion)


def _refit(segments: Segments, split: Split, trial: Trial, config: SearchConfig) -> tuple[str, int, dict[str, float]]:
    return split.name, trial.number, refit(segments, split, trial.recipe, config)


def nested(
    trials: Sequence[Trial], segments: Segments, splits: Sequence[Split], config: SearchConfig, folder: Path
) -> pd.DataFrame:
    """A row a split: the number of its chosen trial, inner scores, and test scores beside the default recipe's.

    Columns ``split``, ``trial``, ``inner`` and ``inner_default``, and for every score of `KEPT` ``test_<score>`` and
    ``default_<score>``. Fits that ``folder`` holds are not made again.
    """
    wanted = [(split, trials[n]) for split in splits for n in sorted({0, chosen(trials, split.name).number})]
    files = {
        (split.name, trial.number): folder / f"{split.name}-{trial.number + 1:04d}.json" for split, trial in wanted
    }
    jobs = [(segments, split, trial, config) for split, trial in wanted if not files[split.name, trial.number].exists()]
    with tqdm(total=len(wanted), initial=len(wanted) - len(jobs), desc="refits", unit="fit") as bar:
        for name, trial, scores in in_processes(_refit, jobs, config.workers):
            runs.write_json(files[name, trial], scores)
            bar.update()
    rows = []
    for split in splits:
        best = chosen(trials, split.name)
        row = {"split": split.name, "trial": best.number + 1}
        row |= {"inner": best.score(split.name), "inner_default": trials[0].score(split.name)}
        for label, trial in (("test", best), ("default", trials[0])):
            row |= {f"{label}_{name}": value for name, value in _read_refit(files[split.name, trial.number]).items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _read_refit(file: Path) -> dict[str, float]:
    content = read_json(file)
    try:
        return {name: number(content[name]) for name in KEPT}
    except (KeyError, TypeError):
        raise InputError(f"{file}: damaged; remove it, and --resume makes it again") from None


# --- what came of it -------------------------------------------------------------------------------------------------
def trial_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """A row a trial and split: ``trial`` (from 1), ``split``, ``macro_f1`` (NaN: diverged), of every block, options."""
    rows = []
    for trial in trials:
        for split, scores in trial.scores.items():
            row = {"trial": trial.number + 1, "split": split, "macro_f1": float(np.mean(scores))}
            row |= {f"block_{k}": value for k, value in enumerate(scores, start=1)}
            rows.append({**row, **columns(trial.recipe), "seconds": trial.seconds})
    return pd.DataFrame(rows)


def results(trials: Sequence[Trial], table: pd.DataFrame, config: SearchConfig, run: Path) -> dict[str, Any]:
    """For ``results.json``: nested scores, the final recipe, and how to train by what was found."""
    best = chosen(trials)
    return {
        "trials": len(trials),
        "diverged": sum(not math.isfinite(trial.score()) for trial in trials),
        "seconds": sum(trial.seconds for trial in trials),
        "nested": {"splits": table.to_dict("records"), "mean": table.drop(columns=["split", "trial"]).mean().to_dict()},
        "final": {"trial": best.number + 1, "inner": best.score(), "recipe": best.recipe},
        "command": command(config, run),
    }


def command(config: SearchConfig, run: Path) -> str:
    """The line that trains by the recipes, on the same data and splits."""
    words = ["python", "ml4szeq/train_fcn.py", "--recipe", runs.shown_path(run)]
    for name in ("data", "drop", "features"):
        if getattr(config, name):
            words += [f"--{name}", *map(str, getattr(config, name))]
    for name in ("split", "exclusion", *(["seed"] if config.split in DRAWN else [])):
        if getattr(config, name) != getattr(SearchConfig, name):
            words += [f"--{name}", f"{getattr(config, name)}"]
    return shlex.join(words)


def results_text(found: dict[str, Any]) -> str:
    """Nested scores in a few lines, and the command."""
    table, mean = pd.DataFrame(found["nested"]["splits"]), found["nested"]["mean"]
    shown = table[["split", "trial", "inner", "inner_default", "test_macro_f1", "default_macro_f1"]]
    return (
        "macro-F1 of the recipes chosen in the training parts, on their test segments, beside the default recipe:\n"
        f"{shown.round(3).to_string(index=False)}\n"
        f"mean over splits: chosen {mean['test_macro_f1']:.3f}, default {mean['default_macro_f1']:.3f}\n"
        f"{found['command']}"
    )
