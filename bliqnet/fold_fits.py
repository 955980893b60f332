"""Every model that learns, fitted to the training rows of a fold: what it predicts of the others, what it costs.

A fit is stored as one file, whole or not at all, so that an evaluation that was killed goes on where it was.
"""

import dataclasses
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from bliqnet import baselines, efficiency
from bliqnet.config import EvaluateConfig
from bliqnet.data import Records
from bliqnet.trained import TrainedModel
from bliqnet.training import Training
from shared import runs
from shared.command import InputError, reason_of
from shared.held_out import KNOWN_SITES
from shared.reference_gmm import Prediction
from shared.refitted_form import FORM, refitted
from shared.untrusted import loads, read_arrays

OURS, START, MLP = "BLiqNet", "classical start", "plain MLP"
BATCH_SIZES = (1, 16, 128, 1024)  # rows at a time, for which predictions are timed
SECONDS = 0.1  # for each of them


@dataclasses.dataclass(frozen=True)
class Fit:
    """What came of a fit: predictions of N test rows by model, `efficiency.costs`, times of predictions, notes."""

    predictions: dict[str, Prediction]
    costs: pd.DataFrame
    speeds: pd.DataFrame  # of `efficiency.milliseconds_per_sample`; empty where nothing was timed
    notes: list[str] = dataclasses.field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write it as ``.npz``."""
        arrays = {
            f"{model}/{name}": values
            for model, found in self.predictions.items()
            for name, values in vars(found).items()
        }
        about = {name: getattr(self, name).to_dict("records") for name in ("costs", "speeds")} | {"notes": self.notes}
        runs.write_arrays(path, arrays | {"about": np.array(json.dumps(about))})

    @classmethod
    def load(cls, path: Path) -> "Fit":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            The file is damaged.
        """
        try:
            arrays = read_arrays(path)
            about = loads(str(arrays["about"]))
            models = list(dict.fromkeys(name.rpartition("/")[0] for name in arrays if name != "about"))
            names = [field.name for field in dataclasses.fields(Prediction)]
            predictions = {model: Prediction(*(arrays[f"{model}/{name}"] for name in names)) for model in models}
            return cls(predictions, pd.DataFrame(about["costs"]), pd.DataFrame(about["speeds"]), about["notes"])
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: damaged ({reason_of(error)}); remove it, and --resume fits it again") from None


@dataclasses.dataclass(frozen=True)
class Predictor:
    """What `efficiency` asks of a model, around any function of a table."""

    predict: Callable[[pd.DataFrame], Any]
    parameters: float = np.nan


# --- the fits --------------------------------------------------------------------------------------------------------
def train(rows: Records, config: EvaluateConfig, device: torch.device, plain: bool = False) -> Training:
    """A training on ``rows`` that has ended."""
    training = Training(rows, config, config.seed, device, plain=plain)
    while not training.finished:
        training.run_epoch()
    return training


def fit_ours(rows: Records, unseen: pd.DataFrame, config: EvaluateConfig, device: torch.device, timed: bool) -> Fit:
    """BLiqNet, the same with the site terms of known stations, and its start: the skip before the first epoch."""
    begun = time.perf_counter()
    training = Training(rows, config, config.seed, device)
    found, models, seconds = {}, {}, {}
    if config.skip == "classical":
        start = TrainedModel.of(training, rows, {})
        seconds[START] = time.perf_counter() - begun
        weights = sum(p.numel() for name, p in start.network.named_parameters() if name == "skip")
        models[START] = Predictor(start.predict, weights)
        found[START] = start.predict(unseen)
    while not training.finished:
        training.run_epoch()
    ours = TrainedModel.of(training, rows, {})
    seconds[OURS] = time.perf_counter() - begun
    found |= {OURS: ours.predict(unseen), OURS + KNOWN_SITES: ours.predict(unseen, known_sites=True)}
    return _fit(found, {OURS: ours, **models}, seconds, unseen, timed)


def fit_mlp(rows: Records, unseen: pd.DataFrame, config: EvaluateConfig, device: torch.device, timed: bool) -> Fit:
    """Two hidden layers, squared error, the same inputs, members and early stopping."""
    begun = time.perf_counter()
    training = train(rows, dataclasses.replace(config, loss="mse"), device, plain=True)
    model = TrainedModel.of(training, rows, {})
    seconds = {MLP: time.perf_counter() - begun}
    return _fit({MLP: model.predict(unseen)}, {MLP: model}, seconds, unseen, timed)


def fit_form(rows: Records, unseen: pd.DataFrame, config: EvaluateConfig, device: torch.device, timed: bool) -> Fit:
    """The classical form refitted; a component that it cannot be fitted to is left out with a note."""
    begun = time.perf_counter()
    model, notes = refitted(rows.table, rows.ln_sa, rows.columns)
    seconds = {FORM: time.perf_counter() - begun}
    return _fit({FORM: model.predict(unseen)}, {FORM: model}, seconds, unseen, timed, notes)


def fit_baseline(
    name: str, rows: Records, unseen: pd.DataFrame, config: EvaluateConfig, device: torch.device, timed: bool
) -> Fit:
    """The model ``name`` of `baselines.METHODS`: a median without tau and phi."""
    model = baselines.fit_baseline(name, rows, config.seed)
    ln_median = model.predict(unseen)
    none = np.full_like(ln_median, np.nan)
    return _fit({name: Prediction(ln_median, none, none)}, {name: model}, {name: model.seconds}, unseen, timed)


def _fit(
    found: dict[str, Prediction],
    models: dict[str, Any],
    seconds: dict[str, float],
    unseen: pd.DataFrame,
    timed: bool,
    notes: list[str] | None = None,
) -> Fit:
    speeds = efficiency.milliseconds_per_sample(models, unseen, BATCH_SIZES, SECONDS) if timed else pd.DataFrame()
    return Fit(found, efficiency.costs(models, seconds), speeds, notes or [])
