"""Figures of relevance: heat maps along a trench, distributions by class, top features, agreement of rankings."""

from collections.abc import Collection, Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ml4szeq.classes import class_titles
from ml4szeq.features import GROUPS, group_of, in_groups, title_of
from ml4szeq.relevance import Relevances
from ml4szeq.trenches import REGION_NAMES
from shared.plotting import COLOURS, mark_synthetic, new_figure

WIDTH = 7.1  # in, two columns of a journal
ROW = 0.135  # in, of a feature in a heat map
MAP = matplotlib.colormaps["RdBu_r"]
GROUP_COLOURS = dict(zip(GROUPS, (COLOURS[0], COLOURS[1], COLOURS[2], "0.5"), strict=True))
CLASS_COLOURS = {2: ("#cfe3f1", "#08306b"), 3: ("#cfe3f1", "#6baed6", "#08306b")}  # light to dark, apart in grey too
UNITS = {
    "lrp": "relevance",
    "integrated_gradients": "integrated gradient",
    "permutation": "increase of log-loss (nats)",
}
SHORT = {"lrp": "LRP", "integrated_gradients": "integrated\ngradients"}
TITLES = {
    "lrp": "layer-wise relevance propagation",
    "integrated_gradients": "integrated gradients",
    "permutation": "permutation",
}
DRIVER = "★ "  # before the name of a planted driver


def limit_of(found: Relevances, method: str, share: float = 0.997) -> float:
    """End of the colour scale: the quantile ``share`` of all absolute relevances, one for all trenches."""
    size = np.abs(found.values[method])
    return max(float(np.quantile(size, share)), np.finfo(float).tiny) if size.size else 1.0


def along_trench(
    found: Relevances, method: str, region: str, *, limit: float | None = None, planted: Collection[str] = ()
) -> Figure:
    """Relevance of every feature along one trench, features by group; above it the observed and the predicted class.

    Parameters
    ----------
    region
        Its code. Segments that are not in ``found`` stay grey.
    limit
        Relevance at the ends of the colour scale; `limit_of` by default.
    planted
        Features to mark as planted drivers.
    """
    names = in_groups(found.names)
    rows = np.flatnonzero((found.places["region"] == region).to_numpy())
    along = found.places["along_km"].to_numpy(dtype=float)[rows]
    rows, along = rows[np.argsort(along, kind="stable")], np.sort(along)
    edges, column = _grid(along)
    heat = np.full((len(names), len(edges) - 1), np.nan)
    heat[:, column] = found.values[method][np.ix_(rows, [found.names.index(name) for name in names])].T
    strips = np.full((2, len(edges) - 1), np.nan)
    strips[0, column] = np.where(found.observed[rows] >= 0, found.observed[rows], np.nan)
    strips[1, column] = found.predicted[rows]
    limit = limit_of(found, method) if limit is None else limit

    height = (0.3, max(ROW * len(names), 1.2))
    figure, axes = new_figure(
        2, 1, (WIDTH, (sum(height) + 1.3) / 2), sharex=True, gridspec_kw={"height_ratios": height}
    )
    strip, body = axes[:, 0]
    _class_strip(strip, edges, strips, found.edges)
    body.set_facecolor("0.85")
    drawn = body.pcolormesh(edges, np.arange(len(names) + 1), heat, cmap=MAP, vmin=-limit, vmax=limit, rasterized=True)
    body.set_yticks(np.arange(len(names)) + 0.5, _labels(names, planted), fontsize=6)
    body.tick_params(axis="y", length=0)
    body.invert_yaxis()
    body.grid(False)
    _separate_groups(body, names)
    body.set_xlabel("distance along the trench (km)")
    extend = "both" if np.nanmax(np.abs(heat), initial=0.0) > limit else "neither"
    bar = figure.colorbar(drawn, ax=body, orientation="horizontal", shrink=0.5, aspect=40, pad=0.02, extend=extend)
    bar.set_label(f"{UNITS[method]} {_of_class(found)}", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    bar.locator = MaxNLocator(6)
    bar.update_ticks()
    method_name = SHORT.get(method, method).replace("\n", " ")
    strip.set_title(f"{REGION_NAMES.get(region, region)}: {method_name}", loc="left", fontsize=9)
    return mark_synthetic(figure, found.synthetic)


def by_class(found: Relevances, method: str, top: int = 10, planted: Collection[str] = ()) -> Figure:
    """Relevance of the ``top`` features among the segments of each observed class: quartiles, 5 to 95 % and median."""
    best = np.argsort(-found.importance(method), kind="stable")[:top]
    titles = class_titles(found.edges)
    colours = CLASS_COLOURS.get(len(titles), [MAP(x) for x in np.linspace(0.2, 0.9, len(titles))])
    figure, axes = new_figure(size=(WIDTH, 0.32 * len(best) + 1.0))
    plot = axes[0, 0]
    thick = 0.8 / len(titles)
    for place, colour in enumerate(colours):
        rows = found.observed == place
        if not rows.any():
            continue
        plot.boxplot(
            [found.values[method][rows, j] for j in best],
            orientation="horizontal",
            positions=np.arange(len(best)) + (place - (len(titles) - 1) / 2) * thick,
            widths=thick * 0.9,
            whis=(5, 95),
            showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": colour, "linewidth": 0.6},
            medianprops={"color": COLOURS[1], "linewidth": 1.4},
            whiskerprops={"linewidth": 0.6},
            capprops={"linewidth": 0.6},
            manage_ticks=False,
        )
    plot.axvline(0.0, color="0.3", linewidth=0.8)
    plot.set_yticks(np.arange(len(best)), _labels([found.names[j] for j in best], planted, spelt=True), fontsize=7)
    plot.set_ylim(len(best) - 0.5, -0.5)
    plot.set_xlabel(f"{UNITS[method]} {_of_class(found)}")
    shown = [Patch(facecolor=c, edgecolor="k", linewidth=0.6, label=t) for c, t in zip(colours, titles, strict=True)]
    _legend_above(figure, [*shown, Line2D([], [], color=COLOURS[1], label="median")], "observed:")
    return mark_synthetic(figure, found.synthetic)


def top_features(
    rankings: Mapping[str, pd.DataFrame], synthetic: bool, top: int = 15, planted: Collection[str] = ()
) -> Figure:
    """The ``top`` features by each method, `relevance.ranking`, as shares of all importances with their intervals."""
    figure, axes = new_figure(1, len(rankings), (WIDTH / max(len(rankings), 2), 0.17 * top + 1.2))
    seen: list[str] = []
    for plot, (method, table) in zip(axes[0], rankings.items(), strict=True):
        table = table.head(top)
        scale = 100.0 * table["share"].iloc[0] / table["importance"].iloc[0] if table["importance"].iloc[0] else 0.0
        value, groups = table["importance"].to_numpy() * scale, [group_of(name) for name in table["feature"]]
        spread = np.abs(np.stack([table["low"] * scale - value, table["high"] * scale - value]))
        plot.barh(np.arange(len(table)), value, color=[GROUP_COLOURS[each] for each in groups], height=0.75)
        plot.errorbar(value, np.arange(len(table)), xerr=spread, fmt="none", color="k", linewidth=0.8, capsize=1.5)
        plot.set_yticks(np.arange(len(table)), _labels(list(table["feature"]), planted), fontsize=6.5)
        plot.set_ylim(len(table) - 0.4, -0.6)
        plot.set_xlim(left=min(0.0, plot.get_xlim()[0]))
        plot.set_xlabel("share of importance (%)", fontsize=8)
        plot.set_title(TITLES.get(method, method).replace(" relevance", "\nrelevance"), fontsize=8)
        plot.tick_params(axis="x", labelsize=7)
        seen += groups
    shown = [Patch(color=GROUP_COLOURS[each], label=each) for each in GROUPS if each in seen]
    _legend_above(figure, shown)
    return mark_synthetic(figure, synthetic)


def agreement_matrix(table: pd.DataFrame, synthetic: bool, measure: str = "spearman") -> Figure:
    """`agreement.pairs` as a square of numbers: correlations from -1 to 1, overlaps from 0 to 1."""
    names = list(dict.fromkeys([*table["first"], *table["second"]]))
    square = np.eye(len(names))
    for row in table.itertuples():
        i, j = names.index(row.first), names.index(row.second)
        square[i, j] = square[j, i] = getattr(row, measure)
    side = 0.45 * len(names) + 1.0
    figure, axes = new_figure(size=(side + 1.1, side + 0.2))
    plot = axes[0, 0]
    low = -1.0 if measure in ("spearman", "kendall") else 0.0
    drawn = plot.imshow(square, cmap=MAP if low else "Blues", vmin=low, vmax=1.0)
    for (i, j), value in np.ndenumerate(square):
        dark = abs(value) > 0.65
        plot.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color="w" if dark else "k")
    shown = [SHORT.get(name, name) for name in names]
    plot.set_xticks(range(len(names)), shown, rotation=35, ha="right", rotation_mode="anchor", fontsize=7)
    plot.set_yticks(range(len(names)), shown, fontsize=7)
    plot.grid(False)
    said = {"spearman": "Spearman's rank correlation", "kendall": "Kendall's rank correlation"}
    said |= {"jaccard": "shared among the top (Jaccard)", "rbo": "rank-biased overlap of the top"}
    bar = figure.colorbar(drawn, ax=plot, shrink=0.8)
    bar.set_label(said[measure], fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return mark_synthetic(figure, synthetic)


def against_noise(
    names: Sequence[str], share: np.ndarray, control: np.ndarray, synthetic: bool, planted: Collection[str] = ()
) -> Figure:
    """Shares of importance (F,), highest first, beside those of networks that learnt shuffled labels (runs, F)."""
    order = np.argsort(-share, kind="stable")
    place = np.arange(len(names))
    figure, axes = new_figure(size=(WIDTH, 2.9))
    plot = axes[0, 0]
    low, mean, high = (100.0 * each[order] for each in (control.min(axis=0), control.mean(axis=0), control.max(axis=0)))
    width = min(5.0, 250.0 / len(names))
    plot.vlines(place, low, high, color="0.7", linewidth=width, label=f"shuffled labels, range of {len(control)}")
    plot.plot(place, mean, "_", color="0.35", markersize=6, label="their mean")
    plot.plot(place, 100.0 * share[order], "o", color=COLOURS[0], markersize=4, label="observed labels")
    plot.set_xticks(place, _labels([names[j] for j in order], planted), rotation=90, fontsize=6)
    plot.set_xlim(-0.7, len(names) - 0.3)
    plot.set_ylim(bottom=0.0)
    plot.set_ylabel("share of importance (%)", fontsize=8)
    _legend_above(figure, plot.get_legend_handles_labels()[0])
    return mark_synthetic(figure, synthetic)


# --- parts -----------------------------------------------------------------------------------------------------------
def _grid(along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges of equal cells along a trench, and the cell of each segment at ``along`` (ascending, km)."""
    if not len(along):
        return np.array([0.0, 1.0]), np.zeros(0, dtype=int)
    step = float(np.median(np.diff(along))) if len(along) > 1 else 50.0
    step = step if step > 0 else 50.0
    column = np.round((along - along[0]) / step).astype(int)
    return along[0] + step * (np.arange(column.max() + 2) - 0.5), column


def _class_strip(plot: Axes, edges: np.ndarray, strips: np.ndarray, bounds: tuple[float, ...]) -> None:
    titles = class_titles(bounds)
    colours = CLASS_COLOURS.get(len(titles), [MAP(x) for x in np.linspace(0.2, 0.9, len(titles))])
    plot.set_facecolor("0.85")
    norm = BoundaryNorm(np.arange(len(titles) + 1) - 0.5, len(titles))
    plot.pcolormesh(edges, [0, 1, 2], strips, cmap=ListedColormap(list(colours)), norm=norm, rasterized=True)
    plot.set_yticks([0.5, 1.5], ["observed", "predicted"], fontsize=6.5)
    plot.axhline(1.0, color="w", linewidth=1.5)
    plot.invert_yaxis()
    plot.tick_params(length=0, labelbottom=False)
    plot.grid(False)
    shown = [Patch(facecolor=c, edgecolor="0.4", label=t) for c, t in zip(colours, titles, strict=True)]
    options = {"frameon": False, "fontsize": 7, "handlelength": 1.0, "borderaxespad": 0.2, "columnspacing": 1.0}
    plot.legend(handles=shown, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(shown), **options)


def _separate_groups(plot: Axes, names: Sequence[str]) -> None:
    groups = [group_of(name) for name in names]
    for group in dict.fromkeys(groups):
        first, last = groups.index(group), len(groups) - groups[::-1].index(group)
        if first:
            plot.axhline(first, color="k", linewidth=1.0)
        plot.annotate(
            group if last - first > 3 else "",
            (1.0, (first + last) / 2),
            (6, 0),
            xycoords=plot.get_yaxis_transform(),
            textcoords="offset points",
            rotation=270,
            va="center",
            fontsize=7,
            color=GROUP_COLOURS[group],
            fontweight="bold",
        )
        for label in plot.get_yticklabels()[first:last]:
            label.set_color(GROUP_COLOURS[group])


def _labels(names: Sequence[str], planted: Collection[str], spelt: bool = False) -> list[str]:
    """Names of features for an axis, drivers marked; ``spelt`` adds what they mean."""
    said = [f"{name}\n{title_of(name)}" if spelt and title_of(name) != name else name for name in names]
    return [DRIVER + text if name in planted else text for name, text in zip(names, said, strict=True)]


def _of_class(found: Relevances) -> str:
    """Which class the relevances speak for."""
    titles = class_titles(found.edges)
    classes = np.unique(found.explained)
    if classes.size and classes[0] < 0:
        return "for the magnitude (standard deviations)"
    return f"for {titles[classes[0]]}" if len(classes) == 1 else "for the class explained"


def _legend_above(figure: Figure, shown: Sequence[Artist], title: str = "") -> None:
    handles = [*([Line2D([], [], linestyle="none", label=title)] if title else []), *shown]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles), frameon=False, fontsize=7)
