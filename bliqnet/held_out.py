"""What out-of-fold residuals say of every model: components, sigma against others', scores, calibration.

A comparison is between models on the same values: those for which every model has a prediction.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd

from bliqnet.cross_validation import BSSA14, CrossValidation
from bliqnet.fold_fits import FORM, KNOWN_SITES, OURS
from bliqnet.site_terms import site_of
from shared import residual_tables, scores
from shared.flatfile import periods_of
from shared.residuals import Decomposition, decompose

SIGMA_PERIODS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0)  # s; PGA is 0
WITH_INTERVALS = (OURS, BSSA14, FORM)
MAG_EDGES = (4.5, 6.5)  # between them tau and phi go with magnitude
COVERAGE = (0.68, 0.95)


@dataclasses.dataclass(frozen=True)
class Held:
    """The out-of-fold residuals (N, P) of one component and model, decomposed; values that some model lacks are NaN."""

    table: pd.DataFrame  # the N rows
    residual: np.ndarray  # (N, P)
    site: np.ndarray  # (N,) labels; a row of an unknown station has its own
    found: Decomposition

    def terms(self) -> dict[str, tuple[pd.DataFrame, np.ndarray]]:
        """Event, site and record terms (M, P), NaN where no record supports them, each with what is known of the M."""
        event = self.table["event_id"].to_numpy()
        known = {"event": (event, self.found.events), "site": (self.site, self.found.sites)}
        parts = {}
        for name, (labels, ordered) in known.items():
            about = self.table.groupby(labels)[["mag", "hypo_depth", "vs30"]].mean().reindex(ordered)
            count = residual_tables.supported(labels, ordered, self.residual)
            values = np.where(count > 0, getattr(self.found, f"{name}_terms"), np.nan)
            parts[name] = about.reset_index(drop=True), values
        return parts | {"record": (self.table, self.found.record_terms)}


def decompose_models(cross: CrossValidation, intervals: bool = True) -> dict[tuple[str, str], Held]:
    """(component, model) -> residuals of the event-grouped folds, decomposed by event and site.

    The models of `WITH_INTERVALS` get 95 % intervals of the profile likelihood.
    """
    component = cross.records.table["component"].to_numpy()
    held = {}
    for name in np.unique(component):
        rows = np.flatnonzero(component == name)
        residuals = {model: cross.residual("event", model)[rows].astype(float) for model in cross.models()}
        residuals = {model: each for model, each in residuals.items() if np.isfinite(each).any()}
        residuals = on_common_values(residuals)
        table = cross.records.table.iloc[rows].reset_index(drop=True)
        site = sites_of(table)
        for model, residual in residuals.items():
            how = "profile" if intervals and model in WITH_INTERVALS else "none"
            found = decompose(residual, table["event_id"].to_numpy(), site, intervals=how)
            held[str(name), model] = Held(table, residual, site, found)
    return held


def on_common_values(residuals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Residuals (N, P) by model, NaN where one of the models that have any at that period has none."""
    seen = {model: np.isfinite(each) for model, each in residuals.items()}
    common = np.logical_and.reduce([each | ~each.any(axis=0) for each in seen.values()])
    return {model: np.where(common, each, np.nan) for model, each in residuals.items()}


def sites_of(table: pd.DataFrame) -> np.ndarray:
    """Site labels (N,); a row without a known station is a site of its own."""
    site = site_of(table)
    own = np.array([f"unknown {row}" for row in range(len(table))], dtype=object)
    return np.where(site == "", own, site)


def component_table(held: Mapping[tuple[str, str], Held], columns: list[str]) -> pd.DataFrame:
    """One row per component, model and period: `residual_tables.components`."""
    parts = []
    for (component, model), one in held.items():
        part = residual_tables.components(one.found, columns)
        part.insert(0, "component", component)
        part.insert(1, "model", model)
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


# --- sigma against the other models' ---------------------------------------------------------------------------------
def main_component(table: pd.DataFrame) -> str:
    """H, where there is such."""
    return "H" if (table["component"] == "H").any() else str(table["component"].iloc[0])


def sigma_periods(periods: np.ndarray) -> np.ndarray:
    """Which of `SIGMA_PERIODS` are among ``periods``; all of these where none is."""
    chosen = [period for period in SIGMA_PERIODS if np.isclose(periods, period, atol=1e-6).any()]
    return np.array(chosen) if chosen else np.asarray(periods)


def sigma_table(components: pd.DataFrame) -> pd.DataFrame:
    """sigma = sqrt(tau² + phi²) of the main component, a row a model, a column for each of `sigma_periods`.

    ``mean`` is over the periods that all models have; ``BLiqNet lower at`` the number of periods at which BLiqNet's is
    lower than this model's, out of how many: with known sites, BLiqNet's with known sites.
    """
    rows = components[components["component"] == main_component(components)]
    wide = rows.pivot(index="model", columns="period", values="sigma").loc[rows["model"].unique()]
    wide = wide[sigma_periods(wide.columns.to_numpy())]
    shown = wide.rename(columns={period: "PGA" if period == 0 else f"{period:g} s" for period in wide.columns})
    shown["mean"] = wide.dropna(axis=1).mean(axis=1)
    shown["BLiqNet lower at"] = [_won(wide, model) for model in wide.index]
    return shown.reset_index()


def _won(sigma: pd.DataFrame, model: str) -> str:
    """Of how many periods our sigma is lower: "9 of 10"; empty for ourselves."""
    ours = OURS + KNOWN_SITES if model.endswith(KNOWN_SITES) else OURS
    if model == ours or ours not in sigma.index:
        return ""
    difference = (sigma.loc[ours] - sigma.loc[model]).dropna()
    return f"{int((difference < 0).sum())} of {len(difference)}"


def sigma_text(components: pd.DataFrame) -> str:
    """For the terminal: at how many periods BLiqNet's sigma is lower than each model's."""
    shown = sigma_table(components)
    lines = [f"{'sigma of held-out events':32} {'mean':>6}  BLiqNet lower at"]
    lines += [f"{row['model']:32} {row['mean']:6.3f}  {row['BLiqNet lower at']}" for _, row in shown.iterrows()]
    return "\n".join(lines)


# --- scores and calibration ------------------------------------------------------------------------------------------
def score_table(cross: CrossValidation) -> pd.DataFrame:
    """`shared.scores.score_table` of every model that predicts a sigma, on held-out events, component by component."""
    records, parts = cross.records, []
    component = records.table["component"].to_numpy()
    for model in cross.models():
        spectra = cross.predictions["event", model]
        for name in np.unique(component):
            rows = component == name
            if not np.isfinite(spectra.sigma[rows]).any():
                continue
            part = scores.score_table(
                cross.residual("event", model)[rows],
                spectra.tau[rows],
                spectra.phi[rows],
                records.table["event_id"].to_numpy()[rows],
                records.columns,
                observed=records.ln_sa[rows],
            )
            part.insert(0, "component", name)
            part.insert(1, "model", model)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def calibration_table(cross: CrossValidation, models: tuple[str, ...] = WITH_INTERVALS) -> pd.DataFrame:
    """Shares of the held-out values inside the 68 and 95 % intervals of ``models``, by magnitude and period.

    One row per component, model, ``magnitude`` ("all", "below 4.5" and so on) and period; ``n`` values, ``n_events``,
    ``coverage_68``, ``coverage_95``.
    """
    records, parts = cross.records, []
    table, periods = records.table, periods_of(records.columns)
    component, event = table["component"].to_numpy(), table["event_id"].to_numpy()
    for model in [model for model in cross.models() if model in models]:
        residual = cross.residual("event", model)
        pit = scores.pit_normal(residual, cross.predictions["event", model].sigma)
        for name in np.unique(component):
            for label, inside in magnitude_bins(table["mag"].to_numpy(float)).items():
                rows = inside & (component == name)
                seen = np.isfinite(pit[rows])
                if not seen.any():
                    continue
                found = scores.coverage(pit[rows], COVERAGE)
                part = {"component": name, "model": model, "magnitude": label}
                part |= {"column": records.columns, "period": periods, "n": seen.sum(axis=0)}
                part["n_events"] = [len(np.unique(event[rows][each])) for each in seen.T]
                part |= {f"coverage_{100 * level:g}": share for level, share in zip(COVERAGE, found, strict=True)}
                parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def magnitude_bins(mag: np.ndarray) -> dict[str, np.ndarray]:
    """Which of N magnitudes lie below, between and above `MAG_EDGES`; and all of them."""
    low, high = MAG_EDGES
    return {
        "all": np.ones(len(mag), dtype=bool),
        f"below {low:g}": mag < low,
        f"{low:g} to {high:g}": (mag >= low) & (mag <= high),
        f"above {high:g}": mag > high,
    }


def coverage_headline(calibration: pd.DataFrame) -> pd.DataFrame:
    """Coverage of the main component over `sigma_periods`, a row a model and magnitude bin.

    Means of the periods, weighted by their values, and the largest deviation of a period from what it should be.
    """
    rows = calibration[calibration["component"] == main_component(calibration)]
    rows = rows[rows["period"].isin(sigma_periods(rows["period"].unique())) & (rows["n"] > 0)]
    found = []
    for (model, magnitude), part in rows.groupby(["model", "magnitude"], sort=False):
        row = {"model": model, "magnitude": magnitude, "values": part["n"].sum(), "events": part["n_events"].max()}
        for level in COVERAGE:
            name = f"coverage_{100 * level:g}"
            row[name] = np.average(part[name], weights=part["n"])
            row[f"largest_deviation_{100 * level:g}"] = (part[name] - level).abs().max()
        found.append(row)
    return pd.DataFrame(found)


def correlation_terms(one: Held) -> dict[str, np.ndarray]:
    """Terms (M, P) by name, and the total: residuals without their bias; for `residual_figures.correlation`."""
    parts = {name: values for name, (_, values) in one.terms().items()}
    return parts | {"total": one.residual - one.found.bias}
