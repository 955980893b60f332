"""Figures of what a trained network has learnt, from the numbers of ``interpretation`` and ``physics``."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from bliqnet.interpretation import principal_components
from bliqnet.physics import Grid
from shared.flatfile import periods_of
from shared.plotting import COLOURS, label_axis, mark_synthetic, new_figure, period_name, shown_positions

NAMES = {  # of the rows of the heat map
    "mag": "magnitude",
    "ln_rjb": "ln rjb",
    "hypo_depth": "depth",
    "ln_vs30": "ln Vs30",
    "normal": "SS to NM",
    "reverse": "SS to RV",
    "vertical": "H to V",
}
UNITS = {"mag": "unit", "ln_rjb": "ln km", "hypo_depth": "10 km", "ln_vs30": "ln m/s"}
TENFOLD = "hypo_depth"  # shown per 10 km: per km its colours would be too faint to read
READ_OUT = {"mag": "magnitude", "ln_rjb": "ln rjb", "hypo_depth": "depth", "ln_vs30": "ln Vs30"}
MOST_SHOWN = 5.0  # %, the end of the colour scale of violations
SCALING_KEY = [
    Line2D([], [], color="0.2", label="BLiqNet, median"),
    Line2D([], [], color="0.2", linestyle="--", linewidth=0.8, label="the same, no records near"),
    Patch(color="0.2", alpha=0.12, label="± sigma (aleatory)"),
    Patch(color="0.2", alpha=0.4, label="± 2 standard deviations of members"),
    Line2D([], [], color="0.2", linestyle=":", linewidth=1.4, label="BSSA14"),
]
INPUT_COLOURS = (("mag", "magnitude", "viridis"), ("rjb", "Joyner-Boore distance (km)", "plasma"))


def sensitivity_map(table: pd.DataFrame, synthetic: bool) -> Figure:
    """Heat maps of ``interpretation.sensitivities``: per unit and per standard deviation, quantity against period."""
    figure, axes = new_figure(2, 1, size=(9.5, 0.8 + 0.42 * table["quantity"].nunique()))
    for axis, (per, title) in zip(
        axes[:, 0],
        (
            ("", "d ln Sa per unit"),
            ("_per_deviation", "d ln Sa per standard deviation of the quantity"),
        ),
        strict=True,
    ):
        shown = table.copy()
        if not per:
            shown.loc[shown["quantity"] == TENFOLD, ["mean", "spread"]] *= 10.0
        means, spreads = (
            shown.pivot(index="quantity", columns="period", values=f"{what}{per}").loc[table["quantity"].unique()]
            for what in ("mean", "spread")
        )
        _heat_map(figure, axis, means, spreads, with_units=not per)
        axis.set_title(f"{title}: mean over records ± standard deviation", loc="left")
        axis.set_xticks(range(means.shape[1]), ["PGA" if p == 0 else f"{p:g}" for p in means.columns], fontsize=7)
    axes[1, 0].set_xlabel("period (s)")
    return mark_synthetic(figure, synthetic)


def _heat_map(figure: Figure, axis: Axes, means: pd.DataFrame, spreads: pd.DataFrame, with_units: bool) -> None:
    limit = float(np.abs(means.to_numpy()).max())
    image = axis.imshow(means, cmap="RdBu_r", norm=TwoSlopeNorm(0.0, -limit, limit), aspect="auto")
    for row, column in np.ndindex(means.shape):
        value = means.iloc[row, column]
        colour = "white" if abs(value) > 0.5 * limit else "black"
        axis.text(
            column,
            row,
            f"{value:.2f}\n±{spreads.iloc[row, column]:.2f}",
            ha="center",
            va="center",
            fontsize=5.5,
            c=colour,
        )
    names = [NAMES[name] + (f" (/{UNITS[name]})" if with_units and name in UNITS else "") for name in means.index]
    axis.set_yticks(range(len(names)), names)
    axis.grid(False)
    figure.colorbar(image, ax=axis, label="ln units", pad=0.01)


def state_trajectories(
    times: np.ndarray, states: np.ndarray, scenarios: pd.DataFrame, order: pd.DataFrame, synthetic: bool
) -> Figure:
    """Hidden states (T, N, H) of one member along their two leading components, and what the end states tell.

    Above: paths of the N ``scenarios`` from t = 0 (black) to t = 1 (points), coloured by magnitude and by distance.
    Below: how far each is from where it ends; and ``order``, of ``interpretation.end_state_order`` over records.
    """
    scores, share = principal_components(states)
    figure, axes = new_figure(2, 2, size=(5.0, 3.7))
    for axis, (quantity, label, map_name) in zip(axes[0], INPUT_COLOURS, strict=True):
        values = np.maximum(scenarios[quantity].to_numpy(float), 1.0)
        norm = (LogNorm if quantity == "rjb" else Normalize)(values.min(), values.max())
        colours = matplotlib.colormaps[map_name](norm(values))
        for n in range(len(scenarios)):
            axis.plot(scores[:, n, 0], scores[:, n, 1], color=colours[n], linewidth=0.6, alpha=0.6)
        axis.scatter(scores[-1, :, 0], scores[-1, :, 1], c=colours, s=12, zorder=3)
        axis.plot(*scores[0, 0, :2], "o", color="black", markersize=5, zorder=4)
        axis.set_xlabel(f"component 1 of the hidden state ({share[0]:.0%} of variance)")
        axis.set_ylabel(f"component 2 ({share[1]:.0%} of variance)")
        bar = figure.colorbar(ScalarMappable(norm, map_name), ax=axis, label=label)
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
        bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _left_to_go(axes[1, 0], times, states, scenarios)
    _readable(axes[1, 1], order)
    return mark_synthetic(figure, synthetic)


def _left_to_go(axis: Axes, times: np.ndarray, states: np.ndarray, scenarios: pd.DataFrame) -> None:
    distance = np.linalg.norm(states - states[-1], axis=-1) / np.linalg.norm(states[0] - states[-1], axis=-1)  # (T, N)
    mag = scenarios["mag"].to_numpy(float)
    norm = Normalize(mag.min(), mag.max())
    for n in range(distance.shape[1]):
        axis.plot(times, distance[:, n], color=matplotlib.colormaps["viridis"](norm(mag[n])), linewidth=0.6, alpha=0.6)
    axis.set_xlabel("time t of the liquid layer")
    axis.set_ylabel("|h(t) - h(1)| / |h(0) - h(1)|")
    axis.set_title("distance left to the end state; colour: magnitude", loc="left")


def _readable(axis: Axes, order: pd.DataFrame) -> None:
    means = order.groupby("components").mean()
    axis.plot(means.index, means["variance"], color="black", linestyle="--", label="hidden state's own variance")
    for (name, label), colour in zip(READ_OUT.items(), COLOURS, strict=False):
        axis.plot(means.index, means[name], ".-", color=colour, label=label)
    axis.set(ylim=(0.0, 1.02), xlabel="leading components of the end state", ylabel="share of variance (R²)")
    axis.set_title("what a linear function of the end state gives back", loc="left")
    axis.legend(frameon=False, fontsize=8, loc="lower right")


# --- scaling ---------------------------------------------------------------------------------------------------------
def scaling_trellis(curves: dict[str, pd.DataFrame], columns: list[str], synthetic: bool) -> Figure:
    """Medians against distance, magnitude and Vs30, an axis each, and a row for each of a few periods.

    ``curves`` holds ``interpretation.scaling_curves`` by quantity. BLiqNet is drawn with its aleatory sigma (pale band)
    and twice the standard deviation of its members (dark band); dashed where there are no records near. BSSA14 is
    dotted.
    """
    periods = periods_of(columns)
    rows = [p for p in shown_positions(periods) if periods[p] in (0.0, 0.2, 1.0, 3.0)] or shown_positions(periods)[:4]
    figure, axes = new_figure(len(rows), len(curves), size=(4.2, 3.0), sharey="row")
    for line, p in zip(axes, rows, strict=True):
        for axis, (quantity, table) in zip(line, curves.items(), strict=True):
            shown = table[table["column"] == columns[p]]
            for colour, (label, series) in zip(COLOURS, shown.groupby("series", sort=False), strict=False):
                _curve(axis, series, quantity, colour, label)
            axis.set_yscale("log")
            label_axis(axis, quantity)
            axis.legend(frameon=False, fontsize=7, loc="best")
        line[0].set_ylabel(f"Sa at {period_name(columns[p], periods[p])} (g)" if periods[p] else "PGA (g)")
    figure.legend(handles=SCALING_KEY, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return mark_synthetic(figure, synthetic)


def _curve(axis: Axes, series: pd.DataFrame, quantity: str, colour: str, label: str) -> None:
    x, median = series[quantity].to_numpy(), series["ln_median"].to_numpy()
    inside = series["inside"].to_numpy()
    axis.plot(x, np.where(inside, np.exp(median), np.nan), color=colour, label=label)
    axis.plot(x, np.exp(median), color=colour, linestyle="--", linewidth=0.8, alpha=0.6)
    axis.plot(x, np.exp(series["ln_bssa14"]), color=colour, linestyle=":", linewidth=1.4)
    for half, alpha in ((series["sigma"].to_numpy(), 0.10), (2.0 * series["epistemic"].fillna(0.0).to_numpy(), 0.30)):
        low, high = np.exp(median - half), np.exp(median + half)
        axis.fill_between(x, low, high, where=inside, color=colour, alpha=alpha, linewidth=0)


def physical_map(maps: dict[str, tuple[Grid, np.ndarray]], table: pd.DataFrame, synthetic: bool) -> Figure:
    """Where in magnitude and distance the scaling is unphysical: ``physics.violations_map``, with the records on it."""
    figure, axes = new_figure(1, len(maps), size=(5.4, 3.7))
    titles = {"rjb": "rises with distance", "mag": "falls with magnitude"}
    for axis, (rule, (grid, share)) in zip(axes[0], maps.items(), strict=True):
        image = axis.pcolormesh(
            grid.rjb, grid.mag, 100.0 * share, cmap="Reds", vmin=0.0, vmax=MOST_SHOWN, shading="nearest"
        )
        axis.set_facecolor("0.85")
        axis.plot(
            np.maximum(table["rjb"], 1.0), table["mag"], ".", color="0.4", markersize=1, alpha=0.4, rasterized=True
        )
        label_axis(axis, "rjb")
        label_axis(axis, "mag", "y")
        worst = np.nanmax(share)
        axis.set_title(f"median {titles[rule]}: at worst {worst:.1%} of scenarios", loc="left")
        axis.grid(False)
        figure.colorbar(image, ax=axis, label="scenarios and periods (%)", extend="max")
    figure.suptitle("Grey: no records near, not checked. Dots: records", fontsize=9)
    return mark_synthetic(figure, synthetic)
