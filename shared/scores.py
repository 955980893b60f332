"""How well a ground-motion model predicts: scores of residuals and of the normal distributions they came from.

Everywhere ``residual`` (N, P) is ln(observed) - ln(predicted), NaN where missing; standard deviations are in ln units
and broadcast to (N, P), so that (P,) or a number will do. A value counts only where residual and deviations are all
finite. Results are one value a period, NaN where nothing counts. The scores of a single record average with
`mean_score`. For all but the coverage, less is better.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import linalg, sparse, special, stats

from shared.flatfile_formats import periods_of
from shared.reference_gmm import baker_jayaram_2008

LEVELS = (0.50, 0.68, 0.90, 0.95)  # of the central intervals whose coverage is counted
LEAST_PAIRS = 10  # below this many common terms a correlation says nothing


def mean_score(scores: np.ndarray) -> np.ndarray:
    """Mean (P,) over the records of ``scores`` (N, P), leaving NaN out."""
    count = np.isfinite(scores).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.nansum(scores, axis=0) / np.where(count, count, np.nan)


def _seen(residual: np.ndarray, *deviations: np.ndarray) -> tuple[np.ndarray, ...]:
    """Float arrays of the residuals' shape, all NaN where one of them is missing.

    Raises
    ------
    ValueError
        A deviation is negative.
    """
    residual = np.asarray(residual, dtype=float)
    arrays = [residual, *(np.broadcast_to(np.asarray(each, dtype=float), residual.shape) for each in deviations)]
    if any((each < 0).any() for each in arrays[1:]):
        raise ValueError("a standard deviation is negative")
    finite = np.logical_and.reduce([np.isfinite(each) for each in arrays])
    return tuple(np.where(finite, each, np.nan) for each in arrays)


def _seen_with_sigma(residual: np.ndarray, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    residual, sigma = _seen(residual, sigma)
    if (sigma == 0).any():
        raise ValueError("sigma is 0: a density needs a spread")
    return residual, sigma


# --- likelihood ------------------------------------------------------------------------------------------------------
def llh(residual: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Average sample log-likelihood (P,) in bits: the mean of -log2 of the normal density of ln(observed).

    Scherbaum, Delavaud and Riggelsen (2009), doi 10.1785/0120080347. The density is that of ln(observed), so sigma
    itself counts; programs that take the density of residual / sigma leave out log2(sigma). A right model scores
    log2(sigma sqrt(2 pi e)) on average.
    """
    residual, sigma = _seen_with_sigma(residual, sigma)
    return mean_score(-stats.norm.logpdf(residual, scale=sigma) / np.log(2.0))


def llh_weights(scores: np.ndarray) -> np.ndarray:
    """Weights of G models from their LLH (G, P) or (G,): 2^-LLH, of sum one over the models (Scherbaum et al. 2009)."""
    scores = np.asarray(scores, dtype=float)
    weights = np.exp2(scores.min(axis=0) - scores)
    return weights / weights.sum(axis=0)


def llh_multivariate(
    residual: np.ndarray,
    tau: np.ndarray,
    phi: np.ndarray,
    event: Sequence[str],
    *,
    site: Sequence[str] | None = None,
    phi_s2s: np.ndarray | None = None,
) -> np.ndarray:
    """Log-likelihood of all records of a period at once (P,): -log2 of their joint normal density, over their number.

    Mak, Clements and Schorlemmer (2017), doi 10.1785/0120160232: records of one event (labels (N,)) share an event term
    of deviation ``tau``. With ``site`` and ``phi_s2s`` those of one site share a site term as well, and phi² is
    phi_s2s² + phi_ss². Per record and in bits, so that it is the LLH when nothing is shared; times N ln 2, it is minus
    the log-likelihood. The shared terms are eliminated one kind after the other: nothing is N x N.

    Raises
    ------
    ValueError
        phi is not above 0, or not above phi_s2s; one of ``site`` and ``phi_s2s`` without the other.
    """
    if (site is None) != (phi_s2s is None):
        raise ValueError("a site term needs both site and phi_s2s")
    residual, tau, phi, s2s = _seen(residual, tau, phi, 0.0 if phi_s2s is None else phi_s2s)
    seen = np.isfinite(residual)
    rest = phi**2 - s2s**2  # phi_ss², (N, P)
    if (rest[seen] <= 0).any():
        raise ValueError("phi must be above 0 and above phi_s2s")
    weight = np.where(seen, 1.0 / np.where(seen, rest, 1.0), 0.0)
    r, t, s = (np.where(seen, each, 0.0) for each in (residual, tau, s2s))
    by_event = _indicator(event)
    count = seen.sum(axis=0)
    total = count * np.log(2.0 * np.pi) + np.log(np.where(seen, rest, 1.0)).sum(axis=0) + (r**2 * weight).sum(axis=0)
    if site is None:  # Sherman and Morrison, event by event
        prior, right = 1.0 + by_event @ (t**2 * weight), by_event @ (t * r * weight)  # (E, P)
        total += np.log(prior).sum(axis=0) - (right**2 / prior).sum(axis=0)
    else:
        by_site = _indicator(site)
        for p in range(residual.shape[1]):
            total[p] += _crossed(by_event, by_site, r[:, p], t[:, p], s[:, p], weight[:, p])
    with np.errstate(invalid="ignore"):
        return 0.5 * total / np.where(count, count * np.log(2.0), np.nan)


def _indicator(labels: Sequence[str]) -> sparse.csr_array:
    """Which record belongs to which label: (labels, N)."""
    code, found = pd.factorize(np.asarray(labels))
    return sparse.csr_array((np.ones(len(code)), (code, np.arange(len(code)))), shape=(len(found), len(code)))


def _crossed(by_event, by_site, r, t, s, weight) -> float:
    """ln det(I + U'WU) - r'WU (I + U'WU)^-1 U'Wr of one period, U = [t on events, s on sites], W the weights.

    The site block is diagonal (so is the events'); the kind with more labels is eliminated.
    """
    if by_event.shape[0] > by_site.shape[0]:
        by_event, by_site, t, s = by_site, by_event, s, t
    event_prior, site_prior = 1.0 + by_event @ (t**2 * weight), 1.0 + by_site @ (s**2 * weight)
    cross = by_event.multiply(t * s * weight) @ by_site.T  # (E, S)
    event_right, site_right = by_event @ (t * r * weight), by_site @ (s * r * weight)
    matrix = np.diag(event_prior) - ((cross / site_prior) @ cross.T).toarray()
    factor = linalg.cholesky(matrix, lower=True)
    solved = linalg.solve_triangular(factor, event_right - cross @ (site_right / site_prior), lower=True)
    log_det = np.log(site_prior).sum() + 2.0 * np.log(np.diag(factor)).sum()
    return log_det - (site_right**2 / site_prior).sum() - solved @ solved


def lh(residual: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Scherbaum, Cotton and Smit (2004), doi 10.1785/0120030147: probability (N, P) to be farther off than this.

    It is uniform between 0 and 1, of median 0.5, where median and sigma are right.
    """
    residual, sigma = _seen_with_sigma(residual, sigma)
    return special.erfc(np.abs(residual) / sigma / np.sqrt(2.0))


# --- distance --------------------------------------------------------------------------------------------------------
class Edr(NamedTuple):
    """Euclidean distance-based ranking with its components: edr = sqrt(kappa) mde, each (P,)."""

    edr: np.ndarray
    mde: np.ndarray  # root mean square of the records' modified Euclidean distances, ln
    kappa: np.ndarray  # 1 where the predictions follow the trend of the observations


def edr(residual: np.ndarray, sigma: np.ndarray, observed: np.ndarray, *, cutoff: float = 3.0) -> Edr:
    """Kale and Akkar (2013), doi 10.1785/0120120134, of ``observed`` ln spectra (N, P).

    The modified distance of a record is the mean of |D|, D normal about the residual with sigma, taken up to |residual|
    + ``cutoff`` sigma: here the integral itself, to which the paper's sum over bands of width dd tends. kappa is the
    ratio of the squared distances before and after the straight line of predicted on observed has been brought to the
    diagonal; infinite if that leaves none, as for predictions that are all alike.
    """
    residual, sigma, observed = _scored_with(residual, sigma, observed)
    mde = np.sqrt(mean_score(_mean_distance(np.abs(residual), sigma, cutoff) ** 2))
    predicted = observed - residual
    a, y = observed - mean_score(observed), predicted - mean_score(predicted)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = mean_score(a * y) / mean_score(a**2)
        # observed - corrected: what the line, mean(predicted) + slope a, leaves of the predictions
        kappa = mean_score(residual**2) / mean_score((y - slope * a) ** 2)
        return Edr(np.sqrt(kappa) * mde, mde, kappa)


def _scored_with(residual, sigma, observed) -> tuple[np.ndarray, ...]:
    residual, sigma = _seen_with_sigma(residual, sigma)
    missing = ~np.isfinite(residual + observed)
    return tuple(np.where(missing, np.nan, each) for each in (residual, sigma, observed))


def _mean_distance(distance: np.ndarray, sigma: np.ndarray, cutoff: float) -> np.ndarray:
    """The integral of |d| times the normal density about ``distance`` >= 0, for |d| up to distance + cutoff sigma."""
    end, zero = np.full_like(distance, cutoff), -distance / sigma  # in sigmas from the mean
    start = -2.0 * distance / sigma - cutoff
    phi, cdf = stats.norm.pdf, special.ndtr
    above = distance * (cdf(end) - cdf(zero)) - sigma * (phi(end) - phi(zero))
    below = distance * (cdf(zero) - cdf(start)) - sigma * (phi(zero) - phi(start))
    return above - below


# --- continuous ranked probability score -----------------------------------------------------------------------------
def crps_normal(residual: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score (N, P) in ln units: Gneiting and Raftery (2007), JASA 102, equation 21."""
    residual, sigma = _seen_with_sigma(residual, sigma)
    z = residual / sigma
    return sigma * (z * (2.0 * special.ndtr(z) - 1.0) + 2.0 * stats.norm.pdf(z) - 1.0 / np.sqrt(np.pi))


def crps_samples(samples: np.ndarray, observed: np.ndarray, *, fair: bool = False) -> np.ndarray:
    """Score of ``observed`` (...) under M ``samples`` (M, ...): mean |X - y| - mean |X - X'| / 2, in their unit.

    ``fair`` divides the second mean by M (M - 1) in place of M², which makes the expected score that of the
    distribution behind the samples (Ferro 2014). A missing sample makes the score NaN.
    """
    ordered = np.sort(np.asarray(samples, dtype=float), axis=0)
    m = len(ordered)
    rank = (2.0 * np.arange(1, m + 1) - m - 1.0).reshape(-1, *(1,) * (ordered.ndim - 1))
    pairs = m * (m - 1) if fair else m * m
    return np.abs(ordered - observed).mean(axis=0) - (rank * ordered).sum(axis=0) / pairs


def crps_quantiles(quantiles: np.ndarray, levels: Sequence[float], observed: np.ndarray) -> np.ndarray:
    """Score of ``observed`` (...) from ``quantiles`` (Q, ...) at ascending ``levels`` (Q,): twice the pinball loss.

    It is integrated over the levels, each of which stands for those nearer to it than to its neighbours, the first and
    last reaching to 0 and 1. With levels (i - 1/2) / M it is `crps_samples`.
    """
    levels = np.asarray(levels, dtype=float)
    if not (np.diff(levels) > 0).all() or not ((levels > 0) & (levels < 1)).all():
        raise ValueError("levels must ascend within 0 and 1")
    share = np.diff(np.concatenate([[0.0], (levels[1:] + levels[:-1]) / 2.0, [1.0]]))
    column = (-1, *(1,) * np.ndim(observed))
    above = np.asarray(observed) - np.asarray(quantiles, dtype=float)
    pinball = np.maximum(levels.reshape(column) * above, (levels.reshape(column) - 1.0) * above)
    return 2.0 * (share.reshape(column) * pinball).sum(axis=0)


# --- calibration -----------------------------------------------------------------------------------------------------
def pit_normal(residual: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Probability integral transform (N, P): the predicted probability of less than was observed."""
    residual, sigma = _seen_with_sigma(residual, sigma)
    return special.ndtr(residual / sigma)


def pit_samples(samples: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """The share of M ``samples`` (M, ...) below ``observed`` (...), ties counting half; NaN where one is missing."""
    below = (samples < observed).mean(axis=0) + 0.5 * (samples == observed).mean(axis=0)
    return np.where(np.isnan(samples).any(axis=0) | np.isnan(observed), np.nan, below)


def pit_histogram(pit: np.ndarray, bins: int = 10) -> np.ndarray:
    """Share of the records (bins, P) in each of ``bins`` equal bins between 0 and 1; 1 / bins if calibrated."""
    which = np.minimum(np.nan_to_num(pit, nan=-1.0) * bins, bins - 1)
    return mean_score(np.where(np.isnan(pit), np.nan, [np.floor(which) == b for b in range(bins)]).swapaxes(0, 1))


def uniformity(pit: np.ndarray) -> pd.DataFrame:
    """One row a period: ``n``, ``mean`` (1/2), ``spread`` (1), Kolmogorov-Smirnov ``ks`` (0) and its ``p_value``.

    In brackets what a calibrated model has. The spread is the standard deviation over that of a uniform variable: below
    1, the predicted distributions are too wide. The p-value takes records as independent, as those of one event are
    not: it is too small where there is a between-event term.
    """
    columns = [column[np.isfinite(column)] for column in np.asarray(pit, dtype=float).T]
    tests = [stats.kstest(column, "uniform") if len(column) else (np.nan, np.nan) for column in columns]
    return pd.DataFrame(
        {
            "n": [len(column) for column in columns],
            "mean": mean_score(pit),
            "spread": np.sqrt(12.0 * mean_score((pit - mean_score(pit)) ** 2)),
            "ks": [test[0] for test in tests],
            "p_value": [test[1] for test in tests],
        }
    )


def coverage(pit: np.ndarray, levels: Sequence[float] = LEVELS) -> np.ndarray:
    """Share (L, P) of the records inside the central interval of each of L ``levels``, from their PIT (N, P)."""
    inside = [np.where(np.isnan(pit), np.nan, np.abs(pit - 0.5) <= level / 2.0) for level in levels]
    return np.stack([mean_score(each) for each in inside])


# --- between periods -------------------------------------------------------------------------------------------------
def interperiod_correlation(terms: np.ndarray, least: int = LEAST_PAIRS) -> np.ndarray:
    """Correlation (P, P) of terms (M, P) between periods, over the rows that have both; NaN for fewer than ``least``.

    Terms that no record supports must be NaN: a term of 0 there would count as an observation.
    """
    terms = np.asarray(terms, dtype=float)
    seen = np.isfinite(terms).astype(float)
    x = np.where(seen > 0, terms - mean_score(terms), 0.0)
    n = seen.T @ seen
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = x.T @ seen / n  # [i, j]: of period i over the rows that have j as well
        variance = (x**2).T @ seen / n - mean**2
        found = (x.T @ x / n - mean * mean.T) / np.sqrt(variance * variance.T)
    return np.where((n >= least) & np.isfinite(found), np.clip(found, -1.0, 1.0), np.nan)


def correlation_table(terms: Mapping[str, np.ndarray], columns: Sequence[str]) -> pd.DataFrame:
    """Inter-period correlation of each of several terms (M, P) beside Baker and Jayaram (2008), a row a pair.

    ``terms`` names them: event, site, record, total. Columns: ``column_1``, ``column_2``, ``period_1``, ``period_2``
    (period_1 < period_2), one a term, and ``baker_jayaram_2008``, which is of the total residual.
    """
    first, second = np.triu_indices(len(columns), 1)
    periods, names = periods_of(columns), np.asarray(columns)
    table = {"column_1": names[first], "column_2": names[second], "period_1": periods[first]}
    table |= {"period_2": periods[second]}
    table |= {name: interperiod_correlation(values)[first, second] for name, values in terms.items()}
    return pd.DataFrame(table | {"baker_jayaram_2008": baker_jayaram_2008(periods)[first, second]})


# --- all at once -----------------------------------------------------------------------------------------------------
def score_table(
    residual: np.ndarray,
    tau: np.ndarray,
    phi: np.ndarray,
    event: Sequence[str],
    columns: Sequence[str],
    *,
    observed: np.ndarray | None = None,
    site: Sequence[str] | None = None,
    phi_s2s: np.ndarray | None = None,
    levels: Sequence[float] = LEVELS,
) -> pd.DataFrame:
    """All scores of one model, a row a period.

    Columns: ``column``, ``period``, ``n``; ``bias`` and ``std`` of the residuals; ``z_mean``, ``z_std`` of residual /
    sigma; ``llh``, ``llh_multivariate``; ``lh_median``; ``edr``, ``mde``, ``kappa`` when ``observed`` ln spectra (N, P)
    are given; ``crps``; ``pit_spread``, ``pit_ks``; ``coverage_50`` and so on. ``site`` and ``phi_s2s`` as in
    `llh_multivariate`.
    """
    residual, tau, phi = _seen(residual, tau, phi)
    sigma = np.hypot(tau, phi)
    z, pit = residual / sigma, pit_normal(residual, sigma)
    uniform = uniformity(pit)
    table = {"column": list(columns), "period": periods_of(columns), "n": np.isfinite(residual).sum(axis=0)}
    for bias, std, values in (("bias", "std", residual), ("z_mean", "z_std", z)):
        table |= {bias: mean_score(values), std: np.sqrt(mean_score((values - mean_score(values)) ** 2))}
    table["llh"] = llh(residual, sigma)
    table["llh_multivariate"] = llh_multivariate(residual, tau, phi, event, site=site, phi_s2s=phi_s2s)
    table["lh_median"] = pd.DataFrame(lh(residual, sigma)).median().to_numpy()
    if observed is not None:
        table |= edr(residual, sigma, observed)._asdict()
    table["crps"] = mean_score(crps_normal(residual, sigma))
    table |= {"pit_spread": uniform["spread"], "pit_ks": uniform["ks"]}
    table |= {f"coverage_{100 * level:g}": share for level, share in zip(levels, coverage(pit, levels), strict=True)}
    return pd.DataFrame(table)
