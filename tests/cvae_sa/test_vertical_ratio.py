"""V/H: which recordings have both, and what is left of their ratio."""

import numpy as np
import pytest

from cvae_sa import vertical_ratio
from cvae_sa.vertical_ratio import GA11
from shared import reference_gmm


def test_twins_are_recordings_with_one_row_of_each(records):
    dropped = records.rows(np.arange(1, len(records)))  # the first row has lost its twin
    twins = vertical_ratio.twins_of(dropped, {})
    assert len(twins.table) == len(records) // 2 - 1
    assert set(twins.table["component"]) == {"H"}
    again = dropped.table.merge(twins.table[["event_id", "station_id"]], on=["event_id", "station_id"])
    assert len(again) == 2 * len(twins.table)


def test_ratio_of_a_model_is_what_remains_of_the_observed(records):
    right = np.nan_to_num(records.ln_sa)
    high = right + 0.3 * (records.table["component"] == "V").to_numpy()[:, None]
    twins = vertical_ratio.twins_of(records, {"right": right, "high": high})
    table = vertical_ratio.ratio_table(twins, records.columns).set_index("model")
    assert table.loc["right", "bias"].abs().max() < 1e-6
    np.testing.assert_allclose(table.loc["high", "bias"], -0.3, rtol=1e-5)
    assert table.loc["high", "std"].max() < 1e-5
    np.testing.assert_allclose(twins.predicted[GA11], reference_gmm.vh_ratio(twins.table, records.columns), rtol=1e-12)
    of = twins.observed - twins.predicted[GA11]
    assert table.loc[GA11, "rms"].iloc[0] == pytest.approx(np.sqrt(np.nanmean(of[:, 0] ** 2)), rel=1e-5)


def test_horizontal_records_alone_have_no_ratio(records):
    horizontal = np.flatnonzero(records.table["component"] == "H")
    assert vertical_ratio.twins_of(records.rows(horizontal), {}) is None
