"""Figures of an evaluation: all models side by side on held-out events; they neither show nor save."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from shared.flatfile import periods_of
from shared.held_out import COVERAGE, KNOWN_SITES, Held, main_component
from shared.plotting import (
    COLOURS,
    bin_edges,
    binned_means,
    label_axis,
    mark_synthetic,
    new_figure,
    period_name,
    residual_scatter,
    shown_positions,
)
from shared.refitted_form import FORM

BLUE, RED, GREEN, PINK, ORANGE, SKY, BLACK = COLOURS
CLASSICAL = {  # colour and line: green is fitted here, black and sky are published
    FORM: (GREEN, "-"),
    "BSSA14": (BLACK, "-"),
    "BSSA14" + KNOWN_SITES: (BLACK, ":"),
    "ASK14": (BLACK, "--"),
    "CB14": (SKY, "-"),
    "CY14": (SKY, "--"),
}
PGA_AT = 0.005  # s; PGA at the left edge of a logarithmic axis
PGA_NOTE = "PGA is drawn at 0.005 s"
TERMS = (("event", "mag"), ("event", "hypo_depth"), ("site", "vs30"), ("record", "rjb"))
FEW_SHOWN = (0.0, 0.2, 1.0)  # s; where every period takes a row of axes


@dataclasses.dataclass(frozen=True)
class Look:
    """Which model is ours, drawn blue and bold, and the colours and lines of the ``others`` that are not classical."""

    ours: str
    others: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)

    @property
    def styles(self) -> dict[str, tuple[str, str]]:
        """Colour and line of every model that has its own."""
        return {self.ours: (BLUE, "-"), self.ours + KNOWN_SITES: (BLUE, ":"), **CLASSICAL, **self.others}

    def line(self, model: str) -> dict:
        """Colour, line and width for `Axes.plot`."""
        colour, line = self.styles.get(model, ("0.5", "-."))
        bold = model == self.ours
        return {"color": colour, "linestyle": line, "linewidth": 2.4 if bold else 1.2, "zorder": 4 if bold else 2}


def well_recorded(table: pd.DataFrame, count: str) -> pd.DataFrame:
    """The rows of periods with at least a third of the records (column ``count``) of the fullest of their component."""
    return table[table[count] >= table.groupby("component")[count].transform("max") / 3.0]


def legend_below(figure: Figure, axis: Axes, columns: int = 5) -> None:
    """What is drawn on ``axis``, below all axes."""
    figure.legend(
        *axis.get_legend_handles_labels(), loc="outside lower center", ncols=columns, fontsize=8, frameon=False
    )


def sigma_against_period(components: pd.DataFrame, look: Look, synthetic: bool) -> Figure:
    """sigma, tau and phi of every model's held-out residuals against the period; a row for each component."""
    components = well_recorded(components, "n_records")
    names = sorted(components["component"].unique())
    figure, axes = new_figure(len(names), 3, size=(4.2, 3.7))
    for line, name in zip(axes, names, strict=True):
        rows = components[components["component"] == name]
        for model, part in rows.groupby("model", sort=False):
            for axis, quantity in zip(line, ("sigma", "tau", "phi"), strict=True):
                axis.plot(np.maximum(part["period"], PGA_AT), part[quantity], **look.line(model), label=model)
        for axis, label in zip(
            line, ("sigma = sqrt(tau² + phi²)", "tau, between events", "phi, within events"), strict=True
        ):
            axis.set_ylabel(f"{label} (ln units)")
            label_axis(axis, "period")
        line[0].set_title(f"component {name}; {PGA_NOTE}", fontsize=8, loc="left")
    legend_below(figure, axes[0, 0])
    return mark_synthetic(figure, synthetic)


def components_beside(components: pd.DataFrame, look: Look, models: Collection[str], synthetic: bool) -> Figure:
    """Bias, tau, phi_s2s and phi_ss of ``models``, with bands of their 95 % intervals."""
    components = well_recorded(components, "n_records")
    rows = components[components["component"] == main_component(components)]
    figure, axes = new_figure(2, 2, size=(5.0, 3.2))
    labels = ("bias, ln(observed) − ln(predicted)", "tau, between events", "phi_s2s, between sites")
    labels += ("phi_ss, single station",)
    for axis, name, label in zip(axes.flat, ("bias", "tau", "phi_s2s", "phi_ss"), labels, strict=True):
        for model, part in rows[rows["model"].isin(list(models))].groupby("model", sort=False):
            x = np.maximum(part["period"].to_numpy(float), PGA_AT)
            axis.plot(x, part[name], **look.line(model), label=model, marker=".", markersize=4)
            low, high = (part[f"{name}_{end}"].to_numpy(float) for end in ("low", "high"))
            axis.fill_between(x, low, high, color=look.line(model)["color"], alpha=0.13, linewidth=0)
        axis.set_ylabel(f"{label} (ln units)" if name != "bias" else label)
        label_axis(axis, "period")
    axes[0, 0].axhline(0.0, color="0.4", linewidth=0.8)
    axes[0, 0].set_title(f"{PGA_NOTE}; bands: 95 % intervals", fontsize=8, loc="left")
    legend_below(figure, axes[0, 0])
    return mark_synthetic(figure, synthetic)


def terms_against(
    held: Mapping[tuple[str, str], Held],
    component: str,
    columns: Sequence[str],
    look: Look,
    models: Sequence[str],
    synthetic: bool,
) -> Figure:
    """Event terms against magnitude and depth, site terms against Vs30, record terms against distance.

    At three periods; means in bins with standard errors of ``models``, and our terms as dots.
    """
    periods = periods_of(columns)
    shown = shown_positions(periods, FEW_SHOWN)
    figure, axes = new_figure(len(shown), len(TERMS), size=(3.5, 2.6))
    models = [model for model in models if (component, model) in held]
    terms = {model: held[component, model].terms() for model in models}
    for line, p in zip(axes, shown, strict=True):
        for axis, (which, quantity) in zip(line, TERMS, strict=True):
            limit = 0.2
            axis.axhline(0.0, color="0.4", linewidth=0.8)
            for model in reversed(models):
                about, values = terms[model][which]
                x, y = about[quantity].to_numpy(float), values[:, p]
                known = np.isfinite(x + y)
                if not known.any():
                    continue
                x, y = (np.maximum(x[known], 1.0) if quantity == "rjb" else x[known]), y[known]
                if model == look.ours:
                    axis.plot(x, y, ".", color="0.75", markersize=2, rasterized=True)
                    limit = max(limit, 1.1 * float(np.quantile(np.abs(y), 0.99)))
                colour = look.line(model)["color"]
                binned_means(axis, x, y, bin_edges(x, 10, quantity), color=colour, label=model, linewidth=1.2)
            axis.set_ylim(-limit, limit)
            axis.set_ylabel(f"{which} term (ln units)")
            label_axis(axis, quantity)
        line[0].set_title(period_name(columns[p], periods[p]), loc="left")
    legend_below(figure, axes[0, 0])
    return mark_synthetic(figure, synthetic)


def calibration(table: pd.DataFrame, look: Look, synthetic: bool) -> Figure:
    """Coverage of the 68 and 95 % intervals of `shared.held_out.calibration_table` against the period.

    Left: the models of ``table``; right: ours in bins of magnitude. Grey: within 3 points.
    """
    rows = table[(table["component"] == main_component(table)) & (table["n"] > 0)]
    full = well_recorded(rows[rows["magnitude"] == "all"], "n")["period"]
    rows = rows[rows["period"].isin(full)]
    figure, axes = new_figure(1, 2, size=(5.2, 3.8), sharey=True)
    for axis in axes[0]:
        for level in COVERAGE:
            axis.axhspan(100 * level - 3, 100 * level + 3, color="0.9", zorder=0)
            axis.axhline(100 * level, color="0.5", linewidth=0.8)
    for model, part in rows[rows["magnitude"] == "all"].groupby("model", sort=False):
        _coverage_lines(axes[0, 0], part, {**look.line(model), "label": model})
    ours = rows[(rows["model"] == look.ours) & (rows["magnitude"] != "all")]
    for colour, (label, part) in zip((SKY, BLUE, RED), ours.groupby("magnitude", sort=False), strict=False):
        named = f"M {label}: {part['n_events'].max()} events"
        _coverage_lines(axes[0, 1], part, {"color": colour, "linewidth": 1.4, "label": named})
    for axis, title in zip(axes[0], ("all magnitudes", f"{look.ours}, by magnitude"), strict=True):
        axis.set_title(f"{title}; {PGA_NOTE}", fontsize=8, loc="left")
        axis.set_ylabel("held-out values inside the interval (%)")
        label_axis(axis, "period")
        axis.legend(frameon=False, fontsize=8, loc="lower left")
    axes[0, 0].set_ylim(40, 102)
    return mark_synthetic(figure, synthetic)


def _coverage_lines(axis: Axes, part: pd.DataFrame, options: dict) -> None:
    for level in COVERAGE:
        y = 100.0 * part[f"coverage_{100 * level:g}"]
        axis.plot(np.maximum(part["period"], PGA_AT), y, marker=".", **options)
        options = {**options, "label": None}


def spread_against_period(table: pd.DataFrame, look: Look, synthetic: bool, leaking: Collection[str] = ()) -> Figure:
    """Bias, standard deviation and R² against the period, a line a model; a row of axes for each component.

    ``table`` has `shared.summaries.residual_statistics` by split, model and component; those of the models ``leaking``
    on the random split, which leaks events, are drawn grey.
    """
    table = well_recorded(table, "n")
    quantities = (
        ("event_bias", "mean of event means (ln units)"),
        ("std", "standard deviation (ln units)"),
        ("r2", "R² of ln Sa"),
    )
    names = sorted(table["component"].unique())
    figure, axes = new_figure(len(names), 3, size=(4.2, 3.7))
    for line, component in zip(axes, names, strict=True):
        rows = table[table["component"] == component]
        for (split, model), part in rows.groupby(["split", "model"], sort=False):
            if split == "random" and model not in leaking:
                continue
            label = model if split == "event" else f"{model} (random split, leaks events)"
            grey = {"color": "0.6", "linestyle": "-" if model == look.ours else "--"}
            drawn = look.line(model) if split == "event" else grey
            for axis, (name, _) in zip(line, quantities, strict=True):
                axis.plot(np.maximum(part["period"], PGA_AT), part[name], **drawn, label=label)
        for axis, (_, label) in zip(line, quantities, strict=True):
            axis.set_ylabel(label)
            label_axis(axis, "period")
        line[0].axhline(0.0, color="0.4", linewidth=0.8)
        line[0].set_title(f"component {component}; {PGA_NOTE}", fontsize=8, loc="left")
    legend_below(figure, axes[0, 0])
    return mark_synthetic(figure, synthetic)


def residuals_against(
    table: pd.DataFrame, residual: np.ndarray, columns: Sequence[str], model: str, synthetic: bool
) -> Figure:
    """Residuals (N, P) of one model against magnitude, distance, Vs30 and depth of the N rows, at three periods.

    Dots are records; lines join their means in bins, with standard errors.
    """
    periods = periods_of(columns)
    rows = shown_positions(periods, FEW_SHOWN)
    figure, axes = new_figure(len(rows), 4, size=(3.2, 2.5))
    for line, p in zip(axes, rows, strict=True):
        for axis, quantity in zip(line, ("mag", "rjb", "vs30", "hypo_depth"), strict=True):
            residual_scatter(axis, table[quantity].to_numpy(float), residual[:, p], quantity, color=COLOURS[0])
            axis.set_ylabel("ln(observed / predicted)" if axis is line[0] else "")
        line[0].set_title(period_name(columns[p], periods[p]), loc="left")
    figure.suptitle(f"{model}: held-out residuals of records, and their means in bins with standard errors", fontsize=9)
    return mark_synthetic(figure, synthetic)
