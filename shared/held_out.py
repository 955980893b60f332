"""What residuals of held-out records say of every model: components, sigma against others', scores, calibration.

A comparison is between models on the same values: those for which every model has a prediction.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from shared import residual_tables, scores
from shared.flatfile import UNKNOWN_STATION, periods_of
from shared.reference_gmm import Prediction
from shared.residuals import Decomposition, decompose

SIGMA_PERIODS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0)  # s; PGA is 0
KNOWN_SITES = ", known sites"  # ends the name of a model that uses the site terms of known stations
MAG_EDGES = (4.5, 6.5)  # between them tau and phi go with magnitude
COVERAGE = (0.68, 0.95)


@dataclasses.dataclass(frozen=True)
class Held:
    """The held-out residuals (N, P) of one component and model, decomposed; values that some model lacks are NaN."""

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


def decompose_models(
    table: pd.DataFrame, residuals: Mapping[str, np.ndarray], with_intervals: Collection[str] = ()
) -> dict[tuple[str, str], Held]:
    """(component, model) -> residuals decomposed by event and site.

    ``residuals`` (N, P) by model are of the N rows of ``table``, NaN where missing. The models ``with_intervals`` get
    95 % intervals of the profile likelihood.
    """
    component = table["component"].to_numpy()
    held = {}
    for name in np.unique(component):
        rows = component == name
        own = {model: np.asarray(each)[rows].astype(float) for model, each in residuals.items()}
        own = on_common_values({model: each for model, each in own.items() if np.isfinite(each).any()})
        part = table[rows].reset_index(drop=True)
        site = sites_of(part)
        for model, residual in own.items():
            how = "profile" if model in with_intervals else "none"
            found = decompose(residual, part["event_id"].to_numpy(), site, intervals=how)
            held[str(name), model] = Held(part, residual, site, found)
    return held


def on_common_values(residuals: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Residuals (N, P) by model, NaN where one of the models that have any at that period has none."""
    seen = {model: np.isfinite(each) for model, each in residuals.items()}
    common = np.logical_and.reduce([each | ~each.any(axis=0) for each in seen.values()])
    return {model: np.where(common, each, np.nan) for model, each in residuals.items()}


def site_of(table: pd.DataFrame) -> np.ndarray:
    """The site label (N,) of every row: a station's component, "H <station_id>"; empty for an unknown station."""
    station = table["station_id"].astype(str).to_numpy()
    label = table["component"].astype(str).to_numpy() + " " + station
    return np.where((station == "") | (station == UNKNOWN_STATION), "", label)


def sites_of(table: pd.DataFrame) -> np.ndarray:
    """Site labels (N,); a row without a known station is a site of its own."""
    site = site_of(table)
    own = np.array([f"unknown {row}" for row in range(len(table))], dtype=object)
    return np.where(site == "", own, site)


def component_table(held: Mapping[tuple[str, str], Held], columns: Sequence[str]) -> pd.DataFrame:
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


def sigma_table(components: pd.DataFrame, ours: str) -> pd.DataFrame:
    """sigma = sqrt(tau² + phi²) of the main component, a row a model, a column for each of `sigma_periods`.

    ``components`` is that of `component_table`. ``mean`` is over the periods that all models have; the last column,
    "<ours> lower at", the number of periods at which that of the model ``ours`` is lower than this model's, out of how
    many: with known sites, that of ``ours`` with known sites.
    """
    rows = components[components["component"] == main_component(components)]
    wide = rows.pivot(index="model", columns="period", values="sigma").loc[rows["model"].unique()]
    wide = wide[sigma_periods(wide.columns.to_numpy())]
    shown = wide.rename(columns={period: "PGA" if period == 0 else f"{period:g} s" for period in wide.columns})
    shown["mean"] = wide.dropna(axis=1).mean(axis=1)
    shown[f"{ours} lower at"] = [_won(wide, model, ours) for model in wide.index]
    return shown.reset_index()


def _won(sigma: pd.DataFrame, model: str, ours: str) -> str:
    """Of how many periods our sigma is lower: "9 of 10"; empty for ourselves."""
    if model.endswith(KNOWN_SITES):
        ours += KNOWN_SITES
    if model == ours or ours not in sigma.index:
        return ""
    difference = (sigma.loc[ours] - sigma.loc[model]).dropna()
    return f"{int((difference < 0).sum())} of {len(difference)}"


def sigma_text(components: pd.DataFrame, ours: str) -> str:
    """`sigma_table` for the terminal: at how many periods the sigma of ``ours`` is lower than each model's."""
    shown, won = sigma_table(components, ours), f"{ours} lower at"
    lines = [f"{'sigma of held-out events':32} {'mean':>6}  {won}"]
    lines += [f"{row['model']:32} {row['mean']:6.3f}  {row[won]}" for _, row in shown.iterrows()]
    return "\n".join(lines)


# --- scores and calibration ------------------------------------------------------------------------------------------
def score_table(
    predictions: Mapping[str, Prediction], ln_sa: np.ndarray, table: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """`shared.scores.score_table` of every model that predicts a sigma, component by component.

    ``predictions`` by model and the observed ``ln_sa`` (N, P) are of the N rows of ``table``.
    """
    parts, component = [], table["component"].to_numpy()
    for model, prediction in predictions.items():
        for name in np.unique(component):
            rows = component == name
            if not np.isfinite(prediction.sigma[rows]).any():
                continue
            part = scores.score_table(
                (ln_sa - prediction.ln_median)[rows],
                prediction.tau[rows],
                prediction.phi[rows],
                table["event_id"].to_numpy()[rows],
                columns,
                observed=ln_sa[rows],
            )
            part.insert(0, "component", name)
            part.insert(1, "model", model)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)


def calibration_table(
    predictions: Mapping[str, Prediction], ln_sa: np.ndarray, table: pd.DataFrame, columns: Sequence[str]
) -> pd.DataFrame:
    """Shares of the observed ``ln_sa`` (N, P) inside the 68 and 95 % intervals of models, by magnitude and period.

    One row per component, model, ``magnitude`` ("all", "below 4.5" and so on) and period; ``n`` values, ``n_events``,
    ``coverage_68``, ``coverage_95``.
    """
    parts, periods = [], periods_of(columns)
    component, event = table["component"].to_numpy(), table["event_id"].to_numpy()
    for model, prediction in predictions.items():
        pit = scores.pit_normal(ln_sa - prediction.ln_median, prediction.sigma)
        for name in np.unique(component):
            for label, inside in magnitude_bins(table["mag"].to_numpy(float)).items():
                rows = inside & (component == name)
                seen = np.isfinite(pit[rows])
                if not seen.any():
                    continue
                found = scores.coverage(pit[rows], COVERAGE)
                part = {"component": name, "model": model, "magnitude": label}
                part |= {"column": columns, "period": periods, "n": seen.sum(axis=0)}
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
