"""Figures of a training: losses, and the held-out segments along their trenches. They neither show nor save."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ml4szeq import metrics
from ml4szeq.classes import class_names, class_titles
from ml4szeq.trenches import REGION_NAMES
from shared.plotting import COLOURS, mark_synthetic, new_figure

CLASS_COLOURS = {2: ("#56B4E9", "#D55E00"), 3: ("#56B4E9", "#E69F00", "#D55E00")}  # cool to hot


def of_training(log: pd.DataFrame, table: pd.DataFrame, edges: tuple[float, ...], synthetic: bool) -> dict[str, Figure]:
    """All figures of a training by name; without a ``log``, as a power cut may leave it, no losses."""
    return {
        **({"loss": losses(log, synthetic)} if len(log) else {}),
        "along_strike": along_strike(table, edges, synthetic),
        "confusion": confusion({"held-out segments": table}, edges, synthetic),
    }


def losses(log: pd.DataFrame, synthetic: bool) -> Figure:
    """Mean training loss of each split's ensemble against the epoch; columns network, epoch, train_loss."""
    figure, axes = new_figure(size=(5.5, 3.6))
    axis = axes[0, 0]
    for number, (name, part) in enumerate(log.groupby("network", sort=False)):
        last = name == "final"
        colour = COLOURS[-1] if last else COLOURS[number % (len(COLOURS) - 1)]
        label = "all segments" if last else name
        axis.plot(part["epoch"], part["train_loss"], color=colour, linewidth=1.8 if last else 1.0, label=label)
    axis.set(xlabel="epoch", ylabel="mean training loss")
    axis.legend(frameon=False, fontsize=8)
    return mark_synthetic(figure, synthetic)


def along_strike(table: pd.DataFrame, edges: tuple[float, ...], synthetic: bool) -> Figure:
    """Observed and predicted class, and the probability of the highest, along each trench.

    ``table`` has ``region``, ``along_km``, ``observed``, ``predicted`` and ``prob_*``.
    """
    regions = list(pd.unique(table["region"]))
    rows = (len(regions) + 1) // 2
    figure, axes = new_figure(rows, min(2, len(regions)), size=(4.6, 1.45))
    for axis in axes.flat[len(regions) :]:
        axis.set_axis_off()
    for axis, region in zip(axes.flat, regions, strict=False):
        _strip(axis, table[table["region"] == region].sort_values("along_km"), edges)
        axis.set_title(REGION_NAMES.get(region, region), loc="left", fontsize=8)
    colours = CLASS_COLOURS[len(edges) + 1]
    handles = [axes[0, 0].scatter([], [], marker="s", color=colour) for colour in colours]
    labels = list(class_titles(edges))
    handles.append(axes[0, 0].plot([], [], color="black")[0])
    labels.append(f"probability of {labels[-1]}")
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return mark_synthetic(figure, synthetic)


def _strip(axis: Axes, part: pd.DataFrame, edges: tuple[float, ...]) -> None:
    """Two rows of colours above, the probability below."""
    names = class_names(edges)
    along = part["along_km"].to_numpy(dtype=float)
    step = float(np.median(np.diff(along))) if len(along) > 1 else 50.0
    gaps = np.flatnonzero(np.diff(along) > 1.5 * step)  # nothing is said of segments that are not there
    sides = np.concatenate([np.insert(along - step / 2, gaps + 1, along[gaps] + step / 2), along[-1:] + step / 2])
    colours = ListedColormap(CLASS_COLOURS[len(names)])
    for low, column in ((1.47, "observed"), (1.16, "predicted")):
        known = np.ma.masked_less(np.insert(part[column].to_numpy(dtype=float), gaps + 1, -1.0)[None], 0)
        axis.pcolormesh(
            sides,
            [low, low + 0.25],
            known,
            cmap=colours,
            vmin=-0.5,
            vmax=len(names) - 0.5,
            linewidth=0,
            rasterized=True,
        )
    probability = part[f"prob_{names[-1]}"].to_numpy()
    axis.plot(
        np.insert(along, gaps + 1, along[gaps] + step),
        np.insert(probability, gaps + 1, np.nan),
        color="black",
        linewidth=1.0,
    )
    axis.axhline(0.5, color="0.6", linewidth=0.6)
    axis.set(ylim=(0, 1.76), xlim=(sides[0], sides[-1]), xlabel="distance along the trench (km)")
    axis.set_yticks([0, 0.5, 1, 1.285, 1.595], ["0", "0.5", "1", "predicted", "observed"], fontsize=7)
    axis.tick_params(axis="x", labelsize=7)
    axis.xaxis.label.set_size(7)
    axis.grid(False)


def confusion(tables: dict[str, pd.DataFrame], edges: tuple[float, ...], synthetic: bool) -> Figure:
    """Counts and shares of the observed class, one panel a table (``observed`` and ``predicted``)."""
    titles = class_titles(edges)
    figure, axes = new_figure(1, len(tables), size=(3.0, 2.8))
    for axis, (name, table) in zip(axes.flat, tables.items(), strict=True):
        counts = metrics.confusion(table["observed"].to_numpy(), table["predicted"].to_numpy(), len(titles))
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for i, j in np.ndindex(*counts.shape):
            colour = "white" if shares[i, j] > 0.55 else "black"
            axis.text(j, i, f"{counts[i, j]}\n{shares[i, j]:.0%}", ha="center", va="center", color=colour, fontsize=8)
        axis.set_xticks(range(len(titles)), titles, fontsize=7)
        axis.set_yticks(range(len(titles)), titles, fontsize=7, rotation=90, va="center")
        axis.set(xlabel="predicted", ylabel="observed")
        axis.set_title(name, fontsize=9)
        axis.grid(False)
    return mark_synthetic(figure, synthetic)
