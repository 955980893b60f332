"""The look of every figure: colour-blind-safe colours, units on axes, and helpers that take and return Axes."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito (2008): distinct for the common kinds of colour blindness and in grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LABELS = {
    "mag": "magnitude",
    "rjb": "Joyner-Boore distance (km)",
    "rrup": "rupture distance (km)",
    "vs30": "Vs30 (m/s)",
    "hypo_depth": "hypocentral depth (km)",
    "period": "period (s)",
}
LOG_AXES = ("rjb", "rrup", "vs30", "period")
SHOWN = (0.0, 0.1, 0.2, 0.5, 1.0, 3.0)  # s, of which a figure takes those that the file has, or their neighbours
STYLE = {
    "axes.grid": True,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.alpha": 0.3,
}


def new_figure(
    rows: int = 1, columns: int = 1, size: tuple[float, float] = (4.5, 3.4), **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure with ``rows`` x ``columns`` axes of ``size`` inches each; axes always as a 2-D array.

    It belongs to no window and to no list of open figures: it is saved, or shown by a notebook, by whoever made it.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(size[0] * columns, size[1] * rows))
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def label_axis(axes: Axes, quantity: str, which: str = "x") -> Axes:
    """Label an axis with the name and unit of ``quantity`` and make it logarithmic where that is the custom."""
    getattr(axes, f"set_{which}label")(LABELS.get(quantity, quantity))
    if quantity in LOG_AXES:
        getattr(axes, f"set_{which}scale")("log")
        axis = getattr(axes, f"{which}axis")
        if quantity == "vs30":  # less than a decade or two: the decades alone would be too few ticks
            axis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    return axes


def shown_positions(periods: np.ndarray, wanted: Sequence[float] = SHOWN) -> list[int]:
    """Positions of the ``periods`` (s) nearest to those ``wanted``, each once."""
    return sorted({int(np.argmin(np.abs(periods - each))) for each in wanted})


def period_name(column: str, period: float) -> str:
    """``PGA`` or ``0.2 s``."""
    return column if period == 0 else f"{period:g} s"


def mark_synthetic(figure: Figure, synthetic: bool) -> Figure:
    """Say on the figure's face that its data are synthetic."""
    if synthetic:
        figure.text(
            0.995, 0.995, "SYNTHETIC DATA", ha="right", va="top", color=COLOURS[1], fontsize=8, fontweight="bold"
        )
        if not figure.get_suptitle():
            figure.suptitle(" ", fontsize=7)  # room for it above the axes' own titles
    return figure


def bin_edges(values: np.ndarray, bins: int, quantity: str) -> np.ndarray:
    """``bins + 1`` edges over ``values``, equal in ln where the quantity has a logarithmic axis (values > 0)."""
    if quantity in LOG_AXES:
        return np.geomspace(max(values.min(), 1.0), values.max() * 1.001, bins + 1)
    return np.linspace(values.min(), values.max() + 1e-9, bins + 1)


def binned_means(axes: Axes, x: np.ndarray, y: np.ndarray, edges: Sequence[float], minimum: int = 5, **options) -> Axes:
    """Mean of ``y`` in bins of ``x`` with its standard error; bins of fewer than ``minimum`` values are left out."""
    edges = np.asarray(edges)
    which = np.digitize(x, edges) - 1
    centres, means, errors = [], [], []
    for index in range(len(edges) - 1):
        inside = y[(which == index) & np.isfinite(y)]
        if len(inside) >= minimum:
            centres.append(np.median(x[which == index]))
            means.append(inside.mean())
            errors.append(inside.std(ddof=1) / np.sqrt(len(inside)))
    axes.errorbar(centres, means, errors, **{"fmt": "o-", "capsize": 2, "markersize": 4, "zorder": 5, **options})
    return axes


def residual_scatter(axes: Axes, x: np.ndarray, residual: np.ndarray, quantity: str, **options) -> Axes:
    """Residuals against a predictor: points, binned means with standard errors, and the zero line."""
    shown = np.isfinite(residual) & np.isfinite(x)
    x, residual = x[shown], residual[shown]
    if quantity in LOG_AXES:
        x = np.maximum(x, 1.0)  # distance 0 has no place on a log axis
    axes.axhline(0.0, color="0.4", linewidth=0.8)
    axes.plot(x, residual, ".", color="0.75", markersize=2, rasterized=True)
    binned_means(axes, x, residual, bin_edges(x, 12, quantity), **options)
    limit = max(1.0, float(np.quantile(np.abs(residual), 0.998)) * 1.1)
    axes.set_ylim(-limit, limit)
    axes.set_ylabel("ln(observed) − ln(predicted)")
    return label_axis(axes, quantity)
