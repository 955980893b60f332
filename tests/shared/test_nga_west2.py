"""The equations on arrays against pygmm's scalar calls, published figures, and what is done about the unknown."""

import numpy as np
import pandas as pd
import pytest

from shared import reference_gmm
from shared.command import InputError
from shared.nga_west2 import ASK14, CB14, CY14, mean_ztor
from shared.reference_gmm import Scenario, ask14, bssa14, cb14, cy14, published, vh_ratio
from shared.scenarios import PYGMM_MECHANISM

COLUMNS = ["PGA", "SA(0.010)", "SA(0.065)", "SA(0.200)", "SA(1.000)", "SA(3.000)", "SA(10.000)"]
PERIODS = [0.01, 0.065, 0.2, 1.0, 3.0, 10.0]
MODELS = {"ASK14": ASK14, "CB14": CB14, "CY14": CY14}
KNOWN = ["rrup", "hypo_depth", "ztor", "dip", "rx", "width", "z1pt0", "z2pt5"]


def scenarios(count: int = 120, seed: int = 0) -> pd.DataFrame:
    """Rows near and far, on both walls, of all styles, on soft and hard sites."""
    rng = np.random.default_rng(seed)
    rjb = np.where(rng.random(count) < 0.3, 0.0, np.exp(rng.uniform(0, 5.7, count)))
    ztor = rng.uniform(0, 14, count)
    return pd.DataFrame(
        {
            "mag": rng.uniform(3.5, 8.0, count),
            "mechanism": rng.choice(["SS", "NM", "RV", "U"], count),
            "rjb": rjb,
            "rrup": np.hypot(rjb, ztor + rng.uniform(0, 3, count)),
            "vs30": np.exp(rng.uniform(np.log(180), np.log(1600), count)),
            "dip": rng.choice([90.0, 70.0, 45.0, 20.0], count),
            "ztor": ztor,
            "hypo_depth": ztor + rng.uniform(1, 8, count),
            "rx": rng.choice([-1.0, 1.0], count) * rng.uniform(0.1, 60, count),
            "width": rng.uniform(2, 25, count),
            "z1pt0": rng.uniform(10, 1200, count),
            "z2pt5": rng.uniform(0.1, 6, count),
            "component": "H",
        }
    )


def scalar(name: str, row, region: str):
    """pygmm's own call; a NaN is left to pygmm's default."""
    mechanism = PYGMM_MECHANISM[row.mechanism]
    known = {
        "depth_1_0": row.z1pt0 / 1000,
        "depth_2_5": row.z2pt5,
        "depth_tor": row.ztor,
        "depth_hyp": row.hypo_depth,
        "width": row.width,
    }
    on_wall = row.rx >= 0 and row.dip < 90
    scenario = Scenario(
        mag=row.mag,
        mechanism="SS" if mechanism == "U" else mechanism,
        dist_jb=row.rjb,
        dist_rup=row.rrup,
        v_s30=row.vs30,
        dip=row.dip,
        dist_x=row.rx if on_wall else -1.0,
        on_hanging_wall=on_wall,
        region=region if region != "global" or name != "CY14" else "california",
        **{key: value for key, value in known.items() if not np.isnan(value)},
    )
    return MODELS[name](scenario)


def check_against_scalars(name: str, table: pd.DataFrame, region: str) -> None:
    prediction = published(name, table, COLUMNS, region)
    models = [scalar(name, row, region) for row in table.itertuples()]
    ln_median = np.array([np.append(np.log(m.pga), m.interp_ln_spec_accels(PERIODS)) for m in models])
    if name == "CB14":  # the equations' own rule, which pygmm leaves out
        ln_median[:, [1, 3]] = np.maximum(ln_median[:, [1, 3]], ln_median[:, [0]])
    exact = [0, 1, 3, 4, 5, 6]  # at 0.065 s sigma is computed from tau and phi, not interpolated
    sigma = np.array([np.append(m.ln_std_pga, m.interp_ln_stds(PERIODS)) for m in models])
    np.testing.assert_allclose(prediction.ln_median[:, exact], ln_median[:, exact], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(prediction.sigma[:, exact], sigma[:, exact], rtol=1e-10, atol=0)
    if name != "CY14":  # pygmm's CY14 keeps only the total
        parts = np.array([[m._tau[m.INDEX_PGA], m._phi[m.INDEX_PGA]] for m in models])
        np.testing.assert_allclose(prediction.tau[:, 0], parts[:, 0], rtol=1e-10, atol=0)
        np.testing.assert_allclose(prediction.phi[:, 0], parts[:, 1], rtol=1e-10, atol=0)


@pytest.mark.filterwarnings("ignore:.*recommended limit")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("region", ["global", "japan", "italy"])
def test_equal_to_the_scalar_calls(name, region):
    check_against_scalars(name, scenarios(), region if (name, region) != ("ASK14", "italy") else "taiwan")


@pytest.mark.filterwarnings("ignore:.*recommended limit")
@pytest.mark.parametrize("name", MODELS)
def test_equal_to_the_scalar_calls_where_the_model_estimates(name):
    table = scenarios(seed=1)
    table[["ztor", "hypo_depth", "width", "z1pt0", "z2pt5"]] = np.nan
    check_against_scalars(name, table, "global")


@pytest.mark.filterwarnings("ignore:.*recommended limit")
def test_china_has_its_own_attenuation():
    table = scenarios(40)
    check_against_scalars("ASK14", table, "china")
    check_against_scalars("CY14", table, "china")
    # pygmm compares CB14's region with a list; the coefficient is in its table all the same
    table["vs30"] = 1100.0  # hard: no nonlinear site term in between
    added = cb14(table, ["SA(1.000)"], "china").ln_median - cb14(table, ["SA(1.000)"]).ln_median
    row = np.flatnonzero(CB14.PERIODS == 1.0)[0]
    rate = CB14.COEFF.dc_20ch[row] - CB14.COEFF.dc_20ca[row]
    assert rate > 0
    np.testing.assert_allclose(added[:, 0], rate * np.maximum(table["rrup"] - 80, 0), rtol=1e-9, atol=1e-12)


def test_published_variability():
    """M 5.5, R 30 km, Vs30 500 m/s; the figures of CY14 are those of its linear range."""
    table = pd.DataFrame({"mag": [5.5], "mechanism": "SS", "rjb": 30.0, "rrup": 30.0, "vs30": 500.0})
    table = table.assign(ztor=2.0, component="H")
    columns = ["PGA", "SA(0.200)", "SA(1.000)", "SA(3.000)"]
    np.testing.assert_allclose(published("BSSA14", table, columns).sigma[0], [0.605, 0.621, 0.692, 0.708], rtol=1e-3)
    np.testing.assert_allclose(published("ASK14", table, columns).sigma[0], [0.711, 0.719, 0.713, 0.706], rtol=1e-3)
    np.testing.assert_allclose(published("CB14", table, columns).sigma[0], [0.579, 0.638, 0.720, 0.713], rtol=1.5e-3)
    linear = table.assign(vs30=1130.0)
    np.testing.assert_allclose(published("CY14", linear, columns).sigma[0], [0.688, 0.757, 0.762, 0.732], rtol=1e-3)


def test_depths_of_basins_are_in_metres_and_kilometres():
    """At the mean depth of a basin nothing changes; a deeper one amplifies long periods."""
    table = scenarios(20).drop(columns=["z1pt0", "z2pt5"]).assign(vs30=350.0)
    mean = {"BSSA14": CY14, "CY14": CY14, "ASK14": ASK14}
    for name, model in mean.items():
        unknown = published(name, table, ["SA(5.000)"]).ln_median
        z1pt0 = 1000 * model.calc_depth_1_0(350.0, "california")
        same = published(name, table.assign(z1pt0=z1pt0), ["SA(5.000)"]).ln_median
        np.testing.assert_allclose(same, unknown, rtol=1e-9, atol=1e-12)
        deeper = published(name, table.assign(z1pt0=3 * z1pt0), ["SA(5.000)"]).ln_median - unknown
        assert ((deeper > 0.1) & (deeper < 1.0)).all()
    deep, unknown = cb14(table.assign(z2pt5=5.0), ["SA(5.000)"]), cb14(table, ["SA(5.000)"])
    assert ((deep.ln_median - unknown.ln_median) > 0.1).all()


@pytest.mark.filterwarnings("ignore:.*recommended limit")
def test_bssa14_basin_equals_the_scalar_call():
    table = scenarios(30)
    columns, periods = ["SA(0.500)", "SA(2.000)", "SA(10.000)"], [0.5, 2.0, 10.0]
    expected = []
    for row in table.itertuples():
        scenario = Scenario(mag=row.mag, dist_jb=row.rjb, v_s30=row.vs30, depth_1_0=row.z1pt0 / 1000)
        scenario["mechanism"] = PYGMM_MECHANISM[row.mechanism]
        expected.append(reference_gmm.BooreStewartSeyhanAtkinson2014(scenario).interp_ln_spec_accels(periods))
    np.testing.assert_allclose(bssa14(table, columns).ln_median, expected, rtol=1e-10, atol=1e-12)


def test_nothing_known_but_what_is_needed_gives_numbers():
    table = scenarios()[["mag", "mechanism", "rjb", "vs30"]]
    top = mean_ztor(table["mag"].to_numpy(), (table["mechanism"] == "RV").to_numpy())
    for model in (ask14, cb14, cy14):
        prediction = model(table, COLUMNS)
        assert np.isfinite(prediction.ln_median).all()
        assert (prediction.tau > 0).all()
        assert (prediction.phi > 0).all()
        nearest = model(table.assign(rrup=np.hypot(table["rjb"], top)), COLUMNS)
        np.testing.assert_array_equal(prediction.ln_median, nearest.ln_median)


def test_a_missing_value_is_an_absent_column_for_its_row():
    table = scenarios(40)
    for name in KNOWN:
        gaps = table.assign(**{name: table[name].where(np.arange(40) % 2 == 0)})
        for model in (ask14, cb14, cy14):
            found = model(gaps, ["SA(0.200)", "SA(3.000)"]).ln_median
            np.testing.assert_array_equal(found[::2], model(table, ["SA(0.200)", "SA(3.000)"]).ln_median[::2])
            without = model(table.drop(columns=name), ["SA(0.200)", "SA(3.000)"]).ln_median
            np.testing.assert_array_equal(found[1::2], without[1::2])


@pytest.mark.parametrize("model", [ask14, cb14, cy14])
def test_rows_that_cannot_be_predicted_are_nan(model):
    table = scenarios(10)
    table.loc[2, "vs30"] = table.loc[5, "rjb"] = table.loc[7, "mag"] = np.nan
    prediction = model(table, COLUMNS)
    missing = np.isin(np.arange(10), [2, 5, 7])
    for values in (prediction.ln_median, prediction.tau, prediction.phi):
        np.testing.assert_array_equal(np.isnan(values), np.repeat(missing[:, None], 7, axis=1))
    assert model(table.iloc[:0], COLUMNS).ln_median.shape == (0, 7)


def test_odd_geometry_gives_numbers():
    table = scenarios(4).assign(mag=[5.65, 7.0, 6.0, 7.5], ztor=[19.0, 15.0, 0.0, 0.0], dip=[0.0, 30.0, 90.0, 10.0])
    table = table.assign(rx=[0.0, 0.0, 0.0, 5.0], rjb=0.0, rrup=[19.0, 15.0, 0.0, 0.0], width=np.nan)
    for model in (ask14, cb14, cy14):
        assert np.isfinite(model(table, COLUMNS).ln_median).all()
        assert np.isfinite(model(table.drop(columns="hypo_depth"), COLUMNS).ln_median).all()


def test_the_hanging_wall_shakes_more():
    table = pd.DataFrame({"mag": [7.0], "mechanism": "RV", "rjb": 0.0, "rrup": 4.0, "vs30": 760.0, "dip": 30.0})
    table = table.assign(ztor=0.0, hypo_depth=10.0, rx=5.0)
    for model in (ask14, cb14, cy14):
        on, off = (model(table.assign(rx=rx), ["PGA"]).ln_median[0, 0] for rx in (5.0, -5.0))
        assert 0.2 < on - off < 1.5


@pytest.mark.parametrize("name", MODELS)
def test_vertical_rows_take_the_ratio(name):
    table = scenarios(20)
    both = published(name, table.assign(component=["H", "V"] * 10), COLUMNS)
    horizontal = published(name, table, COLUMNS)
    np.testing.assert_array_equal(both.ln_median[::2], horizontal.ln_median[::2])
    added = (both.ln_median - horizontal.ln_median)[1::2]
    np.testing.assert_allclose(added, vh_ratio(table.iloc[1::2], COLUMNS), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rrup": -1.0}, "column rrup, row 0"),
        ({"dip": 120.0}, "column dip, row 0"),
        ({"ztor": np.inf}, "column ztor, row 0"),
        ({"z1pt0": -999.0}, "column z1pt0, row 0"),
        ({"mechanism": "oblique"}, "column mechanism, row 0"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(InputError, match=message):
        published("CY14", scenarios(3).assign(**change), COLUMNS)


def test_an_unknown_model_is_named():
    with pytest.raises(InputError, match="model BSSA08: unknown; the published models are BSSA14, ASK14, CB14, CY14"):
        published("BSSA08", scenarios(3), COLUMNS)
