import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.flatfile_convert import mechanism_of, wrap_rake


def test_mechanism_classes_of_boore_et_al():
    rakes = [0, 30, -30, 150, 180, -180, 31, 90, 149, -31, -90, -149, 270, -270, np.nan]
    expected = ["SS"] * 6 + ["RV"] * 3 + ["NM"] * 3 + ["NM", "RV", "U"]
    assert list(mechanism_of(np.array(rakes))) == expected


@given(st.integers(-179, 179))
def test_a_full_turn_changes_nothing(rake):
    turned = np.array([rake + 360.0 if rake < 0 else rake - 360.0])
    np.testing.assert_allclose(wrap_rake(turned), [rake], rtol=0, atol=0)
    assert mechanism_of(turned)[0] == mechanism_of(np.array([rake]))[0]
