"""Residuals of records that training has not seen, summed up by period, for every model on the very same rows."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from shared import reference_gmm
from shared.flatfile import periods_of
from shared.reference_gmm import Prediction

HEADLINE_PERIODS = (0.02, 0.05, 0.1, 0.2, 0.5)  # s; complete in the real records that the README's figures are of
SPLITS = {"event": "event-grouped", "random": "random (leaks events)"}


def summary_table(
    table: pd.DataFrame, ln_sa: np.ndarray, columns: Sequence[str], prediction: Prediction
) -> pd.DataFrame:
    """`statistics_by_component` of the ``prediction`` of ``table``, whose observed spectra are ``ln_sa`` (N, P)."""
    reference = reference_gmm.reference_median(table, columns).ln_median
    return statistics_by_component(table, ln_sa, columns, prediction, reference)


def statistics_by_component(
    table: pd.DataFrame, ln_sa: np.ndarray, columns: Sequence[str], prediction: Prediction, reference: np.ndarray
) -> pd.DataFrame:
    """One row per component and period: `residual_statistics`; ``reference`` (N, P) are BSSA14's ln medians."""
    ours, theirs = ln_sa - prediction.ln_median, ln_sa - reference
    components, event, parts = table["component"].to_numpy(), table["event_id"].to_numpy(), []
    for component in np.unique(components):
        rows = components == component
        part = residual_statistics(
            ours[rows], ln_sa[rows], event[rows], columns, reference=theirs[rows], sigma=prediction.sigma[rows]
        )
        part.insert(0, "component", component)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def residual_statistics(
    residual: np.ndarray,
    ln_sa: np.ndarray,
    event: np.ndarray,
    columns: Sequence[str],
    *,
    reference: np.ndarray,
    sigma: np.ndarray,
) -> pd.DataFrame:
    """Per period, of ``residual`` (N, P), NaN where missing, with the observed ``ln_sa`` (N, P) and ``event`` (N,).

    ``n``; ``bias``, the mean; ``event_bias``, the mean of the events' means; ``std``, the standard deviation; ``r2`` of
    ln Sa; ``z_std``, the standard deviation of residual / ``sigma`` (N, P), 1 where the predicted spread is right;
    ``ratio_to_bssa14``, of the standard deviations on the values for which BSSA14 has a residual ``reference`` (N, P)
    too (it ends at 10 s, and its vertical needs rrup), with BSSA14's own ``bssa14_event_bias`` and ``bssa14_std``.
    """
    residual, reference = pd.DataFrame(residual).astype(float), pd.DataFrame(reference).astype(float)
    observed = pd.DataFrame(ln_sa).astype(float).where(residual.notna())
    bssa14_std = reference.std(ddof=0)
    return pd.DataFrame(
        {
            "column": columns,
            "period": periods_of(columns),
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
        f"largest event bias {headline_rows(table)['event_bias'].abs().max():.3f}; {means_over(table)}"
    )


def means_over(table: pd.DataFrame) -> str:
    """Which components and periods the headline is of."""
    rows = headline_rows(table)
    shown = ", ".join(f"{period:g}" for period in sorted(rows["period"].unique()))
    return f"means over {' and '.join(sorted(rows['component'].unique()))} at {shown} s"


def headlines(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """The headline of every split and model, for ``results.json``, of a table with both columns."""
    return {
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


def headline_table(table: pd.DataFrame) -> pd.DataFrame:
    """The headline as a table, a row for each split and model."""
    names = {"ratio_to_bssa14": "of BSSA14", "r2": "R²", "largest_event_bias": "largest event bias"}
    rows = [
        {"split": SPLITS[split], "model": model, **{names.get(name, name): value for name, value in found.items()}}
        for split, models in headlines(table).items()
        for model, found in models.items()
    ]
    return pd.DataFrame(rows)[["split", "model", "std", *names.values()]]


def results_text(table: pd.DataFrame) -> str:
    """The headline for the terminal: one line per split and model."""
    shown = headline_table(table)
    lines = [f"{'split':22} {'model':26} {'std':>6} {'of BSSA14':>10} {'R²':>6} {'|event bias|':>13}"]
    for split, model, *values in shown.itertuples(index=False):
        std, ratio, r2, bias = values
        lines.append(f"{split:22} {model:26} {std:6.3f} {ratio:10.3f} {r2:6.3f} {bias:13.3f}")
    return "\n".join([*lines, f"{means_over(table)}; event bias: the largest |mean of event means| there"])
