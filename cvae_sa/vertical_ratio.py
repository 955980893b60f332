"""Vertical over horizontal: predicted and observed ln V/H of recordings that have both, beside a published model."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from cvae_sa.data import Records
from shared import splits
from shared.flatfile import periods_of
from shared.held_out import on_common_values
from shared.reference_gmm import vh_ratio

GA11 = "Gülerce and Abrahamson (2011)"
LEAST_TWINS = 30


@dataclasses.dataclass(frozen=True)
class Twins:
    """M recordings of both components: their horizontal rows, and ln V/H (M, P), NaN where one of them is missing."""

    table: pd.DataFrame
    observed: np.ndarray
    predicted: dict[str, np.ndarray]  # by model

    def residuals(self) -> dict[str, np.ndarray]:
        """Observed less predicted ln V/H (M, P) by model, at the values that all models have."""
        return on_common_values({model: self.observed - each for model, each in self.predicted.items()})


def twins_of(records: Records, ln_medians: Mapping[str, np.ndarray]) -> Twins | None:
    """The recordings with one row of each component; None where there are hardly any.

    ``ln_medians`` (N, P) by model are of the N records; the published ratio is added.
    """
    group, component = splits.record_groups(records.table), records.table["component"].to_numpy()
    single = [
        pd.Series(np.flatnonzero(component == name), index=group[component == name]).loc[
            lambda found: ~found.index.duplicated(keep=False)
        ]
        for name in ("H", "V")
    ]
    pairs = pd.concat(single, axis=1, join="inner").to_numpy()
    if len(pairs) < LEAST_TWINS:
        return None
    horizontal, vertical = pairs.T
    table = records.table.iloc[horizontal].reset_index(drop=True)
    predicted = {model: each[vertical] - each[horizontal] for model, each in ln_medians.items()}
    predicted = {model: each for model, each in predicted.items() if np.isfinite(each).any()}
    predicted[GA11] = vh_ratio(table, records.columns)
    return Twins(table, records.ln_sa[vertical] - records.ln_sa[horizontal], predicted)


def ratio_table(twins: Twins, columns: list[str]) -> pd.DataFrame:
    """One row a model and period: ``n``, ``bias`` and ``std`` of observed less predicted ln V/H, ``rms``."""
    parts = []
    for model, residual in twins.residuals().items():
        known = pd.DataFrame(residual.astype(float))
        part = {"model": model, "column": columns, "period": periods_of(columns), "n": known.notna().sum()}
        part |= {"bias": known.mean(), "std": known.std(ddof=0), "rms": np.sqrt((known**2).mean())}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)
