"""Planted forms found again, the equations written out slowly, a smooth and physical median, and bad input."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared import flatfile, residuals, splits
from shared.classical_form import DEEPEST, RIDGE, ClassicalForm, Predictors, _Fitting, features, roughness_penalty
from shared.command import InputError
from shared.reference_gmm import nonlinear_site, published

COLUMNS = ["PGA", "SA(0.100)", "SA(0.200)", "SA(0.500)", "SA(1.000)"]
PERIODS = flatfile.periods_of(COLUMNS)
HINGE, DEPTH, MIX = 5.6, 5.0, (0.2, 0.3)
# constant, below, below², above, ln R, (M - 5) ln R, R, Vs30, normal, reverse, depth, its bend, large M ln R, far ln R;
# and their slopes over period
PLANTED = np.array([-2.5, 1.2, -0.1, 0.4, -1.4, 0.2, -0.3, -0.6, -0.1, 0.1, 0.3, -0.2, 0.1, 0.2])
PLANTED = PLANTED[:, None] + np.array([-0.5, 0.2, -0.1, 0.1, 0, 0, 0.1, -0.2, 0, 0, -0.1, 0, 0, 0])[:, None] * PERIODS


def make(seed=0, n_events=60, n_sites=80, per_event=25, tau=0.3, phi_s2s=0.3, phi_ss=0.4, component="H"):
    """A table of events and sites, ln Sa (N, P) of the planted form, and its median."""
    rng = np.random.default_rng(seed)
    event = np.repeat(np.arange(n_events), per_event)
    site = rng.integers(0, n_sites, len(event))
    of_event = pd.DataFrame(
        {
            "mag": rng.uniform(3.5, 7.5, n_events),
            "mechanism": rng.choice(["SS", "NM", "RV"], n_events, p=[0.5, 0.2, 0.3]),
            "hypo_depth": rng.uniform(2, 20, n_events),
            "ztor": 1.0,
        }
    )
    table = of_event.iloc[event].reset_index(drop=True)
    rjb = np.exp(rng.uniform(0, 5.5, len(event)))
    table = table.assign(
        event_id=[f"e{seed}-{number}" for number in event],
        station_id=[f"s{number}" for number in site],
        rjb=rjb,
        rrup=np.hypot(rjb, 1.0),
        vs30=np.exp(rng.uniform(np.log(200), np.log(900), n_sites))[site],
        component=component,
    )
    median = features(Predictors.of(table, COLUMNS)[0], HINGE, DEPTH, MIX) @ PLANTED + nonlinear_site(table, COLUMNS)
    ln_sa = median + (tau * rng.normal(size=(n_events, 1)))[event] + (phi_s2s * rng.normal(size=(n_sites, 1)))[site]
    return table, ln_sa + phi_ss * rng.normal(size=ln_sa.shape), median


@pytest.fixture(scope="module")
def fitted() -> ClassicalForm:
    """A form fitted to noisy planted records."""
    table, ln_sa, _ = make()
    return ClassicalForm.fit(table, ln_sa, COLUMNS)


def test_planted_coefficients_are_found_again():
    table, ln_sa, _ = make(tau=0.01, phi_s2s=0.01, phi_ss=0.02)
    form = ClassicalForm.fit(table, ln_sa, COLUMNS).components["H"]
    assert (form.hinge, form.depth) == (HINGE, DEPTH)
    np.testing.assert_allclose(form.coefficients, PLANTED, rtol=0, atol=0.05)


def test_median_and_deviations_hold_for_unseen_events(fitted):
    table, ln_sa, median = make(seed=1, n_events=200)
    prediction = fitted.predict(table)
    assert np.abs(prediction.ln_median - median).mean() < 0.17  # what 60 events of tau 0.3 allow
    sigma = np.sqrt(0.3**2 + 0.3**2 + 0.4**2)
    np.testing.assert_allclose(np.sqrt(np.mean(prediction.sigma**2)), sigma, rtol=0.1)
    np.testing.assert_allclose(prediction.phi.mean(), 0.5, rtol=0.1)
    inside = np.abs(ln_sa - prediction.ln_median) < prediction.sigma
    assert abs(inside.mean() - 0.683) < 0.04


def test_coefficients_are_those_of_penalised_generalised_least_squares():
    """The equations once more with dense covariances, period by period in one big system."""
    table, ln_sa, _ = make(n_events=12, per_event=8)
    ln_sa[::5, 2] = np.nan
    predictors, _ = Predictors.of(table, COLUMNS)
    labels = table["event_id"].to_numpy()
    fitting = _Fitting(predictors, ln_sa, labels, table["station_id"].to_numpy(), PERIODS)
    fitting.tau, fitting.phi = np.linspace(0.2, 0.5, 5), np.linspace(0.7, 0.4, 5)
    terms, rows = features(predictors, 5.5, 4.0, MIX), np.arange(80)  # some of the rows alone
    found, _ = fitting._solve(rows, terms)

    k, p = terms.shape[1], len(COLUMNS)
    normal, right = np.kron(np.eye(k), roughness_penalty(PERIODS)) + np.kron(np.diag(RIDGE), np.eye(p)), np.zeros(k * p)
    y = ln_sa - nonlinear_site(table, COLUMNS)
    for column in range(p):
        seen = rows[np.isfinite(y[rows, column])]
        same = labels[seen][:, None] == labels[seen]
        covariance = fitting.tau[column] ** 2 * same + fitting.phi[column] ** 2 * np.eye(len(seen))
        at = np.arange(k) * p + column
        normal[np.ix_(at, at)] += terms[seen].T @ np.linalg.solve(covariance, terms[seen])
        right[at] += terms[seen].T @ np.linalg.solve(covariance, y[seen, column])
    np.testing.assert_allclose(found.ravel(), np.linalg.solve(normal, right), rtol=1e-6, atol=1e-8)


def test_roughness_is_nil_for_straight_lines_and_grows_with_bends():
    penalty = roughness_penalty(PERIODS)
    x = np.log([0.008, 0.1, 0.2, 0.5, 1.0])
    np.testing.assert_allclose(penalty @ (2.0 - 3.0 * x), 0.0, rtol=0, atol=1e-9)
    assert x**2 @ penalty @ x**2 > 1.0
    assert not roughness_penalty(np.array([0.0, 1.0])).any()


def test_a_period_with_few_records_follows_its_neighbours():
    table, ln_sa, median = make(tau=0.1, phi_s2s=0.1, phi_ss=0.2)
    ln_sa[7:, 2] = np.nan  # seven records of one event
    found = ClassicalForm.fit(table, ln_sa, COLUMNS).predict(table)
    assert np.abs(found.ln_median - median)[:, 2].mean() < 0.15
    assert np.isfinite(found.sigma).all()
    np.testing.assert_allclose(found.sigma[:, 2], 0.5 * (found.sigma[:, 1] + found.sigma[:, 3]), rtol=0.3)


def scenarios(**changes) -> pd.DataFrame:
    """One scenario after another along one predictor."""
    base = {"mag": 6.0, "rjb": 20.0, "rrup": 20.0, "vs30": 400.0, "hypo_depth": 9.0, "mechanism": "SS"}
    length = max(np.size(value) for value in changes.values())
    return pd.DataFrame({**base, "ztor": 1.0, "component": "H", **changes}, index=range(length))


@pytest.mark.parametrize(
    ("name", "low", "high"), [("mag", 3.0, 8.0), ("rrup", 0.1, 300.0), ("vs30", 150.0, 1500.0), ("hypo_depth", 0, 30)]
)
def test_the_median_is_continuous(fitted, name, low, high):
    x = np.linspace(low, high, 4001)
    median = fitted.predict(scenarios(**{name: x})).ln_median
    assert np.abs(np.diff(median, axis=0)).max() < 0.03
    assert np.ptp(median, axis=0).min() > 0.1


def test_the_median_falls_with_distance_and_rises_with_magnitude(fitted):
    assert (np.diff(fitted.predict(scenarios(rrup=np.geomspace(1, 300, 50))).ln_median, axis=0) < 0).all()
    assert (np.diff(fitted.predict(scenarios(mag=np.linspace(3.5, 7.0, 50))).ln_median, axis=0) > 0).all()


def test_beyond_its_range_a_term_stays(fitted):
    ends = fitted.predict(scenarios(hypo_depth=[DEEPEST, 25.0, 40.0])).ln_median
    np.testing.assert_allclose(ends[1:], ends[:1].repeat(2, axis=0), rtol=1e-12)


def test_an_unknown_style_is_the_mix_of_the_training_rows(fitted):
    mixed, slip, normal, reverse = fitted.predict(scenarios(mechanism=["U", "SS", "NM", "RV"], vs30=760.0)).ln_median
    n, r = fitted.components["H"].style_mix
    assert n > 0.05
    assert r > 0.05
    np.testing.assert_allclose(mixed, (1 - n - r) * slip + n * normal + r * reverse, rtol=1e-12)


def test_an_unknown_style_may_be_trained_on():
    table, ln_sa, _ = make()
    table["mechanism"] = "U"
    form = ClassicalForm.fit(table, ln_sa, COLUMNS)
    assert form.components["H"].style_mix == (0.0, 0.0)
    assert np.isfinite(form.predict(table).ln_median).all()


def test_an_unknown_distance_is_taken_from_the_top_of_the_rupture(fitted):
    rows = scenarios(rjb=[5.0, 50.0], rrup=np.nan, ztor=3.0)
    spelt_out = rows.assign(rrup=np.hypot(rows["rjb"], 3.0))
    np.testing.assert_array_equal(fitted.predict(rows).ln_median, fitted.predict(spelt_out).ln_median)
    np.testing.assert_array_equal(fitted.predict(rows.drop(columns="rrup")).ln_median, fitted.predict(rows).ln_median)


def test_components_are_fitted_by_themselves(fitted):
    table, ln_sa, _ = make()
    vertical, weaker, _ = make(seed=3, component="V")
    both = ClassicalForm.fit(pd.concat([table, vertical], ignore_index=True), np.vstack([ln_sa, weaker - 0.5]), COLUMNS)
    np.testing.assert_allclose(both.predict(table).ln_median, fitted.predict(table).ln_median, rtol=1e-9)
    apart = both.predict(table.assign(component="V")).ln_median - both.predict(table).ln_median
    assert abs(apart.mean() + 0.5) < 0.15
    with pytest.raises(InputError, match="component V: the classical form was fitted to H"):
        fitted.predict(vertical)


def test_rows_without_a_predictor_are_left_out_and_left_open(fitted):
    table, ln_sa, _ = make()
    holes = table.copy()
    holes.loc[[3, 50], "vs30"] = np.nan
    found = ClassicalForm.fit(holes, ln_sa, COLUMNS)
    keep = ~np.isin(np.arange(len(table)), [3, 50])
    kept = ClassicalForm.fit(table[keep], ln_sa[keep], COLUMNS)
    np.testing.assert_allclose(found.components["H"].coefficients, kept.components["H"].coefficients, rtol=1e-9)
    prediction = fitted.predict(holes)
    for values in (prediction.ln_median, prediction.tau, prediction.phi):
        np.testing.assert_array_equal(np.isnan(values).any(axis=1), ~keep)
        np.testing.assert_array_equal(np.isnan(values).all(axis=1), ~keep)


def test_unknown_stations_are_sites_of_their_own():
    table, ln_sa, _ = make(n_events=20)
    table["station_id"] = flatfile.UNKNOWN_STATION
    prediction = ClassicalForm.fit(table, ln_sa, COLUMNS).predict(table)
    assert np.isfinite(prediction.sigma).all()
    np.testing.assert_allclose(prediction.phi.mean(), 0.5, rtol=0.15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vs30": -999.0}, "column vs30, row 0"),
        ({"mechanism": "oblique"}, "column mechanism, row 0"),
        ({"hypo_depth": np.nan}, "no row has a spectral value and all of mag, rjb, vs30, hypo_depth"),
        ({"event_id": "one"}, "component H: 1500 records of 1 events; at least 50 of 10"),
        ({"event_id": None}, "column event_id, row 0: missing"),
    ],
)
def test_bad_tables_are_named(change, message):
    table, ln_sa, _ = make()
    with pytest.raises(InputError, match=message):
        ClassicalForm.fit(table.assign(**change), ln_sa, COLUMNS)


def test_bad_spectra_are_named():
    table, ln_sa, _ = make()
    with pytest.raises(InputError, match=r"ln_sa: shape \(1500, 5\) for 1500 rows and 4 columns"):
        ClassicalForm.fit(table, ln_sa, COLUMNS[:4])
    with pytest.raises(InputError, match="periods must ascend"):
        ClassicalForm.fit(table, ln_sa, COLUMNS[::-1])
    with pytest.raises(InputError, match="'PGV' is not a spectral column"):
        ClassicalForm.fit(table, ln_sa, [*COLUMNS[:4], "PGV"])
    with pytest.raises(InputError, match=r"component H: column SA\(0.200\) has no value"):
        ClassicalForm.fit(table, np.where(np.arange(5) == 2, np.nan, ln_sa), COLUMNS)
    with pytest.raises(InputError, match=r"ln_sa, row 4, column SA\(1.000\): infinite"):
        ClassicalForm.fit(table, np.where(np.arange(1500)[:, None] * 5 + np.arange(5) == 24, -np.inf, ln_sa), COLUMNS)
    with pytest.raises(InputError, match="every event has one record"):
        ClassicalForm.fit(table.assign(event_id=[f"{row}" for row in range(1500)]), ln_sa, COLUMNS)
    alone = np.where(np.arange(1500)[:, None] % 25 == np.arange(5), ln_sa, np.nan)  # one record an event and period
    with pytest.raises(InputError, match="no period has events with several records"):
        ClassicalForm.fit(table, alone, COLUMNS)
    with pytest.raises(InputError, match="column hypo_depth: absent"):
        ClassicalForm.fit(table.drop(columns="hypo_depth"), ln_sa, COLUMNS)


def test_unseen_events_of_real_records():
    folder = os.environ.get("GROUND_MOTION_DATA")
    if not folder:
        pytest.skip("GROUND_MOTION_DATA is unset: no real records to fit to")
    table = flatfile.read_flatfile(Path(folder) / "nga_west2" / "nga_west2_exact_train.csv", cache=None).table
    columns = ["SA(0.020)", "SA(0.100)", "SA(0.500)", "SA(2.000)"]
    ln_sa = flatfile.ln_sa(table, columns)
    ours, sigma = np.full(ln_sa.shape, np.nan), np.full(ln_sa.shape, np.nan)
    for train, test in splits.k_fold(table["event_id"], folds=5, seed=0):
        prediction = ClassicalForm.fit(table.iloc[train], ln_sa[train], columns).predict(table.iloc[test])
        ours[test], sigma[test] = ln_sa[test] - prediction.ln_median, prediction.sigma
    theirs = ln_sa - published("BSSA14", table, columns).ln_median
    assert np.mean(np.nanstd(ours, axis=0) / np.nanstd(theirs, axis=0)) < 0.98
    labels = table["event_id"], table["station_id"]
    ratio = residuals.decompose(ours, *labels).sigma / residuals.decompose(theirs, *labels).sigma
    assert (ratio < 1.0).all()
    assert ratio.mean() < 0.98
    np.testing.assert_allclose(np.nanstd(ours / sigma, axis=0), 1.0, rtol=0.08)


def test_medians_without_the_nonlinear_term_are_those_of_records_that_have_it_added():
    table, ln_sa, _ = make()
    nonlinear = nonlinear_site(table, COLUMNS)
    whole = ClassicalForm.fit(table, ln_sa + nonlinear, COLUMNS).components["H"]
    alone = ClassicalForm.fit(table, ln_sa, COLUMNS, linear_medians=True).components["H"]
    np.testing.assert_allclose(alone.coefficients, whole.coefficients, rtol=1e-6, atol=1e-9)
    assert (alone.hinge, alone.depth) == (whole.hinge, whole.depth)
    assert alone.deviations is None and whole.deviations is not None
    with pytest.raises(ValueError, match="coefficients alone"):
        ClassicalForm(COLUMNS, {"H": alone}).predict(table)
