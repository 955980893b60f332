"""Figures of a decomposition: which are drawn, what is in them, and what is said about those that are not."""

import numpy as np
import pandas as pd
import pytest

from shared import residual_figures
from shared.plotting import COLOURS
from shared.reference_gmm import baker_jayaram_2008
from shared.residual_tables import ResidualTable, decompose_each
from shared.scores import interperiod_correlation

COLUMNS = ["PGA", "SA(0.100)", "SA(0.200)", "SA(1.000)", "SA(3.000)"]


def make(columns=COLUMNS, *, site: bool = True, synthetic: bool = False) -> ResidualTable:
    generator = np.random.default_rng(0)
    n, p = 240, len(columns)
    event, station = generator.integers(0, 30, n), generator.integers(0, 50, n)
    residual = 0.4 * generator.normal(size=(30, p))[event] + 0.3 * generator.normal(size=(50, p))[station]
    residual += 0.5 * generator.normal(size=(n, p))
    table = pd.DataFrame(
        {
            "row": np.arange(2, n + 2),
            "event_id": [f"e{k:02}" for k in event],
            "station_id": [f"s{k:02}" for k in station],
            "mag": 5.0 + event / 10,
            "hypo_depth": 8.0 + event % 7,
            "vs30": 200.0 + 10.0 * station,
            "rjb": 200 * generator.random(n),
        }
    )
    table = table if site else table.drop(columns="station_id")
    return ResidualTable(None, table, list(columns), residual, None, (), synthetic)


def drawn(residuals: ResidualTable, intervals: str = "none"):
    return residual_figures.figures(residuals, decompose_each(residuals, method="REML", intervals=intervals, level=0.9))


@pytest.fixture(scope="module")
def whole():
    residuals = make(synthetic=True)
    found = decompose_each(residuals, method="REML", intervals="profile", level=0.9)
    return residuals, found[""], *residual_figures.figures(residuals, found)


def test_every_figure_is_drawn_and_marked(whole):
    *_, figures, left_out = whole
    assert set(figures) == {"components", "event_terms", "site_terms", "record_terms", "correlation"}
    assert left_out == []
    for figure in figures.values():
        assert any("SYNTHETIC" in text.get_text() for text in figure.texts)
        for axis in figure.axes:
            assert not axis.get_visible() or (axis.get_xlabel() and axis.has_data())


def test_components_lie_where_they_belong(whole):
    _, found, figures, _ = whole
    deviations, bias = figures["components"].axes
    lines = {line.get_label(): line for line in deviations.lines}
    np.testing.assert_allclose(lines["tau, between events"].get_xdata(), [0.1, 0.2, 1.0, 3.0], rtol=1e-12)
    np.testing.assert_allclose(lines["tau, between events"].get_ydata(), found.tau[1:], rtol=1e-12)
    np.testing.assert_allclose(lines["sigma"].get_ydata(), found.sigma[1:], rtol=1e-12)
    points = [line for line in deviations.lines if len(line.get_xdata()) == 1]  # PGA, apart and labelled as such
    np.testing.assert_allclose([point.get_ydata()[0] for point in points], [v[0] for v in (
        found.tau, found.phi_s2s, found.phi_ss, found.sigma)], rtol=1e-12)  # fmt: skip
    assert deviations.get_xticklabels()[0].get_text() == "PGA"
    assert "90 % intervals" in deviations.get_title(loc="left")
    bands = [each for each in bias.collections if len(each.get_paths()) and len(each.get_paths()[0].vertices) > 4]
    heights = np.concatenate([band.get_paths()[0].vertices[:, 1] for band in bands])
    np.testing.assert_allclose(
        [heights.min(), heights.max()],
        [found.intervals["bias"][1:].min(), found.intervals["bias"][1:].max()],
        rtol=1e-9,
    )


def test_terms_are_drawn_against_their_quantities(whole):
    residuals, found, figures, _ = whole
    labels = {
        "event_terms": ["magnitude", "hypocentral depth (km)"] * 4,
        "site_terms": ["Vs30 (m/s)"] * 4,
        "record_terms": ["Joyner-Boore distance (km)"] * 4,
    }
    for name, expected in labels.items():
        assert [axis.get_xlabel() for axis in figures[name].axes] == expected
    assert [axis.get_title(loc="left") for axis in figures["site_terms"].axes] == [COLUMNS[0], *COLUMNS[2:]]
    dots = figures["event_terms"].axes[0].lines[1]
    mag = residuals.table.groupby("event_id")["mag"].first()
    np.testing.assert_allclose(dots.get_xdata(), mag, rtol=1e-12)
    np.testing.assert_allclose(dots.get_ydata(), found.event_terms[:, 0], rtol=1e-12)
    low, high = figures["event_terms"].axes[0].get_ylim()
    assert low < found.event_terms[:, 0].min() < found.event_terms[:, 0].max() < high


def test_correlation_of_each_term_beside_the_published_curve(whole):
    residuals, found, figures, _ = whole
    axis = figures["correlation"].axes[1]
    assert axis.get_title(loc="left") == "with SA(0.200)"
    lines = {line.get_label(): line.get_ydata() for line in axis.lines}
    np.testing.assert_allclose(lines["event terms"], interperiod_correlation(found.event_terms)[2], rtol=1e-9)
    total = interperiod_correlation(residuals.residual)[2]  # the bias does not matter
    np.testing.assert_allclose(lines["total"], total, rtol=1e-7)
    curve = baker_jayaram_2008(np.array([0.0, 0.1, 0.2, 1.0, 3.0]))[2]
    np.testing.assert_allclose(lines["Baker and Jayaram 2008 (total)"], curve, rtol=1e-12)


def test_what_is_left_out_is_said():
    residuals = make(["PGA"], site=False)
    table = residuals.table.drop(columns=["rjb", "mag"]).assign(hypo_depth=np.nan)
    figures, left_out = drawn(ResidualTable(None, table, ["PGA"], residuals.residual, None, (), False))
    assert set(figures) == {"components"}
    assert left_out == [
        "terms against mag, hypo_depth, rjb or rrup (no such column)",
        "site terms (--event-only)",
        "the correlation between periods (one period)",
    ]
    labels = [line.get_label() for line in figures["components"].axes[0].lines]
    assert "phi" in labels
    assert not any("phi_s2s" in label for label in labels)


def test_two_components_have_figures_of_their_own():
    residuals = make(COLUMNS[:2])
    component = np.where(np.arange(240) % 2, "H", "V")
    table = residuals.table.assign(component=component)[["row", "event_id", "station_id", "component", "rjb"]]
    figures, _ = drawn(ResidualTable(None, table, COLUMNS[:2], residuals.residual, None, (), False))
    assert set(figures) == {f"{name}_{c}" for name in ("components", "record_terms", "correlation") for c in "HV"}
    assert figures["components_V"].get_suptitle() == "component V"
    assert figures["components_H"].get_suptitle() == "component H"


def test_a_period_without_residuals_leaves_a_gap():
    residuals = make()
    residuals.residual[:, 3] = np.nan
    figures, _ = drawn(residuals)
    for figure in figures.values():
        figure.canvas.draw()
    tau = next(line for line in figures["components"].axes[0].lines if line.get_label().startswith("tau"))
    assert np.isnan(tau.get_ydata()).tolist() == [False, False, True, False]
    assert tau.get_color() == COLOURS[0]
