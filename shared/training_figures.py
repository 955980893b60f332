"""Figures of training and prediction; they neither show nor save."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from shared.flatfile import periods_of
from shared.plotting import COLOURS, label_axis, mark_synthetic, new_figure, period_name, shown_positions
from shared.reference_gmm import Prediction


def loss_curves(metrics: pd.DataFrame, loss: str, synthetic: bool) -> Figure:
    """Training and validation loss against the epoch; ``loss`` says what it is, with its unit.

    ``metrics``, a row an epoch, has ``epoch`` and ``train_loss``, and where known ``validation_loss`` and
    ``best_validation_loss``.
    """
    figure, axes = new_figure(size=(5.5, 3.6))
    axis = axes[0, 0]
    axis.plot(metrics["epoch"], metrics["train_loss"], ".-", color=COLOURS[0], label="training events")
    for name, style, label in (
        ("validation_loss", ".-", "validation events"),
        ("best_validation_loss", "--", "best so far"),
    ):
        if name in metrics:
            axis.plot(metrics["epoch"], metrics[name], style, color=COLOURS[1], label=label)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_xlabel("epoch")
    axis.set_ylabel(loss)
    axis.legend(frameon=False)
    return mark_synthetic(figure, synthetic)


def observed_predicted(
    table: pd.DataFrame,
    ln_sa: np.ndarray,
    columns: Sequence[str],
    prediction: Prediction,
    summary: pd.DataFrame,
    synthetic: bool,
) -> Figure:
    """Observed against predicted Sa of the test records ``table`` at several periods.

    ``ln_sa`` (N, P) are the observed spectra, ``summary`` is that of `shared.summaries.summary_table`.
    """
    periods = periods_of(columns)
    shown = shown_positions(periods)
    figure, axes = new_figure(2, (len(shown) + 1) // 2, size=(2.9, 2.9))
    component = table["component"].to_numpy()
    for axis, p in zip(axes.flat, shown, strict=False):
        for name, colour in (("V", COLOURS[1]), ("H", COLOURS[0])):
            rows = component == name
            if rows.any():
                points = np.exp(prediction.ln_median[rows, p]), np.exp(ln_sa[rows, p])
                axis.loglog(*points, ".", color=colour, markersize=2, alpha=0.4, label=name, rasterized=True)
        limits = (min(axis.get_xlim()[0], axis.get_ylim()[0]), max(axis.get_xlim()[1], axis.get_ylim()[1]))
        axis.plot(limits, limits, color="0.2", linewidth=0.8)
        axis.set(xlim=limits, ylim=limits, aspect="equal", title=period_name(columns[p], periods[p]))
        values = summary[summary["column"] == columns[p]]
        lines = [
            f"{row.component}: {row.n} records, std {row['std']:.2f}, R² {row.r2:.2f}" for _, row in values.iterrows()
        ]
        axis.text(0.03, 0.97, "\n".join(lines), transform=axis.transAxes, va="top", fontsize=6.5)
        axis.set_xlabel("predicted Sa (g)")
        axis.set_ylabel("observed Sa (g)")
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    if len(np.unique(component)) > 1:
        axes[0, 0].legend(loc="lower right", markerscale=4, frameon=False)
    figure.suptitle("Test events, which training has not seen; std of ln(observed / predicted)", fontsize=9)
    return mark_synthetic(figure, synthetic)


def scenario_spectra(
    scenarios: pd.DataFrame, columns: Sequence[str], prediction: Prediction, synthetic: bool
) -> Figure:
    """Median spectra of scenarios with a band of one sigma: an axis for each distance, a line for each magnitude."""
    periods = periods_of(columns)
    shown = np.flatnonzero(periods > 0)
    distances = sorted(scenarios["rjb"].unique())
    figure, axes = new_figure(1, len(distances), size=(3.4, 3.2), sharey=True)
    colours = dict(zip(sorted(scenarios["mag"].unique()), COLOURS, strict=False))
    for axis, rjb in zip(axes[0], distances, strict=True):
        for row in np.flatnonzero(scenarios["rjb"] == rjb):
            mag = scenarios["mag"].iloc[row]
            median, sigma = prediction.ln_median[row, shown], prediction.sigma[row, shown]
            axis.loglog(periods[shown], np.exp(median), color=colours[mag], label=f"M {mag:g}")
            low, high = np.exp(median - sigma), np.exp(median + sigma)
            axis.fill_between(periods[shown], low, high, color=colours[mag], alpha=0.15, linewidth=0)
        label_axis(axis, "period")
        axis.set_title(f"Rjb {rjb:g} km")
    axes[0, 0].set_ylabel("Sa (g), median and ± sigma")
    axes[0, 0].legend(frameon=False)
    return mark_synthetic(figure, synthetic)
