"""Out-of-fold predictions and samples of every model on the very same rows, every event held out once."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from cvae_sa import fold_fits
from cvae_sa.config import EvaluateConfig
from cvae_sa.data import Records
from cvae_sa.fold_fits import BY_ANN, OURS, PLAIN, VARIANT, Fit
from cvae_sa.training import Training
from cvae_sa.uncertainty import Sampled
from shared import reference_gmm, splits
from shared.command import InputError
from shared.records import check_periods
from shared.reference_gmm import Prediction
from shared.refitted_form import FORM
from shared.summaries import statistics_by_component

BSSA14 = "BSSA14"
FITS = "fits"  # below the run folder
Folds = list[tuple[np.ndarray, np.ndarray]]  # positions of training and of test rows


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """What every model says of N records when it has not seen their events; P periods."""

    records: Records
    folds: Folds
    predictions: dict[str, Prediction]  # by model, NaN where there are none
    samples: dict[str, Sampled]  # by model
    reconstruction: np.ndarray  # (N, P) ln g
    seconds: pd.DataFrame  # ``model``, ``training_seconds``: means over the folds
    notes: list[str]

    def residual(self, model: str) -> np.ndarray:
        """ln(observed) - ln(predicted), (N, P), NaN where missing."""
        return self.records.ln_sa - self.predictions[model].ln_median

    def table(self) -> pd.DataFrame:
        """One row per model, component and period: `summaries.residual_statistics`; with the reconstruction."""
        none = np.full_like(self.reconstruction, np.nan)
        known = self.predictions | {"reconstruction": Prediction(self.reconstruction, none, none)}
        parts, reference = [], self.predictions[BSSA14].ln_median
        for model, spectra in known.items():
            of = self.records
            part = statistics_by_component(of.table, of.ln_sa, of.columns, spectra, reference)
            part.insert(0, "split", "event")
            part.insert(1, "model", model)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)


def plan(records: Records, config: EvaluateConfig) -> Folds:
    """The folds, checked before the first fit.

    Raises
    ------
    InputError
        The training rows of a fold lack a period or have too few events, or there are fewer events than folds.
    """
    groups = splits.event_groups(records.table)
    folds = list(splits.k_fold(groups, folds=config.outer_folds, seed=config.seed))
    for train, _ in folds:
        check_periods(records.ln_sa[train], records.columns, "training rows of a fold")
        Training(records.rows(train), config, config.seed)  # refuses what the fold's own folds lack
    Training(records, config, config.seed)
    return folds


def cross_validate(records: Records, folds: Folds, config: EvaluateConfig, folder: Path) -> CrossValidation:
    """Fit and predict fold by fold; every model on the same rows.

    Every fit is stored in ``folder`` as soon as it is done; those that are there already are not fitted again.
    """
    fits = {"cvae": fold_fits.fit_ours, "form": fold_fits.fit_form, "variant": fold_fits.fit_variant}
    if config.ablation:
        fits["plain"] = fold_fits.fit_plain
    shape = records.ln_sa.shape
    predictions: dict[str, Prediction] = {}
    samples: dict[str, Sampled] = {}
    reconstruction = np.full(shape, np.nan, np.float32)
    seconds, notes = [], []
    tasks = [(number, name) for number in range(len(folds)) for name in fits]
    for number, name in tqdm(tasks, desc="cross-validation", unit="fit"):
        train, test = folds[number]
        path = folder / f"{number + 1}-{name}.npz"
        if not path.exists():
            fits[name](records.rows(train), records.rows(test), config, number).save(path)
        found = Fit.load(path)  # what an evaluation that goes on would have
        if any(each.ln_median.shape != (len(test), shape[1]) for each in found.predictions.values()):
            raise InputError(f"{path}: of other rows than this fold's; remove it, and --resume fits it again")
        for model, part in found.predictions.items():
            predictions.setdefault(model, Prediction.empty(shape)).store(test, part)
        for model, part in found.samples.items():
            samples.setdefault(model, Sampled.empty(shape)).store(test, part)
        if found.reconstruction.size:
            reconstruction[test] = found.reconstruction
        seconds.append({"model": next(iter(found.predictions)), "training_seconds": found.seconds})
        notes += [f"fold {number + 1}: {note}" for note in found.notes]
    predictions[BSSA14] = reference_gmm.published(BSSA14, records.table, records.columns)
    order = [model for model in (OURS, BY_ANN, FORM, BSSA14, VARIANT, PLAIN) if model in predictions]
    kept = {model: predictions[model] for model in order if np.isfinite(predictions[model].ln_median).any()}
    means = pd.DataFrame(seconds).groupby("model", sort=False).mean().reset_index()
    return CrossValidation(records, folds, kept, samples, reconstruction, means, notes)
