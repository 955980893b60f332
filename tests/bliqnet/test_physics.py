"""The check of the scaling, on models that break the rules by a known amount at a known place."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bliqnet.physics import data_region, grid_medians, physical_check, records_near, violations_map
from shared.command import InputError


def model_of(*curves):
    """A model whose ln Sa at each period is a function of the table."""

    def predict(table: pd.DataFrame) -> SimpleNamespace:
        return SimpleNamespace(ln_median=np.column_stack([curve(table) for curve in curves]))

    return SimpleNamespace(columns=["PGA", "SA(0.200)", "SA(1.000)"][: len(curves)], predict=predict)


def sound(table: pd.DataFrame) -> pd.Series:
    return 1.5 * table["mag"] - 0.5 * np.log(table["rjb"] ** 2 + 25.0) - 0.4 * np.log(table["vs30"])


def make_table(mag=(4.0, 7.0), rjb=(1.0, 200.0), count=4000) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "mag": draw.uniform(*mag, count),
            "rjb": np.exp(draw.uniform(*np.log(rjb), count)),
            "vs30": draw.uniform(200.0, 900.0, count),
            "hypo_depth": draw.uniform(2.0, 20.0, count),
            "mechanism": draw.choice(["SS", "NM", "U"], count),
            "component": draw.choice(["H", "V"], count),
        }
    )


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return make_table()


def test_a_sound_model_breaks_no_rule(table):
    found = physical_check(model_of(sound, lambda t: 2.0 * sound(t)), table)
    assert list(found["rule"]) == ["rjb", "rjb", "mag", "mag"]
    assert list(found["period"]) == [0.0, 0.2, 0.0, 0.2]
    assert (found["violating"] == 0.0).all()
    assert (found["largest"] == 0.0).all()
    assert (found["steps"] > 1000).all()


def test_a_rise_with_distance_is_found_where_it_is_and_summed_up(table):
    def rising(t):  # from its least at 50 km on; only under soft sites, only normal, only vertical
        bad = (t["vs30"] < 300.0) & (t["mechanism"] == "NM") & (t["component"] == "V")
        return 1.5 * t["mag"] + np.where(bad, np.abs(np.log(t["rjb"] / 50.0)), -np.log(t["rjb"]))

    found = physical_check(model_of(sound, rising), table)
    assert (found["violating"][[0, 2, 3]] == 0.0).all()
    worst = found.loc[1]
    grid = data_region(table)
    beyond = grid.rjb[grid.rjb >= 50.0]
    reached = np.abs(np.log(beyond[-1] / 50.0)) - np.abs(np.log(grid.rjb / 50.0)).min()
    np.testing.assert_allclose(worst["largest"], reached, rtol=1e-6)
    assert (worst["mechanism"], worst["component"]) == ("NM", "V")
    assert worst["vs30"] == pytest.approx(table["vs30"].quantile(0.05), rel=1e-12)
    assert worst["rjb"] == pytest.approx(table["rjb"].max(), rel=1e-12)
    # 1 of 3 Vs30 x 3 depths x 2 styles x 2 components, on the part of the steps beyond 50 km
    compared = grid.inside[:, 1:] & grid.inside[:, :-1]
    rises = np.diff(np.abs(np.log(grid.rjb / 50.0))) > 0.0
    np.testing.assert_allclose(worst["violating"], compared[:, rises].sum() / compared.sum() / 12.0, rtol=1e-12)


def test_a_fall_with_magnitude_is_found(table):
    found = physical_check(model_of(lambda t: (t["mag"] - 5.0) ** 2 - np.log(t["rjb"])), table)
    worst = found.set_index("rule").loc["mag"]
    lowest = data_region(table).mag[0]
    np.testing.assert_allclose(worst["largest"], (lowest - 5.0) ** 2, rtol=1e-6)
    assert worst["mag"] == pytest.approx(5.0)
    assert 0.2 < worst["violating"] < 0.45  # one of three magnitude units
    assert found.set_index("rule").loc["rjb", "violating"] == 0.0


def test_single_precision_is_no_violation(table):
    noise = np.random.default_rng(1)
    flat = model_of(lambda t: noise.normal(0.0, 2e-5, len(t)))
    assert (physical_check(flat, table)["violating"] < 0.001).all()


def test_nothing_is_compared_without_records():
    # two clouds of records: beyond 100 km only large events, near only small ones; the model errs between the two
    clouds = [make_table((3.0, 4.0), (1.0, 20.0)), make_table((6.0, 7.0), (100.0, 300.0))]
    table = pd.concat(clouds, ignore_index=True)
    grid = data_region(table)
    assert not grid.inside[np.abs(grid.mag - 5.0) < 0.5].any()
    between = model_of(lambda t: np.where((t["mag"] > 4.5) & (t["mag"] < 5.5), -9.0, 0.0) + 0.1 * t["mag"] - t["rjb"])
    assert (physical_check(between, table)["largest"] == 0.0).all()


def test_near_means_magnitude_and_distance_and_five_records():
    table = pd.DataFrame({"mag": [5.0] * 5 + [6.0] * 4, "rjb": [10.0] * 5 + [0.0] * 4})
    mag, rjb = [5.0, 5.25, 5.3, 5.0, 5.0, 6.0], [10.0, 14.0, 10.0, 15.2, 6.5, 1.0]
    np.testing.assert_array_equal(records_near(table, mag, rjb), [True, True, False, False, False, False])
    table.loc[9] = [6.1, 1.3]
    np.testing.assert_array_equal(records_near(table, mag, rjb)[-1:], [True])


def test_too_few_rows_are_refused():
    with pytest.raises(InputError, match="4 rows: too few"):
        data_region(make_table(count=4))


def test_the_map_adds_up_to_the_check(table):
    model = model_of(sound, lambda t: (t["mag"] - 5.0) ** 2 - np.log(t["rjb"]))
    found = physical_check(model, table).groupby("rule")["violating"].mean()
    for rule, (grid, share) in violations_map(model, table).items():
        assert share.shape == (len(grid.mag), len(grid.rjb))
        np.testing.assert_allclose(np.nanmean(share), found[rule], rtol=1e-12)
    assert np.isnan(share[0]).all()  # no step leads to the smallest magnitude


def test_all_styles_components_and_settings_are_asked(table):
    grid = data_region(table)
    settings, ln_median = grid_medians(model_of(sound), table, grid)
    assert len(settings) == 3 * 3 * 2 * 2
    assert set(settings["mechanism"]) == {"SS", "NM"}
    row = settings.iloc[7].to_dict() | {"mag": grid.mag[3], "rjb": grid.rjb[11]}
    np.testing.assert_allclose(ln_median[7, 3, 11, 0], sound(pd.DataFrame([row]))[0], rtol=1e-12)
    unknown = table.assign(mechanism="U")
    assert set(grid_medians(model_of(sound), unknown, grid).settings["mechanism"]) == {"U"}
