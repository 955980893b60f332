"""What is taken for the unknown, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from shared.command import InputError
from shared.nga_west2 import mean_ztor
from shared.scenarios import predictors, scenarios_of

STYLES = ["SS", "NM", "RV", "U"]


def table(count: int = 60) -> pd.DataFrame:
    """Rows of which the rupture is known by its hypocentre alone."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "mag": rng.uniform(3.5, 7.8, count),
            "mechanism": rng.choice(STYLES, count),
            "rjb": rng.uniform(0, 100, count),
            "vs30": rng.uniform(200, 1200, count),
            "hypo_depth": rng.uniform(1, 20, count),
        }
    )


def test_an_unknown_rupture_is_taken_from_the_hypocentre():
    """Kaklamanos et al. (2011): the hypocentre 60 % down the width of Wells and Coppersmith (1994)."""
    rows = table()
    found, _ = scenarios_of(rows)
    dip = rows["mechanism"].map({"SS": 90.0, "U": 90.0, "NM": 50.0, "RV": 40.0})
    a = rows["mechanism"].map({"SS": -0.76, "U": -1.01, "NM": -1.14, "RV": -1.61})
    b = rows["mechanism"].map({"SS": 0.27, "U": 0.32, "NM": 0.35, "RV": 0.41})
    above = 0.6 * 10 ** (a + b * rows["mag"]) * np.sin(np.radians(dip))
    ztor = (rows["hypo_depth"] - above).clip(lower=0.0)
    assert (ztor > 0).any()
    assert (ztor == 0).any()
    np.testing.assert_allclose(found.dip[:, 0], dip, rtol=1e-14)
    np.testing.assert_allclose(found.ztor[:, 0], ztor, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.rrup[:, 0], np.hypot(rows["rjb"], ztor), rtol=1e-12)
    assert np.isnan(np.hstack([found.rx, found.width, found.z1, found.z25])).all()
    assert not found.hanging_wall.any()


def test_without_a_hypocentre_the_top_is_the_mean_one():
    rows = table().drop(columns="hypo_depth")
    found, _ = scenarios_of(rows)
    assert np.isnan(found.ztor).all()  # each model has its own mean
    top = mean_ztor(rows["mag"].to_numpy(), (rows["mechanism"] == "RV").to_numpy())
    np.testing.assert_allclose(found.rrup[:, 0], np.hypot(rows["rjb"], top), rtol=1e-12)


def test_what_is_known_is_kept_in_kilometres():
    known = {"rrup": 50.0, "ztor": 3.0, "dip": 60.0, "rx": -4.0, "width": 11.0, "z2pt5": 2.0}
    found, complete = scenarios_of(table().assign(**known, z1pt0=300.0))
    assert complete.all()
    for name, value in {**known, "z1": 0.3, "z25": 2.0}.items():
        if name != "z2pt5":
            np.testing.assert_allclose(getattr(found, name), value, rtol=1e-14)


def test_rows_without_the_needed_are_left_out():
    rows = table(6)
    rows.loc[1, "mag"] = rows.loc[4, "vs30"] = np.nan
    found, complete = scenarios_of(rows)
    np.testing.assert_array_equal(complete, [True, False, True, True, False, True])
    np.testing.assert_array_equal(found.mag[:, 0], rows["mag"][complete])
    assert scenarios_of(rows.iloc[:0])[0].mag.shape == (0, 1)


def test_bad_columns_are_named():
    with pytest.raises(InputError, match="column vs30, row 2: 0 is impossible"):
        predictors(table(4).assign(vs30=[300.0, 300.0, 0.0, 300.0]), "vs30")
    with pytest.raises(InputError, match="column repi: absent"):
        predictors(table(4), "repi")
    with pytest.raises(InputError, match="column mechanism, row 0: 'X' is none of SS, NM, RV, U"):
        scenarios_of(table(4).assign(mechanism="X"))
