"""What events that a CVAE has not seen say of its spread: a factor for every component and period, and tau's share.

A network knows the events it has learnt from too well, so that its own spread is too small for new ones. Cross-fitting
tells by how much: every fold of the training events is predicted by a CVAE trained on the others.
"""

import numpy as np
import pandas as pd
from scipy import stats

from shared.held_out import sites_of
from shared.residuals import decompose

COMPONENTS = ("H", "V")
SMOOTH = 100.0  # records: a period's own factor counts as much as the mean of all from so many on
LEVELS = (0.68, 0.95)
USUAL_TAU_SHARE = 0.25  # of sigma²


def spread_factor(residual: np.ndarray, sigma: np.ndarray, component: np.ndarray) -> np.ndarray:
    """Factor (2, P) on ``sigma`` (N, P) that makes it fit out-of-fold ``residual`` (N, P), for H and V.

    It is the geometric mean of three: that which makes residual / sigma have a root mean square of 1, and those that
    put 68 and 95 % of the residuals within their intervals. Periods with few records lean on the mean of all.
    """
    with np.errstate(invalid="ignore"):
        z = np.abs(residual / sigma)
    whole = _factor(z.ravel())
    factors = np.full((len(COMPONENTS), residual.shape[1]), whole)
    for row, name in enumerate(COMPONENTS):
        own = z[component == name]
        if not np.isfinite(own).any():
            continue
        mean = np.log(_factor(own.ravel()))
        for period, values in enumerate(own.T):
            count = int(np.isfinite(values).sum())
            share = count / (count + SMOOTH)
            factors[row, period] = np.exp(share * np.log(_factor(values) if count > 1 else 1.0) + (1 - share) * mean)
    return factors


def _factor(z: np.ndarray) -> float:
    known = z[np.isfinite(z)]
    quantiles = [np.quantile(known, level) / stats.norm.ppf(0.5 + level / 2) for level in LEVELS]
    return float(np.exp(np.mean(np.log(np.maximum([np.sqrt(np.mean(known**2)), *quantiles], 1e-3)))))


def tau_share(residual: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Share (2, P) of tau² in sigma² of out-of-fold ``residual`` (N, P), for H and V; the usual where none is found."""
    component = table["component"].to_numpy()
    found = np.full((len(COMPONENTS), residual.shape[1]), USUAL_TAU_SHARE)
    for row, name in enumerate(COMPONENTS):
        rows = component == name
        if not np.isfinite(residual[rows]).any():
            continue
        part = table[rows].reset_index(drop=True)
        effects = decompose(residual[rows], part["event_id"].to_numpy(), sites_of(part))
        with np.errstate(invalid="ignore"):
            share = effects.tau**2 / effects.sigma**2
        found[row] = np.where(np.isfinite(share), share, USUAL_TAU_SHARE)
    return found
