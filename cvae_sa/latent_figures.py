"""Figures of the latent space, from the numbers of `latent`; they neither show nor save."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from scipy.stats import norm

from cvae_sa.latent import STEPS, Codes
from shared.evaluation_figures import PGA_AT, PGA_NOTE
from shared.flatfile import periods_of
from shared.plotting import COLOURS, LABELS, LOG_AXES, label_axis, mark_synthetic, new_figure

MOST = 6  # dimensions that are drawn
DOTS = 4000  # records that are drawn
INTERVAL_DOTS = 150
COLOURED = {"mag": "viridis", "rjb": "viridis_r", "vs30": "cividis"}
STEPPED = ListedColormap(matplotlib.colormaps["plasma"](np.linspace(0.0, 0.88, 256)))  # no pale yellow on white
SEEN_AS = {
    "mag": "magnitude",
    "rjb": "rjb",
    "hypo_depth": "depth",
    "vs30": "Vs30",
    "style": "style",
    "direction": "direction (H, V)",
}


def aggregated_posterior(codes: Codes, collapse: pd.DataFrame, synthetic: bool) -> Figure:
    """Density of each dimension's code over records, the encoder's spread included, against N(0, 1)."""
    shown = _shown(collapse)
    figure, axes = new_figure(1, len(shown), size=(3.4, 3.0), sharey=True)
    grid = np.linspace(-4.5, 4.5, 181)
    deviation = np.exp(0.5 * codes.log_variance)
    for axis, place in zip(axes[0], shown, strict=True):
        row = collapse.iloc[place]
        density = norm.pdf(grid[:, None], codes.mean[:, place], deviation[:, place]).mean(axis=1)
        axis.fill_between(grid, density, color=COLOURS[0], alpha=0.35, linewidth=0, label="codes of records")
        axis.plot(grid, norm.pdf(grid), color="black", linewidth=1.2, label="prior, N(0, 1)")
        used = "active" if row["active"] else "NOT active"
        axis.set_title(f"{row['dimension']}: {used}, KL {row['kl']:.2f} nats", loc="left")
        axis.set_xlabel(f"code {row['dimension']}")
    axes[0, 0].set_ylabel("density over records")
    axes[0, 0].set_ylim(0.0, None)
    axes[0, 0].legend(frameon=False, fontsize=7, loc="upper left")
    return mark_synthetic(figure, synthetic)


def association_map(table: pd.DataFrame, synthetic: bool) -> Figure:
    """Heat map of `latent.association_table`: shares of variance, and the rank correlation as text."""
    quantities, dimensions = list(table["quantity"].unique()), list(table["dimension"].unique())
    wide = {name: table.pivot(index="quantity", columns="dimension", values=name) for name in ("share", "rank")}
    share, rank = (wide[name].reindex(index=quantities, columns=dimensions).to_numpy() for name in ("share", "rank"))
    figure, axes = new_figure(1, 1, size=(3.2 + 0.95 * len(dimensions), 1.0 + 0.3 * len(quantities)))
    axis = axes[0, 0]
    image = axis.imshow(np.clip(share, 0.0, 1.0), cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(share.shape):
        if np.isfinite(share[row, column]):
            text = f"{max(share[row, column], 0.0):.2f}"  # adjusted: nothing may come out just below 0
            text += f"  ({rank[row, column]:+.2f})" if np.isfinite(rank[row, column]) else ""
            colour = "white" if share[row, column] > 0.6 else "black"
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
    axis.set_yticks(range(len(quantities)), [SEEN_AS.get(name, name) for name in quantities])
    axis.set_xticks(range(len(dimensions)), [*dimensions[:-1], "read off\nall of them"])
    axis.axvline(len(dimensions) - 1.5, color="white", linewidth=4)
    axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axis.grid(False)
    figure.colorbar(image, ax=axis, label="share of variance (in brackets: rank correlation)")
    return mark_synthetic(figure, synthetic)


def code_plane(codes: Codes, collapse: pd.DataFrame, table: pd.DataFrame, synthetic: bool) -> Figure:
    """The two dimensions that tell most, coloured by magnitude, distance, site and direction; N rows of ``table``.

    With a one-dimensional code, its standard deviation is the other axis.
    """
    order = collapse["kl"].to_numpy().argsort()[::-1]
    names = [codes.names[place] for place in order[:2]]
    x = codes.mean[:, order[0]]
    y = codes.mean[:, order[1]] if len(order) > 1 else np.exp(0.5 * codes.log_variance[:, 0])
    rows = np.random.default_rng(0).permutation(len(table))[:DOTS]
    figure, axes = new_figure(2, 2, size=(4.6, 3.6), sharex=True, sharey=True)
    style = {"s": 5, "linewidths": 0, "alpha": 0.8, "rasterized": True}
    for axis, (quantity, colour_map) in zip(axes.flat, COLOURED.items(), strict=False):
        values = np.maximum(table[quantity].to_numpy(float)[rows], 1.0 if quantity == "rjb" else -np.inf)
        low, high = np.quantile(values, [0.01, 0.99])
        scale = (LogNorm if quantity in LOG_AXES else Normalize)(low, max(high, low * 1.0001))
        points = axis.scatter(x[rows], y[rows], c=values, cmap=colour_map, norm=scale, **style)
        bar = figure.colorbar(points, ax=axis, label=LABELS[quantity])
        if quantity in LOG_AXES:
            _plain_ticks(bar.ax.yaxis)
    component = table["component"].to_numpy()[rows]
    colours = ListedColormap(COLOURS[:2])
    points = axes[1, 1].scatter(x[rows], y[rows], c=component == "V", cmap=colours, vmin=-0.5, vmax=1.5, **style)
    figure.colorbar(points, ax=axes[1, 1], label="direction").set_ticks([0, 1], labels=["H", "V"])
    for axis in axes[1]:
        axis.set_xlabel(f"code {names[0]}, mean")
    for axis in axes[:, 0]:
        axis.set_ylabel(f"code {names[1]}, mean" if len(names) > 1 else "code z1, standard deviation")
    return mark_synthetic(figure, synthetic)


def traversals(
    ln_sa: np.ndarray, columns: list[str], scenario: str, synthetic: bool, steps: np.ndarray = STEPS
) -> Figure:
    """Spectra (L, Z, P) of `latent.traversal`, a column of axes for each dimension; below, their ratio to z = 0.

    ``scenario`` says in words of which.
    """
    shown = range(min(len(ln_sa), MOST))
    periods = np.maximum(periods_of(columns), PGA_AT)
    figure, axes = new_figure(2, len(shown), size=(3.5, 2.8), sharex=True, sharey="row")
    scale = Normalize(steps.min(), steps.max())
    middle = np.abs(steps).argmin()
    for (upper, lower), place in zip(axes.T, shown, strict=True):
        for step, one in zip(steps, ln_sa[place], strict=True):
            line = {"color": STEPPED(scale(step)), "linewidth": 1.1, "marker": ".", "ms": 3}
            upper.plot(periods, np.exp(one), **line)
            lower.plot(periods, np.exp(one - ln_sa[place, middle]), **line)
        upper.set_title(f"z{place + 1}", loc="left")
        lower.axhline(1.0, color="0.5", linewidth=0.8)
        for axis in (upper, lower):
            axis.set_yscale("log")
            label_axis(axis, "period")
        upper.set_xlabel("")
    axes[0, 0].set_ylabel("decoded Sa (g)")
    axes[1, 0].set_ylabel("ratio to z = 0")
    for axis in (axes[0, 0], axes[1, 0]):
        _plain_ticks(axis.yaxis)
    figure.colorbar(ScalarMappable(scale, STEPPED), ax=axes, label="z of the dimension, the others 0", pad=0.01)
    figure.suptitle(f"{scenario}. {PGA_NOTE}", fontsize=8)
    return mark_synthetic(figure, synthetic)


def ann_against_encoder(codes: Codes, collapse: pd.DataFrame, ann: pd.DataFrame, synthetic: bool) -> Figure:
    """Codes that the ANN expects against those of the encoder; bars, for some records: one standard deviation of each.

    ``ann`` is `latent.ann_table`.
    """
    shown = _shown(collapse)
    generator = np.random.default_rng(0)
    rows = generator.permutation(len(codes.mean))[:DOTS]
    few = rows[:INTERVAL_DOTS]
    figure, axes = new_figure(1, len(shown), size=(3.6, 3.5), sharex=True, sharey=True)
    for axis, place in zip(axes[0], shown, strict=True):
        x, y = codes.mean[:, place], codes.ann_mean[:, place]
        axis.plot(x[rows], y[rows], ".", color=COLOURS[0], markersize=2, alpha=0.3, rasterized=True)
        spread = (codes.ann_deviation[few, place], np.exp(0.5 * codes.log_variance[few, place]))
        axis.errorbar(
            x[few], y[few], *spread, fmt="o", color=COLOURS[1], ms=2, elinewidth=0.5, alpha=0.6, ecolor=COLOURS[1]
        )
        axis.axline((0.0, 0.0), slope=1.0, color="black", linewidth=1.0)
        row = ann.iloc[place]
        about = f"{row['dimension']}: R² {row['r2']:.2f}, the ANN's spread {row['deviation']:.2f}"
        axis.set_title(about, loc="left", fontsize=9)
        axis.set_xlabel("code by the encoder, of the observed spectrum")
        axis.set_aspect("equal")
    axes[0, 0].set_ylabel("code by the ANN, of the inputs")
    limit = float(np.quantile(np.abs(codes.mean[:, shown]), 0.999)) + 0.5
    axes[0, 0].set(xlim=(-limit, limit), ylim=(-limit, limit))
    handles = [
        Line2D([], [], color=COLOURS[0], marker=".", linestyle="", label="mean"),
        Line2D([], [], color=COLOURS[1], marker="o", ms=3, label="mean ± standard deviation, some records"),
        Line2D([], [], color="black", label="equal"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return mark_synthetic(figure, synthetic)


def _plain_ticks(axis: Axis) -> None:
    """Ticks at 1, 2, 5, 10, ... of a logarithmic axis, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _shown(collapse: pd.DataFrame) -> list[int]:
    """Positions of the dimensions to draw, those of the greatest divergence, in order."""
    return sorted(collapse["kl"].to_numpy().argsort()[::-1][:MOST].tolist())
