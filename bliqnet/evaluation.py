"""Residuals of records that training has not seen, summed up by period, for every model on the very same rows."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from bliqnet.config import EvaluateConfig
from bliqnet.data import Records
from bliqnet.site_terms import SiteTerms
from bliqnet.trained import Spectra, TrainedModel
from bliqnet.training import Training
from shared import flatfile, reference_gmm, splits

HEADLINE_PERIODS = (0.02, 0.05, 0.1, 0.2, 0.5)  # s; complete in the real records that the README's figures are of
OURS, MLP, BSSA14 = "BLiqNet", "plain MLP", "BSSA14"
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
        """One row per split, model, component and period; see :func:`residual_statistics`."""
        parts = []
        for (split, model), spectra in self.predictions.items():
            for component in sorted(self.records.table["component"].unique()):
                rows = np.flatnonzero(self.records.table["component"] == component)
                part = residual_statistics(
                    self.records.rows(rows), self.residual(split, model)[rows], spectra.sigma[rows]
                )
                parts.append(part.assign(component=component, model=model, split=split))
        table = pd.concat(parts, ignore_index=True)
        keys = ["split", "component", "column"]
        reference = table[table["model"] == BSSA14].set_index(keys)["std"].rename("bssa14_std")
        table = table.join(reference, on=keys)
        table["ratio_to_bssa14"] = table["std"] / table.pop("bssa14_std")
        first = ["split", "model", "component"]
        return table[first + [name for name in table if name not in first]]


def cross_validate(records: Records, config: EvaluateConfig, device: torch.device) -> CrossValidation:
    """Train and predict fold by fold, event-grouped and at random: BLiqNet, a plain MLP with squared error, BSSA14.

    The models named "known sites" add the site terms of stations with records in the training folds, found in the same
    way for BLiqNet and for BSSA14; stations without keep the model's own prediction.
    """
    shape = records.ln_sa.shape
    reference = reference_gmm.reference_median(records.table, records.columns)
    bssa14 = Spectra(reference.ln_median, reference.tau, reference.phi)
    plain = dataclasses.replace(config, members=1, loss="mse")
    predictions = {}
    bar = tqdm(total=2 * len(SPLITS) * config.folds, desc="cross-validation", unit="fit")
    for split in SPLITS:
        groups = splits.GROUPINGS[split](records.table)
        models = (OURS, OURS + KNOWN_SITES, MLP, BSSA14, BSSA14 + KNOWN_SITES)
        out = {model: Spectra(*(np.full(shape, np.nan) for _ in range(3))) for model in models}
        for train, test in splits.k_fold(groups, folds=config.folds, seed=config.seed):
            training_part, unseen = records.rows(train), records.table.iloc[test]
            ours = fitted(training_part, config, device)
            bar.update()
            mlp = fitted(training_part, plain, device, plain=True)
            bar.update()
            known = SiteTerms.of(training_part, records.ln_sa[train] - bssa14.ln_median[train])
            _store(out[OURS], test, ours.predict(unseen))
            _store(out[OURS + KNOWN_SITES], test, ours.predict(unseen, known_sites=True))
            _store(out[MLP], test, mlp.predict(unseen))
            own = Spectra(bssa14.ln_median[test], bssa14.tau[test], bssa14.phi[test])
            ln_median, phi, _ = known.apply(unseen, own.ln_median, own.phi)
            _store(out[BSSA14], test, own)
            _store(out[BSSA14 + KNOWN_SITES], test, Spectra(ln_median, own.tau, phi))
        predictions |= {(split, model): spectra for model, spectra in out.items()}
    bar.close()
    return CrossValidation(records, predictions)


def fitted(records: Records, recipe: Any, device: torch.device, plain: bool = False) -> TrainedModel:
    """A model trained on all of ``records``."""
    training = Training(records, recipe, recipe.seed, device, plain=plain)
    while not training.finished:
        training.run_epoch()
    return TrainedModel.of(training, records, {})


def _store(spectra: Spectra, rows: np.ndarray, part: Spectra) -> None:
    for name in ("ln_median", "tau", "phi"):
        getattr(spectra, name)[rows] = getattr(part, name)


def summary_table(records: Records, ln_median: np.ndarray) -> pd.DataFrame:
    """One row per component and period, with :func:`residual_statistics` of predictions ``ln_median`` (N, P).

    Beside them BSSA14's (with a published V/H ratio for the vertical) on the same rows.
    """
    reference = reference_gmm.reference_median(records.table, records.columns)
    ours, theirs = records.ln_sa - ln_median, records.ln_sa - reference.ln_median
    parts = []
    for component in sorted(records.table["component"].unique()):
        rows = np.flatnonzero(records.table["component"] == component)
        part, baseline = (residual_statistics(records.rows(rows), residual[rows]) for residual in (ours, theirs))
        part["bssa14_bias"], part["bssa14_std"] = baseline["bias"], baseline["std"]
        part["ratio_to_bssa14"] = part["std"] / part["bssa14_std"]
        parts.append(part.assign(component=component))
    return pd.concat(parts, ignore_index=True)


def residual_statistics(records: Records, residual: np.ndarray, sigma: np.ndarray | None = None) -> pd.DataFrame:
    """Per period, of ``residual`` (N, P), NaN where missing, and of the predicted ``sigma`` (N, P).

    ``n``; ``bias``, the mean; ``event_bias``, the mean of the events' means; ``std``, the standard deviation; ``r2`` of
    ln Sa; ``z_std``, the standard deviation of residual / sigma, 1 where the predicted spread is right.
    """
    residual = pd.DataFrame(np.where(np.isfinite(records.ln_sa), residual, np.nan).astype(float))
    observed = pd.DataFrame(records.ln_sa.astype(float)).where(residual.notna())
    columns = {
        "column": records.columns,
        "period": flatfile.periods_of(records.columns),
        "n": residual.notna().sum(),
        "bias": residual.mean(),
        "event_bias": residual.groupby(records.event).mean().mean(),
        "std": residual.std(ddof=0),
        "r2": 1.0 - (residual**2).sum() / ((observed - observed.mean()) ** 2).sum(),
    }
    if sigma is not None:
        columns["z_std"] = (residual / sigma).std(ddof=0)
    return pd.DataFrame(columns)


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
        f"largest event bias {headline_rows(table)['event_bias'].abs().max():.3f}"
    )


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
    shown = ", ".join(f"{period:g} s" for period in sorted(headline_rows(table)["period"].unique()))
    return "\n".join([*lines, f"means over {shown}; event bias: the largest |mean of event means| there"])
