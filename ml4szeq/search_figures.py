"""Figures of a random search; they neither show nor save."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ml4szeq.search_space import AXES, LISTED, LOGARITHMIC
from shared.plotting import COLOURS, mark_synthetic, new_figure

SHIFT = 0.12  # over which trials of the same value are spread, of their distance
SCORE = "macro-F1 of inner blocks"


def every(table: pd.DataFrame, nested: pd.DataFrame, synthetic: bool) -> dict[str, Figure]:
    """All figures by name; ``table`` is that of `search.trial_table`, ``nested`` that of `search.nested`."""
    by_trial = table.groupby("trial", as_index=False)
    means = by_trial.agg({"macro_f1": lambda scores: scores.mean(skipna=False), **dict.fromkeys(AXES, "first")})
    means = means[np.isfinite(means["macro_f1"])].reset_index(drop=True)  # others diverged
    return {"search": course(means, nested, synthetic), "options": options(means, synthetic)}


def course(means: pd.DataFrame, nested: pd.DataFrame, synthetic: bool) -> Figure:
    """Score of every trial with the best so far; and of every split's test segments, chosen recipe and default one."""
    figure, axes = new_figure(1, 2, size=(4.4, 3.3), width_ratios=(1.15, 1.0))
    first, second = axes[0]
    first.plot(means["trial"], means["macro_f1"], "o", markersize=4, color=COLOURS[0], label="a trial")
    first.step(means["trial"], means["macro_f1"].cummax(), where="post", color=COLOURS[1], label="best so far")
    default = means[means["trial"] == 1]
    ring = {"markersize": 9, "markerfacecolor": "none", "color": COLOURS[2]}
    first.plot(default["trial"], default["macro_f1"], "D", label="default recipe", **ring)
    first.set(xlabel="trial", ylabel=f"{SCORE}, mean over splits")
    first.xaxis.get_major_locator().set_params(integer=True)
    first.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8)
    place = np.arange(len(nested))
    for side, (column, colour, label) in enumerate(
        (("default_macro_f1", COLOURS[2], "default recipe"), ("test_macro_f1", COLOURS[1], "chosen recipe"))
    ):
        mean = nested[column].mean()
        second.barh(
            place + 0.38 * (side - 0.5), nested[column], height=0.36, color=colour, label=f"{label}, mean {mean:.3f}"
        )
    second.set_yticks(place, nested["split"])
    second.invert_yaxis()
    second.set_ylim(len(nested) - 0.4, -0.6)
    second.set(xlim=(0, 1), xlabel="macro-F1 of test segments")
    second.grid(False, axis="y")
    second.set_axisbelow(True)
    second.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1.0), fontsize=8)
    return mark_synthetic(figure, synthetic)


def options(means: pd.DataFrame, synthetic: bool) -> Figure:
    """Score against every option that was searched: the default recipe and the best marked."""
    figure, axes = new_figure(3, 3, size=(2.9, 2.3), sharey=True)
    best = int(means["macro_f1"].to_numpy().argmax())
    for axis, (name, title) in zip(axes.flat, AXES.items(), strict=True):
        values = means[name].to_numpy(dtype=float)
        if name in LISTED:
            known, place = np.unique(values, return_inverse=True)
            values = place + SHIFT * np.random.default_rng(0).uniform(-1.0, 1.0, len(place))
            yes_no = name == "batch_norm"
            axis.set_xticks(range(len(known)), [("no", "yes")[int(v)] if yes_no else f"{v:g}" for v in known])
            axis.set_xlim(-0.5, len(known) - 0.5)
        if name in LOGARITHMIC:
            axis.set_xscale("log")
            wide = np.nanmax(values) / np.nanmin(values) > 30
            axis.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.xaxis.set_minor_formatter(NullFormatter())
        axis.plot(values, means["macro_f1"], "o", markersize=4, color=COLOURS[0], label="a trial")
        for rows, mark, size, colour, label in (
            (means["trial"].to_numpy() == 1, "D", 10, COLOURS[2], "default recipe"),
            (np.arange(len(means)) == best, "*", 10, COLOURS[1], "best"),
        ):
            form = {"markersize": size, "color": colour, "markerfacecolor": "none" if mark == "D" else colour}
            axis.plot(values[rows], means["macro_f1"][rows], mark, label=label, **form)
        axis.set_xlabel(title)
    for axis in axes[:, 0]:
        axis.set_ylabel(f"{SCORE},\nmean over splits", fontsize=8)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return mark_synthetic(figure, synthetic)
