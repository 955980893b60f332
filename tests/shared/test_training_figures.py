"""Curves show what was logged, points lie where observed and predicted are, and real records are not synthetic."""

import numpy as np
import pandas as pd
import pytest

from shared import flatfile, reference_gmm, synthetic
from shared.reference_gmm import Prediction
from shared.summaries import summary_table
from shared.training_figures import loss_curves, observed_predicted, scenario_spectra

COLUMNS = ["PGA", "SA(0.200)", "SA(1.000)"]


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    return synthetic.make_flatfile(4, n_events=30, n_rows=600, columns=COLUMNS).table


def is_marked(figure) -> bool:
    return "SYNTHETIC DATA" in {text.get_text() for text in figure.texts}


def test_loss_curves_are_the_logged_losses():
    metrics = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [3.0, 2.0, 1.0], "validation_loss": [3.0, 2.5, 2.6]})
    metrics["best_validation_loss"] = metrics["validation_loss"].cummin()
    figure = loss_curves(metrics, "negative ELBO (nats a record)", True)
    axis = figure.axes[0]
    assert axis.get_ylabel() == "negative ELBO (nats a record)"
    names = ("train_loss", "validation_loss", "best_validation_loss")
    for line, name in zip(axis.get_lines(), names, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), metrics[["epoch", name]])
    assert is_marked(figure)
    assert not is_marked(loss_curves(metrics, "loss", False))


def test_observed_stand_against_predicted(records):
    ln_sa = flatfile.ln_sa(records, COLUMNS)
    prediction = reference_gmm.reference_median(records, COLUMNS)
    summary = summary_table(records, ln_sa, COLUMNS, prediction)
    figure = observed_predicted(records, ln_sa, COLUMNS, prediction, summary, False)
    assert not is_marked(figure)
    assert is_marked(observed_predicted(records, ln_sa, COLUMNS, prediction, summary, True))
    shown = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in shown] == ["PGA", "0.2 s", "1 s"]
    rows = (records["component"] == "H").to_numpy()
    points = next(line for line in shown[1].get_lines() if line.get_label() == "H").get_xydata()
    wanted = np.exp(np.column_stack([prediction.ln_median[rows, 1], ln_sa[rows, 1]]))
    np.testing.assert_allclose(points, wanted, rtol=1e-12)


def test_scenario_spectra_have_a_line_a_magnitude_and_an_axis_a_distance():
    scenarios = pd.DataFrame({"mag": [5.0, 6.0, 7.0] * 2, "rjb": [10.0] * 3 + [50.0] * 3})
    ln_median = np.arange(18.0).reshape(6, 3) / 10.0
    figure = scenario_spectra(scenarios, COLUMNS, Prediction(ln_median, ln_median * 0 + 0.3, ln_median * 0 + 0.4), True)
    assert [axis.get_title() for axis in figure.axes] == ["Rjb 10 km", "Rjb 50 km"]
    lines = figure.axes[1].get_lines()
    assert [line.get_label() for line in lines] == ["M 5", "M 6", "M 7"]
    np.testing.assert_allclose(lines[2].get_ydata(), np.exp(ln_median[5, 1:]), rtol=1e-12)  # PGA has no period
    low, high = figure.axes[1].collections[2].get_paths()[0].get_extents().intervaly
    np.testing.assert_allclose([low, high], np.exp([ln_median[5, 1] - 0.5, ln_median[5, 2] + 0.5]), rtol=1e-9)
