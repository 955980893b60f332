"""Figure of a search; it neither shows nor saves."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from cvae_sa.search import OPTIONS
from shared.plotting import COLOURS, mark_synthetic, new_figure

NAMES = {
    "latent": "dimensions of the code",
    "hidden": "units of the hidden layers",
    "dropout": "dropout (share of units)",
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "batch": "batch (records)",
    "epochs": "epochs",
    "annealing": "annealing (share of epochs)",
    "matching": "weight of matching (nats)",
    "backbone": "backbone",
}
WIDTH = 0.5  # over which trials of the same value are spread


def losses(table: pd.DataFrame, synthetic: bool) -> Figure:
    """Held-out loss above the best trial's against every option that the search varied; the best marked.

    ``table`` is that of `search.trial_table`. Trials that failed are left out. The axis is linear up to 1 nat and
    logarithmic beyond, for a bad recipe may be hundreds of nats off.
    """
    table = table[np.isfinite(table["loss"])]
    varied = [name for name in OPTIONS if table[name].nunique() > 1] or ["hidden"]
    columns = min(3, len(varied))
    figure, axes = new_figure(-(-len(varied) // columns), columns, size=(3.4, 2.8), sharey=True)
    for axis, name in zip(axes.flat, varied, strict=False):
        _against(axis, table, name)
    for axis in axes.flat[len(varied) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("loss above the best (nats a record)")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes[0, 0].legend(frameon=False, fontsize=7)
    return mark_synthetic(figure, synthetic)


def _against(axis: Axes, table: pd.DataFrame, name: str) -> None:
    values = _in_order(table[name])
    for place, value in enumerate(values):
        rows = table[table[name] == value].sort_values("trial")
        own = place + WIDTH * ((np.arange(len(rows)) + 0.5) / len(rows) - 0.5)
        known = {"fmt": "o", "markersize": 4, "color": COLOURS[0], "elinewidth": 0.8, "alpha": 0.8}
        label = "a trial, ± standard error over folds" if place == 0 else None
        axis.errorbar(own, rows["above_best"], rows["above_best_error"], label=label, **known)
        median = rows["above_best"].median()
        label = "median of the trials" if place == 0 else None
        axis.plot([place - 0.4, place + 0.4], [median, median], color=COLOURS[2], linewidth=1.5, label=label)
        best = rows["trial"].to_numpy() == table["trial"].iloc[0]
        if best.any():
            axis.plot(own[best], [0.0], "*", color=COLOURS[1], markersize=13, zorder=6, label="best")
    axis.set_yscale("symlog", linthresh=1.0, linscale=1.5)
    axis.set_xlim(-0.6, len(values) - 0.4)
    long = sum(len(_text(value)) for value in values) > 28
    axis.set_xticks(range(len(values)), [_text(value) for value in values], rotation=45 if long else 0)
    axis.set_xlabel(NAMES[name])


def _in_order(column: pd.Series) -> list:
    key = (lambda text: tuple(map(int, text.split()))) if column.name == "hidden" else None
    return sorted(column.unique(), key=key)


def _text(value) -> str:
    return value if isinstance(value, str) else f"{value:g}"
