"""How periods of one sampled spectrum go together: as the residuals of events held out within the training rows do.

A few dimensions of the code cannot hold every correlation between periods. A linear map of the standardised deviations
of a sample brings their correlation to that of the cross-fitted residuals, and changes each period as little as can be.

Axes: N records, P periods.
"""

import numpy as np
import pandas as pd

from cvae_sa.calibration import COMPONENTS
from cvae_sa.layers import LN_2PI
from shared import splits

SMOOTH = 100.0  # records with both periods: their correlation counts as much as the model's own from so many on
# Least eigenvalues of the correlation to choose from. What hardly varies in most events, as PGA over SA(0.01 s), varies
# more in records of other processing, which are all but impossible under a matrix that takes it for fixed.
FLOORS = (1e-3, 3e-3, 0.01, 0.02)
FOLDS = 5  # of events, to choose by


def target(
    residual: np.ndarray, sigma: np.ndarray, component: np.ndarray, event: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Correlation (2, P, P) of out-of-fold ``residual`` / ``sigma`` (N, P), NaN where missing, for H and V.

    Pairs of few records lean on ``own`` (2, P, P), the model's; a component without records takes it whole. Its least
    eigenvalue is the one of `FLOORS` under which residuals of events left out are likeliest.
    """
    found = own.astype(float)
    with np.errstate(invalid="ignore"):
        scaled = residual / sigma
    for row, name in enumerate(COMPONENTS):
        rows = component == name
        floor = least_eigenvalue(scaled[rows], event[rows], found[row])
        found[row] = positive(blended(scaled[rows], found[row]), floor)
    return found


def blended(scaled: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Pairwise correlation (P, P) of ``scaled`` (N, P), NaN where missing; where few have both, that of ``own``."""
    seen = np.isfinite(scaled).astype(float)
    count = seen.T @ seen
    observed = pd.DataFrame(scaled).corr(min_periods=3).to_numpy()
    share = np.where(np.isfinite(observed), count / (count + SMOOTH), 0.0)
    return share * np.nan_to_num(observed) + (1.0 - share) * own


def least_eigenvalue(scaled: np.ndarray, event: np.ndarray, own: np.ndarray) -> float:
    """The one of `FLOORS` under which ``scaled`` residuals (N, P) of events left out are likeliest.

    The largest, where there are too few events to tell.
    """
    if len(np.unique(event)) < FOLDS:
        return FLOORS[-1]
    density = dict.fromkeys(FLOORS, 0.0)
    for train, test in splits.k_fold(event, folds=FOLDS, seed=0):
        correlation = blended(scaled[train], own)
        deviation = pd.DataFrame(scaled[train]).std().replace(0.0, np.nan).fillna(1.0).to_numpy()
        sigma = np.broadcast_to(deviation, scaled[test].shape)
        for floor in FLOORS:
            known = correlated_log_density(scaled[test], sigma, positive(correlation, floor))
            density[floor] += float(np.nansum(known))
    return max(FLOORS, key=density.get)


def transport(own: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The symmetric M (P, P) with M ``own`` Mᵀ = ``wanted``, both positive definite.

    Of all linear maps that do so it moves normal deviates least, in mean square (Olkin and Pukelsheim 1982).
    """
    root, inverse = _power(own, 0.5), _power(own, -0.5)
    return inverse @ _power(root @ wanted @ root, 0.5) @ inverse


def correlated_log_density(residual: np.ndarray, sigma: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """ln normal density, nats (N,), of residuals (N, P), NaN where missing, of one correlation (P, P) between periods.

    NaN for a record without any.
    """
    seen = np.isfinite(residual + sigma)
    found = np.full(len(residual), np.nan)
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        if not pattern.any():
            continue
        rows = which.ravel() == number
        part, spread = residual[rows][:, pattern].astype(float), sigma[rows][:, pattern].astype(float)
        factor = np.linalg.cholesky(correlation[np.ix_(pattern, pattern)])
        white = np.linalg.solve(factor, (part / spread).T)
        log_det = np.log(np.diag(factor)).sum()
        found[rows] = -0.5 * ((white**2).sum(axis=0) + pattern.sum() * LN_2PI) - log_det - np.log(spread).sum(axis=1)
    return found


def positive(correlation: np.ndarray, least: float) -> np.ndarray:
    """``correlation`` (P, P) with eigenvalues of at least ``least``, about, its diagonal 1 again."""
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2.0)
    fixed = (vectors * np.maximum(values, least)) @ vectors.T
    deviation = np.sqrt(np.diag(fixed))
    return fixed / np.outer(deviation, deviation)


def _power(matrix: np.ndarray, power: float) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
    return (vectors * np.maximum(values, np.finfo(float).tiny) ** power) @ vectors.T
