"""Whether samples vary as observations do, and what observed residuals are made of, model by model.

Axes: N records, n samples a record, K measures (frequencies or intensity measures), natural logs throughout.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from shared import residuals
from shared.command import InputError

LEVELS = (0.50, 0.68, 0.95)
PARTS = ("bias", "tau", "phi_s2s", "phi_ss", "phi", "sigma")


def spread(observed: np.ndarray, sampled: np.ndarray, names: Sequence, seed: int = 0) -> pd.DataFrame:
    """A row a measure: ``observed`` (N, K) against ``sampled`` (N, n, K).

    ``bias`` and ``observed_sigma`` of ln(observed) - mean of the samples, the latter without what n samples leave open
    of their mean; ``sampled_sigma``, the root mean variance of samples; ``ratio`` of sampled to observed; and
    ``coverage_50`` ..., the share of observations within the middle 50, 68, 95 % of their samples (`ranks`).

    Raises
    ------
    InputError
        There are fewer than 2 samples or records, or shapes do not match.
    """
    observed, sampled = np.asarray(observed, float), np.asarray(sampled, float)
    if sampled.shape != (len(observed), sampled.shape[1], observed.shape[1]) or observed.shape[1] != len(names):
        raise InputError(
            f"samples of shape {sampled.shape} of observations {observed.shape}, {len(names)} names: no match"
        )
    n = sampled.shape[1]
    if n < 2 or len(observed) < 2:
        raise InputError(f"{len(observed)} records of {n} samples: 2 and 2 are needed to tell a spread")
    residual = observed - sampled.mean(axis=1)
    within = sampled.var(axis=1, ddof=1).mean(axis=0)
    observed_sigma = np.sqrt(np.maximum(residual.var(axis=0, ddof=1) - within / n, 0.0))
    place = ranks(observed, sampled, seed)
    found = {
        "measure": list(names),
        "bias": residual.mean(axis=0),
        "observed_sigma": observed_sigma,
        "sampled_sigma": np.sqrt(within),
        "ratio": np.sqrt(within) / observed_sigma,
    }
    for level in LEVELS:
        found[f"coverage_{100 * level:.0f}"] = (np.abs(place - 0.5) <= 0.5 * level).mean(axis=0)
    return pd.DataFrame(found)


def ranks(observed: np.ndarray, sampled: np.ndarray, seed: int = 0) -> np.ndarray:
    """Where observations (N, K) stand among their samples (N, n, K), 0 to 1: uniform if of one distribution.

    Between two samples the place is drawn, which makes coverage right for any n.
    """
    below = (sampled < observed[:, None]).sum(axis=1)
    return (below + np.random.default_rng(seed).random(observed.shape)) / (sampled.shape[1] + 1)


def decompositions(
    observed: np.ndarray, medians: Mapping[str, np.ndarray], table: pd.DataFrame, names: Sequence
) -> pd.DataFrame:
    """Residuals of ``observed`` (N, K) about the ``medians`` (N, K) of several models, all on the same records.

    A row a model and measure: ``model``, ``measure``, `PARTS` by mixed effects with events and stations crossed (REML;
    ln units), ``deviation`` (the plain standard deviation), ``rms`` (about 0), ``records`` and ``problem``. A measure
    that one model has not is NaN in its medians. ``<part>_low`` and ``<part>_high`` are 95 % intervals by the profile
    likelihood.
    """
    rows = []
    for model, median in medians.items():
        residual = np.asarray(observed, float) - np.asarray(median, float)
        if residual.shape != (len(table), len(names)):
            raise InputError(f"{model}: residuals of shape {residual.shape}, not {(len(table), len(names))}")
        one = residuals.decompose(residual, table["event_id"], table["station_id"], intervals="profile")
        for column, name in enumerate(names):
            known = residual[np.isfinite(residual[:, column]), column]
            row = {"model": model, "measure": name} | {part: getattr(one, part)[column] for part in PARTS}
            for part in PARTS:
                row |= dict(zip((f"{part}_low", f"{part}_high"), one.intervals[part][column], strict=True))
            row |= {"deviation": known.std(ddof=1) if len(known) > 1 else np.nan}
            row |= {"rms": np.sqrt((known**2).mean()) if len(known) else np.nan, "records": len(known)}
            rows.append(row | {"problem": one.problems[column]})
    return pd.DataFrame(rows)
