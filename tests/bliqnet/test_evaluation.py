"""Statistics of residuals by hand, and the headline of a table."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from bliqnet.data import Records, records_of
from bliqnet.evaluation import (
    headline,
    headline_table,
    headlines,
    residual_statistics,
    results_text,
    summary_line,
    summary_table,
)
from bliqnet.figures import observed_predicted
from shared import reference_gmm, synthetic
from shared.reference_gmm import Prediction

COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")


@pytest.fixture(scope="module")
def records() -> Records:
    return records_of(synthetic.as_flatfile(synthetic.make_flatfile(4, n_events=30, n_rows=600, columns=COLUMNS)))


def test_statistics_by_hand(records):
    part = records.rows(np.arange(6))
    part = dataclasses.replace(part, event=np.array([0, 0, 0, 0, 1, 1]), ln_sa=np.zeros((6, 3), np.float32))
    part.ln_sa[:, 0] = [0, 1, 2, 3, 4, 5]
    part.ln_sa[0, 1] = np.nan
    residual = np.tile(np.array([1.0, 1.0, 1.0, 1.0, 4.0, 6.0])[:, None], 3)
    residual[0, 1] = np.nan
    table = residual_statistics(residual, part, np.full(6, True), reference=2.0 * residual, sigma=np.full((6, 3), 2.0))
    assert list(table["n"]) == [6, 5, 6]
    np.testing.assert_allclose(table["ratio_to_bssa14"], 0.5, rtol=1e-12)
    np.testing.assert_allclose(table["bias"], [14 / 6, 13 / 5, 14 / 6], rtol=1e-12)
    np.testing.assert_allclose(table["event_bias"], [3.0, 3.0, 3.0], rtol=1e-12)
    np.testing.assert_allclose(table["std"][0], np.std([1, 1, 1, 1, 4, 6]), rtol=1e-12)
    np.testing.assert_allclose(table["z_std"], table["std"] / 2.0, rtol=1e-12)
    np.testing.assert_allclose(table["r2"][0], 1.0 - 56.0 / 17.5, rtol=1e-12)


def test_bssa14_is_its_own_measure(records):
    reference = reference_gmm.reference_median(records.table, records.columns)
    table = summary_table(records, reference)
    np.testing.assert_allclose(table["ratio_to_bssa14"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(table["event_bias"], table["bssa14_event_bias"], rtol=1e-12)
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


def test_figure_of_real_records_does_not_call_them_synthetic(records):
    spectra = Prediction(records.ln_sa.copy(), records.ln_sa, records.ln_sa)
    for synthetic_data in (True, False):
        figure = observed_predicted(records, spectra, summary_table(records, spectra), synthetic_data)
        assert ("SYNTHETIC DATA" in {text.get_text() for text in figure.texts}) == synthetic_data
