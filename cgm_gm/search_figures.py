"""Figures of a search; they neither show nor save."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from cgm_gm.search_spaces import Space
from shared.plotting import COLOURS, mark_synthetic, new_figure

ROOM = 0.12  # above the worst and below the best trial, of what is between them
SHIFT = 0.12  # over which trials of the same value are spread, of their distance


def every(table: pd.DataFrame, space: Space, synthetic: bool) -> dict[str, Figure]:
    """All figures by name; ``table`` is that of `search.trial_table`."""
    table = table[np.isfinite(table["misfit"])].sort_values("trial", ignore_index=True)
    return {"search": course(table, synthetic), "options": options(table, space, synthetic)}


def course(table: pd.DataFrame, synthetic: bool) -> Figure:
    """Misfit of every trial in order with the best so far, and against the discriminative score."""
    figure, axes = new_figure(1, 2, size=(4.6, 3.4), sharey=True)
    first, second = axes[0]
    first.plot(table["trial"], table["misfit"], "o", markersize=4, color=COLOURS[0], label="a trial")
    first.step(table["trial"], table["misfit"].cummin(), where="post", color=COLOURS[1], label="best so far")
    first.set_xlabel("trial")
    first.xaxis.get_major_locator().set_params(integer=True)
    first.legend(frameon=False)
    second.plot(table["discriminative"], table["misfit"], "o", markersize=4, color=COLOURS[0])
    best = table.loc[table["misfit"].idxmin()]
    second.plot(best["discriminative"], best["misfit"], "*", markersize=13, color=COLOURS[1], label="best")
    second.set_xlabel("discriminative score (0: indistinguishable, .5: always told)")
    second.legend(frameon=False)
    second.set_xlim(-0.02, 0.52)
    first.set_ylabel("misfit: CRPS of ln FAS (ln units)")
    first.set_ylim(*_limits(table["misfit"]))
    return mark_synthetic(figure, synthetic)


def options(table: pd.DataFrame, space: Space, synthetic: bool) -> Figure:
    """Misfit against every option that was searched, the best marked."""
    shown = [name for name in space.searched if name != "hop"]  # which goes with n_fft
    figure, axes = new_figure(2, -(-len(shown) // 2), size=(3.2, 2.7), sharey=True)
    best = int(table["misfit"].idxmin())
    for axis, name in zip(axes.flat, shown, strict=True):
        values = table[name].to_numpy(float)
        if name in space.logarithmic:
            axis.set_xscale("log")
            axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.xaxis.set_minor_formatter(NullFormatter())
        else:
            known, place = np.unique(values, return_inverse=True)
            values = place + SHIFT * np.random.default_rng(0).uniform(-1.0, 1.0, len(place))
            axis.set_xticks(range(len(known)), [f"{value:g}" for value in known])
            axis.set_xlim(-0.5, len(known) - 0.5)
        axis.plot(values, table["misfit"], "o", markersize=4, color=COLOURS[0], label="a trial")
        axis.plot(values[best], table["misfit"][best], "*", markersize=13, color=COLOURS[1], label="best")
        axis.set_xlabel(space.searched[name])
    for axis in axes[:, 0]:
        axis.set_ylabel("misfit: CRPS of ln FAS\n(ln units)")
        axis.set_ylim(*_limits(table["misfit"]))
    axes[0, 0].legend(frameon=False, fontsize=7)
    return mark_synthetic(figure, synthetic)


def _limits(misfit: pd.Series) -> tuple[float, float]:
    room = ROOM * (misfit.max() - misfit.min() or misfit.max() or 1.0)
    return misfit.min() - room, misfit.max() + room
