"""Search for a recipe by hyperopt's tree of Parzen estimators (Bergstra et al. 2011), on validation events.

Every finished trial is a folder with its generator and a JSON file, and the next proposal follows from the seed, its
number and the trials before it: a search that was stopped goes on as if it never had been, and nothing is unpickled.
"""

import dataclasses
import importlib.util
import math
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from hyperopt import STATUS_FAIL, STATUS_OK, Trials, hp, tpe
from hyperopt.base import JOB_STATE_DONE, Domain
from tqdm import tqdm

from cgm_gm.config import Recipe, SearchConfig
from cgm_gm.data import Source, ranges
from cgm_gm.fas import FREQUENCIES
from cgm_gm.generator import CHECKPOINT
from cgm_gm.prepared import Prepared, key
from cgm_gm.search_objective import Judgement, judge
from cgm_gm.training import Training
from cgm_gm.waveform_file import Waveforms
from shared import runs
from shared.command import InputError
from shared.sessions import read_json

PROJECT, WHAT = "cgm_gm-search", "search"  # apart from trained runs: runs/cgm_gm/latest is always a generator
TRIALS, TRIAL, TABLE = "trials", "trial.json", "trials.csv"
STARTUP = 10  # trials at random before the tree
MOST_PREPARED = 3  # kept in memory
FRAMES = ((128, 37), (160, 46), (256, 74))  # samples of a frame, and from frame to frame
BATCHES = (32, 64, 128)
SPACE = {
    "latent": hp.quniform("latent", 4, 32, 4),
    "hidden": hp.quniform("hidden", 32, 192, 32),
    "learning_rate": hp.loguniform("learning_rate", math.log(1e-3), math.log(2e-2)),
    "weight_decay": hp.loguniform("weight_decay", math.log(1e-3), math.log(1.0)),
    "batch": hp.choice("batch", range(len(BATCHES))),
    "frame": hp.choice("frame", range(len(FRAMES))),
}
SEARCHED = ("latent", "hidden", "learning_rate", "weight_decay", "batch", "n_fft", "hop")  # options of the recipe
Point = dict[str, float]  # as hyperopt names it: positions in BATCHES and FRAMES


@dataclasses.dataclass(frozen=True)
class Trial:
    """What came of a point: infinite misfit where the training failed, for the reason in ``note``."""

    point: Point
    recipe: Recipe
    judged: Judgement
    validation_loss: float  # nats a record
    seconds: float
    note: str = ""

    @property
    def misfit(self) -> float:
        """What the search makes small."""
        return self.judged.misfit if math.isfinite(self.judged.misfit) else math.inf

    @classmethod
    def load(cls, file: Path, point: Point, recipe: Recipe) -> "Trial":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            The file is damaged, or of another point.
        """
        content = read_json(file)
        try:
            if content["point"] != point or content["recipe"] != runs.plain(recipe):
                raise ValueError("another point")
            said = dict(content["judged"])
            lists = {name: tuple(map(_number, said[name])) for name in ("bias", "spread", "sigma")}
            judged = Judgement(misfit=_number(said["misfit"]), discriminative=_number(said["discriminative"]), **lists)
            if any(len(each) != len(FREQUENCIES) for each in lists.values()):
                raise ValueError("other frequencies")
            numbers = {name: _number(content[name]) for name in ("validation_loss", "seconds")}
            return cls(point, recipe, judged, **numbers, note=str(content["note"]))
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{file}: not the trial that belongs there; remove {file.parent}, and --resume runs it again"
            ) from None

    def save(self, file: Path) -> None:
        """Write the trial, whole or not at all."""
        runs.write_json(file, self)


def _number(value: float | None) -> float:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TypeError(f"{value!r} is no number")
    return math.nan if value is None else float(value)


# --- which point is next ---
def propose(seed: int, earlier: list[Trial]) -> Point:
    """The point to try after those ``earlier``: first the default recipe, then what hyperopt says."""
    number = len(earlier)
    if not earlier:
        return default_point()
    known = Trials()
    for tid, trial in enumerate(earlier):
        known.insert_trial_doc(_document(tid, trial))
    known.refresh()
    drawn = int(np.random.SeedSequence([seed, number]).generate_state(1)[0]) % 2**31
    domain = Domain(lambda point: 0.0, SPACE)
    (found,) = tpe.suggest([number], domain, known, drawn, n_startup_jobs=STARTUP, verbose=False)
    return {name: float(value[0]) for name, value in sorted(found["misc"]["vals"].items())}


def default_point() -> Point:
    """The point of the default recipe."""
    recipe = Recipe()
    found = {name: float(getattr(recipe, name)) for name in ("latent", "hidden", "learning_rate", "weight_decay")}
    frame = FRAMES.index((recipe.n_fft, recipe.hop))
    return dict(sorted({**found, "batch": float(BATCHES.index(recipe.batch)), "frame": float(frame)}.items()))


def _document(tid: int, trial: Trial) -> dict[str, Any]:
    values = {name: [int(value) if name in ("batch", "frame") else value] for name, value in trial.point.items()}
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


def recipe_of(point: Point, config: SearchConfig) -> Recipe:
    """The recipe of a point; what is not searched is that of ``config``."""
    n_fft, hop = FRAMES[int(point["frame"])]
    fixed = {name: getattr(config, name) for name in ("tcondvar", "backbone", "epochs", "validation_share")}
    return Recipe(
        **fixed,
        latent=int(point["latent"]),
        hidden=int(point["hidden"]),
        learning_rate=point["learning_rate"],
        weight_decay=point["weight_decay"],
        batch=BATCHES[int(point["batch"])],
        n_fft=n_fft,
        hop=hop,
    )


# --- the trials ---
def check(config: SearchConfig) -> None:
    """Refuse, before any work, what cannot be searched.

    Raises
    ------
    InputError
        An option asks for what is not there.
    """
    if config.network == "published":
        raise InputError("--network published: the published network cannot be searched yet; use --network ours")
    if config.engine == "ray":
        absent = importlib.util.find_spec("ray") is None
        why = "ray is not installed" if absent else "trials cannot run on a Ray cluster yet"
        raise InputError(f"--engine ray: {why}; use --engine local")
    for name in ("max_evals", "epochs"):
        if getattr(config, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(config, name)}: give 1 or more")
    for name in ("test_share", "validation_share"):
        if not 0.0 <= getattr(config, name) < 1.0:
            raise InputError(f"--{name.replace('_', '-')} {getattr(config, name):g}: give a share from 0 to below 1")


class Shelf:
    """What trials on ``data`` (records of training events only) share, made when it is first asked for.

    Raises
    ------
    InputError
        There are too few events to learn from or to validate with.
    """

    def __init__(self, data: Waveforms, config: SearchConfig):
        self.data, self.seed, self.kept = data, config.seed, {}
        ready = self.prepared(recipe_of(default_point(), config))
        if ready.table["event_id"].iloc[ready.held].nunique() < 2:
            raise InputError("fewer than 2 events to validate with; raise --validation-share or give more data")

    def prepared(self, recipe: Recipe) -> Prepared:
        """For ``recipe``; the last few asked for stay in memory."""
        name = key(recipe, self.seed)
        found = self.kept.pop(name, None) or Prepared(self.data, recipe, self.seed)
        self.kept[name] = found
        while len(self.kept) > MOST_PREPARED:
            del self.kept[next(iter(self.kept))]
        return found


def search(
    shelf: Shelf, config: SearchConfig, folder: Path, provenance: dict[str, Any], device: torch.device | str = "cpu"
) -> list[Trial]:
    """Every trial of the search, in order; those that ``folder`` holds already are not run again.

    Raises
    ------
    InputError
        A stored trial is not one of this search, or no trial succeeded.
    """
    homes = [folder / f"{number + 1:04d}" for number in range(config.max_evals)]
    done, trials = sum((home / TRIAL).exists() for home in homes), []
    with tqdm(total=len(homes), initial=done, desc=WHAT, unit="trial") as bar:
        for home in homes:
            point = propose(config.seed, trials)
            recipe = recipe_of(point, config)
            if (home / TRIAL).exists():
                trials.append(Trial.load(home / TRIAL, point, recipe))
            else:
                trials.append(run_trial(shelf, point, recipe, home, provenance, device))
                trials[-1].save(home / TRIAL)  # last: from now on it is finished
                bar.update()
            best = min(trials, key=lambda trial: trial.misfit)
            bar.set_postfix_str(f"best misfit {best.misfit:.3f} (trial {trials.index(best) + 1})")
    if not any(math.isfinite(trial.misfit) for trial in trials):
        raise InputError(f"none of {len(trials)} trials succeeded; the last: {trials[-1].note}")
    return trials


def run_trial(
    shelf: Shelf,
    point: Point,
    recipe: Recipe,
    home: Path,
    provenance: dict[str, Any],
    device: torch.device | str = "cpu",
) -> Trial:
    """Train ``recipe``, keep its generator in ``home``, judge it on validation events.

    A training that diverges is a trial that failed.
    """
    began = time.perf_counter()
    judged = Judgement(math.nan, *[(math.nan,) * len(FREQUENCIES)] * 3, math.nan)
    loss, note = math.nan, ""
    ready = shelf.prepared(recipe)
    try:
        training = Training(shelf.data, recipe, shelf.seed, device, ready)
        with tqdm(total=recipe.epochs, desc="  epochs of the trial", unit="epoch", leave=False) as bar:
            while not training.finished:
                loss = training.run_epoch()["validation_loss"]
                bar.update()
        stations = ready.table[["station_id", "station_lat", "station_lon"]].drop_duplicates("station_id")
        card = {"provenance": provenance, "ranges": ranges(ready.table), "recipe": recipe}
        generator = training.generator({**card, "stations": stations.to_dict("list")})
        judged = judge(generator, shelf.data.rows(ready.held), shelf.seed)
        generator.save(home / CHECKPOINT)
    except (InputError, np.linalg.LinAlgError) as error:
        note = str(error)
    return Trial(point, recipe, judged, loss, time.perf_counter() - began, note)


# --- what came of it ---
def trial_table(trials: list[Trial]) -> pd.DataFrame:
    """A row for every trial, least misfit first; columns as in `Trial` and `search_objective.fas_misfit`."""
    rows = []
    for number, trial in enumerate(trials, start=1):
        judged = trial.judged
        row = {"trial": number, "misfit": judged.misfit, "discriminative": judged.discriminative}
        row |= {"validation_loss": trial.validation_loss, "sigma": float(np.mean(judged.sigma))}
        row |= {name: getattr(trial.recipe, name) for name in SEARCHED}
        for name in ("bias", "spread", "sigma"):
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
        "best": {name: best[name] for name in ("trial", "misfit", "discriminative", "validation_loss", "sigma")},
        "checkpoint": f"{TRIALS}/{best['trial']:04d}/{CHECKPOINT}",
        "recipe": recipe,
        "command": command(recipe, config),
    }


def command(recipe: Recipe, config: SearchConfig) -> str:
    """The line that trains with ``recipe``, on the same records and with the same test events as the search."""
    given = {**dataclasses.asdict(recipe), "test_share": config.test_share, "seed": config.seed}
    if config.data is not None:
        given["data"] = config.data
    words = ["python", "cgm_gm/train_cgm.py"]
    for name, value in given.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def results_text(trials: list[Trial], found: dict[str, Any]) -> str:
    """Table and best trial for the terminal; the last line trains."""
    shown = ["trial", "misfit", "discriminative", "validation_loss", "sigma", *SEARCHED, "seconds"]
    best = found["best"]
    return (
        f"{trial_table(trials)[shown].round(4).to_string(index=False)}\n"
        f"best of {found['trials']} trials: trial {best['trial']}, misfit {best['misfit']:.3f}, discriminative score "
        f"{best['discriminative']:.2f}"
        + (f"; {found['failed']} trials failed" if found["failed"] else "")
        + f"\ntrain with it:\n{found['command']}"
    )


def described(source: Source, shelf: Shelf) -> str:
    """One line for the screen: what is learnt from, what judges."""
    ready = next(iter(shelf.kept.values()))
    event = ready.table["event_id"]
    counts = [f"{len(rows)} records of {event.iloc[rows].nunique()} events" for rows in (ready.rows, ready.held)]
    return f"{source.summary()}\nlearnt from: {counts[0]}; judged by: {counts[1]}"
