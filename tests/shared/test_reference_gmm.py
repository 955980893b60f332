"""The vectorised calls against pygmm's own scalar calls, published figures and bad input."""

import logging
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared.command import InputError
from shared.reference_gmm import (  # pygmm's classes through the module that silences their import
    BooreStewartSeyhanAtkinson2014,
    GulerceAbrahamson2011,
    Prediction,
    Scenario,
    baker_jayaram_2008,
    bssa14,
    nonlinear_site,
    reference_median,
    vh_ratio,
)
from shared.scenarios import PYGMM_MECHANISM

COLUMNS = ["PGA", "SA(0.010)", "SA(0.065)", "SA(0.200)", "SA(1.000)", "SA(3.000)", "SA(10.000)"]
PERIODS = [0.01, 0.065, 0.2, 1.0, 3.0, 10.0]


def scenarios(count: int = 50, seed: int = 0) -> pd.DataFrame:
    """Random rows inside the limits of both models, with repeated events and sites."""
    rng = np.random.default_rng(seed)
    rjb = np.append(0.0, rng.uniform(0, 190, count - 1))
    return pd.DataFrame(
        {
            "mag": rng.choice(rng.uniform(5, 8, 10), count),
            "mechanism": rng.choice(["SS", "NM", "RV", "U"], count),
            "rjb": rjb,
            "rrup": np.hypot(rjb, rng.uniform(1, 10, count)),
            "vs30": rng.choice(rng.uniform(460, 1190, 20), count),
            "component": rng.choice(["H", "V"], count),
        }
    )


def scalar_bssa14(row: pd.Series, region: str = "global") -> BooreStewartSeyhanAtkinson2014:
    mechanism = PYGMM_MECHANISM[row.mechanism]
    scenario = Scenario(mag=row.mag, dist_jb=row.rjb, v_s30=row.vs30, mechanism=mechanism, region=region)
    return BooreStewartSeyhanAtkinson2014(scenario)


@pytest.mark.filterwarnings("ignore:.*recommended limit")
@pytest.mark.parametrize("region", ["global", "china", "japan"])
def test_bssa14_equals_the_scalar_calls(region):
    table = scenarios()
    table["vs30"] = table["vs30"] * 1.3 - 400  # 200 to 1,150 m/s: the soft sites, where the response is nonlinear
    prediction = bssa14(table, COLUMNS, region)
    models = [scalar_bssa14(row, region) for row in table.itertuples()]
    ln_median = [np.append(np.log(model.pga), np.log(model.interp_spec_accels(PERIODS))) for model in models]
    sigma = [np.append(model.ln_std_pga, model.interp_ln_stds([0.01, 0.2, 1.0, 3.0, 10.0])) for model in models]
    exact = [0, 1, 3, 4, 5, 6]  # at 0.065 s sigma is computed from tau and phi, not interpolated
    np.testing.assert_allclose(prediction.ln_median, ln_median, rtol=1e-10, atol=0)
    np.testing.assert_allclose(prediction.sigma[:, exact], sigma, rtol=1e-10, atol=0)
    assert prediction.ln_median.shape == prediction.tau.shape == prediction.phi.shape == (50, 7)


def test_between_periods_the_log_median_is_linear_in_log_period():
    table = scenarios(3)
    low, middle, high = bssa14(table, ["SA(2.000)", "SA(2.098)", "SA(2.200)"]).ln_median.T
    share = np.log(2.098 / 2.0) / np.log(2.2 / 2.0)
    np.testing.assert_allclose(middle, (1 - share) * low + share * high, rtol=1e-12, atol=0)


def test_bssa14_published_variability():
    table = pd.DataFrame({"mag": [5.5, 4.5], "mechanism": "U", "rjb": 30.0, "vs30": 500.0})
    prediction = bssa14(table, ["PGA", "SA(0.200)", "SA(1.000)", "SA(3.000)"])
    np.testing.assert_allclose(prediction.tau[0], [0.348, 0.309, 0.298, 0.344], rtol=0, atol=6e-4)
    np.testing.assert_allclose(prediction.phi[0], [0.495, 0.539, 0.625, 0.619], rtol=0, atol=6e-4)
    np.testing.assert_allclose(prediction.sigma[0], [0.605, 0.621, 0.692, 0.708], rtol=0, atol=6e-4)
    np.testing.assert_allclose(prediction.sigma[1], [0.801, 0.790, 0.744, 0.757], rtol=0, atol=6e-4)


@pytest.mark.filterwarnings("ignore:.*recommended limit")
def test_vh_ratio_equals_the_scalar_calls():
    table = scenarios()
    expected = []
    for row in table.itertuples():
        rock = row._replace(vs30=GulerceAbrahamson2011.V_REF)
        model = GulerceAbrahamson2011(
            mag=row.mag,
            dist_rup=row.rrup,
            v_s30=row.vs30,
            mechanism=PYGMM_MECHANISM[row.mechanism].replace("U", "SS"),
            pga_ref=scalar_bssa14(rock).pga,
        )
        at_pga = model.ratio[model.INDEX_PGA]
        expected.append(np.append(at_pga, model.interp_ratio(PERIODS)))
    np.testing.assert_allclose(vh_ratio(table, COLUMNS), np.log(expected), rtol=1e-10, atol=1e-12)


def test_the_nonlinear_site_term_is_what_strong_shaking_takes_off_the_linear_one():
    """Against the whole model: at a far site it is linear, so near less far is the nonlinear part."""
    columns, soft = ["PGA", "SA(0.200)", "SA(2.000)"], {"vs30": 250.0}
    near = pd.DataFrame({"mag": 7.0, "mechanism": "SS", "rjb": [5.0, 1e4], "vs30": 760.0})
    site = bssa14(near.assign(**soft), columns).ln_median - bssa14(near, columns).ln_median
    found = nonlinear_site(near.assign(**soft), columns)
    np.testing.assert_allclose(found[1], 0.0, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found[0], site[0] - site[1], rtol=1e-5, atol=0)
    assert found[0, 0] < -0.3
    np.testing.assert_array_equal(nonlinear_site(near, columns), 0.0)
    wide = nonlinear_site(near.assign(**soft), ["SA(0.005)", "SA(0.010)", "SA(10.000)", "SA(20.000)"])
    np.testing.assert_array_equal(wide[:, [0, 3]], wide[:, [1, 2]])


def test_vertical_is_weaker_except_near_and_fast():
    table = pd.DataFrame({"mag": 7.0, "mechanism": "SS", "rjb": [1.0, 80.0], "rrup": [2.0, 80.0], "vs30": 450.0})
    near, far = np.exp(vh_ratio(table, ["SA(0.050)", "SA(0.500)"]))
    assert near[0] > 0.9 > near[1]
    assert (far < 0.8).all()


def test_correlation_between_periods_has_its_published_values():
    correlation = baker_jayaram_2008(np.array([0.0, 0.01, 0.2, 1.0, 2.0, 3.0]))
    np.testing.assert_allclose(np.diag(correlation), 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(correlation, correlation.T, rtol=0, atol=1e-12)
    np.testing.assert_allclose(correlation[0], correlation[1], rtol=0, atol=1e-12)  # PGA as 0.01 s
    pairs = {(1, 2): 0.881, (1, 3): 0.519, (1, 5): 0.248, (2, 3): 0.444, (2, 5): 0.163, (3, 4): 0.749, (3, 5): 0.609}
    for pair, published in pairs.items():
        assert abs(correlation[pair] - published) < 6e-4


def test_vh_ratio_holds_below_magnitude_5():
    table = scenarios(2).assign(mechanism="SS", vs30=1200.0)  # stiff: the ratio does not depend on the rock PGA
    same = vh_ratio(table.assign(mag=5.0), ["SA(1.000)"])
    np.testing.assert_allclose(vh_ratio(table.assign(mag=3.2), ["SA(1.000)"]), same, rtol=1e-12, atol=0)


def test_reference_median_adds_the_ratio_to_vertical_rows_only():
    table = scenarios()
    reference, horizontal = reference_median(table, COLUMNS), bssa14(table, COLUMNS)
    vertical = (table["component"] == "V").to_numpy()
    assert 0 < vertical.sum() < len(table)
    np.testing.assert_array_equal(reference.ln_median[~vertical], horizontal.ln_median[~vertical])
    added = (reference.ln_median - horizontal.ln_median)[vertical]
    np.testing.assert_allclose(added, vh_ratio(table[vertical], COLUMNS), rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(reference.tau, horizontal.tau)
    np.testing.assert_array_equal(reference.phi, horizontal.phi)


def test_rows_may_come_in_any_order_and_with_any_index():
    table = scenarios()
    order = np.random.default_rng(1).permutation(len(table))
    shuffled = reference_median(table.iloc[order], COLUMNS).ln_median
    np.testing.assert_allclose(shuffled, reference_median(table, COLUMNS).ln_median[order], rtol=1e-14, atol=0)


def test_outside_the_limits_there_is_a_number_and_no_warning(caplog):
    table = pd.DataFrame({"mag": [2.0, 9.0, 7.5], "mechanism": ["SS", "NM", "NM"], "rjb": 400.0, "rrup": 400.0})
    table = table.assign(vs30=[90.0, 2500.0, 100.0], component="V")
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("error")
        assert np.isfinite(reference_median(table, COLUMNS).ln_median).all()
    assert not caplog.records


def test_missing_predictors_give_nan():
    table = scenarios().assign(component="V")
    table.loc[3, "vs30"] = np.nan
    table.loc[7, "rjb"] = np.nan
    prediction = reference_median(table, COLUMNS)
    missing = np.isin(np.arange(50), [3, 7])
    for values in (prediction.ln_median, prediction.sigma):
        np.testing.assert_array_equal(np.isnan(values).all(axis=1), missing)
        np.testing.assert_array_equal(np.isnan(values).any(axis=1), missing)


def test_an_empty_table_gives_an_empty_prediction():
    empty = scenarios(2).iloc[:0]
    assert reference_median(empty, COLUMNS).ln_median.shape == (0, 7)
    assert vh_ratio(empty, COLUMNS).shape == (0, 7)


@pytest.mark.parametrize(
    ("change", "columns", "message"),
    [
        ({"vs30": -999.0}, COLUMNS, "column vs30, row 0"),
        ({"rjb": -1.0}, COLUMNS, "column rjb, row 0"),
        ({"mag": np.inf}, COLUMNS, "column mag, row 0"),
        ({"mechanism": "strike-slip"}, COLUMNS, "column mechanism, row 0"),
        ({"mechanism": None}, COLUMNS, "column mechanism, row 0"),
        ({"component": "EW"}, COLUMNS, "column component"),
        ({}, ["PGV"], "column 'PGV'"),
    ],
)
def test_bad_input_is_named(change, columns, message):
    with pytest.raises(InputError, match=message):
        reference_median(scenarios().assign(**change), columns)


@pytest.mark.parametrize("column", ["mag", "mechanism", "rjb", "vs30"])
def test_an_absent_column_is_named(column):
    with pytest.raises(InputError, match=f"column {column}: absent"):
        bssa14(scenarios().drop(columns=column), COLUMNS)


def test_residuals_of_real_records():
    folder = os.environ.get("GROUND_MOTION_DATA")
    if not folder:
        pytest.skip("GROUND_MOTION_DATA is unset: no real records to compare with")
    raw = pd.read_csv(Path(folder) / "nga_west2" / "nga_west2_exact_train.csv", low_memory=False).replace(-999, np.nan)
    rake = raw["Rake Angle (deg)"]
    oblique = rake.abs().between(30, 150, inclusive="neither")
    table = pd.DataFrame(
        {
            "mag": raw["Earthquake Magnitude"],
            "mechanism": np.where(oblique, np.where(rake > 0, "RV", "NM"), "SS"),
            "rjb": raw["Joyner-Boore Dist. (km)"],
            "vs30": raw["Vs30 (m/s) selected for analysis"],
        }
    )
    periods = [0.02, 0.05, 0.1, 0.2, 0.5]
    observed = np.log(raw[[f"T{period:.3f}S" for period in periods]].to_numpy())
    residuals = observed - bssa14(table, [f"SA({period:.3f})" for period in periods]).ln_median
    residuals = residuals[np.isfinite(residuals).all(axis=1)]
    np.testing.assert_allclose(residuals.std(axis=0), [0.764, 0.839, 0.812, 0.785, 0.745], rtol=0, atol=1e-3)
    np.testing.assert_allclose(residuals.mean(axis=0), [0.20, 0.28, 0.22, 0.13, 0.00], rtol=0, atol=6e-3)


def test_periods_that_a_model_does_not_cover_are_left_open():
    """BSSA14 speaks of 0.01 to 10 s; a flatfile may go further and still be compared within."""
    table = scenarios(5)
    columns = ["PGA", "SA(0.005)", "SA(1.000)", "SA(12.000)"]
    found, within = reference_median(table, columns), reference_median(table, ["PGA", "SA(1.000)"])
    for values, covered in ((found.ln_median, within.ln_median), (found.sigma, within.sigma)):
        assert np.isnan(values[:, [1, 3]]).all()
        np.testing.assert_array_equal(values[:, [0, 2]], covered)


# --- predictions -----------------------------------------------------------------------------------------------------
def test_predictions_of_some_rows_are_taken_out_and_stored():
    whole = Prediction(*np.arange(18.0).reshape(3, 3, 2))
    np.testing.assert_allclose(whole.sigma, np.sqrt(whole.tau**2 + whole.phi**2), rtol=1e-12)
    part, filled = whole.rows(np.array([2, 0])), Prediction.empty((3, 2))
    np.testing.assert_array_equal(part.tau, [[10.0, 11.0], [6.0, 7.0]])
    filled.store(np.array([2, 0]), part)
    for name, values in vars(filled).items():
        np.testing.assert_array_equal(values[[0, 2]], getattr(whole, name)[[0, 2]])
        assert np.isnan(values[1]).all()
