import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.command import InputError
from shared.flatfile_convert import floats, mechanism_of, numbers, wrap_rake


def test_mechanism_classes_of_boore_et_al():
    rakes = [0, 30, -30, 150, 180, -180, 31, 90, 149, -31, -90, -149, 270, -270, np.nan]
    expected = ["SS"] * 6 + ["RV"] * 3 + ["NM"] * 3 + ["NM", "RV", "U"]
    assert list(mechanism_of(np.array(rakes))) == expected


@given(st.integers(-179, 179))
def test_a_full_turn_changes_nothing(rake):
    turned = np.array([rake + 360.0 if rake < 0 else rake - 360.0])
    np.testing.assert_allclose(wrap_rake(turned), [rake], rtol=0, atol=0)
    assert mechanism_of(turned)[0] == mechanism_of(np.array([rake]))[0]


@pytest.mark.parametrize("cells", [[True, False], [1.5, True], ["True", 1.5]])
def test_true_is_no_number(cells):  # pandas would count it as 1
    with pytest.raises(InputError, match=r"row [23], column 'mag': 'true' is not a number"):
        numbers(pd.Series(cells, index=[2, 3]), "mag", "a.csv")


def test_a_date_is_no_number():
    dates = pd.Series(pd.to_datetime(["2020-01-31", None]), index=[2, 3])
    assert np.isnan(floats(dates)).all()
    with pytest.raises(InputError, match=r"row 2, column 'mag': '2020-01-31.*' is not a number"):
        numbers(dates, "mag", "a.parquet")


def test_a_whole_number_of_any_length_is_a_float_or_infinite():
    found = floats(pd.Series([int("9" * 400), 7, "8.5", "x", None], dtype=object))
    np.testing.assert_array_equal(found, [np.inf, 7.0, 8.5, np.nan, np.nan])
    assert floats(pd.Series([int("9" * 400)], dtype=object))[0] == np.inf
