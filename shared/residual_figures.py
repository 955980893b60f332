"""Figures of a decomposition of residuals; they neither show nor save."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shared.flatfile_formats import periods_of
from shared.plotting import COLOURS, label_axis, mark_synthetic, new_figure, residual_scatter
from shared.reference_gmm import baker_jayaram_2008
from shared.residual_tables import QUANTITIES, ResidualTable, label_terms
from shared.residuals import Decomposition
from shared.scores import interperiod_correlation

SHOWN = (0.0, 0.2, 1.0, 3.0)  # s, of which a figure takes those that the table has, or their neighbours
AGAINST = {"event": ("mag", "hypo_depth"), "site": ("vs30",), "record": ("rjb", "rrup")}
NAMES = {"tau": "tau, between events", "phi_s2s": "phi_s2s, between sites", "phi_ss": "phi_ss, single station"}
MANY = 2000  # dots, above which they are drawn small, and the rarest outside the axes
PUBLISHED = 10.0  # s, where Baker and Jayaram's curve ends


def figures(residuals: ResidualTable, found: dict[str, Decomposition]) -> tuple[dict[str, Figure], list[str]]:
    """Figures by the name of their file, and what was left out because the table lacks a column.

    ``components``, ``event_terms``, ``site_terms``, ``record_terms``, ``correlation``, with ``_H`` and so on where the
    table has more than one component.
    """
    known = [name for name in QUANTITIES if name in residuals.table and residuals.table[name].notna().any()]
    components = residuals.components()
    drawn, one_period, several = {}, len(residuals.columns) == 1, len(components) > 1
    for name, rows in components.items():
        one, suffix, title = found[name], f"_{name}" if several else "", f"component {name}" if name else ""
        drawn[f"components{suffix}"] = components_against_period(one, residuals.columns)
        terms = {which: _terms(residuals, one, rows, which) for which in AGAINST}
        for which, quantities in AGAINST.items():
            present = [quantity for quantity in quantities if quantity in known]
            if present and np.isfinite(terms[which][residuals.columns].to_numpy(dtype=float)).any():
                drawn[f"{which}_terms{suffix}"] = terms_against(terms[which], residuals.columns, present, which)
        if not one_period:
            drawn[f"correlation{suffix}"] = correlation(_by_term(residuals, one, rows, terms), residuals.columns)
        for file in [file for file in drawn if file.endswith(suffix)]:
            drawn[file].suptitle(title, fontsize=9)
    for figure in drawn.values():
        mark_synthetic(figure, residuals.synthetic)
    missing = [name for name in ("mag", "hypo_depth", "vs30") if name not in known]
    missing += [] if {"rjb", "rrup"} & set(known) else ["rjb or rrup"]
    left_out = [f"terms against {', '.join(missing)} (no such column)"] if missing else []
    left_out += [] if any(one.sites for one in found.values()) else ["site terms (--event-only)"]
    return drawn, left_out + ["the correlation between periods (one period)"] * one_period


def _terms(residuals: ResidualTable, found: Decomposition, rows: np.ndarray, which: str) -> pd.DataFrame:
    """One row an event, site or record: its quantities and terms, NaN where nothing supports them."""
    if which == "site" and not found.sites:
        return pd.DataFrame(columns=residuals.columns)
    if which != "record":
        return label_terms(residuals, found, rows, which)
    terms = pd.DataFrame(found.record_terms, columns=residuals.columns)
    return pd.concat([residuals.table[rows].reset_index(drop=True), terms], axis=1)


def _by_term(residuals: ResidualTable, found: Decomposition, rows: np.ndarray, terms: dict) -> dict[str, np.ndarray]:
    """Terms (M, P) by name, the total among them: what is left of the residuals without bias and fixed part."""
    arrays = {which: table[residuals.columns].to_numpy(dtype=float) for which, table in terms.items() if len(table)}
    total = found.record_terms + found.event_terms[pd.Index(found.events).get_indexer(residuals.events()[rows])]
    if found.sites:
        total = total + found.site_terms[pd.Index(found.sites).get_indexer(residuals.sites()[rows])]
    return arrays | {"total": total}


def shown_columns(columns: Sequence[str], wanted: Sequence[float] = SHOWN) -> list[str]:
    """The columns whose periods are nearest to ``wanted``, each once."""
    periods = periods_of(columns)
    return [columns[p] for p in sorted({int(np.argmin(np.abs(periods - each))) for each in wanted})]


def terms_against(terms: pd.DataFrame, columns: Sequence[str], quantities: Sequence[str], which: str) -> Figure:
    """Terms against each of ``quantities`` at several periods: dots, and means in bins with their standard errors."""
    shown = shown_columns([column for column in columns if terms[column].notna().any()])
    panels = [(column, quantity) for column in shown for quantity in quantities]
    width = len(quantities) if len(quantities) > 1 else min(2, len(panels))
    figure, axes = new_figure(-(-len(panels) // width), width, size=(4.2, 2.5))
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (column, quantity) in zip(axes.flat, panels, strict=False):
        x, y = terms[quantity].to_numpy(dtype=float), terms[column].to_numpy(dtype=float)
        known = np.isfinite(x + y)
        axis.set_title(column, loc="left")
        if not known.any():
            axis.text(0.5, 0.5, f"no {quantity} is known here", transform=axis.transAxes, ha="center")
            continue
        residual_scatter(axis, x, y, quantity, color=COLOURS[0])
        if known.sum() < MANY:
            axis.lines[1].set(markersize=4.0, color="0.65")
            limit = max(1.0, 1.05 * np.abs(y[known]).max())
            axis.set_ylim(-limit, limit)
        axis.set_ylabel(f"{which} term (ln units)")
    return figure


def components_against_period(found: Decomposition, columns: Sequence[str]) -> Figure:
    """Standard deviations, and the bias, against the period, with their intervals as bands where they are known."""
    figure, axes = new_figure(1, 2, size=(4.6, 3.4))
    names = ["tau", *(["phi_s2s", "phi_ss"] if found.sites else ["phi"]), "sigma"]
    for name, colour in zip(names, COLOURS, strict=False):
        _band(axes[0, 0], found, columns, name, colour if name != "sigma" else COLOURS[6])
    axes[0, 0].set_ylim(bottom=0.0)
    axes[0, 0].set_ylabel("standard deviation (ln units)")
    axes[0, 0].legend(frameon=False, fontsize=7, ncols=2, loc="lower left")
    axes[0, 1].axhline(0.0, color="0.4", linewidth=0.8)
    _band(axes[0, 1], found, columns, "bias", COLOURS[0])
    axes[0, 1].set_ylabel("bias, ln(observed) − ln(predicted)")
    for axis in axes[0]:
        _period_axis(axis, columns)
    if np.isfinite(found.intervals["sigma"]).any():
        axes[0, 0].set_title(f"bands: {100 * found.level:g} % intervals", fontsize=8, loc="left")
    return figure


def _band(axis: Axes, found: Decomposition, columns: Sequence[str], name: str, colour: str) -> None:
    """A line over the periods and a band about it; PGA apart, as a point with a bar."""
    x, periods = _places(columns), periods_of(columns)
    values, (low, high) = getattr(found, name), found.intervals[name].T
    known = np.isfinite(low) & np.isfinite(high)
    spectral = periods > 0
    axis.plot(x[spectral], values[spectral], ".-", color=colour, label=NAMES.get(name, name), markersize=4)
    axis.fill_between(
        x[spectral], low[spectral], high[spectral], where=known[spectral], color=colour, alpha=0.18, linewidth=0
    )
    pga = ~spectral & known
    axis.vlines(x[pga], low[pga], high[pga], color=colour, alpha=0.4, linewidth=4)
    axis.plot(x[~spectral], values[~spectral], "o", color=colour, markersize=4)


def _places(columns: Sequence[str]) -> np.ndarray:
    """Where on a logarithmic axis: PGA at a third of the shortest period."""
    periods = periods_of(columns)
    positive = periods[periods > 0]
    return np.where(periods > 0, periods, positive.min() / 3.0 if len(positive) else 0.01)


def _period_axis(axis: Axes, columns: Sequence[str]) -> None:
    label_axis(axis, "period")
    x = _places(columns)
    axis.set_xlim(x.min() / 1.3, x.max() * 1.3)
    if "PGA" in columns:
        decades = 10.0 ** np.arange(-3, 4)
        ticks = [tick for tick in decades if x.min() * 1.5 < tick < x.max() * 1.3]
        axis.set_xticks([x.min(), *ticks], ["PGA", *(f"{tick:g}" for tick in ticks)])


def correlation(terms: dict[str, np.ndarray], columns: Sequence[str]) -> Figure:
    """Correlation of each kind of term (M, P) with that at three periods, beside Baker and Jayaram (2008)."""
    periods, x = periods_of(columns), _places(columns)
    found = {name: interperiod_correlation(values) for name, values in terms.items()}
    curve = np.where(np.maximum.outer(periods, periods) <= PUBLISHED, baker_jayaram_2008(periods), np.nan)
    shown = [list(columns).index(column) for column in shown_columns(columns, (0.0, 0.2, 1.0))]
    figure, axes = new_figure(1, len(shown), size=(3.6, 3.4), sharey=True)
    for axis, p in zip(axes[0], shown, strict=True):
        for (name, matrix), colour in zip(found.items(), COLOURS, strict=False):
            axis.plot(x, matrix[p], ".-", color=colour, label=f"{name} terms" if name != "total" else name)
        axis.plot(x, curve[p], "--", color=COLOURS[6], label="Baker and Jayaram 2008 (total)")
        axis.axhline(0.0, color="0.4", linewidth=0.8)
        axis.set_title(f"with {columns[p]}", loc="left")
        _period_axis(axis, columns)
    axes[0, 0].set_ylabel("correlation")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5, fontsize=8, frameon=False
    )
    return figure
