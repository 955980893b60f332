"""Statistics of residuals by hand, and the fairness of the cross-validation."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from bliqnet.config import EvaluateConfig
from bliqnet.data import Records, records_of
from bliqnet.evaluation import (
    BSSA14,
    CLASSICAL,
    KNOWN_SITES,
    OURS,
    CrossValidation,
    cross_validate,
    headline,
    residual_statistics,
    results_of,
    results_text,
    summary_line,
    summary_table,
)
from bliqnet.figures import observed_predicted, residuals_against, spread_against_period
from bliqnet.trained import Spectra
from shared import reference_gmm, synthetic

COLUMNS = ("PGA", "SA(0.200)", "SA(1.000)")


@pytest.fixture(scope="module")
def source():
    return synthetic.as_flatfile(synthetic.make_flatfile(4, n_events=30, n_rows=900, columns=COLUMNS))


@pytest.fixture(scope="module")
def records(source) -> Records:
    return records_of(source)


@pytest.fixture(scope="module")
def found(records: Records) -> CrossValidation:
    config = EvaluateConfig(members=2, epochs=2, hidden=8, head=8, folds=3)
    return cross_validate(records, config, torch.device("cpu"))


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
    table = summary_table(records, Spectra(reference.ln_median, reference.tau, reference.phi))
    np.testing.assert_allclose(table["ratio_to_bssa14"], 1.0, rtol=1e-12)
    np.testing.assert_allclose(table["event_bias"], table["bssa14_event_bias"], rtol=1e-12)
    assert "1.000 of BSSA14's" in summary_line(table, "all")


def test_every_row_is_predicted_out_of_fold_by_every_model(records, found):
    assert {split for split, _ in found.predictions} == {"event", "random"}
    for spectra in found.predictions.values():
        assert np.isfinite(spectra.ln_median).all()
        assert (spectra.sigma > 0).all()


def test_bssa14_does_not_depend_on_the_split(records, found):
    same = [found.predictions[split, BSSA14].ln_median for split in ("event", "random")]
    np.testing.assert_array_equal(*same)
    np.testing.assert_array_equal(same[0], reference_gmm.reference_median(records.table, records.columns).ln_median)


def test_an_event_has_no_part_in_its_own_prediction(records, found):
    """Other spectra of one event leave its event-grouped predictions, of BLiqNet and of site terms, as they were."""
    config = EvaluateConfig(members=2, epochs=2, hidden=8, head=8, folds=3)
    event = records.event == 0
    changed = dataclasses.replace(records, ln_sa=np.where(event[:, None], records.ln_sa + 3.0, records.ln_sa))
    again = cross_validate(changed, config, torch.device("cpu"))
    for model in (OURS, OURS + KNOWN_SITES, CLASSICAL, BSSA14 + KNOWN_SITES, "plain MLP"):
        before, after = (each.predictions["event", model].ln_median for each in (found, again))
        np.testing.assert_array_equal(before[event], after[event])
        if model != BSSA14 + KNOWN_SITES:
            assert not np.array_equal(before[~event], after[~event])


def test_table_results_and_text(source, found):
    table = found.table()
    assert len(table) == 2 * 6 * 2 * 3
    results = results_of(table, source)
    ours = table[(table["split"] == "event") & (table["model"] == OURS)]
    np.testing.assert_allclose(results["headline"]["event"][OURS]["std"], headline(ours, "std"), rtol=1e-12)
    rows = ours[(ours["period"] == 0.2) & (ours["component"] == "H")]
    np.testing.assert_allclose(headline(ours, "std"), rows["std"].iloc[0], rtol=1e-12)
    assert "event-grouped" in results_text(table)
    assert "random (leaks events)" in results_text(table)


def test_figures_show_every_model_and_say_that_data_are_synthetic(records, found):
    table = found.table()
    figure = spread_against_period(table, True)
    assert len(figure.axes) == 6
    assert "SYNTHETIC DATA" in {text.get_text() for text in figure.texts}
    names = {text.get_text() for text in figure.legends[0].get_texts()}
    assert {"BLiqNet", "plain MLP", "BSSA14", "BLiqNet (random split)"} <= names
    assert len(residuals_against(records, found.residual("event", OURS), OURS, False).axes) == 12
    spectra = Spectra(records.ln_sa.copy(), records.ln_sa, records.ln_sa)
    figure = observed_predicted(records, spectra, summary_table(records, spectra), False)
    assert "SYNTHETIC DATA" not in {text.get_text() for text in figure.texts}


def test_headline_of_a_table_without_headline_periods_is_of_all_rows():
    table = pd.DataFrame({"period": [1.0, 2.0], "component": ["V", "V"], "std": [0.5, 0.7]})
    np.testing.assert_allclose(headline(table, "std"), 0.6, rtol=1e-12)
