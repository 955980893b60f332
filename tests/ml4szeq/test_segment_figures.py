import numpy as np
import pandas as pd
import pytest

from ml4szeq.segment_figures import along_trench
from shared import runs


@pytest.fixture
def table() -> pd.DataFrame:
    along = 25.0 + 50.0 * np.arange(6)
    return pd.DataFrame(
        {
            "region": "sam",
            "segment": np.arange(6),
            "along_km": along,
            "SED_AVE": along,
            "SED_STD": 5.0,
            "DXT_200": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0],
            "DXT_400": np.nan,
            "CRD_UP_AVE": 2e-6,
            "MINE_DG_AVE": 3.0,
            "MINE_UP_AVE": 4.0,
            "MR_GCMT": [1.0, 6.0, 8.5, 8.5, np.nan, 7.9],
        }
    )


def test_panels_and_what_they_show(table: pd.DataFrame, tmp_path):
    figure = along_trench(table, synthetic=True)
    axes = figure.axes
    labels = [each.get_ylabel() for each in axes]
    assert labels == ["largest Mw", "sediment\n(m)", "slab depth\n(km)", "curvature\n(1/Mm)", "MINE"]
    np.testing.assert_allclose(axes[1].lines[0].get_xydata()[:, 0], table["along_km"] / 1000.0, rtol=1e-12)
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), table["SED_AVE"], rtol=1e-12)
    assert len(axes[1].collections) == 1  # the band of one standard deviation
    assert len(axes[2].lines) == 1  # DXT_400 is empty
    np.testing.assert_allclose(axes[3].lines[0].get_ydata(), 2.0, rtol=1e-12)
    assert [each.get_text() for each in axes[4].get_legend().get_texts()] == ["MINE_DG", "MINE_UP"]
    names = [each.get_text() for each in axes[0].get_legend().get_texts()]
    assert names == ["Mw < 8", "Mw ≥ 8", "no event"]
    marks = {each.get_label(): each.get_ydata() for each in axes[0].lines}
    np.testing.assert_array_equal(marks["Mw ≥ 8"], [8.5, 8.5])
    np.testing.assert_array_equal(marks["Mw < 8"], [6.0, 7.9])
    assert axes[0].get_ylim()[0] < marks["no event"][0] < 6.0
    assert all(len(each.patches) == 2 for each in axes)  # shades of the two great segments
    assert axes[-1].get_xlabel() == "distance along the trench (1000 km)"
    assert figure.get_suptitle() == "South America"
    assert [each.get_text() for each in figure.texts if "SYNTHETIC" in each.get_text()] == ["SYNTHETIC DATA"]
    runs.write_figure(tmp_path / "a.png", figure)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_without_labels_and_without_features(table: pd.DataFrame):
    figure = along_trench(table.drop(columns="MR_GCMT").assign(region="mine"))
    assert figure.axes[0].get_ylabel() == "sediment\n(m)"
    assert all(len(each.patches) == 0 for each in figure.axes)
    assert figure.get_suptitle() == "mine"
    assert not [each for each in figure.texts if "SYNTHETIC" in each.get_text()]
    bare = along_trench(table[["region", "segment", "along_km", "MR_GCMT"]].head(1).assign(MR_GCMT=8.0))
    assert [each.get_ylabel() for each in bare.axes] == ["largest Mw"]
