"""The latent space: whether its dimensions are used, what sits in them, and what they do to a spectrum.

Axes: N records, L dimensions of the code, P periods, Z values of a code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from cvae_sa.data import Records, derive_inputs
from cvae_sa.trained import TrainedCVAE
from shared.flatfile import periods_of
from shared.held_out import decompose_models
from shared.plotting import period_name, shown_positions
from shared.predictions import IDENTIFYING

ACTIVE = 0.01  # variance of the code's mean over records above which a unit is active: Burda et al. (2016, section 5)
TERM_PERIODS = (0.0, 0.2, 1.0)  # s
BINS = 20  # of equal counts, for the share of variance that a number explains
INPUT_NAMES = ("mag", "rjb", "hypo_depth", "vs30", "style", "direction")
CATEGORIES = ("style", "direction")
REFERENCE = {"mag": 6.5, "rjb": 30.0, "hypo_depth": 10.0, "vs30": 450.0}
STEPS = np.linspace(-2.0, 2.0, 9)


@dataclass(frozen=True)
class Codes:
    """Codes of N records, all (N, L): mean and ln variance by the encoder, mean and deviation by the ANN."""

    mean: np.ndarray
    log_variance: np.ndarray
    ann_mean: np.ndarray
    ann_deviation: np.ndarray

    @property
    def names(self) -> list[str]:
        """z1, z2, ..."""
        return [f"z{number}" for number in range(1, self.mean.shape[1] + 1)]


def encode(model: TrainedCVAE, records: Records) -> Codes:
    """The codes of the observed spectra of N records, and what the ANN expects of their conditions alone."""
    mean, log_variance = model.encode(records)
    ann_mean, ann_deviation = map(np.asarray, model.model.code_of(records.inputs, "ann"))
    return Codes(mean, log_variance, ann_mean, ann_deviation)


def codes_table(records: Records, codes: Codes) -> pd.DataFrame:
    """The encoded data, a row for each of N records: mean and standard deviation (``_sd``) of its code.

    ``z1`` ... are the encoder's, ``ann_z1`` ... those that the ANN expects of the conditions alone.
    """
    table = records.table
    parts = [table[[name for name in IDENTIFYING if name in table]].reset_index(drop=True)]
    found = {"": (codes.mean, np.exp(0.5 * codes.log_variance)), "ann_": (codes.ann_mean, codes.ann_deviation)}
    for prefix, (centre, deviation) in found.items():
        for number, name in enumerate(codes.names):
            columns = {f"{prefix}{name}": centre[:, number], f"{prefix}{name}_sd": deviation[:, number]}
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, axis=1)


# --- is it used? -----------------------------------------------------------------------------------------------------
def collapse_table(codes: Codes) -> pd.DataFrame:
    """A row for each ``dimension``: is it used, and is the aggregated posterior N(0, 1)?

    ``activity``: variance over records of the code's mean, and whether it is ``active``, above 0.01 (Burda et al.
    2016); ``kl``: mean Kullback-Leibler divergence from the prior, nats a record; ``mean`` and ``deviation`` of the
    aggregated posterior, 0 and 1 if codes drawn from the prior are like those of records.
    """
    mean, variance = codes.mean.astype(float), np.exp(codes.log_variance.astype(float))
    activity = mean.var(axis=0)
    return pd.DataFrame(
        {
            "dimension": codes.names,
            "activity": activity,
            "active": activity > ACTIVE,
            "kl": (0.5 * (mean**2 + variance - 1.0 - np.log(variance))).mean(axis=0),
            "mean": mean.mean(axis=0),
            "deviation": np.sqrt(activity + variance.mean(axis=0)),
        }
    )


def ann_table(codes: Codes) -> pd.DataFrame:
    """What the ANN knows of the codes, a row for each ``dimension``.

    ``r2``: share of the variance of the encoder's means that it explains; ``deviation``: root mean square of the
    deviation that it expects; ``z_deviation``: root mean square of (code - expected) / expected deviation, the
    encoder's own spread included: 1 where the ANN's spread is right.
    """
    left = (codes.mean - codes.ann_mean).astype(float) ** 2
    spread = left + np.exp(codes.log_variance.astype(float))
    variance = codes.mean.astype(float).var(axis=0)
    return pd.DataFrame(
        {
            "dimension": codes.names,
            "r2": 1.0 - left.mean(axis=0) / np.where(variance > 0, variance, np.nan),
            "deviation": np.sqrt((codes.ann_deviation.astype(float) ** 2).mean(axis=0)),
            "z_deviation": np.sqrt((spread / codes.ann_deviation.astype(float) ** 2).mean(axis=0)),
        }
    )


# --- what sits in it? ------------------------------------------------------------------------------------------------
def input_quantities(records: Records) -> dict[str, np.ndarray]:
    """The inputs (N,) by name: numbers, and text for the categories."""
    table = records.table
    names = {"style": "mechanism", "direction": "component"}
    return {name: table[names.get(name, name)].to_numpy() for name in INPUT_NAMES}


def residual_terms(model: TrainedCVAE, records: Records) -> dict[str, np.ndarray]:
    """Event, site and record terms (N,) of the records' residuals, at some periods, NaN where there are none.

    The names are like "event term, 0.2 s". Horizontal and vertical records are decomposed apart.
    """
    periods = periods_of(records.columns)
    shown = shown_positions(periods, TERM_PERIODS)
    residual = (records.ln_sa - model.moments(records.inputs)[0])[:, shown]
    table = records.table
    terms = {name: np.full(residual.shape, np.nan) for name in ("event", "site", "record")}
    for (component, _), held in decompose_models(table, {"": residual}).items():
        rows = np.flatnonzero(table["component"].to_numpy() == component)
        missing = ~np.isfinite(held.residual)
        event = pd.Index(held.found.events).get_indexer(held.table["event_id"])
        site = pd.Index(held.found.sites).get_indexer(held.site)
        values = (held.found.event_terms[event], held.found.site_terms[site], held.found.record_terms)
        for name, each in zip(terms, values, strict=True):
            terms[name][rows] = np.where(missing, np.nan, each)
    return {
        f"{name} term, {period_name(records.columns[place], periods[place])}": values[:, position]
        for name, values in terms.items()
        for position, place in enumerate(shown)
    }


def association_table(codes: Codes, quantities: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """How each dimension goes with each quantity (N,), a row for each ``dimension`` and ``quantity``.

    ``rank``: Spearman's correlation of the code's mean with a number; ``share``: share of the variance of the code's
    mean between the classes of the quantity, less what chance would give (adjusted correlation ratio): bins of equal
    counts of a number, so that any curve counts. Dimension ``all`` has in ``share`` the adjusted R² of a number
    regressed on the whole code: how well it can be read off.
    """
    rows = []
    for quantity, values in quantities.items():
        numbers = values.dtype.kind in "fiu"
        known = np.isfinite(values) if numbers else np.ones(len(values), bool)
        values, mean = values[known], codes.mean[known].astype(float)
        constant = len(np.unique(values)) < 2
        for name, z in zip(codes.names, mean.T, strict=True):
            rank, share = np.nan, np.nan
            if not constant and z.std() > 0:
                rank = spearmanr(z, values).statistic if numbers else np.nan
                share = variance_share(z, values)
            rows.append({"dimension": name, "quantity": quantity, "rank": rank, "share": share})
        readable = linear_share(values.astype(float), mean) if numbers and not constant else np.nan
        rows.append({"dimension": "all", "quantity": quantity, "rank": np.nan, "share": readable})
    return pd.DataFrame(rows)


def variance_share(z: np.ndarray, values: np.ndarray) -> float:
    """Adjusted share of the variance of ``z`` (N,) between classes, or bins of equal counts, of ``values`` (N,)."""
    if values.dtype.kind in "fiu" and len(np.unique(values)) > BINS:
        classes = pd.qcut(values, BINS, labels=False, duplicates="drop")
    else:
        classes = pd.factorize(values)[0]
    n, n_classes = len(z), len(np.unique(classes))
    within = ((z - pd.Series(z).groupby(classes).transform("mean").to_numpy()) ** 2).sum() / max(n - n_classes, 1)
    return float(1.0 - within / z.var(ddof=1))


def linear_share(values: np.ndarray, codes: np.ndarray) -> float:
    """Adjusted R² of ``values`` (N,) regressed on ``codes`` (N, L)."""
    n, latent = codes.shape
    design = np.column_stack([np.ones(n), codes])
    left = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    return float(1.0 - (left @ left / max(n - latent - 1, 1)) / values.var(ddof=1))


# --- what does it do? ------------------------------------------------------------------------------------------------
def reference_scenario(model: TrainedCVAE) -> pd.DataFrame:
    """One row: M 6.5, strike-slip, 30 km, Vs30 450 m/s, 10 km deep, horizontal; moved into the training ranges."""
    values = {name: float(np.clip(value, *model.ranges[name])) for name, value in REFERENCE.items()}
    component = "H" if "H" in model.components else model.components[0]
    return pd.DataFrame([{**values, "mechanism": "SS", "component": component}])


def scenario_text(scenario: pd.DataFrame) -> str:
    """The one row of ``scenario`` in words."""
    row = scenario.iloc[0]
    return (
        f"M {row['mag']:g}, rjb {row['rjb']:g} km, Vs30 {row['vs30']:g} m/s, depth {row['hypo_depth']:g} km, "
        f"{row['mechanism']}, component {row['component']}"
    )


def traversal(model: TrainedCVAE, scenario: pd.DataFrame, steps: np.ndarray = STEPS) -> np.ndarray:
    """ln spectra (L, Z, P), ln g, of one scenario: each dimension of the code goes through ``steps`` (Z,), others 0."""
    latent = model.model.latent
    codes = np.zeros((latent, len(steps), latent), np.float32)
    codes[np.arange(latent), :, np.arange(latent)] = steps
    flat = codes.reshape(-1, latent)
    ln_sa, _ = model.decode(flat, np.repeat(derive_inputs(scenario), len(flat), axis=0))
    return ln_sa.reshape(latent, len(steps), -1)


def traversal_table(ln_sa: np.ndarray, columns: list[str], steps: np.ndarray = STEPS) -> pd.DataFrame:
    """`traversal` with a row for each ``dimension`` and ``z``, spectra in g."""
    latent, n, n_periods = ln_sa.shape
    names = {"dimension": np.repeat([f"z{k + 1}" for k in range(latent)], n), "z": np.tile(steps, latent)}
    return pd.concat([pd.DataFrame(names), pd.DataFrame(np.exp(ln_sa).reshape(-1, n_periods), columns=columns)], axis=1)


# --- all of it -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class LatentSpace:
    """What there is to say of the latent space of a model, of N records.

    ``collapse``, ``ann`` and ``associations`` are the tables of `collapse_table`, `ann_table` and `association_table`;
    ``spectra`` (L, Z, P) the `traversal` of ``scenario``, ln g.
    """

    records: Records
    codes: Codes
    collapse: pd.DataFrame
    ann: pd.DataFrame
    associations: pd.DataFrame
    scenario: pd.DataFrame
    spectra: np.ndarray


def study(model: TrainedCVAE, records: Records) -> LatentSpace:
    """Everything above, of the N ``records`` (horizontal and vertical together)."""
    codes = encode(model, records)
    quantities = input_quantities(records) | residual_terms(model, records)
    scenario = reference_scenario(model)
    return LatentSpace(
        records,
        codes,
        collapse_table(codes),
        ann_table(codes),
        association_table(codes, quantities),
        scenario,
        traversal(model, scenario),
    )


def headline(space: LatentSpace) -> dict[str, Any]:
    """For ``results.json``."""
    return {
        "records": len(space.records),
        "active_units": int(space.collapse["active"].sum()),
        "units": len(space.collapse),
        "kl": float(space.collapse["kl"].sum()),
        "dimensions": space.collapse.merge(space.ann, on="dimension", suffixes=("", "_ann")).to_dict("records"),
    }
