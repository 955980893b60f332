"""Statistics of residuals by hand, and the headline of a table."""

import numpy as np
import pandas as pd
import pytest

from shared import flatfile, reference_gmm, synthetic
from shared.summaries import (
    headline,
    headline_table,
    headlines,
    residual_statistics,
    results_text,
    summary_line,
    summary_table,
)

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]


def test_statistics_by_hand():
    event, ln_sa = np.array(["a", "a", "a", "a", "b", "b"]), np.zeros((6, 3))
    ln_sa[:, 0] = [0, 1, 2, 3, 4, 5]
    ln_sa[0, 1] = np.nan
    residual = np.tile(np.array([1.0, 1.0, 1.0, 1.0, 4.0, 6.0])[:, None], 3)
    residual[0, 1] = np.nan
    sigma = np.full((6, 3), 2.0)
    table = residual_statistics(residual, ln_sa, event, COLUMNS, reference=2.0 * residual, sigma=sigma)
    assert list(table["n"]) == [6, 5, 6]
    np.testing.assert_allclose(table["ratio_to_bssa14"], 0.5, rtol=1e-12)
    np.testing.assert_allclose(table["bias"], [14 / 6, 13 / 5, 14 / 6], rtol=1e-12)
    np.testing.assert_allclose(table["event_bias"], [3.0, 3.0, 3.0], rtol=1e-12)
    np.testing.assert_allclose(table["std"][0], np.std([1, 1, 1, 1, 4, 6]), rtol=1e-12)
    np.testing.assert_allclose(table["z_std"], table["std"] / 2.0, rtol=1e-12)
    np.testing.assert_allclose(table["r2"][0], 1.0 - 56.0 / 17.5, rtol=1e-12)


def test_bssa14_is_its_own_measure():
    records = synthetic.make_flatfile(4, n_events=30, n_rows=600, columns=COLUMNS).table
    ln_sa, reference = flatfile.ln_sa(records, COLUMNS), reference_gmm.reference_median(records, COLUMNS)
    table = summary_table(records, ln_sa, COLUMNS, reference)
    assert set(table["component"]) == {"H", "V"}
    np.testing.assert_allclose(table["ratio_to_bssa14"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(table["event_bias"], table["bssa14_event_bias"], rtol=1e-12)
    rows = records["component"] == "V"
    residual = (ln_sa - reference.ln_median)[rows]
    vertical = table[table["component"] == "V"]
    np.testing.assert_allclose(vertical["bias"], np.nanmean(residual, axis=0), rtol=1e-9)
    np.testing.assert_allclose(vertical["z_std"], np.nanstd(residual / reference.sigma[rows], axis=0), rtol=1e-9)
    assert "1.000 of BSSA14's" in summary_line(table, "all")


def test_headline_of_a_table_without_headline_periods_is_of_all_rows():
    table = pd.DataFrame({"period": [1.0, 2.0], "component": ["V", "V"], "std": [0.5, 0.7]})
    np.testing.assert_allclose(headline(table, "std"), 0.6, rtol=1e-12)


def test_headlines_say_which_split_leaks():
    """Two splits of two models; only H at the headline period 0.2 s counts."""
    rows = [
        {"split": split, "model": model, "component": component, "period": period, "std": std + (period == 1.0)}
        for split, model, std in (("event", "a", 0.5), ("event", "b", 0.6), ("random", "a", 0.4))
        for component in ("H", "V")
        for period in (0.2, 1.0)
    ]
    table = pd.DataFrame(rows).assign(ratio_to_bssa14=0.9, r2=0.8, event_bias=[-0.3, 0.1] * 6)
    found = headlines(table)
    assert found["event"]["b"] == {
        "ratio_to_bssa14": pytest.approx(0.9, rel=1e-12),
        "std": pytest.approx(0.6, rel=1e-12),
        "r2": pytest.approx(0.8, rel=1e-12),
        "largest_event_bias": pytest.approx(0.3, rel=1e-12),
    }
    shown = headline_table(table)
    assert list(shown["split"]) == ["event-grouped", "event-grouped", "random (leaks events)"]
    np.testing.assert_allclose(shown["std"], [0.5, 0.6, 0.4], rtol=1e-12)
    assert "random (leaks events)" in results_text(table)
    assert "means over H at 0.2 s" in results_text(table)
