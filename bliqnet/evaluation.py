"""Residuals of records that training has not seen, summed up by period, for every model on the very same rows."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from bliqnet.config import EvaluateConfig
from bliqnet.data import Records, check_periods
from bliqnet.site_terms import SiteTerms
from bliqnet.trained import Spectra, TrainedModel
from bliqnet.training import Training
from shared import flatfile, reference_gmm, splits

HEADLINE_PERIODS = (0.02, 0.05, 0.1, 0.2, 0.5)  # s; complete in the real records that the README's figures are of
OURS, CLASSICAL, MLP, BSSA14 = "BLiqNet", "classical form", "plain MLP", "BSSA14"
KNOWN_SITES = ", known sites"
SPLITS = {"event": "event-grouped", "random": "random (leaks events)"}


@dataclasses.dataclass(frozen=True)
class CrossValidation:
    """Out-of-fold predictions of every model, N rows and P periods, for each way of splitting."""

    records: Records
    predictions: dict[tuple[str, str], Spectra]  # (split, model) -> spectra of all N rows

    def residual(self, split: str, model: str) -> np.ndarray:
        """ln(observed) - ln(predicted), (N, P), NaN where missing."""
        return self.records.ln_sa - self.predictions[split, model].ln_median

    def table(self) -> pd.DataFrame:
        """One row per split, model, component and period: :func:`residual_statistics`, beside BSSA14's."""
        parts = []
        for (split, model), spectra in self.predictions.items():
            part = _by_component(self.records, spectra, self.predictions[split, BSSA14].ln_median)
            part.insert(0, "split", split)
            part.insert(1, "model", model)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)


def cross_validate(records: Records, config: EvaluateConfig, device: torch.device) -> CrossValidation:
    """Train and predict fold by fold, event-grouped and at random, every model on the same rows.

    Beside BLiqNet: its classical skip alone, as fitted before the first epoch (a refitted classical form); a plain MLP
    with squared error, in as many members; BSSA14. "Known sites" adds the site terms of stations with records in the
    training folds, found in the same way for BLiqNet and for BSSA14; other stations keep the model's own prediction.

    Raises
    ------
    InputError
        The training rows of a fold lack a period; found before the first fit.
    """
    reference = reference_gmm.reference_median(records.table, records.columns)
    bssa14 = Spectra(reference.ln_median, reference.tau, reference.phi)
    models = [OURS, OURS + KNOWN_SITES, CLASSICAL, MLP, BSSA14, BSSA14 + KNOWN_SITES]
    if config.skip == "none":
        models.remove(CLASSICAL)
    folds = {split: _folds(records, split, config) for split in SPLITS}
    predictions = {}
    with tqdm(total=2 * len(SPLITS) * config.folds, desc="cross-validation", unit="fit") as bar:
        for split in SPLITS:
            out = {model: _empty(records.ln_sa.shape) for model in models}
            for train, test in folds[split]:
                for model, spectra in _fold(records, train, test, config, device, bar).items():
                    _store(out[model], test, spectra)
                known = SiteTerms.of(records.rows(train), records.ln_sa[train] - bssa14.ln_median[train])
                own = Spectra(*(getattr(bssa14, name)[test] for name in SPECTRA))
                ln_median, phi, _ = known.apply(records.table.iloc[test], own.ln_median, own.phi)
                _store(out[BSSA14], test, own)
                _store(out[BSSA14 + KNOWN_SITES], test, Spectra(ln_median, own.tau, phi))
            predictions |= {(split, model): spectra for model, spectra in out.items()}
    return CrossValidation(records, predictions)


def _folds(records: Records, split: str, config: EvaluateConfig) -> list[tuple[np.ndarray, np.ndarray]]:
    folds = list(splits.k_fold(splits.GROUPINGS[split](records.table), folds=config.folds, seed=config.seed))
    for train, _ in folds:
        check_periods(records.rows(train), f"training rows of a fold, {SPLITS[split]}")
    return folds


def _fold(
    records: Records, train: np.ndarray, test: np.ndarray, config: EvaluateConfig, device: torch.device, bar: tqdm
) -> dict[str, Spectra]:
    """Predictions of the test rows by the models that train."""
    rows, unseen, found = records.rows(train), records.table.iloc[test], {}
    training = Training(rows, config, config.seed, device)
    if config.skip == "classical":
        found[CLASSICAL] = TrainedModel.of(training, rows, {}).predict(unseen)
    ours = _fitted(training, rows)
    bar.update()
    plain = Training(rows, dataclasses.replace(config, loss="mse"), config.seed, device, plain=True)
    found |= {OURS: ours.predict(unseen), OURS + KNOWN_SITES: ours.predict(unseen, known_sites=True)}
    found[MLP] = _fitted(plain, rows).predict(unseen)
    bar.update()
    return found


def _fitted(training: Training, records: Records) -> TrainedModel:
    while not training.finished:
        training.run_epoch()
    return TrainedModel.of(training, records, {})


SPECTRA = [field.name for field in dataclasses.fields(Spectra)]


def _empty(shape: tuple[int, int]) -> Spectra:
    return Spectra(*(np.full(shape, np.nan) for _ in SPECTRA))


def _store(spectra: Spectra, rows: np.ndarray, part: Spectra) -> None:
    for name in SPECTRA:
        getattr(spectra, name)[rows] = getattr(part, name)


def summary_table(records: Records, spectra: Spectra) -> pd.DataFrame:
    """One row per component and period with :func:`residual_statistics` of predictions, beside BSSA14's."""
    return _by_component(records, spectra, reference_gmm.reference_median(records.table, records.columns).ln_median)


def _by_component(records: Records, spectra: Spectra, reference: np.ndarray) -> pd.DataFrame:
    ours, theirs = records.ln_sa - spectra.ln_median, records.ln_sa - reference
    components, parts = records.table["component"].to_numpy(), []
    for component in np.unique(components):
        rows = components == component
        part = residual_statistics(ours[rows], records, rows, reference=theirs[rows], sigma=spectra.sigma[rows])
        part.insert(0, "component", component)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def residual_statistics(
    residual: np.ndarray, records: Records, rows: np.ndarray, *, reference: np.ndarray, sigma: np.ndarray
) -> pd.DataFrame:
    """Per period, of ``residual`` (N, P), NaN where missing, at ``rows`` of ``records``.

    ``n``; ``bias``, the mean; ``event_bias``, the mean of the events' means; ``std``, the standard deviation; ``r2`` of
    ln Sa; ``z_std``, the standard deviation of residual / ``sigma`` (N, P), 1 where the predicted spread is right;
    ``ratio_to_bssa14``, of the standard deviations on the values for which BSSA14 has a residual ``reference`` (N, P)
    too (it ends at 10 s, and its vertical needs rrup), with BSSA14's own ``bssa14_event_bias`` and ``bssa14_std``.
    """
    event = records.event[rows]
    residual, reference = pd.DataFrame(residual).astype(float), pd.DataFrame(reference).astype(float)
    observed = pd.DataFrame(records.ln_sa[rows]).astype(float).where(residual.notna())
    bssa14_std = reference.std(ddof=0)
    return pd.DataFrame(
        {
            "column": records.columns,
            "period": flatfile.periods_of(records.columns),
            "n": residual.notna().sum(),
            "bias": residual.mean(),
            "event_bias": residual.groupby(event).mean().mean(),
            "std": residual.std(ddof=0),
            "r2": 1.0 - (residual**2).sum() / ((observed - observed.mean()) ** 2).sum(),
            "z_std": (residual / sigma).std(ddof=0),
            "ratio_to_bssa14": residual.where(reference.notna()).std(ddof=0) / bssa14_std,
            "bssa14_event_bias": reference.groupby(event).mean().mean(),
            "bssa14_std": bssa14_std,
        }
    )


def headline_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The horizontal rows at the headline periods that the table has, or else all of its rows."""
    chosen = table[table["period"].isin(HEADLINE_PERIODS) & (table["component"] == "H")]
    return chosen if len(chosen) else table


def headline(table: pd.DataFrame, column: str = "ratio_to_bssa14") -> float:
    """Mean of ``column`` over the headline rows."""
    return float(headline_rows(table)[column].mean())


def summary_line(table: pd.DataFrame, what: str) -> str:
    """One line for the terminal."""
    return (
        f"{what}: standard deviation of ln residuals {headline(table, 'std'):.3f} "
        f"({headline(table):.3f} of BSSA14's on the same records), R² {headline(table, 'r2'):.3f}, "
        f"largest event bias {headline_rows(table)['event_bias'].abs().max():.3f}; {_means_over(table)}"
    )


def _means_over(table: pd.DataFrame) -> str:
    rows = headline_rows(table)
    shown = ", ".join(f"{period:g}" for period in sorted(rows["period"].unique()))
    return f"means over {' and '.join(sorted(rows['component'].unique()))} at {shown} s"


def results_of(table: pd.DataFrame, source: flatfile.Flatfile) -> dict[str, Any]:
    """What ``results.json`` holds: the headline of every split and model, and the whole table."""
    headlines = {
        split: {
            model: {
                "ratio_to_bssa14": headline(part),
                "std": headline(part, "std"),
                "r2": headline(part, "r2"),
                "largest_event_bias": float(headline_rows(part)["event_bias"].abs().max()),
            }
            for model, part in rows.groupby("model", sort=False)
        }
        for split, rows in table.groupby("split", sort=False)
    }
    return {"data": source.describe(), "headline": headlines, "table": table.to_dict("records")}


def results_text(table: pd.DataFrame) -> str:
    """The headline for the terminal: one line per split and model."""
    lines = [f"{'split':22} {'model':22} {'std':>6} {'of BSSA14':>10} {'R²':>6} {'|event bias|':>13}"]
    for (split, model), part in table.groupby(["split", "model"], sort=False):
        bias = headline_rows(part)["event_bias"].abs().max()
        lines.append(
            f"{SPLITS[split]:22} {model:22} {headline(part, 'std'):6.3f} {headline(part):10.3f} "
            f"{headline(part, 'r2'):6.3f} {bias:13.3f}"
        )
    return "\n".join([*lines, f"{_means_over(table)}; event bias: the largest |mean of event means| there"])
