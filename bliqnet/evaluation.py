"""Residuals of unseen records, summed up by period, for every model on the very same rows."""

import numpy as np
import pandas as pd

from bliqnet.data import Records
from shared import flatfile, reference_gmm

HEADLINE_PERIODS = (0.02, 0.05, 0.1, 0.2, 0.5)  # s; complete in the real records that the README's figures are of


def summary_table(records: Records, ln_median: np.ndarray) -> pd.DataFrame:
    """One row per component and period: n, bias, event bias, standard deviation and R² of ln residuals, and the ratio
    of the standard deviation to BSSA14's (with a published V/H ratio for the vertical) on the same rows."""
    reference = reference_gmm.reference_median(records.table, records.columns)
    ours, theirs = records.ln_sa - ln_median, records.ln_sa - reference.ln_median
    parts = []
    for component in sorted(records.table["component"].unique()):
        rows = (records.table["component"] == component).to_numpy()
        part = residual_statistics(records.rows(rows.nonzero()[0]), ours[rows])
        baseline = residual_statistics(records.rows(rows.nonzero()[0]), theirs[rows])
        part["bssa14_bias"], part["bssa14_std"] = baseline["bias"], baseline["std"]
        part["ratio_to_bssa14"] = part["std"] / part["bssa14_std"]
        parts.append(part.assign(component=component))
    return pd.concat(parts, ignore_index=True)


def residual_statistics(records: Records, residual: np.ndarray) -> pd.DataFrame:
    """Per period: ``n``, ``bias`` (mean), ``event_bias`` (mean of the events' means), ``std``, ``r2`` of ``residual``
    (N, P), ln(observed) - ln(predicted), NaN where missing."""
    residual = np.where(np.isfinite(records.ln_sa), residual, np.nan).astype(float)
    by_event = pd.DataFrame(residual).groupby(records.event).mean().to_numpy()
    counts = np.isfinite(residual).sum(axis=0)
    observed = np.where(np.isfinite(residual), records.ln_sa, np.nan).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        bias = np.nansum(residual, axis=0) / counts
        std = np.sqrt(np.nansum((residual - bias) ** 2, axis=0) / counts)
        spread = np.nansum((observed - np.nansum(observed, axis=0) / counts) ** 2, axis=0)
        r2 = 1.0 - np.nansum(residual**2, axis=0) / spread
        event_bias = np.nansum(by_event, axis=0) / np.isfinite(by_event).sum(axis=0)
    return pd.DataFrame(
        {
            "column": records.columns,
            "period": flatfile.periods_of(records.columns),
            "n": counts,
            "bias": bias,
            "event_bias": event_bias,
            "std": std,
            "r2": r2,
        }
    )


def headline(table: pd.DataFrame, column: str = "ratio_to_bssa14") -> float:
    """Mean of ``column`` over the horizontal headline periods that the table has, or over all of its rows."""
    chosen = table[table["period"].isin(HEADLINE_PERIODS) & (table["component"] == "H")]
    return float((chosen if len(chosen) else table)[column].mean())


def summary_line(table: pd.DataFrame, what: str) -> str:
    """One line for the terminal."""
    return (
        f"{what}: standard deviation of ln residuals {headline(table, 'std'):.3f} "
        f"({headline(table):.3f} of BSSA14's on the same records), R² {headline(table, 'r2'):.3f}, "
        f"largest event bias {table['event_bias'].abs().max():.3f}"
    )
