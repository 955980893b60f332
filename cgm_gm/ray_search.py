"""The trials of a search on a Ray cluster: Ray Tune proposes by hyperopt and spreads them, we keep what comes of them.

Workers need share no disk with this machine: generator and figures of a finished trial come back to it, into a folder
as `search_trials` has them. A search that is resumed tells hyperopt of the finished trials and runs the others.
"""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from ray import tune
from ray.tune.search.hyperopt import HyperOptSearch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
from tqdm import tqdm

from cgm_gm.config import SearchConfig
from cgm_gm.generator import CHECKPOINT
from cgm_gm.search_spaces import SPACES, STARTUP, Point
from cgm_gm.search_trials import TRIAL, Shelf, Trial, run_trial
from cgm_gm.waveform_file import Waveforms
from shared import ray_cluster, runs

AGAIN = 2  # times that a trial is begun anew whose worker was lost


class Keeper:
    """Lives on this machine and writes finished trials to ``folder``, numbered in the order in which they finish."""

    def __init__(self, folder: Path):
        self.folder = folder

    def keep(self, trial: Trial, generator: bytes | None) -> None:
        """Write one; its JSON file last: from then on it is finished."""
        home = free_home(self.folder)
        if generator is not None:
            with runs.atomic(home / CHECKPOINT) as temporary:
                temporary.write_bytes(generator)
        trial.save(home / TRIAL)


class Worker(tune.Trainable):
    """Runs one trial after the other on some machine; what they share stays with it."""

    def setup(
        self, config: Point, *, data: Waveforms, options: SearchConfig, provenance: dict, device: str, keeper: Any
    ) -> None:
        """Take a first point."""
        torch.set_num_threads(options.threads)
        self.shelf, self.options, self.keeper = Shelf(data, options), options, keeper
        self.fixed = provenance, torch.device(device), True
        self.reset_config(config)

    def reset_config(self, config: Point) -> bool:
        """Take another point."""
        self.point = {name: float(value) for name, value in sorted(config.items())}
        return True

    def step(self) -> dict[str, Any]:
        """Run the whole trial; when it is told of, it is kept already."""
        recipe = SPACES[self.options.network].recipe(self.point, self.options)
        with tempfile.TemporaryDirectory() as folder:
            trial = run_trial(self.shelf, self.point, recipe, Path(folder), *self.fixed)
            file = Path(folder) / CHECKPOINT
            ray.get(self.keeper.keep.remote(trial, file.read_bytes() if file.exists() else None))
        return {"misfit": trial.misfit, tune.result.DONE: True}


class Progress(tune.Callback):
    """A bar of the trials, with the least misfit."""

    def __init__(self, bar: tqdm, earlier: list[Trial]):
        self.bar, self.best = bar, min((each.misfit for each in earlier), default=math.inf)

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict[str, Any], **info: Any) -> None:
        """One more is finished."""
        self.best = min(self.best, result["misfit"])
        self.bar.set_postfix_str(f"best misfit {self.best:.3f}")
        self.bar.update()


def search(
    data: Waveforms,
    config: SearchConfig,
    folder: Path,
    provenance: dict[str, Any],
    device: torch.device | str = "cpu",
) -> list[Trial]:
    """As `search.search`, ``config.workers`` trials at a time; in the order in which they were finished.

    Raises
    ------
    InputError
        A stored trial is not one of this search, or there is no cluster at ``config.address``.
    """
    earlier = finished(folder, config)
    count = config.max_evals - len(earlier)
    if count > 0:
        gpu = torch.device(device).type == "cuda"
        with ray_cluster.joined(config.address, config.workers * config.threads):
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            kept_by = ray.remote(Keeper).options(num_cpus=0, scheduling_strategy=here).remote(folder.resolve())
            known = {"data": data, "options": config, "provenance": provenance, "device": str(device)}
            trainable = tune.with_parameters(Worker, keeper=kept_by, **known)
            trainable = tune.with_resources(trainable, {"cpu": config.threads, "gpu": int(gpu)})
            with (
                tempfile.TemporaryDirectory() as scratch,
                tqdm(total=config.max_evals, initial=len(earlier), desc="search", unit="trial") as bar,
            ):
                found = tune.Tuner(
                    trainable,
                    tune_config=tune.TuneConfig(
                        metric="misfit",
                        mode="min",
                        search_alg=proposer(config, earlier),
                        num_samples=count,
                        max_concurrent_trials=config.workers,
                        reuse_actors=True,
                    ),
                    run_config=tune.RunConfig(
                        storage_path=scratch,
                        verbose=0,
                        callbacks=[Progress(bar, earlier)],
                        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                        failure_config=tune.FailureConfig(max_failures=AGAIN),
                    ),
                ).fit()
        if found.errors:
            raise found.errors[0]
    return finished(folder, config)


def proposer(config: SearchConfig, earlier: list[Trial]) -> HyperOptSearch:
    """Hyperopt, told of the trials that are finished; the default recipe is tried first."""
    space = SPACES[config.network]
    points, first = [dict(each.point) for each in earlier], space.default()
    points += [] if first in points else [first]
    for point in points:
        point.update({name: int(point[name]) for name in space.whole})
    seed = int(np.random.SeedSequence([config.seed, len(earlier)]).generate_state(1)[0]) % 2**31
    options = {"metric": "misfit", "mode": "min", "n_initial_points": STARTUP, "random_state_seed": seed}
    found = HyperOptSearch(dict(space.variables), points_to_evaluate=points, **options)
    for number, trial in enumerate(earlier):
        found.suggest(f"finished-{number}")
        found.on_trial_complete(f"finished-{number}", {"misfit": trial.misfit})
    return found


def finished(folder: Path, config: SearchConfig) -> list[Trial]:
    """The trials that lie in ``folder``, by their numbers.

    Raises
    ------
    InputError
        One is damaged, or of another search.
    """
    return [Trial.load(file, config) for file in sorted(folder.glob(f"*/{TRIAL}"))]


def free_home(folder: Path) -> Path:
    """Where the next finished trial goes."""
    taken = [int(file.parent.name) for file in folder.glob(f"*/{TRIAL}")]
    return folder / f"{max(taken, default=0) + 1:04d}"
