"""Where training starts: factor analysis of the backbone's residuals, which is the CVAE without its hidden layers.

Axes: N records, P periods, L factors.
"""

import numpy as np
import pandas as pd

LEAST_NOISE = 0.05  # share of a period's variance that is never given to the factors
ROUNDS = 200
SLOPE_RECORDS = 200.0  # records that the belief in no slope is worth
LEAST_PAIRS = 20  # records that two periods must share for their correlation to be used


def factor_analysis(scaled: np.ndarray, latent: int, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loadings (L, P) and noise variances (P,) of N scaled residuals (N, P), NaN where missing.

    Principal-factor analysis of the matrix of pairwise second moments; ``weight`` (N,) of the records. Moments of two
    periods that hardly any record has are those of a chain through their neighbours: the product of the steps between.
    """
    moments = second_moments(scaled, weight)
    n_factors = min(latent, len(moments))
    noise = 0.3 * np.diag(moments)
    for _ in range(ROUNDS):
        values, vectors = np.linalg.eigh(moments - np.diag(noise))
        loadings = vectors[:, ::-1][:, :n_factors] * np.sqrt(np.maximum(values[::-1][:n_factors], 1e-6))  # (P, L)
        noise = np.clip(np.diag(moments) - (loadings**2).sum(axis=1), LEAST_NOISE * np.diag(moments), None)
    whole = np.zeros((latent, len(moments)))
    whole[:n_factors] = loadings.T * np.sign(loadings.sum(axis=0))[:, None]
    return whole, noise


def spread_slopes(scaled: np.ndarray, features: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """How ln deviations of scaled residuals (N, P) go with N features (N, D) of mean 0: slopes (D, P).

    Half the slopes of ln squared residuals, by weighted ridge regression, a quarter of each period's own and three of
    the mean of all periods: ln squares scatter, and the variability of neighbours goes alike.
    """
    seen = np.isfinite(scaled) & (np.abs(scaled) > 1e-6)
    ln_square = np.log(np.where(seen, scaled, 1.0) ** 2)
    slopes = np.zeros((features.shape[1], scaled.shape[1]))
    for period in range(scaled.shape[1]):
        rows = seen[:, period]
        x = np.column_stack([np.ones(rows.sum()), features[rows]])
        normal = (x * weight[rows, None]).T @ x + np.diag([1e-9, *(SLOPE_RECORDS,) * features.shape[1]])
        slopes[:, period] = 0.5 * np.linalg.solve(normal, (x * weight[rows, None]).T @ ln_square[rows, period])[1:]
    return 0.25 * slopes + 0.75 * slopes.mean(axis=1, keepdims=True)


def second_moments(scaled: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted pairwise second moments (P, P), made positive semi-definite."""
    seen = np.isfinite(scaled)
    values, root = np.where(seen, scaled, 0.0), np.sqrt(weight)[:, None]
    counts = (root * seen).T @ (root * seen)
    moments = (root * values).T @ (root * values) / np.maximum(counts, 1e-9)
    deviation = np.sqrt(np.maximum(np.diag(moments), 1e-6))
    correlation = moments / np.outer(deviation, deviation)
    few = (seen.T.astype(float) @ seen) < LEAST_PAIRS
    if few.any():
        steps = np.log(np.clip(np.diag(correlation, 1), 0.3, 0.999))
        place = np.concatenate([[0.0], np.cumsum(steps)])
        correlation = np.where(few, np.exp(-np.abs(place[:, None] - place)), correlation)
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(pd.DataFrame(correlation).fillna(0.0).to_numpy())
    correlation = (vectors * np.maximum(values, 1e-4)) @ vectors.T
    return correlation * np.outer(deviation, deviation)
