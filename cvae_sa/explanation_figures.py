"""Figures of Shapley values, from the numbers of `explanation`; they neither show nor save."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cvae_sa.data import INPUTS, STYLES
from cvae_sa.explanation import DISTANCE, Explained
from shared.evaluation_figures import PGA_AT, PGA_NOTE
from shared.flatfile import periods_of
from shared.plotting import COLOURS, label_axis, mark_synthetic, new_figure, period_name, shown_positions

BLUE, RED, GREEN, PINK, ORANGE, SKY, BLACK = COLOURS
SUMMARY_PERIODS, DEPENDENCE_PERIODS = (0.0, 0.2, 1.0, 3.0), (0.0, 0.2, 1.0)  # s
NAMES = {
    "mag": "magnitude",
    DISTANCE: "distance",
    "style": "style of faulting",
    "hypo_depth": "depth",
    "ln_vs30": "Vs30",
    "direction": "direction",
    "rjb": "rjb alone",
    "ln_rjb": "ln rjb alone",
}
DRAWN = dict(zip(("mag", DISTANCE, "ln_vs30", "direction", "hypo_depth", "style"), COLOURS, strict=False))
AXES = {"mag": "mag", DISTANCE: "rjb", "ln_vs30": "vs30", "hypo_depth": "hypo_depth"}  # names of `label_axis`
LOW_TO_HIGH = "plasma"
CATEGORIES = {"style": (STYLES, (BLUE, RED, GREEN, PINK)), "direction": (("H", "V"), (SKY, ORANGE))}
DOTS = 2000  # records that are drawn


def importance_against_period(table: pd.DataFrame, synthetic: bool) -> Figure:
    """Mean |Shapley value| of the grouped game against the period, and the share that each input has.

    ``table`` is `explanation.importance_table`.
    """
    table = table[table["game"] == "grouped"]
    figure, axes = new_figure(1, 2, size=(5.2, 3.8))
    for axis, column, label in zip(
        axes[0],
        ("mean_abs", "share"),
        ("mean |Shapley value| (ln units)", "share of the period's sum (%)"),
        strict=True,
    ):
        for name, rows in table.groupby("input", sort=False):
            values = rows[column] * (100.0 if column == "share" else 1.0)
            axis.plot(
                np.maximum(rows["period"], PGA_AT), values, ".-", color=DRAWN[name], label=NAMES[name], linewidth=1.4
            )
        label_axis(axis, "period")
        axis.set_ylabel(label)
        axis.set_ylim(0.0, None)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False, fontsize=8
    )
    figure.suptitle(PGA_NOTE, fontsize=8)
    return mark_synthetic(figure, synthetic)


def summary(found: Explained, synthetic: bool) -> Figure:
    """Every record's Shapley value of every input, at some periods; rows ordered by importance over all periods.

    Colour: the rank of the input among the records; for style and direction, the category.
    """
    periods = periods_of(found.columns)
    shown = shown_positions(periods, SUMMARY_PERIODS)
    players = _varying(found)
    order = sorted(players, key=lambda name: found.grouped.importance[found.grouped.players.index(name)].mean())
    few = np.random.default_rng(0).permutation(len(found.inputs))[:DOTS]
    figure, axes = new_figure(1, len(shown), size=(3.3, 1.2 + 0.55 * len(order)), sharey=True, sharex=True)
    for axis, place in zip(axes[0], shown, strict=True):
        for height, name in enumerate(order):
            values = found.grouped.of(name)[few, place]
            offset = _swarm(values, np.abs(found.grouped.values).max())
            colours = _colours(found, name)[few]
            axis.scatter(values, height + offset, c=colours, s=4, linewidths=0, alpha=0.8, rasterized=True)
        axis.axvline(0.0, color="0.4", linewidth=0.8, zorder=0)
        axis.set_title(period_name(found.columns[place], periods[place]), loc="left")
        axis.set_xlabel("Shapley value (ln units)")
    axes[0, 0].set_yticks(range(len(order)), [NAMES[name] for name in order])
    _low_to_high(figure, axes, "value of the input, by rank")
    handles = [
        Line2D([], [], marker="o", ms=4, linestyle="", color=colour, label=f"{name} {text}")
        for name, categories in CATEGORIES.items()
        if name in order
        for code, (text, colour) in enumerate(zip(*categories, strict=True))
        if code in _present(found, name)
    ]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    return mark_synthetic(figure, synthetic)


def dependence(found: Explained, synthetic: bool) -> Figure:
    """Shapley values against their input, a row for each of some periods; colour: magnitude, or distance for it.

    Every column has a scale of its own, so that small effects are seen.
    """
    periods = periods_of(found.columns)
    shown = shown_positions(periods, DEPENDENCE_PERIODS)
    players = _varying(found)
    few = np.random.default_rng(0).permutation(len(found.inputs))[:DOTS]
    figure, axes = new_figure(len(shown), len(players), size=(2.7, 2.3), sharex="col", sharey="col")
    for line, place in zip(axes, shown, strict=True):
        for axis, name in zip(line, players, strict=True):
            values = found.grouped.of(name)[few, place]
            colours = _colours(found, DISTANCE if name == "mag" else "mag")[few]
            axis.scatter(
                _shown_values(found, name)[few], values, c=colours, s=4, linewidths=0, alpha=0.7, rasterized=True
            )
            axis.axhline(0.0, color="0.4", linewidth=0.8, zorder=0)
        name = period_name(found.columns[place], periods[place])
        line[0].set_ylabel(f"{name}: Shapley value (ln units)", fontsize=8)
    for axis, name in zip(axes[-1], players, strict=True):
        _label(axis, found, name)
    for axis, name in zip(axes[0], players, strict=True):
        axis.set_title(NAMES[name], loc="left")
    _low_to_high(figure, axes, "magnitude (in the plots of magnitude: rjb), by rank")
    return mark_synthetic(figure, synthetic)


def grouping(found: Explained, table: pd.DataFrame, synthetic: bool) -> Figure:
    """What parting distance from its log does; ``table`` is `explanation.grouping_table`.

    Left: mean |Shapley value| against the period. The others: values, and the difference of the two games, at the
    period where they differ most.
    """
    figure, axes = new_figure(1, 3, size=(4.4, 3.6))
    left, middle, right = axes[0]
    lines = {"distance": (BLUE, "-"), "rjb + ln_rjb": (BLACK, "--"), "rjb": (RED, "-"), "ln_rjb": (GREEN, "-")}
    labels = {"distance": "one player: distance", "rjb + ln_rjb": "two players: their sum"}
    labels |= {"rjb": "two players: rjb", "ln_rjb": "two players: ln rjb"}
    period = np.maximum(table["period"], PGA_AT)
    for name, (colour, line) in lines.items():
        left.plot(period, table[name], color=colour, linestyle=line, label=labels[name], linewidth=1.4)
    label_axis(left, "period")
    left.set_ylabel("mean |Shapley value| (ln units)")
    left.set_ylim(0.0, None)
    left.legend(frameon=False, fontsize=8)
    left.set_title(PGA_NOTE, loc="left", fontsize=8)

    place = int(table["mean difference"].argmax())
    rjb = np.maximum(found.inputs[:, INPUTS.index("rjb")], 1.0)
    dots = {"linestyle": "", "marker": ".", "markersize": 3, "alpha": 0.5, "rasterized": True}
    whole, one, other = found.grouped.of(DISTANCE), found.seven.of("rjb"), found.seven.of("ln_rjb")
    for values, colour in ((whole, BLUE), (one, RED), (other, GREEN)):
        middle.plot(rjb, values[:, place], color=colour, **dots)
    right.plot(rjb, (whole - one - other)[:, place], color=BLACK, **dots)
    name = period_name(found.columns[place], float(table["period"].iloc[place]))
    for axis, label in (
        (middle, "Shapley value (ln units)"),
        (right, "one player less the sum of two (ln units)"),
    ):
        axis.axhline(0.0, color="0.4", linewidth=0.8)
        label_axis(axis, "rjb")
        axis.set_ylabel(label)
        axis.set_title(f"{name}, where the games differ most", loc="left", fontsize=8)
    return mark_synthetic(figure, synthetic)


# --- helpers of several figures --------------------------------------------------------------------------------------
def _varying(found: Explained) -> list[str]:
    """The grouped players that vary: one that is constant explains nothing and is not drawn."""
    return [name for name in DRAWN if (name if name != DISTANCE else "rjb") not in found.constant]


def _shown_values(found: Explained, name: str) -> np.ndarray:
    """The input (N,) in the units of its axis; categories a little apart, so that dots do not hide each other."""
    values = found.inputs[:, INPUTS.index("rjb" if name == DISTANCE else name)].astype(float)
    if name == DISTANCE:
        return np.maximum(values, 1.0)
    if name == "ln_vs30":
        return np.exp(values)
    return values + (np.random.default_rng(0).uniform(-0.25, 0.25, len(values)) if name not in AXES else 0.0)


def _label(axis: Axes, found: Explained, name: str) -> None:
    if name in AXES:
        label_axis(axis, AXES[name])
        return
    present = _present(found, name)
    axis.set_xticks(present, [CATEGORIES[name][0][code] for code in present])
    axis.set_xlim(min(present) - 0.5, max(present) + 0.5)
    axis.set_xlabel(NAMES[name])


def _colours(found: Explained, name: str) -> np.ndarray:
    """A colour (N, 4) for every record, by the rank of the input, or by the category."""
    values = found.inputs[:, INPUTS.index("rjb" if name == DISTANCE else name)]
    if name in CATEGORIES:
        return to_rgba_array(CATEGORIES[name][1])[values.astype(int)]
    return matplotlib.colormaps[LOW_TO_HIGH](pd.Series(values).rank(pct=True).to_numpy())


def _present(found: Explained, name: str) -> list[int]:
    """The codes of a category that the explained records have."""
    return np.unique(found.inputs[:, INPUTS.index(name)]).astype(int).tolist()


def _low_to_high(figure: Figure, axes: np.ndarray, label: str) -> None:
    bar = figure.colorbar(ScalarMappable(cmap=LOW_TO_HIGH), ax=axes, label=label, aspect=35, pad=0.01)
    bar.set_ticks([0.0, 1.0], labels=["low", "high"])


def _swarm(values: np.ndarray, limit: float, bins: int = 120) -> np.ndarray:
    """Offsets (N,) within ± 0.4: dots of one bin are spread over a height that goes with their number."""
    place = np.round((values + limit) / (2.0 * limit) * bins).astype(int) if limit > 0 else np.zeros(len(values), int)
    rows = pd.Series(place)
    rank = rows.groupby(rows).cumcount().to_numpy()
    count = rows.groupby(rows).transform("size").to_numpy()
    side = np.where(rank % 2 == 0, 1.0, -1.0) * ((rank + 1) // 2)
    return side / (count.max() / 2.0) * 0.4
