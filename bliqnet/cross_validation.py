"""Out-of-fold predictions of every model on the very same rows, fold by fold, by event and at random."""

import dataclasses
import re
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from bliqnet import baselines, fold_fits
from bliqnet.baselines import ENSEMBLE
from bliqnet.config import EvaluateConfig
from bliqnet.data import Records
from bliqnet.fold_fits import MLP, OURS, START, Fit
from bliqnet.site_terms import SiteTerms
from bliqnet.training import LEAST_FOLDS
from shared import reference_gmm, splits
from shared.command import InputError
from shared.held_out import KNOWN_SITES
from shared.records import check_periods
from shared.reference_gmm import Prediction
from shared.refitted_form import FORM
from shared.summaries import SPLITS, statistics_by_component

BSSA14 = "BSSA14"
WITH_INTERVALS = (OURS, FORM, BSSA14)  # the models that are compared most closely
FITS = "fits"  # below the run folder
Folds = list[tuple[np.ndarray, np.ndarray]]  # positions of training and of test rows


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """Out-of-fold predictions of every model, N rows and P periods, for each way of splitting."""

    records: Records
    folds: dict[str, Folds]  # by split
    predictions: dict[tuple[str, str], Prediction]  # (split, model) -> spectra of all N rows, NaN where there are none
    costs: pd.DataFrame  # a row a model: means over the event-grouped folds, see `efficiency.costs`
    speeds: pd.DataFrame  # of `efficiency.milliseconds_per_sample`, in the first event-grouped fold
    notes: list[str]

    def models(self, split: str = "event") -> list[str]:
        """The models that were split so."""
        return [model for which, model in self.predictions if which == split]

    def residual(self, split: str, model: str) -> np.ndarray:
        """ln(observed) - ln(predicted), (N, P), NaN where missing."""
        return self.records.ln_sa - self.predictions[split, model].ln_median

    def table(self) -> pd.DataFrame:
        """One row per split, model, component and period: `summaries.residual_statistics`, beside BSSA14's."""
        parts, of = [], self.records
        for (split, model), spectra in self.predictions.items():
            reference = self.predictions[split, BSSA14].ln_median
            part = statistics_by_component(of.table, of.ln_sa, of.columns, spectra, reference)
            part.insert(0, "split", split)
            part.insert(1, "model", model)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)


def plan(records: Records, config: EvaluateConfig) -> dict[str, Folds]:
    """The folds of every split, checked before the first fit.

    Raises
    ------
    InputError
        The training rows of a fold lack a period or have too few events, or there are fewer groups than folds.
    """
    found, least = {}, max(config.members, LEAST_FOLDS)
    for split, name in SPLITS.items():
        found[split] = list(splits.k_fold(splits.GROUPINGS[split](records.table), folds=config.folds, seed=config.seed))
        for train, _ in found[split]:
            check_periods(records.ln_sa[train], records.columns, f"training rows of a fold, {name}")
            n_events = len(np.unique(records.event[train]))
            if n_events < least:
                raise InputError(f"{n_events} events to train on in a fold, {least} are needed; give more data")
    return found


def cross_validate(
    records: Records, folds: dict[str, Folds], config: EvaluateConfig, device: torch.device, folder: Path
) -> CrossValidation:
    """Fit and predict fold by fold, event-grouped and, for the networks, at random; every model on the same rows.

    Beside BLiqNet: its classical skip alone, as fitted before the first epoch; the classical form refitted by itself; a
    plain MLP; the tuned models of `baselines` and the mean of them; and the published models. "Known sites" adds the
    site terms of stations with records in the training folds, found in the same way for BLiqNet and for BSSA14; other
    stations keep the model's own prediction.

    Every fit is stored in ``folder`` as soon as it is done; those that are there already are not fitted again.
    """
    tasks = [
        (split, number, group, fit)
        for split in SPLITS
        for number in range(len(folds[split]))
        for group, fit in _groups(split, config).items()
    ]
    out: dict[tuple[str, str], Prediction] = {}
    costs, speeds, notes = [], [], []
    for split, number, group, fit in tqdm(tasks, desc="cross-validation", unit="fit"):
        train, test = folds[split][number]
        path = folder / f"{split}-{number + 1}-{re.sub('[^a-z0-9]+', '-', group.lower())}.npz"
        if path.exists():
            found = Fit.load(path)
        else:
            timed = split == "event" and number == 0
            found = fit(records.rows(train), records.table.iloc[test].reset_index(drop=True), config, device, timed)
            found.save(path)
        for model, spectra in found.predictions.items():
            _store(out.setdefault((split, model), Prediction.empty(records.ln_sa.shape)), test, spectra, path)
        if split == "event":
            costs.append(found.costs)
            speeds.append(found.speeds)
            notes += [f"fold {number + 1}: {note}" for note in found.notes]
    _add_ensemble(out, config)
    _add_published(out, records, folds)
    predicted = {key: spectra for key, spectra in out.items() if np.isfinite(spectra.ln_median).any()}
    return CrossValidation(
        records, folds, _ordered(predicted), _mean_costs(pd.concat(costs)), _with_ensemble(pd.concat(speeds)), notes
    )


def _groups(split: str, config: EvaluateConfig) -> dict:
    groups = {OURS: fold_fits.fit_ours, MLP: fold_fits.fit_mlp}
    if split == "event":
        groups[FORM] = fold_fits.fit_form
        if config.baselines:
            groups |= {name: partial(fold_fits.fit_baseline, name) for name in baselines.METHODS}
    return groups


def _store(spectra: Prediction, rows: np.ndarray, part: Prediction, path: Path) -> None:
    if part.ln_median.shape != (len(rows), spectra.ln_median.shape[1]):
        raise InputError(f"{path}: of other rows than this fold's; remove it, and --resume fits it again")
    spectra.store(rows, part)


def _add_ensemble(out: dict[tuple[str, str], Prediction], config: EvaluateConfig) -> None:
    if config.baselines:
        mean = np.mean([out["event", name].ln_median for name in baselines.METHODS], axis=0)
        none = np.full_like(mean, np.nan)
        out["event", ENSEMBLE] = Prediction(mean, none, none)


def _add_published(out: dict[tuple[str, str], Prediction], records: Records, folds: dict[str, Folds]) -> None:
    """Models that learn nothing; BSSA14 also with site terms learnt from each fold's training rows."""
    for name in reference_gmm.PUBLISHED:
        spectra = reference_gmm.published(name, records.table, records.columns)
        out["event", name] = spectra
        if name != BSSA14:
            continue
        for split, parts in folds.items():
            out[split, name] = spectra
            with_sites = Prediction.empty(records.ln_sa.shape)
            for train, test in parts:
                known = SiteTerms.of(records.rows(train), records.ln_sa[train] - spectra.ln_median[train])
                own = spectra.rows(test)
                ln_median, phi, _ = known.apply(records.table.iloc[test], own.ln_median, own.phi)
                with_sites.store(test, Prediction(ln_median, own.tau, phi))
            out[split, name + KNOWN_SITES] = with_sites


def _ordered(predictions: dict[tuple[str, str], Prediction]) -> dict[tuple[str, str], Prediction]:
    models = [OURS, FORM, START, MLP, *baselines.METHODS, ENSEMBLE, *reference_gmm.PUBLISHED]
    models += [OURS + KNOWN_SITES, BSSA14 + KNOWN_SITES]
    return {
        (split, model): predictions[split, model]
        for split in SPLITS
        for model in models
        if (split, model) in predictions
    }


def _mean_costs(costs: pd.DataFrame) -> pd.DataFrame:
    means = costs.groupby("model", sort=False).mean()
    members = means.reindex(list(baselines.METHODS))
    if members["training_seconds"].notna().all():
        means.loc[ENSEMBLE] = members.sum(min_count=1)
    return means.reset_index()


def _with_ensemble(speeds: pd.DataFrame) -> pd.DataFrame:
    """The ensemble takes the time of its members, one after the other."""
    members = speeds[speeds["model"].isin(baselines.METHODS)]
    if members["model"].nunique() < len(baselines.METHODS):
        return speeds.reset_index(drop=True)
    total = members.groupby("batch", as_index=False)[["calls", "ms_per_call", "ms_per_sample"]].sum()
    total["calls"] //= len(baselines.METHODS)
    return pd.concat([speeds, total.assign(model=ENSEMBLE)], ignore_index=True)
