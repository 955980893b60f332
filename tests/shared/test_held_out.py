"""Planted components come back, comparisons are on common values, coverage and wins by hand."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from shared.held_out import (
    KNOWN_SITES,
    calibration_table,
    component_table,
    correlation_terms,
    coverage_headline,
    decompose_models,
    magnitude_bins,
    on_common_values,
    score_table,
    sigma_periods,
    sigma_table,
    sigma_text,
    site_of,
    sites_of,
)
from shared.reference_gmm import Prediction

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]
TAU, PHI_S2S, PHI_SS = 0.4, 0.3, 0.5
OURS, FORM, BSSA14 = "ours", "form", "BSSA14"
RANDOM = "RF"  # a model that predicts no sigma


class Case(NamedTuple):
    """Observed spectra (N, P) of N rows, and what models predict of them."""

    predictions: dict[str, Prediction]
    ln_sa: np.ndarray
    table: pd.DataFrame

    def residuals(self) -> dict[str, np.ndarray]:
        return {model: self.ln_sa - each.ln_median for model, each in self.predictions.items()}


@pytest.fixture(scope="module")
def case() -> Case:
    """Residuals of planted tau and phi about our median; the others are off by a constant, or by events."""
    draw = np.random.default_rng(0)
    n_events, each, n_sites = 80, 25, 60
    event, site = np.repeat(np.arange(n_events), each), draw.integers(0, n_sites, n_events * each)
    size = len(event)
    terms = TAU * draw.standard_normal((n_events, 3))[event] + PHI_S2S * draw.standard_normal((n_sites, 3))[site]
    residual = terms + PHI_SS * draw.standard_normal((size, 3))
    table = pd.DataFrame(
        {
            "event_id": [f"e{code:03d}" for code in event],
            "station_id": [f"s{code}" for code in site],
            "component": "H",
            "mag": draw.uniform(4.0, 7.0, n_events)[event],
            "hypo_depth": draw.uniform(2.0, 20.0, n_events)[event],
            "rjb": np.exp(draw.uniform(1.0, 5.0, size)),
            "vs30": np.exp(draw.uniform(5.3, 6.9, n_sites))[site],
        }
    )

    def spectra(ln_median: np.ndarray | float) -> Prediction:
        shape = residual.shape
        tau, phi = np.full(shape, TAU), np.full(shape, np.hypot(PHI_S2S, PHI_SS))
        return Prediction(np.zeros(shape) + ln_median, tau, phi)

    worse = spectra(0.3 * draw.standard_normal((n_events, 1))[event])
    missing = spectra(0.2)
    missing.ln_median[:50, 0] = np.nan
    none = Prediction(np.zeros((size, 3)), np.full((size, 3), np.nan), np.full((size, 3), np.nan))
    predictions = {OURS: spectra(0.0), FORM: worse, RANDOM: none, BSSA14: missing, BSSA14 + KNOWN_SITES: missing}
    return Case(predictions, residual, table)


@pytest.fixture(scope="module")
def components(case) -> pd.DataFrame:
    return component_table(decompose_models(case.table, case.residuals(), {OURS}), COLUMNS)


def test_planted_components_lie_in_their_intervals(components):
    ours = components[components["model"] == OURS]
    for name, planted in (("tau", TAU), ("phi_s2s", PHI_S2S), ("phi_ss", PHI_SS)):
        assert (np.abs(ours[name] / planted - 1.0) < 0.35).all()
        assert ((ours[f"{name}_low"] < ours[name]) & (ours[name] < ours[f"{name}_high"])).all()
    np.testing.assert_allclose(ours["sigma"], np.hypot(ours["tau"], ours["phi"]), rtol=1e-9)
    assert components[components["model"] != OURS]["tau_low"].isna().all()


def test_models_are_compared_on_the_same_values(components):
    assert set(components[components["column"] == "PGA"]["n_records"]) == {1950}
    assert set(components[components["column"] != "PGA"]["n_records"]) == {2000}
    sigma = components.pivot(index="model", columns="column", values="sigma")
    np.testing.assert_allclose(sigma.loc[BSSA14], sigma.loc[OURS], rtol=1e-5)  # a constant is bias, not spread
    bias = components.pivot(index="model", columns="column", values="bias")
    np.testing.assert_allclose(bias.loc[BSSA14], bias.loc[OURS] - 0.2, rtol=1e-4)


def test_common_values_pass_over_a_period_that_a_model_does_not_have():
    a = np.array([[1.0, 1.0], [np.nan, 1.0]])
    b = np.array([[2.0, np.nan], [2.0, np.nan]])
    found = on_common_values({"a": a, "b": b})
    np.testing.assert_array_equal(found["a"], a)
    np.testing.assert_array_equal(found["b"], [[2.0, np.nan], [np.nan, np.nan]])


def test_a_row_without_a_station_is_a_site_of_its_own():
    table = pd.DataFrame({"station_id": ["a", "unknown", "a", "unknown"], "component": "H"})
    site = sites_of(table)
    assert site[0] == site[2]
    assert len(set(site)) == 3
    np.testing.assert_array_equal(site_of(table), ["H a", "", "H a", ""])


def test_components_of_a_station_are_sites_of_their_own():
    table = pd.DataFrame({"station_id": ["a", "a", ""], "component": ["H", "V", "V"]})
    np.testing.assert_array_equal(site_of(table), ["H a", "V a", ""])


def test_wins_are_counted_by_period():
    values = {OURS: [0.5, 0.6, 0.7], FORM: [0.6, 0.6, 0.6], BSSA14: [0.9, 0.9, np.nan]}
    values |= {OURS + KNOWN_SITES: [0.4, 0.4, 0.4], BSSA14 + KNOWN_SITES: [0.45, 0.3, 0.45]}
    rows = [
        {"component": component, "model": model, "period": period, "sigma": sigma + (component == "V")}
        for model, sigmas in values.items()
        for period, sigma in zip((0.0, 0.2, 7.0), sigmas, strict=True)
        for component in ("H", "V")
    ]
    shown = sigma_table(pd.DataFrame(rows), OURS).set_index("model")
    assert list(shown.columns) == ["PGA", "0.2 s", "mean", "ours lower at"]
    assert list(shown["ours lower at"]) == ["", "1 of 2", "2 of 2", "", "1 of 2"]
    np.testing.assert_allclose(shown.loc[OURS, "mean"], 0.55, rtol=1e-12)
    assert "1 of 2" in sigma_text(pd.DataFrame(rows), OURS)


def test_periods_of_the_comparison():
    np.testing.assert_array_equal(sigma_periods(np.array([0.0, 0.15, 0.2, 5.0])), [0.0, 0.2])
    np.testing.assert_array_equal(sigma_periods(np.array([4.0, 5.0])), [4.0, 5.0])


def test_coverage_of_the_planted_sigma(case):
    table = calibration_table(case.predictions, case.ln_sa, case.table, COLUMNS)
    assert set(table["model"]) == set(case.predictions) - {RANDOM}
    ours = table[(table["model"] == OURS) & (table["magnitude"] == "all")]
    residual, sigma = case.ln_sa, np.sqrt(TAU**2 + PHI_S2S**2 + PHI_SS**2)
    np.testing.assert_allclose(ours["coverage_68"], (np.abs(residual) < 0.994458 * sigma).mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(ours["coverage_95"], (np.abs(residual) < 1.959964 * sigma).mean(axis=0), rtol=1e-9)
    parts = table[(table["model"] == OURS) & (table["magnitude"] != "all")]
    np.testing.assert_array_equal(parts.groupby("column", sort=False)["n"].sum(), ours["n"])
    shown = coverage_headline(table).set_index(["model", "magnitude"]).loc[OURS, "all"]
    assert shown["values"] == 6000
    assert shown["events"] == 80
    np.testing.assert_allclose(shown["coverage_68"], ours["coverage_68"].mean(), rtol=1e-12)
    np.testing.assert_allclose(shown["largest_deviation_95"], np.abs(ours["coverage_95"] - 0.95).max(), rtol=1e-12)


def test_magnitude_bins_hold_every_record_once():
    bins = magnitude_bins(np.array([4.4, 4.5, 6.5, 6.6]))
    np.testing.assert_array_equal(bins.pop("all"), True)
    np.testing.assert_array_equal(np.sum(list(bins.values()), axis=0), 1)
    np.testing.assert_array_equal(bins["4.5 to 6.5"], [False, True, True, False])


def test_scores_are_of_models_with_a_sigma(case):
    scores = score_table(case.predictions, case.ln_sa, case.table, COLUMNS)
    assert set(scores["model"]) == {OURS, FORM, BSSA14, BSSA14 + KNOWN_SITES}
    llh = scores.pivot(index="column", columns="model", values="llh")
    assert (llh[OURS] < llh[FORM]).all()


def test_terms_without_a_record_are_missing(case):
    held = decompose_models(case.table, case.residuals())["H", OURS]
    parts = held.terms()
    about, values = parts["event"]
    assert len(about) == len(values) == 80
    assert np.isnan(values[:2, 0]).all()  # the 50 values that BSSA14 lacks are of the first two events
    assert np.isfinite(values[2:]).all()
    np.testing.assert_allclose(about["mag"], case.table.groupby("event_id")["mag"].first(), rtol=1e-12)
    terms = correlation_terms(held)
    assert set(terms) == {"event", "site", "record", "total"}
    total = held.found.record_terms + held.found.event_terms[pd.factorize(case.table["event_id"])[0]]
    site = pd.Index(held.found.sites).get_indexer(held.site)
    np.testing.assert_allclose(terms["total"], total + held.found.site_terms[site], rtol=1e-6, atol=1e-9)
