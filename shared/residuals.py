"""Residuals as the sum of a bias, an event term, a site term and what is left: crossed random effects by REML.

For one period, ``y = c + dB[event] + dS2S[site] + dWS`` with variances tau², phi_s2s², phi_ss² (Al Atik et al. 2010,
doi 10.1785/gssrl.81.5.794). Henderson's mixed-model equations are solved after the site block, which is diagonal, has
been eliminated; what is left is one row an event.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import linalg, optimize, sparse

LEAST_RECORDS = 3  # one each for the bias and for two ratios of variances
LOG_RATIO_BOUNDS = (-5.0, 9.0)  # ln of phi_ss²/tau² and of phi_ss²/phi_s2s²; at the upper end a term is nil


@dataclasses.dataclass(frozen=True)
class CrossedEffects:
    """Decomposition of residuals at P periods, in the residuals' unit; E events and S sites in order of their labels.

    A site or event without a record at a period has the term 0 with the prior's standard error there.
    """

    bias: np.ndarray  # (P,)
    tau: np.ndarray  # (P,)
    phi_s2s: np.ndarray  # (P,)
    phi_ss: np.ndarray  # (P,)
    events: list[str]
    sites: list[str]
    event_terms: np.ndarray  # (E, P) best linear unbiased predictions
    site_terms: np.ndarray  # (S, P)
    site_errors: np.ndarray  # (S, P) standard errors of prediction of the site terms


def crossed_effects(residual: np.ndarray, event: Sequence[str], site: Sequence[str]) -> CrossedEffects:
    """Decompose ``residual`` (N, P), NaN where missing, by the labels ``event`` (N,) and ``site`` (N,).

    A period with fewer than ``LEAST_RECORDS`` records has no terms and no deviations: all zeros.
    """
    event_code, events = pd.factorize(np.asarray(event), sort=True)
    site_code, sites = pd.factorize(np.asarray(site), sort=True)
    columns = [_one_period(column, event_code, site_code, len(events), len(sites)) for column in residual.T]
    names = [field.name for field in dataclasses.fields(CrossedEffects) if field.name not in ("events", "sites")]
    stacked = {name: np.stack([column[name] for column in columns], axis=-1) for name in names}
    return CrossedEffects(events=list(events), sites=list(sites), **stacked)


def _one_period(y: np.ndarray, event: np.ndarray, site: np.ndarray, n_events: int, n_sites: int) -> dict:
    seen = np.isfinite(y)
    if seen.sum() < LEAST_RECORDS:
        zeros = {"event_terms": np.zeros(n_events), "site_terms": np.zeros(n_sites), "site_errors": np.zeros(n_sites)}
        return dict.fromkeys(("bias", "tau", "phi_s2s", "phi_ss"), 0.0) | zeros
    equations = _MixedModelEquations(y[seen].astype(float), event[seen], site[seen], n_events, n_sites)
    found = optimize.minimize(
        equations.reml,
        x0=np.array([1.0, 0.5]),
        method="L-BFGS-B",
        bounds=[LOG_RATIO_BOUNDS, LOG_RATIO_BOUNDS],
        options={"ftol": 1e-10},
    )
    return equations.solve(found.x)


class _MixedModelEquations:
    """Henderson's equations of one period for any pair of variance ratios."""

    def __init__(self, y: np.ndarray, event: np.ndarray, site: np.ndarray, n_events: int, n_sites: int):
        rows = np.arange(len(y))
        ones = np.ones(len(y))
        by_event = sparse.csr_array((ones, (rows, event + 1)), shape=(len(y), n_events + 1))
        design = by_event + sparse.csr_array((ones, (rows, np.zeros(len(y), dtype=int))), shape=by_event.shape)
        by_site = sparse.csr_array((ones, (rows, site)), shape=(len(y), n_sites))
        self.y2, self.n = float(y @ y), len(y)
        self.gram = (design.T @ design).toarray()  # (1 + E, 1 + E); the first column is the bias
        self.cross = (design.T @ by_site).tocsr()  # (1 + E, S)
        self.site_count = np.bincount(site, minlength=n_sites)
        self.right, self.site_right = design.T @ y, by_site.T @ y
        self.n_events, self.n_sites = n_events, n_sites

    def _reduce(self, log_ratios: np.ndarray) -> tuple:
        event_ratio, site_ratio = np.exp(log_ratios)  # phi_ss²/tau², phi_ss²/phi_s2s²
        diagonal = self.site_count + site_ratio  # (S,)
        scaled = (self.cross / diagonal).tocsr()  # (1 + E, S)
        matrix = self.gram - (scaled @ self.cross.T).toarray()
        matrix[np.arange(1, self.n_events + 1), np.arange(1, self.n_events + 1)] += event_ratio
        factor = linalg.cho_factor(matrix, lower=True)
        fixed = linalg.cho_solve(factor, self.right - scaled @ self.site_right)  # bias, event terms
        site_terms = (self.site_right - self.cross.T @ fixed) / diagonal
        phi_ss2 = (self.y2 - fixed @ self.right - site_terms @ self.site_right) / max(self.n - 1, 1)
        return factor, scaled, diagonal, fixed, site_terms, max(phi_ss2, 1e-12)

    def reml(self, log_ratios: np.ndarray) -> float:
        """-2 ln of the restricted likelihood per record with phi_ss profiled out, but for a constant."""
        factor, _, diagonal, _, _, phi_ss2 = self._reduce(log_ratios)
        log_det = 2.0 * np.log(np.diag(factor[0])).sum() + np.log(diagonal).sum()
        priors = self.n_events * log_ratios[0] + self.n_sites * log_ratios[1]
        return ((self.n - 1) * np.log(phi_ss2) + log_det - priors) / self.n

    def solve(self, log_ratios: np.ndarray) -> dict:
        """Components, terms and the site terms' standard errors."""
        factor, scaled, diagonal, fixed, site_terms, phi_ss2 = self._reduce(log_ratios)
        event_ratio, site_ratio = np.exp(log_ratios)
        inverse = linalg.cho_solve(factor, np.eye(self.n_events + 1))
        spread = scaled.multiply(inverse @ scaled.toarray()).sum(axis=0)  # diagonal of the eliminated block's inverse
        return {
            "bias": fixed[0],
            "tau": np.sqrt(phi_ss2 / event_ratio),
            "phi_s2s": np.sqrt(phi_ss2 / site_ratio),
            "phi_ss": np.sqrt(phi_ss2),
            "event_terms": fixed[1:],
            "site_terms": site_terms,
            "site_errors": np.sqrt(phi_ss2 * (1.0 / diagonal + np.asarray(spread))),
        }
