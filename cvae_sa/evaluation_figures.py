"""Figures of the CVAE's evaluation that no other model needs; they neither show nor save."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cvae_sa.data import Records
from cvae_sa.fold_fits import BY_ANN, OURS, PLAIN, VARIANT
from cvae_sa.recovery import QUANTITIES
from cvae_sa.uncertainty import LEAST_PAIRS, LEVELS, Sampled
from cvae_sa.vertical_ratio import GA11, Twins
from shared import scores
from shared.evaluation_figures import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PGA_AT,
    PGA_NOTE,
    PINK,
    RED,
    SKY,
    Look,
    legend_below,
    well_recorded,
)  # fmt: skip
from shared.flatfile import periods_of
from shared.held_out import main_component
from shared.plotting import (
    bin_edges,
    binned_means,
    label_axis,
    mark_synthetic,
    new_figure,
    period_name,
    shown_positions,
)  # fmt: skip

RECONSTRUCTION = "reconstruction"
LOOK = Look(
    OURS,
    {
        BY_ANN: (ORANGE, "--"),
        VARIANT: (RED, "-"),
        PLAIN: (PINK, "-"),
        RECONSTRUCTION: (SKY, ":"),
        GA11: (BLACK, "-"),
    },
)
EXAMPLES = 3  # magnitudes, and distances of each
FEW = (0.0, 0.2, 1.0)  # s
BINS = 10


def example_rows(records: Records) -> np.ndarray:
    """Rows of the main component at three magnitudes times three distances (3, 3), with as many periods as can be.

    Magnitudes and distances are the 10, 50 and 90 % quantiles of records, distances of those of like magnitude.
    """
    table, seen = records.table, np.isfinite(records.ln_sa).sum(axis=1)
    mag, ln_rjb = table["mag"].to_numpy(float), records.inputs[:, 2].astype(float)
    of = (table["component"] == main_component(table)).to_numpy()
    chosen = []
    for wanted in np.quantile(mag[of], (0.1, 0.5, 0.9)):
        like = np.flatnonzero(of & (np.abs(mag - wanted) <= np.sort(np.abs(mag[of] - wanted))[of.sum() // 10]))
        full = like[seen[like] >= np.quantile(seen[like], 0.6)]
        distances = np.quantile(ln_rjb[full], (0.1, 0.5, 0.9))
        chosen.append([full[np.argmin(np.abs(ln_rjb[full] - each))] for each in distances])
    return np.array(chosen)


def example_spectra(records: Records, ln_median: np.ndarray, sampled: Sampled, synthetic: bool) -> Figure:
    """Observed spectra of held-out records over the median and the 68 and 95 % bands of sampled ones."""
    rows, periods = example_rows(records), periods_of(records.columns)
    x, order = np.maximum(periods, PGA_AT), np.argsort(periods)
    figure, axes = new_figure(*rows.shape, size=(3.4, 2.7), sharex=True)
    for line, positions in zip(axes, rows, strict=True):
        for axis, row in zip(line, positions, strict=True):
            bands = np.exp(sampled.quantiles[row][order])
            axis.fill_between(x[order], bands[:, 0], bands[:, -1], color=BLUE, alpha=0.15, linewidth=0, label="95 %")
            axis.fill_between(x[order], bands[:, 1], bands[:, -2], color=BLUE, alpha=0.3, linewidth=0, label="68 %")
            axis.plot(x[order], np.exp(ln_median[row][order]), color=BLUE, label="median")
            axis.plot(x, np.exp(records.ln_sa[row]), "o", color=BLACK, markersize=3, label="observed")
            about = records.table.iloc[row]
            axis.set_title(
                f"{about['component']}, M {about['mag']:.1f}, {about['rjb']:.0f} km, Vs30 {about['vs30']:.0f} m/s",
                fontsize=8, loc="left",
            )  # fmt: skip
            axis.set_yscale("log")
            label_axis(axis, "period")
    for line in axes:
        line[0].set_ylabel("Sa (g)")
    for axis in axes[:-1].flat:
        axis.set_xlabel("")
    legend_below(figure, axes[0, 0])
    return mark_synthetic(figure, synthetic)


def focused(figure: Figure, left_out: Sequence[str] = (VARIANT, PLAIN)) -> Figure:
    """Axes about what the other models show, half as much again, where those ``left_out`` are far off."""
    for axis in figure.axes:
        lines = [line for line in axis.lines if line.get_label() not in left_out and line.get_label()[0] != "_"]
        values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])
        low, high = np.nanmin(values), np.nanmax(values)
        (bottom, top), room = axis.get_ylim(), 0.5 * (high - low)
        axis.set_ylim(max(bottom, low - room), min(top, high + room))
    return figure


def sampled_coverage(coverage: pd.DataFrame, models: Sequence[str], synthetic: bool) -> Figure:
    """Coverage of the sampled 50, 68 and 95 % intervals against the period, an axis for each component."""
    rows = well_recorded(coverage[(coverage["magnitude"] == "all") & (coverage["n"] > 0)], "n")
    names = sorted(rows["component"].unique())
    figure, axes = new_figure(1, len(names), size=(5.2, 3.8), sharey=True)
    for axis, name in zip(axes[0], names, strict=True):
        for level in LEVELS:
            axis.axhspan(100 * level - 3, 100 * level + 3, color="0.9", zorder=0)
            axis.axhline(100 * level, color="0.5", linewidth=0.8)
            for model in models:
                part = rows[(rows["component"] == name) & (rows["model"] == model)]
                label = model if level == LEVELS[0] else None
                y = 100 * part[f"coverage_{100 * level:g}"]
                axis.plot(np.maximum(part["period"], PGA_AT), y, ".", **LOOK.line(model), label=label)
        axis.set_title(f"component {name}; {PGA_NOTE}", fontsize=8, loc="left")
        label_axis(axis, "period")
    axes[0, 0].set_ylim(35, 100)
    axes[0, 0].set_ylabel("held-out values inside the interval (%)")
    legend_below(figure, axes[0, 0])
    return mark_synthetic(figure, synthetic)


def pit_histograms(
    pits: Mapping[str, np.ndarray], component: np.ndarray, columns: Sequence[str], synthetic: bool
) -> Figure:
    """Histograms of PIT (N, P) by model: all periods together, and three; a row of axes for each component (N,)."""
    periods, names = periods_of(columns), np.unique(component)
    shown = shown_positions(periods, FEW)
    figure, axes = new_figure(len(names), 1 + len(shown), size=(3.2, 2.6), sharey=True)
    edges = np.linspace(0.0, 1.0, BINS + 1)
    for line, name in zip(axes, names, strict=True):
        for axis, which in zip(line, [None, *shown], strict=True):
            axis.axhline(1.0, color="0.4", linewidth=0.8)
            for model, pit in pits.items():
                own = pit[component == name]
                values = own.ravel() if which is None else own[:, which]
                share = scores.pit_histogram(values.reshape(-1, 1), BINS)[:, 0]
                axis.stairs(share * BINS, edges, **_stairs(model), label=model)
            axis.set_title(
                f"{name}, " + ("all periods" if which is None else period_name(columns[which], periods[which])),
                fontsize=8, loc="left",
            )  # fmt: skip
            axis.set_xlabel("PIT: share of samples below the observed")
        line[0].set_ylabel("records, of what is expected")
    axes[0, 0].set_ylim(0.0, 1.8)
    legend_below(figure, axes[0, 0])
    return mark_synthetic(figure, synthetic)


def _stairs(model: str) -> dict:
    return {name: value for name, value in LOOK.line(model).items() if name != "zorder"}


def correlation_matrices(table: pd.DataFrame, columns: Sequence[str], model: str, synthetic: bool) -> Figure:
    """Correlation between periods: of observed residuals, of the samples of ``model``, their difference, published."""
    components = list(table["component"].unique())
    figure, axes = new_figure(len(components), 4, size=(3.3, 2.8))
    first, second = np.triu_indices(len(columns), 1)
    kinds = {"observed residuals": "observed", f"samples, {model}": model, "samples less observed": None}
    kinds["Baker and Jayaram (2008)"] = "baker_jayaram_2008"
    for line, component in zip(axes, components, strict=True):
        part = table[table["component"] == component]
        for axis, (title, name) in zip(line, kinds.items(), strict=True):
            values = part[model] - part["observed"] if name is None else part[name]
            matrix = np.full((len(columns), len(columns)), np.nan)
            matrix[first, second] = matrix[second, first] = values.where(part["n"] >= LEAST_PAIRS)
            np.fill_diagonal(matrix, 0.0 if name is None else 1.0)
            look = {"vmin": -0.3, "vmax": 0.3, "cmap": "RdBu_r"} if name is None else {"vmin": -0.2, "vmax": 1.0}
            image = axis.imshow(matrix, origin="lower", interpolation="nearest", **look)
            _period_ticks(axis, columns)
            axis.set_title(f"{component}: {title}", fontsize=8, loc="left")
            figure.colorbar(image, ax=axis, shrink=0.75)
    return mark_synthetic(figure, synthetic)


def _period_ticks(axis: Axes, columns: Sequence[str]) -> None:
    periods = periods_of(columns)
    shown = shown_positions(periods, (0.0, 0.05, 0.2, 1.0, 3.0, 10.0))
    labels = [period_name(columns[p], periods[p]).removesuffix(" s") for p in shown]
    axis.set_xticks(shown, labels, fontsize=7)
    axis.set_yticks(shown, labels, fontsize=7)
    axis.set(xlabel="period (s)", ylabel="period (s)")
    axis.grid(False)


def vertical_ratio_figure(twins: Twins, table: pd.DataFrame, columns: Sequence[str], synthetic: bool) -> Figure:
    """Bias and deviation of ln V/H against the period, and its means against distance at two periods."""
    figure, axes = new_figure(2, 2, size=(5.0, 3.3))
    table = table[table["n"] >= table["n"].max() / 3.0]
    for model, part in table.groupby("model", sort=False):
        for axis, name in zip(axes[0], ("bias", "std"), strict=True):
            axis.plot(np.maximum(part["period"], PGA_AT), part[name], **LOOK.line(model), label=model)
    for axis, label in zip(axes[0], ("mean of observed less predicted ln V/H", "its standard deviation"), strict=True):
        axis.set_ylabel(label)
        axis.set_title(PGA_NOTE, fontsize=8, loc="left")
        label_axis(axis, "period")
    axes[0, 0].axhline(0.0, color="0.4", linewidth=0.8)
    periods, x = periods_of(columns), np.maximum(twins.table["rjb"].to_numpy(float), 1.0)
    for axis, p in zip(axes[1], shown_positions(periods, (0.1, 1.0)), strict=False):
        edges = bin_edges(x, 9, "rjb")
        known = np.isfinite(twins.observed[:, p])
        binned_means(
            axis, x[known], twins.observed[known, p], edges, color="0.5", fmt="s", label="observed", markersize=6
        )
        for model, predicted in twins.predicted.items():
            both = known & np.isfinite(predicted[:, p])
            colour, line = LOOK.styles[model]
            look = {"fmt": line, "linewidth": 1.6, "elinewidth": 0.0, "capsize": 0, "zorder": 7 if model == OURS else 6}
            binned_means(axis, x[both], predicted[both, p], edges, color=colour, label=model, **look)
        axis.set_title(period_name(columns[p], periods[p]), loc="left")
        axis.set_ylabel("ln V/H, means in bins")
        label_axis(axis, "rjb")
    legend_below(figure, axes[1, 0])
    return mark_synthetic(figure, synthetic)


def recovery_figure(table: pd.DataFrame, sigmas: pd.DataFrame, synthetic: bool) -> Figure:
    """tau, phi_s2s and phi_ss with their intervals about the truth, and sampled over true sigma."""
    names = sorted(table["component"].unique())
    figure, axes = new_figure(len(names), len(QUANTITIES) + 1, size=(3.4, 3.0))
    for line, name in zip(axes, names, strict=True):
        for axis, quantity in zip(line, QUANTITIES, strict=False):
            part = table[(table["component"] == name) & (table["quantity"] == quantity)]
            x = np.maximum(part["period"], PGA_AT)
            axis.fill_between(x, part["low"], part["high"], color=BLUE, alpha=0.2, linewidth=0)
            axis.plot(x, part["estimate"], **LOOK.line(OURS), label=f"{OURS}; band: 95 % interval")
            axis.plot(x, part["true_median"], color=GREEN, linestyle="--", label="about the true median")
            axis.plot(x, part["true"], color=BLACK, linewidth=1.2, label="truth")
            axis.set_ylabel(f"{quantity} (ln units)")
        axis = line[-1]
        axis.axhspan(0.95, 1.05, color="0.9", zorder=0)
        axis.axhline(1.0, color="0.4", linewidth=0.8)
        for model, part in sigmas[sigmas["component"] == name].groupby("model", sort=False):
            axis.plot(np.maximum(part["period"], PGA_AT), part["ratio"], **LOOK.line(model), label=model)
        axis.set_ylabel("sampled over true sigma")
        off = max(0.1, 1.1 * float((sigmas["ratio"] - 1.0).abs().max()))
        axis.set_ylim(1.0 - off, 1.0 + off)
        for each in line:
            label_axis(each, "period")
        line[0].set_title(f"component {name}; {PGA_NOTE}", fontsize=8, loc="left")
    shown = dict(zip(*axes[0, 0].get_legend_handles_labels()[::-1], strict=True))
    shown |= {
        label: each for each, label in zip(*axes[0, -1].get_legend_handles_labels(), strict=True) if label != OURS
    }
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    return mark_synthetic(figure, synthetic)
