"""How periods of one sampled spectrum go together: as the residuals of events held out within the training rows do.

A few dimensions of the code cannot hold every correlation between periods. A linear map of the standardised deviations
of a sample brings their correlation to that of the cross-fitted residuals, and changes each period as little as can be.

Axes: N records, P periods.
"""

import numpy as np
import pandas as pd

from cvae_sa.calibration import COMPONENTS

SMOOTH = 100.0  # records with both periods: their correlation counts as much as the model's own from so many on
LEAST = 1e-3  # eigenvalue of a correlation matrix, so that it can be inverted


def target(residual: np.ndarray, sigma: np.ndarray, component: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Correlation (2, P, P) of out-of-fold ``residual`` / ``sigma`` (N, P), NaN where missing, for H and V.

    Pairs of few records lean on ``own`` (2, P, P), the model's; a component without records takes it whole.
    """
    found = own.astype(float)
    with np.errstate(invalid="ignore"):
        scaled = residual / sigma
    for row, name in enumerate(COMPONENTS):
        part = scaled[component == name]
        seen = np.isfinite(part).astype(float)
        count = seen.T @ seen
        observed = pd.DataFrame(part).corr(min_periods=3).to_numpy()
        share = np.where(np.isfinite(observed), count / (count + SMOOTH), 0.0)
        found[row] = positive(share * np.nan_to_num(observed) + (1.0 - share) * found[row], LEAST)
    return found


def transport(own: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The symmetric M (P, P) with M ``own`` Mᵀ = ``wanted``, both positive definite.

    Of all linear maps that do so it moves normal deviates least, in mean square (Olkin and Pukelsheim 1982).
    """
    root, inverse = _power(own, 0.5), _power(own, -0.5)
    return inverse @ _power(root @ wanted @ root, 0.5) @ inverse


def positive(correlation: np.ndarray, least: float) -> np.ndarray:
    """``correlation`` (P, P) with eigenvalues of at least ``least``, about, its diagonal 1 again."""
    values, vectors = np.linalg.eigh((correlation + correlation.T) / 2.0)
    fixed = (vectors * np.maximum(values, least)) @ vectors.T
    deviation = np.sqrt(np.diag(fixed))
    return fixed / np.outer(deviation, deviation)


def _power(matrix: np.ndarray, power: float) -> np.ndarray:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
    return (vectors * np.maximum(values, np.finfo(float).tiny) ** power) @ vectors.T
