"""Figures of an evaluation; they neither show nor save."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn import metrics as curves

from ml4szeq import metrics
from ml4szeq.baselines import MAJORITY, NEAREST
from ml4szeq.classes import class_titles
from ml4szeq.evaluation import networks_first
from ml4szeq.fits import NETWORKS, OURS, PUBLISHED, VOTE
from shared.plotting import COLOURS, mark_synthetic, new_figure

OTHERS = (COLOURS[1], COLOURS[2], COLOURS[4], COLOURS[5], COLOURS[6])  # beside the colours of two networks


def f1_by_distance(summary: pd.DataFrame, synthetic: bool) -> Figure:
    """Macro-F1 against the exclusion distance: mean over scenarios and seeds, one standard deviation over scenarios.

    ``summary`` is `evaluation.headline`'s.
    """
    chosen = summary[summary["kind"] == "scenario"]
    models = networks_first(chosen["model"])
    figure, axes = new_figure(1, 2, size=(5.2, 4.2), sharey=True)
    groups = ([each for each in models if each in (*NETWORKS, VOTE, NEAREST, MAJORITY)], [PUBLISHED, OURS])
    groups[1].extend(each for each in models if each not in groups[0])
    lowest = min(0.3, float((chosen["mean"] - chosen["over_parts"].fillna(0.0)).min()) - 0.02)
    titles = ("networks, and rules that know no physics", "networks and other methods")
    for axis, group, title in zip(axes.flat, groups, titles, strict=True):
        for number, model in enumerate(group):
            part = chosen[chosen["model"] == model].sort_values("exclusion")
            network = model in NETWORKS
            colour = (
                COLOURS[list(NETWORKS).index(model)]
                if network
                else "0.25"
                if model == NEAREST
                else COLOURS[4]
                if model == VOTE
                else "0.6"
            )
            if not network and model not in (VOTE, NEAREST, MAJORITY):
                colour = OTHERS[(number - 2) % len(OTHERS)]
            shift = 6.0 * (number - (len(group) - 1) / 2)
            axis.errorbar(
                part["exclusion"] + shift,
                part["mean"],
                part["over_parts"],
                marker="o" if network else "s",
                markersize=4,
                linewidth=1.8 if network else 1.1,
                linestyle="-" if network else "--",
                elinewidth=0.8,
                capsize=2,
                color=colour,
                label=model,
            )
        axis.set(xlabel="exclusion distance (km)", ylim=(lowest, 1.0))
        axis.set_xticks(sorted(chosen["exclusion"].unique()))  # marks stand beside each other around these
        axis.set_title(title, fontsize=9)
        axis.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3)
    axes[0, 0].set_ylabel("macro-F1, five scenarios")
    return mark_synthetic(figure, synthetic)


def score_bars(summary: pd.DataFrame, synthetic: bool) -> Figure:
    """Macro-F1 of every model by kind of split, scenarios at 50 and 250 km or else the two least distances."""
    shown = [("random", np.nan, "random folds (leaky)"), ("rupture", np.nan, "ruptures kept together")]
    distances = sorted(summary[summary["kind"] == "scenario"]["exclusion"].unique())
    published = [each for each in (50.0, 250.0) if each in distances]
    shown += [("scenario", each, f"scenarios, {each:g} km") for each in published or distances[:2]]
    shown += [("region", np.nan, "one region left out"), ("unseen", np.nan, "unseen files")]
    panels = []
    for kind, exclusion, title in shown:
        same = summary["exclusion"].isna() if np.isnan(exclusion) else summary["exclusion"] == exclusion
        part = summary[(summary["kind"] == kind) & same]
        if len(part):
            panels.append((title, part))
    models = networks_first(summary["model"])[::-1]
    figure, axes = new_figure(1, len(panels), size=(2.6, 0.28 * len(models) + 1.2), sharey=True)
    for axis, (title, part) in zip(axes.flat, panels, strict=True):
        means = part.set_index("model")["mean"].reindex(models)
        spread = part.set_index("model")["over_parts"].reindex(models)
        colours = [COLOURS[0] if each in NETWORKS else "0.7" for each in models]
        axis.barh(range(len(models)), means, xerr=spread, color=colours, ecolor="0.3", capsize=2)
        for place, value in enumerate(means):
            if np.isfinite(value):
                axis.text(
                    0.02,
                    place,
                    f"{value:.3f}",
                    va="center",
                    fontsize=7,
                    color="white" if models[place] in NETWORKS else "black",
                )
        axis.set_yticks(range(len(models)), models, fontsize=7)
        axis.set(xlim=(0, 1), xlabel="macro-F1")
        axis.set_title(title, fontsize=8)
        axis.grid(axis="y", visible=False)
    return mark_synthetic(figure, synthetic)


def calibration_and_curves(tables: dict[str, pd.DataFrame], edges: tuple[float, ...], synthetic: bool) -> Figure:
    """Reliability, ROC and precision-recall of the highest class; a table a model (``observed``, ``prob_*``)."""
    title = class_titles(edges)[-1]
    figure, axes = new_figure(1, 3, size=(3.5, 3.4))
    for number, (name, table) in enumerate(tables.items()):
        columns = [each for each in table if each.startswith("prob_")]
        observed, probability = table["observed"].to_numpy(), table[columns].to_numpy()
        hit, p, colour = observed == len(edges), probability[:, -1], COLOURS[number]
        bins = metrics.calibration(observed, probability)
        bars = np.abs(bins[["low", "high"]].to_numpy().T - bins["frequency"].to_numpy())
        axes[0, 0].errorbar(
            bins["probability"],
            bins["frequency"],
            bars,
            fmt="o-",
            markersize=3,
            capsize=2,
            linewidth=1,
            color=colour,
            label=name,
        )
        if 0 < hit.sum() < len(hit):
            false, true, _ = curves.roc_curve(hit, p)
            axes[0, 1].plot(false, true, color=colour, label=f"area {curves.auc(false, true):.3f}")
            precision, recall, _ = curves.precision_recall_curve(hit, p)
            area = curves.average_precision_score(hit, p)
            axes[0, 2].plot(recall, precision, color=colour, label=f"area {area:.3f}")
            axes[0, 2].axhline(hit.mean(), color="0.7", linewidth=0.8, zorder=0)
    for axis in axes[0, :2]:
        axis.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, zorder=0)
    axes[0, 0].set(xlabel=f"probability of {title}", ylabel="observed share", xlim=(0, 1), ylim=(0, 1))
    axes[0, 1].set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01))
    axes[0, 2].set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01))
    for axis, heading in zip(axes.flat, ("calibration", "ROC", "precision and recall"), strict=True):
        axis.set_title(heading, fontsize=9)
        if axis.get_legend_handles_labels()[1]:  # one class alone has no curves
            axis.legend(fontsize=7, frameon=False, loc="lower right" if heading == "ROC" else "best")
    return mark_synthetic(figure, synthetic)


def regions(table: pd.DataFrame, synthetic: bool) -> Figure:
    """Accuracy of each region left out, for networks and baselines; regions with one class are marked.

    ``table`` is `evaluation.by_region`'s.
    """
    models, names = networks_first(table["model"]), list(dict.fromkeys(table["region"]))
    grid = table.pivot_table(index="model", columns="region", values="accuracy").reindex(index=models, columns=names)
    figure, axes = new_figure(size=(0.75 * len(names) + 2.2, 0.3 * len(models) + 1.3))
    axis = axes[0, 0]
    axis.imshow(grid, cmap="RdYlBu", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(*grid.shape):
        value = grid.to_numpy()[i, j]
        dark = value < 0.2 or value > 0.85
        axis.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color="white" if dark else "black")
    only = table.drop_duplicates("region").set_index("region")["observed"]
    labels = [f"{name}\n({only[name].replace('_', ' ')})" if only[name] != "several" else name for name in names]
    axis.set_xticks(range(len(names)), labels, fontsize=6.5)
    axis.set_yticks(range(len(models)), models, fontsize=7)
    axis.set_title("accuracy in the region left out", fontsize=9)
    axis.grid(False)
    return mark_synthetic(figure, synthetic)
