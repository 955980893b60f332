"""Figures of the inverse; they neither show nor save."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bliqnet.inverse import TARGETS
from bliqnet.inverse_evaluation import FOREST, LIQUID, InverseEvaluation
from bliqnet.trained_inverse import LEVELS
from shared.plotting import COLOURS, bin_edges, mark_synthetic, new_figure

NAMES = {
    "mag": "magnitude",
    "ln_depth": "ln hypocentral depth (km)",
    "ln_rjb": "ln √(Rjb² + 1 km²) (km)",
    "ln_vs30": "ln Vs30 (m/s)",
}
WIDTHS = np.linspace(0.02, 0.98, 49)


def found_against_true(found: InverseEvaluation, synthetic: bool) -> Figure:
    """Posterior means against the truth, and in bins of the truth the mean 90 % interval."""
    figure, axes = new_figure(1, len(TARGETS), size=(3.0, 3.0))
    answers = found.answers[LIQUID]
    for d, (axis, target) in enumerate(zip(axes[0], TARGETS, strict=True)):
        truth, mean, quantiles = found.truth[:, d], answers["mean"][:, d], answers["quantiles"][:, d]
        axis.plot(truth, mean, ".", color="0.75", markersize=2, rasterized=True, label="record")
        which = np.digitize(truth, bin_edges(truth, 10, target))
        bins = pd.DataFrame(np.column_stack([truth, mean, quantiles[:, [0, -1]]])).groupby(which)
        centre = bins.mean()[bins.size() >= 5].to_numpy()
        ends = np.abs(centre[:, 2:] - centre[:, 1:2]).T
        axis.errorbar(
            centre[:, 0], centre[:, 1], ends, fmt="o", color=COLOURS[0], markersize=4, capsize=2, label="mean, 90 %"
        )
        limits = truth.min(), truth.max()
        axis.plot(limits, limits, color="0.2", linewidth=0.8)
        axis.set(xlabel=f"true {NAMES[target]}", ylabel="from the spectrum alone")
    axes[0, 0].legend(frameon=False, markerscale=1.5)
    figure.suptitle("The inverse on held-out events", fontsize=9)
    return mark_synthetic(figure, synthetic)


def interval_coverage(found: InverseEvaluation, synthetic: bool) -> Figure:
    """Share of held-out truths inside central intervals against the intervals' nominal probability."""
    figure, axes = new_figure(1, 1, size=(4.2, 3.8))
    axis, pit = axes[0, 0], found.answers[LIQUID]["pit"]
    axis.plot([0, 1], [0, 1], color="0.4", linewidth=0.8)
    for d, (target, colour) in enumerate(zip(TARGETS, COLOURS, strict=False)):
        held = [(np.abs(pit[:, d] - 0.5) < 0.5 * width).mean() for width in WIDTHS]
        axis.plot(WIDTHS, held, color=colour, label=NAMES[target])
    for d, colour in zip(range(len(TARGETS)), COLOURS, strict=False):
        ends = found.answers[FOREST]["quantiles"][:, d]
        for low, high in ((0.25, 0.75), (0.05, 0.95)):
            inside = (found.truth[:, d] >= ends[:, LEVELS.index(low)]) & (
                found.truth[:, d] <= ends[:, LEVELS.index(high)]
            )
            axis.plot(high - low, inside.mean(), "x", color=colour)
    axis.plot([], [], "x", color="0.3", label="the random forest")
    axis.set(xlabel="nominal probability of the central interval", ylabel="share of held-out records inside")
    axis.legend(frameon=False, fontsize=7)
    return mark_synthetic(figure, synthetic)


def event_magnitudes(found: InverseEvaluation, synthetic: bool) -> Figure:
    """Magnitudes of whole events with 90 % intervals against the truth; their error against the number of records."""
    events = found.events()
    figure, axes = new_figure(1, 2, size=(4.0, 3.4))
    many = events["n"] >= 5
    for part, colour, label in ((events[~many], "0.7", "1 to 4 records"), (events[many], COLOURS[0], "5 or more")):
        axes[0, 0].errorbar(
            part["mag"],
            part["mean"],
            1.645 * part["sd"],
            fmt="o",
            color=colour,
            markersize=3,
            linewidth=0.7,
            label=label,
        )
        axes[0, 1].plot(part["n"], part["mean"] - part["mag"], "o", color=colour, markersize=3)
    limits = events["mag"].min() - 0.2, events["mag"].max() + 0.2
    axes[0, 0].plot(limits, limits, color="0.2", linewidth=0.8)
    axes[0, 0].set(xlabel="magnitude", ylabel="from the event's spectra together, 90 %")
    axes[0, 0].legend(frameon=False)
    axes[0, 1].axhline(0.0, color="0.4", linewidth=0.8)
    axes[0, 1].set(xscale="log", xlabel="records of the event", ylabel="found minus true magnitude")
    return mark_synthetic(figure, synthetic)
