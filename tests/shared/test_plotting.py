"""The look of figures: labels with units, bins, means with errors, and the mark of synthetic data."""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

from shared import plotting


@pytest.fixture(autouse=True)
def figures_are_closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def axes() -> Axes:
    return plotting.new_figure()[1][0, 0]


# --- figures and axes ------------------------------------------------------------------------------------------------
def test_no_window_and_no_session_is_asked_for():
    """Whatever backend the user's settings name stays, and pyplot, which would open windows, is not even imported."""
    code = "import shared.plotting, sys; shared.plotting.new_figure(); print('matplotlib.pyplot' in sys.modules)"
    environment = {**os.environ, "MPLBACKEND": "svg"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 1), (2, 3)])
def test_new_figure_has_axes_in_rows_and_columns_of_the_size_asked_for(rows, columns):
    before = dict(plt.rcParams)
    figure, axes = plotting.new_figure(rows, columns, size=(2.0, 1.5))
    assert axes.shape == (rows, columns)
    np.testing.assert_allclose(figure.get_size_inches(), (2.0 * columns, 1.5 * rows), rtol=1e-12)
    assert not axes[0, 0].spines["top"].get_visible()
    assert dict(plt.rcParams) == before  # the style is of the figure, not of the session


def test_colours_are_distinct():
    assert len({colour.upper() for colour in plotting.COLOURS}) == len(plotting.COLOURS)


@pytest.mark.parametrize(
    ("quantity", "label", "scale"),
    [
        ("mag", "magnitude", "linear"),
        ("rjb", "Joyner-Boore distance (km)", "log"),
        ("vs30", "Vs30 (m/s)", "log"),
        ("period", "period (s)", "log"),
        ("something else", "something else", "linear"),
    ],
)
@pytest.mark.parametrize("which", ["x", "y"])
def test_label_axis_names_quantity_and_unit_and_sets_the_customary_scale(axes, quantity, label, scale, which):
    assert plotting.label_axis(axes, quantity, which) is axes
    assert getattr(axes, f"get_{which}label")() == label
    assert getattr(axes, f"get_{which}scale")() == scale
    other = "y" if which == "x" else "x"
    assert getattr(axes, f"get_{other}label")() == ""
    assert getattr(axes, f"get_{other}scale")() == "linear"


def test_log_axes_have_plain_numbers(axes):
    plotting.label_axis(axes, "rjb")
    formatter = axes.xaxis.get_major_formatter()
    assert [formatter(value) for value in (0.1, 1.0, 100.0)] == ["0.1", "1", "100"]


@pytest.mark.parametrize("synthetic", [True, False])
def test_only_synthetic_figures_say_so(synthetic):
    figure, _ = plotting.new_figure()
    assert plotting.mark_synthetic(figure, synthetic) is figure
    assert sum("SYNTHETIC DATA" in text.get_text() for text in figure.texts) == synthetic


# --- bins ------------------------------------------------------------------------------------------------------------
def test_bin_edges_hold_every_value():
    values = np.random.default_rng(0).uniform(3.0, 300.0, 1000)
    for quantity in ("mag", "rjb"):
        edges = plotting.bin_edges(values, 10, quantity)
        assert len(edges) == 11
        which = np.digitize(values, edges)
        assert which.min() >= 1
        assert which.max() <= 10
        widths = np.diff(np.log(edges) if quantity == "rjb" else edges)
        np.testing.assert_allclose(widths, widths[0], rtol=1e-9)


def test_bin_edges_start_at_one_kilometre():
    assert plotting.bin_edges(np.array([0.001, 50.0]), 4, "rjb")[0] == 1.0


def drawn_means(axes: Axes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, means and half-lengths of the error bars of an axes' only errorbar container."""
    (container,) = axes.containers
    line, _, (bars,) = container
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    centres, means = (np.asarray(data, dtype=float) for data in line.get_data())
    return centres, means, np.ptp(ends, axis=1) / 2


def test_binned_means_are_means_with_standard_errors(axes):
    draw = np.random.default_rng(1)
    x, y, edges = draw.uniform(0.0, 3.0, 300), draw.normal(size=300), [0.0, 1.0, 2.0, 3.0]
    y[::7] = np.nan
    plotting.binned_means(axes, x, y, edges)
    centres, means, errors = drawn_means(axes)
    assert len(means) == 3
    for index, (low, high) in enumerate(pairwise(edges)):
        inside = y[(x >= low) & (x < high) & np.isfinite(y)]
        assert means[index] == pytest.approx(inside.mean(), rel=1e-12)
        assert errors[index] == pytest.approx(inside.std(ddof=1) / np.sqrt(len(inside)), rel=1e-9)
        assert low <= centres[index] < high


def test_bins_of_few_values_are_left_out(axes):
    x = np.repeat([0.5, 1.5, 2.5], [4, 5, 0])
    plotting.binned_means(axes, x, np.arange(9.0), [0.0, 1.0, 2.0, 3.0])
    centres, means, _ = drawn_means(axes)
    assert centres.tolist() == [1.5]
    assert means.tolist() == [6.0]


# --- residuals -------------------------------------------------------------------------------------------------------
def test_residual_scatter_draws_what_is_there_about_a_zero_line(axes):
    draw = np.random.default_rng(2)
    x, residual = draw.uniform(0.0, 200.0, 400), 0.5 + 0.1 * draw.normal(size=400)
    x[0], residual[1], x[2] = 0.0, np.nan, np.nan
    assert plotting.residual_scatter(axes, x, residual, "rjb") is axes
    zero, points = axes.lines[:2]
    assert set(zero.get_ydata()) == {0.0}
    assert len(points.get_xdata()) == 398
    assert points.get_xdata().min() == 1.0  # distance 0 is drawn at 1 km
    assert axes.get_ylabel() == "ln(observed) − ln(predicted)"
    assert axes.get_xlabel() == "Joyner-Boore distance (km)"
    low, high = axes.get_ylim()
    assert low == -high
    assert high >= 1.0
    _, means, _ = drawn_means(axes)
    np.testing.assert_allclose(means, 0.5, rtol=0.0, atol=0.1)


def test_residual_scatter_gives_way_to_large_residuals(axes):
    residual = np.linspace(-4.0, 4.0, 200)
    plotting.residual_scatter(axes, np.linspace(4.0, 7.0, 200), residual, "mag")
    assert axes.get_ylim()[1] > 4.0
    assert axes.get_xscale() == "linear"


def test_a_figure_can_be_drawn(tmp_path):
    figure, axes = plotting.new_figure(1, 2)
    x, residual = np.geomspace(1.0, 300.0, 100), np.zeros(100)
    plotting.residual_scatter(axes[0, 0], x, residual, "rjb")
    plotting.label_axis(axes[0, 1], "vs30", "y")
    plotting.mark_synthetic(figure, True).savefig(tmp_path / "figure.png")
    assert plt.imread(tmp_path / "figure.png").std() > 0


# --- periods ---------------------------------------------------------------------------------------------------------
def test_the_nearest_periods_are_shown_each_once():
    periods = np.array([0.0, 0.02, 0.15, 0.2, 1.1])
    assert plotting.shown_positions(periods, (0.0, 0.19, 0.21, 9.0)) == [0, 3, 4]
    assert plotting.shown_positions(periods) == [0, 2, 3, 4]  # 0.1 s is nearer to 0.15 s, 0.5 s to 0.2 s


def test_periods_by_name():
    assert [plotting.period_name("PGA", 0.0), plotting.period_name("SA(0.200)", 0.2)] == ["PGA", "0.2 s"]
