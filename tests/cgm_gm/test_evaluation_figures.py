"""The figures of the evaluation hold what they were given, with units on their axes, whatever is missing."""

import numpy as np
import pandas as pd
import pytest

from cgm_gm import evaluation_figures, simulation
from cgm_gm.arrivals import Onsets


@pytest.fixture(scope="module")
def unseen():
    return simulation.simulate(seed=3, n_events=12, n_stations=20, n_records=30)[0]


def labels_of(figure):
    drawn = [axis for axis in figure.axes if axis.get_visible() and axis.has_data()]
    return {axis.get_ylabel() for axis in drawn} | {axis.get_xlabel() for axis in drawn}


def test_records_near_to_far(unseen):
    found = evaluation_figures.near_to_far(unseen.table, 4)
    assert len(set(found)) == 4 and (np.diff(unseen.table["rhyp"].to_numpy()[found]) >= 0).all()
    assert unseen.table["mag"].to_numpy()[found].min() >= np.sort(unseen.table["mag"])[-6]


def test_records_side_by_side(unseen):
    figure = evaluation_figures.spectrograms(unseen, unseen.waveforms[::-1], 2)
    assert {"velocity\n(m/s)", "frequency (Hz)", "time (s)", "log10 power ((m/s)²)"} <= labels_of(figure)
    assert "SYNTHETIC DATA" in [text.get_text() for text in figure.texts]
    figure = evaluation_figures.spectra(unseen, np.stack([unseen.waveforms, 2.0 * unseen.waveforms], axis=1), 2)
    line = figure.axes[0].lines
    np.testing.assert_allclose(line[0].get_ydata() / line[1].get_ydata(), 1.5, rtol=1e-5)  # median of 1 and 2 times
    assert "Fourier amplitude (m)" in labels_of(figure)


def test_arrivals_and_durations_with_gaps(unseen):
    table = unseen.table
    expected = Onsets(table["p_arrival"].to_numpy(), table["s_arrival"].to_numpy())
    late, none = Onsets(expected.p + 0.3, expected.s - 0.2), Onsets(*np.full((2, len(table)), np.nan))
    figure = evaluation_figures.arrivals(late, late, expected, table["rhyp"].to_numpy(), True)
    said = [text.get_text() for text in figure.axes[2].get_legend().get_texts()]
    assert said == ["P: median |error| 0.30 s", "S: median |error| 0.20 s"]
    figure = evaluation_figures.arrivals(late, none, expected, table["rhyp"].to_numpy(), False)
    assert [text.get_text() for text in figure.axes[2].get_legend().get_texts()] == ["P: none", "S: none"]
    times = pd.DataFrame({"d5_75": table["rhyp"] / 10.0, "d5_95": table["rhyp"] / 5.0})
    figure = evaluation_figures.durations(times, times.assign(d5_75=np.nan), table["rhyp"].to_numpy(), False)
    assert "hypocentral distance (km)" in labels_of(figure) and not figure.texts


def test_models_by_their_residuals(unseen):
    generator = np.random.default_rng(0)
    by_model = {"one": generator.standard_normal((30, 2)), "two": np.full((30, 2), np.nan)}
    figure = evaluation_figures.residuals(by_model, unseen.table, ("2 Hz", "5 Hz"), True)
    assert {"ln residual\n2 Hz", "ln residual\n5 Hz", "magnitude"} <= labels_of(figure)
    table = pd.DataFrame({"model": ["one", "one", "two", "two"], "measure": [2.0, 5.0] * 2})
    table = table.assign(deviation=[0.4, 0.5, 0.6, 0.7], tau=0.2, phi_s2s=np.nan, phi_ss=0.3)
    figure = evaluation_figures.deviations(table, True)
    assert [bar.get_height() for bar in figure.axes[0].patches] == [0.4, 0.5, 0.6, 0.7]


def test_planes():
    places = pd.DataFrame(np.random.default_rng(0).random((8, 4)), columns=["pca_1", "pca_2", "tsne_1", "tsne_2"])
    figure = evaluation_figures.planes(places.assign(kind=["observed", "generated"] * 4), True)
    assert [len(line.get_xdata()) for axis in figure.axes for line in axis.lines] == [4] * 4


def test_ranks_and_deviations_of_samples():
    random = np.random.default_rng(0)
    observed, sampled = random.normal(size=(400, 2)), random.normal(size=(400, 20, 2))
    spread = pd.DataFrame({"measure": [2.0, 5.0], "observed_sigma": [0.4, 0.5], "sampled_sigma": [0.3, 0.6]})
    figure = evaluation_figures.coverage(spread, observed, sampled, True)
    ranks, bars = figure.axes
    for drawn in ranks.patches:
        values = drawn.get_data().values
        assert abs(values.mean() - 1.0) < 1e-9 and values.std() < 0.3
    assert [bar.get_height() for bar in bars.patches] == [0.4, 0.5, 0.3, 0.6]
    assert "deviation (ln units)" in labels_of(figure)


def test_large_residuals_stay_in_sight(unseen):
    figure = evaluation_figures.residuals({"one": np.full((30, 1), 3.0)}, unseen.table, ("2 Hz",), False)
    assert figure.axes[0].get_ylim()[1] > 3.0
