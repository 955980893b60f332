"""What a CVAE's sampled spectra say of held-out records: intervals, scores, correlation between periods.

Axes: N records, P periods, S samples, K samples that are kept, Q quantiles.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from cvae_sa.coupling import correlated_log_density, positive
from cvae_sa.data import Records
from cvae_sa.layers import LN_2PI
from cvae_sa.trained import TrainedCVAE
from shared import scores
from shared.flatfile import periods_of
from shared.held_out import magnitude_bins
from shared.reference_gmm import Prediction, baker_jayaram_2008

LEVELS = (0.50, 0.68, 0.95)  # of the central intervals whose coverage is counted
QUANTILES = (0.025, 0.16, 0.50, 0.84, 0.975)
KEPT = 4  # samples of a record that are kept, for the correlation between periods
DRAWS = 64  # codes by which the density of a whole spectrum is found
WIDER = 1.2  # spread of the codes drawn for it over that of the linear posterior: heavier tails than it has
BLOCK = 1000  # records whose density is found at once
LEAST_PAIRS = 100  # records with both periods, from which on a correlation counts in the headline
NUGGET = 0.02  # share of a variance that no other period shares, where a published correlation has PGA as SA(0.010)


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Of spectra sampled for N records: all of ln Sa, NaN where nothing was observed (but for ``joint``)."""

    pit: np.ndarray  # (N, P) share of the samples below what was observed
    crps: np.ndarray  # (N, P) ln units, fair
    sigma: np.ndarray  # (N, P) standard deviation of the samples; everywhere
    quantiles: np.ndarray  # (N, P, Q) ln g, at `QUANTILES`; everywhere
    kept: np.ndarray  # (N, P, K) samples less the median
    joint: np.ndarray  # (N,) ln density of all observed periods of a record together, nats

    @classmethod
    def empty(cls, shape: tuple[int, int]) -> "Sampled":
        """NaN everywhere, to be filled by `store`."""
        n, p = shape
        shapes = ((n, p), (n, p), (n, p), (n, p, len(QUANTILES)), (n, p, KEPT), (n,))
        return cls(*(np.full(each, np.nan, np.float32) for each in shapes))

    def store(self, positions: np.ndarray, part: "Sampled") -> None:
        """Write ``part`` over the records at ``positions``, in place."""
        for name, values in vars(part).items():
            getattr(self, name)[positions] = values


def sampled(model: TrainedCVAE, records: Records, n: int, seed: int, road: str) -> Sampled:
    """``n`` spectra drawn for each of ``records``, compared with what was observed."""
    found = Sampled.empty(records.ln_sa.shape)
    for place, drawn in model.sample_chunks(records.table, n, seed, road):  # (S, rows, P)
        observed = records.ln_sa[place]
        median, _ = model.moments(records.inputs[place], road)
        found.pit[place] = scores.pit_samples(drawn, observed)
        found.crps[place] = scores.crps_samples(drawn, observed, fair=True)
        found.sigma[place] = drawn.std(axis=0, ddof=1)
        found.quantiles[place] = np.moveaxis(np.quantile(drawn, QUANTILES, axis=0), 0, -1)
        kept = np.where(np.isfinite(observed), drawn[:KEPT] - median, np.nan)
        found.kept[place] = np.moveaxis(kept, 0, -1)
    found.joint[:] = joint_log_density(model, records, seed, road)
    return found


# --- the density of a whole spectrum ---------------------------------------------------------------------------------
def joint_log_density(model: TrainedCVAE, records: Records, seed: int, road: str, draws: int = DRAWS) -> np.ndarray:
    """ln p(spectrum | conditions), nats (N,), of the observed periods of each record under the calibrated CVAE.

    p(y | c) = ∫ p(y | z, c) p(z) dz by importance sampling with codes from the posterior of the decoder made linear, a
    little wider (Burda et al. 2016, arXiv 1509.00519). It is the density that samples come from itself, whatever its
    shape; a Gaussian with the samples' covariance would need many samples a record to be told, and no missing period.
    On average it is a little low: it is the ln of a mean of ``draws``.
    """
    found = np.full(len(records), np.nan)
    for first in range(0, len(records), BLOCK):
        place = np.arange(first, min(first + BLOCK, len(records)))
        found[place] = _joint(model, records.rows(place), np.random.default_rng([seed, 1, first]), road, draws)
    return found


def _joint(model: TrainedCVAE, records: Records, generator: np.random.Generator, road: str, draws: int) -> np.ndarray:
    inputs, law = records.inputs, model.law(records.inputs, road)
    seen = np.isfinite(records.ln_sa)
    spectra = np.where(seen, (records.ln_sa - law.median) / law.sigma, 0.0).astype(float)
    coupling = np.where(seen[:, :, None], law.coupling, 0.0).astype(float)  # (N, P, P): nothing of a missing period
    covariance = (coupling * law.noise[:, None] ** 2) @ coupling.transpose(0, 2, 1)
    factor = np.linalg.inv(np.linalg.cholesky(covariance + np.eye(seen.shape[1]) * ~seen[:, :, None]))
    whiten = factor @ coupling  # (N, P, P), of a deviation before coupling; then unit noise
    target = (factor @ spectra[:, :, None])[:, :, 0]
    slope = np.sqrt(0.5) * (law.root[0::2] - law.root[1::2])  # (L, N, P), of the code in its prior's deviations
    slope = np.einsum("npq,lnq->nlp", whiten, slope)
    precision = np.eye(slope.shape[1]) + slope @ slope.transpose(0, 2, 1)
    root = WIDER * np.linalg.inv(np.linalg.cholesky(precision)).transpose(0, 2, 1)
    mean = np.linalg.solve(precision, slope @ target[:, :, None])[:, :, 0]
    log_det = np.linalg.slogdet(root)[1]
    centre, spread = (np.asarray(each) for each in model.model.code_of(inputs, road))
    weights = []
    for _ in range(draws):
        noise = generator.standard_normal(mean.shape)
        code = mean + np.einsum("nij,nj->ni", root, noise)
        decoded, _ = model.decode(centre + spread * code, inputs)
        left = target - np.einsum("npq,nq->np", whiten, (decoded - law.median) / law.raw_sigma)
        # LN_2PI of code and proposal cancel
        weights.append(0.5 * ((noise**2).sum(axis=1) - (code**2).sum(axis=1) - (left**2).sum(axis=1)) + log_det)
    log_density = special.logsumexp(np.array(weights), axis=0) - np.log(draws)
    unit = np.linalg.slogdet(factor)[1] - np.where(seen, np.log(law.sigma), 0.0).sum(axis=1)
    return log_density + unit - 0.5 * LN_2PI * seen.sum(axis=1)


def spectra_table(
    samples: Mapping[str, Sampled], predictions: Mapping[str, Prediction], records: Records
) -> pd.DataFrame:
    """How likely whole spectra are, a row a component and model: ``llh`` in bits a value, less is better.

    ``samples`` by model have their own density; those of ``predictions`` with a sigma are taken as normal, periods as
    independent and with the correlation of Baker and Jayaram (2008). Of records at the values that all models have.
    """
    known = {model: each for model, each in predictions.items() if np.isfinite(each.sigma).any()}
    seen = np.isfinite(records.ln_sa) & np.logical_and.reduce(
        [np.isfinite(each.ln_median + each.sigma) for each in known.values()]
    )
    whole = (seen == np.isfinite(records.ln_sa)).all(axis=1) & seen.any(axis=1)  # every model has every observed value
    independent = np.eye(len(records.columns))
    published = (1.0 - NUGGET) * baker_jayaram_2008(periods_of(records.columns)) + NUGGET * independent
    published = positive(published, NUGGET / 2)
    densities = {(model, "its own"): each.joint for model, each in samples.items()}
    for model, each in known.items():
        residual = records.ln_sa - each.ln_median
        densities[model, "none"] = correlated_log_density(residual, each.sigma, independent)
        densities[model, "Baker and Jayaram (2008)"] = correlated_log_density(residual, each.sigma, published)
    rows, component = [], records.table["component"].to_numpy()
    for name in np.unique(component):
        of = whole & (component == name)
        count = int(seen[of].sum())
        for (model, correlation), density in densities.items():
            bits = -density[of].sum(dtype=float) / np.log(2.0) / count if count else np.nan
            about = {"component": name, "model": model, "correlation between periods": correlation}
            rows.append(about | {"records": int(of.sum()), "values": count, "llh": bits})
    return pd.DataFrame(rows)


# --- intervals -------------------------------------------------------------------------------------------------------
def coverage_table(pits: Mapping[str, np.ndarray], table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Shares of observations inside the central intervals of `LEVELS`, from PIT (N, P) by model.

    One row per component, model, ``magnitude`` bin and period, as `shared.held_out.calibration_table` has them.
    """
    parts, event, component = [], table["event_id"].to_numpy(), table["component"].to_numpy()
    bins = magnitude_bins(table["mag"].to_numpy(float))
    for model, pit in pits.items():
        for name in np.unique(component):
            for label, inside in bins.items():
                rows = inside & (component == name)
                seen = np.isfinite(pit[rows])
                if not seen.any():
                    continue
                part = {"component": name, "model": model, "magnitude": label}
                part |= {"column": list(columns), "period": periods_of(columns), "n": seen.sum(axis=0)}
                part["n_events"] = [len(np.unique(event[rows][each])) for each in seen.T]
                shares = scores.coverage(pit[rows], LEVELS)
                part |= {f"coverage_{100 * level:g}": share for level, share in zip(LEVELS, shares, strict=True)}
                parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def coverage_summary(coverage: pd.DataFrame, least: int = LEAST_PAIRS) -> pd.DataFrame:
    """Coverage over all periods, a row a component and model, and the largest deviation of one of them.

    Of periods with at least ``least`` values.
    """
    rows = coverage[(coverage["magnitude"] == "all") & (coverage["n"] >= min(least, coverage["n"].max()))]
    found = []
    for (component, model), part in rows.groupby(["component", "model"], sort=False):
        row = {"component": component, "model": model, "values": int(part["n"].sum())}
        for level in LEVELS:
            name = f"coverage_{100 * level:g}"
            off = (part[name] - level).abs()
            row[name] = float(np.average(part[name], weights=part["n"]))
            row[f"largest_deviation_{100 * level:g}"] = float(off.max())
            row[f"at_{100 * level:g}"] = part["column"].loc[off.idxmax()]
        found.append(row)
    return pd.DataFrame(found)


# --- between periods -------------------------------------------------------------------------------------------------
def correlation_table(
    samples: Mapping[str, Sampled], observed: Mapping[str, np.ndarray], table: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """Correlation between periods, a row a component and pair: ``observed``, of samples by model, and published.

    ``observed`` by component are total residuals (N of the component, P) without their bias. Samples are of the same
    records, missing where these are. ``n``: records with both periods.
    """
    parts, component = [], table["component"].to_numpy()
    for name, total in observed.items():
        rows = component == name
        terms = {"observed": total}
        for model, each in samples.items():
            terms[model] = np.concatenate(list(np.moveaxis(each.kept[rows], -1, 0)))
        part = scores.correlation_table(terms, columns)
        seen = np.isfinite(total).astype(float)
        part.insert(4, "n", (seen.T @ seen)[np.triu_indices(len(columns), 1)].astype(int))
        part.insert(0, "component", name)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def correlation_errors(table: pd.DataFrame, models: Sequence[str], least: int = LEAST_PAIRS) -> pd.DataFrame:
    """Mean absolute difference from the observed correlation, a row a component and model of ``models``.

    ``error``: over pairs with at least ``least`` records; ``error_all``: over all that have a correlation.
    """
    rows = []
    for component, part in table.groupby("component", sort=False):
        for model in models:
            off = (part[model] - part["observed"]).abs()
            many = off[part["n"] >= least]
            row = {"component": component, "model": model, "pairs": int(many.notna().sum()), "error": many.mean()}
            rows.append(row | {"largest": many.max(), "pairs_all": int(off.notna().sum()), "error_all": off.mean()})
    return pd.DataFrame(rows)
