"""Figures of training and prediction; they neither show nor save."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bliqnet.data import Records
from shared.flatfile import periods_of
from shared.plotting import COLOURS, label_axis, mark_synthetic, new_figure
from shared.reference_gmm import Prediction

SHOWN = (0.0, 0.1, 0.2, 0.5, 1.0, 3.0)  # s, of which a figure takes those that the file has, or their neighbours


def loss_curves(metrics: pd.DataFrame, synthetic: bool) -> Figure:
    """Training and validation loss against the epoch, means of the members."""
    figure, axes = new_figure(size=(5.5, 3.6))
    axis = axes[0, 0]
    axis.plot(metrics["epoch"], metrics["train_loss"], ".-", color=COLOURS[0], label="training events")
    axis.plot(metrics["epoch"], metrics["validation_loss"], ".-", color=COLOURS[1], label="validation events")
    axis.plot(
        metrics["epoch"], metrics["best_validation_loss"], "--", color=COLOURS[1], label="best of every member so far"
    )
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_xlabel("epoch")
    axis.set_ylabel("misfit per spectral value, mean of the members")
    axis.legend(frameon=False)
    return mark_synthetic(figure, synthetic)


def shown_positions(periods: np.ndarray) -> list[int]:
    """Positions of the periods nearest to ``SHOWN``, each once."""
    return sorted({int(np.argmin(np.abs(periods - wanted))) for wanted in SHOWN})


def period_name(column: str, period: float) -> str:
    """``PGA`` or ``0.2 s``."""
    return column if period == 0 else f"{period:g} s"


def observed_predicted(records: Records, spectra: Prediction, table: pd.DataFrame, synthetic: bool) -> Figure:
    """Observed against predicted Sa of test records at several periods; ``table`` is their summary."""
    periods = periods_of(records.columns)
    shown = shown_positions(periods)
    figure, axes = new_figure(2, (len(shown) + 1) // 2, size=(2.9, 2.9))
    component = records.table["component"].to_numpy()
    for axis, p in zip(axes.flat, shown, strict=False):
        for name, colour in (("V", COLOURS[1]), ("H", COLOURS[0])):
            rows = component == name
            if rows.any():
                points = np.exp(spectra.ln_median[rows, p]), np.exp(records.ln_sa[rows, p])
                axis.loglog(*points, ".", color=colour, markersize=2, alpha=0.4, label=name, rasterized=True)
        limits = (min(axis.get_xlim()[0], axis.get_ylim()[0]), max(axis.get_xlim()[1], axis.get_ylim()[1]))
        axis.plot(limits, limits, color="0.2", linewidth=0.8)
        axis.set(xlim=limits, ylim=limits, aspect="equal", title=period_name(records.columns[p], periods[p]))
        values = table[table["column"] == records.columns[p]]
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


def scenario_spectra(scenarios: pd.DataFrame, spectra: Prediction, columns: list[str], synthetic: bool) -> Figure:
    """Median spectra of scenarios with a band of one sigma: an axis for each distance, a line for each magnitude."""
    periods = periods_of(columns)
    shown = np.flatnonzero(periods > 0)
    distances = sorted(scenarios["rjb"].unique())
    figure, axes = new_figure(1, len(distances), size=(3.4, 3.2), sharey=True)
    colours = dict(zip(sorted(scenarios["mag"].unique()), COLOURS, strict=False))
    for axis, rjb in zip(axes[0], distances, strict=True):
        for row in np.flatnonzero(scenarios["rjb"] == rjb):
            mag = scenarios["mag"].iloc[row]
            median, sigma = spectra.ln_median[row, shown], spectra.sigma[row, shown]
            axis.loglog(periods[shown], np.exp(median), color=colours[mag], label=f"M {mag:g}")
            low, high = np.exp(median - sigma), np.exp(median + sigma)
            axis.fill_between(periods[shown], low, high, color=colours[mag], alpha=0.15, linewidth=0)
        label_axis(axis, "period")
        axis.set_title(f"Rjb {rjb:g} km")
    axes[0, 0].set_ylabel("Sa (g), median and ± sigma")
    axes[0, 0].legend(frameon=False)
    return mark_synthetic(figure, synthetic)
