import math

import numpy as np
import pandas as pd
import pytest

from ml4szeq.views import Views, feature_of, within

NAN = math.nan
TABLE = pd.DataFrame(
    {
        "region": ["b", "a", "a", "b", "a"],
        "along_km": [0.0, 100.0, 0.0, 150.0, 50.0],
        "AGE": [5.0, 3.0, 1.0, NAN, 2.0],
        "FLAT": [0.1, 0.1, 0.1, 0.1, 0.1],
    }
)


def derived(features: tuple[str, ...] = ("AGE",), **options) -> list[list[float]]:
    return Views(**({"plain": False} | options)).derived(TABLE, features).T.tolist()


def test_plain():
    np.testing.assert_array_equal(derived(("FLAT", "AGE"), plain=True)[1], TABLE["AGE"])


def test_against_the_region_by_hand():
    third = math.sqrt(2.0 / 3.0)  # standard deviation of 1, 2, 3
    found = derived(relative=True)[0]
    np.testing.assert_allclose(found, [0.0, 1.0 / third, -1.0 / third, NAN, 0.0], rtol=1e-12)


def test_a_feature_that_does_not_vary_in_a_region_is_0_against_it():
    """Though the mean of three times 0.1 is not 0.1 to the last digit."""
    assert derived(("FLAT",), relative=True) == [[0.0] * 5]


@pytest.mark.parametrize(
    ("reach", "expected"),
    [
        (50.0, [5.0, 2.5, 1.5, NAN, 2.0]),  # the edge itself counts
        (49.9, [5.0, 3.0, 1.0, NAN, 2.0]),
        (150.0, [5.0, 2.0, 2.0, 5.0, 2.0]),  # what is missing counts nothing; another region never counts
    ],
)
def test_means_along_the_trench_by_hand(reach: float, expected: list[float]):
    np.testing.assert_allclose(derived(smooth=reach)[0], expected, rtol=1e-12)


def test_means_of_regions_by_hand():
    np.testing.assert_allclose(derived(region_mean=True)[0], [5.0, 2.0, 2.0, 5.0, 2.0], rtol=1e-12)


def test_a_feature_missing_in_all_of_a_region_is_missing():
    table = TABLE.assign(AGE=[NAN, 3.0, 1.0, NAN, 2.0])
    found = Views(relative=True, smooth=200.0, region_mean=True).derived(table, ("AGE",))
    assert (np.isnan(found).all(axis=1) == (table["region"] == "b")).all()
    assert np.isfinite(found[table["region"] == "a"]).all()


def test_names_are_in_the_order_of_columns_and_know_their_feature():
    views, features = Views(relative=True, smooth=200.0, region_mean=True), ("AGE", "FLAT")
    names = views.names(features)
    assert names == ("AGE", "FLAT", "AGE@region", "FLAT@region", "AGE~200", "FLAT~200", "AGE@mean", "FLAT@mean")
    assert [feature_of(name) for name in names] == ["AGE", "FLAT"] * 4
    assert views.derived(TABLE, features).shape == (5, 8)


def test_the_order_of_rows_does_not_matter():
    views = Views(relative=True, smooth=60.0, region_mean=True)
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(
        views.derived(TABLE.iloc[order], ("AGE",)), views.derived(TABLE, ("AGE",))[order], rtol=1e-12
    )


def test_labels_are_not_looked_at():
    table = TABLE.assign(MR_GCMT=[8.0, 9.0, 1.0, 5.0, 7.0])
    views = Views(relative=True, smooth=60.0, region_mean=True)
    np.testing.assert_array_equal(views.derived(table, ("AGE",)), views.derived(TABLE, ("AGE",)))


def test_weights_of_a_mean_along_the_trench():
    weight = within(TABLE, 50.0)
    np.testing.assert_allclose(weight.sum(axis=1), 1.0, rtol=1e-12)
    known = TABLE.assign(AGE=[5.0, 3.0, 1.0, 7.0, 2.0])
    np.testing.assert_allclose(
        weight @ known["AGE"], Views(plain=False, smooth=50.0).derived(known, ("AGE",))[:, 0], rtol=1e-12
    )
