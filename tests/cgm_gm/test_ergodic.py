"""Ergodic models: the published numbers by hand, planted coefficients found again, bad tables refused."""

import numpy as np
import pandas as pd
import pytest

from cgm_gm import ergodic
from shared.command import InputError

PLANTED = np.array([[-16.0, -13.0], [3.0, 2.5], [-1.4, -1.7], [0.01, 0.03]])
DEVIATIONS = np.array([[0.4, 0.5], [0.3, 0.2], [0.35, 0.45]])  # tau, phi_s2s, phi_ss


def table_of(generator, n_events=150, n_stations=60, n=2500):
    event, station = generator.integers(0, n_events, n), generator.integers(0, n_stations, n)
    mag, depth = generator.uniform(1.1, 4.0, n_events), generator.uniform(2.0, 18.0, n_events)
    table = pd.DataFrame({"event_id": [f"e{k}" for k in event], "station_id": [f"s{k}" for k in station]})
    table = table.assign(
        mag=mag[event], depth=depth[event], rhyp=np.hypot(depth[event], generator.uniform(3.0, 90.0, n))
    )
    terms = [generator.standard_normal((count, 2)) for count in (n_events, n_stations, n)]
    parts = (
        each * deviation
        for each, deviation in zip((terms[0][event], terms[1][station], terms[2]), DEVIATIONS, strict=True)
    )
    return table, sum(parts)


@pytest.fixture(scope="module")
def planted():
    table, residual = table_of(np.random.default_rng(2))
    columns = np.stack([np.ones(len(table)), table["mag"], np.log(table["rhyp"]), table["depth"]], axis=1)
    return table, columns @ PLANTED + residual


def test_published_by_hand():
    table = pd.DataFrame({"mag": [3.0, 2.0], "rhyp": [20.0, 60.0], "depth": [8.0, 12.0]})
    found = ergodic.published().predict(table)
    two = -16.2739 + 3.0407 * 3.0 - 1.4842 * np.log(20.0) + 0.0060 * 8.0
    fifteen = -14.4238 + 2.1082 * 2.0 - 2.0292 * np.log(60.0) + 0.0461 * 12.0
    np.testing.assert_allclose(found.ln_median[[0, 1], [0, 3]], [two, fifteen], rtol=1e-12)
    np.testing.assert_array_equal(found.sigma, [[0.72, 0.77, 0.81, 0.87]] * 2)
    assert np.isnan(found.tau).all() and not found.median_error.any()


def test_planted_coefficients_and_deviations_are_found(planted):
    found = ergodic.Ergodic.fit(*planted, (2.0, 5.0))
    assert (np.abs(found.coefficients[1:] - PLANTED[1:]) < [[0.15], [0.06], [0.025]]).all()  # 3 standard errors
    np.testing.assert_allclose(np.stack([found.tau, found.phi_s2s, found.phi_ss]), DEVIATIONS, rtol=0.25)
    np.testing.assert_allclose(found.sigma**2, found.tau**2 + found.phi_s2s**2 + found.phi_ss**2, rtol=1e-12)
    table = pd.DataFrame({"mag": [3.0], "rhyp": [30.0], "depth": [8.0]})
    expected = PLANTED[0] + 3.0 * PLANTED[1] + np.log(30.0) * PLANTED[2] + 8.0 * PLANTED[3]
    np.testing.assert_allclose(found.predict(table).ln_median[0], expected, atol=0.15)


def test_missing_values_leave_their_frequency_alone(planted):
    table, ln_fas = planted
    holed = ln_fas.copy()
    holed[::3, 1] = np.nan
    whole, found = (ergodic.Ergodic.fit(table, each, (2.0, 5.0)) for each in (ln_fas, holed))
    np.testing.assert_allclose(found.coefficients[:, 0], whole.coefficients[:, 0], rtol=1e-9)
    np.testing.assert_allclose(found.coefficients[:, 1], whole.coefficients[:, 1], rtol=0.3, atol=0.02)
    assert not np.allclose(found.coefficients[:, 1], whole.coefficients[:, 1], rtol=1e-6)


def test_quadratic_form_finds_a_bend(planted):
    table, ln_fas = planted
    bend = -0.4 * (table["mag"] - 2.8).to_numpy()[:, None] ** 2 - 0.01 * table["rhyp"].to_numpy()[:, None]
    found = ergodic.Ergodic.fit(table, ln_fas + bend, (2.0, 5.0), form="quadratic")
    assert len(found.coefficients) == len(ergodic.NAMES["quadratic"])
    np.testing.assert_allclose(found.coefficients[4], -0.4, atol=0.15)
    np.testing.assert_allclose(found.coefficients[6], -0.01, atol=0.005)


def test_one_record_an_event_still_gives_a_median():
    table, residual = table_of(np.random.default_rng(5), n=300)
    table["event_id"] = [f"e{k}" for k in range(300)]
    found = ergodic.Ergodic.fit(table, residual, (2.0, 5.0))
    assert np.isfinite(found.coefficients).all()
    np.testing.assert_allclose(found.sigma, np.sqrt((DEVIATIONS**2).sum(axis=0)), rtol=0.1)
    assert np.isnan(found.tau).all()  # not to be told from phi_ss


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mag": None}, "no column mag"),
        ({"rhyp": 0.0}, "row 0 has no mag, depth or rhyp above 0"),
        ({"depth": np.nan}, "row 0 has no mag"),
    ],
)
def test_bad_tables_are_refused(planted, change, message):
    table, ln_fas = planted
    ((name, value),) = change.items()
    table = table.drop(columns=name) if value is None else table.assign(**change)
    with pytest.raises(InputError, match=message):
        ergodic.Ergodic.fit(table, ln_fas, (2.0, 5.0))


def test_too_few_records_and_odd_shapes_are_refused(planted):
    table, ln_fas = planted
    with pytest.raises(InputError, match="of 3 records do not tell its 4 coefficients apart"):
        ergodic.Ergodic.fit(table[:3], ln_fas[:3], (2.0, 5.0))
    few = np.where(np.arange(len(table))[:, None] < [50, 4], ln_fas, np.nan)
    with pytest.raises(InputError, match=r"ergodic model at 5 Hz: 4 records, .* add records"):
        ergodic.Ergodic.fit(table, few, (2.0, 5.0))
    with pytest.raises(InputError, match="shape"):
        ergodic.Ergodic.fit(table, ln_fas, (2.0,))
    with pytest.raises(InputError, match="choose linear or quadratic"):
        ergodic.design(table, "cubic")
