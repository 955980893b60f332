"""The look of BLiqNet and of the models beside it, and the figure of external records."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bliqnet.baselines import ENSEMBLE
from bliqnet.fold_fits import MLP, OURS, START
from shared.evaluation_figures import GREEN, ORANGE, PGA_AT, PGA_NOTE, PINK, RED, Look, legend_below
from shared.held_out import main_component
from shared.plotting import label_axis, mark_synthetic, new_figure

LOOK = Look(
    OURS,
    {  # green is classical, reds are learnt
        START: (GREEN, "--"),
        MLP: (RED, "-"),
        "ANN": (RED, "--"),
        "KRR": (ORANGE, "-"),
        "RF": (ORANGE, "--"),
        "SVR": (PINK, "-"),
        ENSEMBLE: (PINK, "--"),
    },
)


def external_figure(table: pd.DataFrame, synthetic: bool) -> Figure:
    """Bias, sigma, and the root mean square before and after the correction, against the period, for one file."""
    shown = table[table["component"] == main_component(table)]
    figure, axes = new_figure(1, 3, size=(3.9, 3.3))
    told = shown["sigma"].notna().any()
    for model, part in shown.groupby("model", sort=False):
        x, drawn = np.maximum(part["period"], PGA_AT), {**LOOK.line(model), "marker": ".", "linewidth": 1.4}
        axes[0, 0].plot(x, part["bias"].fillna(part["mean"]), **drawn, label=model)
        axes[0, 1].plot(x, part["sigma"] if told else part["std"], **drawn)
        axes[0, 2].plot(x, part["rms"], **drawn)
        axes[0, 2].plot(x, part["rms_corrected"], **{**drawn, "linestyle": "--", "marker": ""})
    axes[0, 0].axhline(0.0, color="0.4", linewidth=0.8)
    axes[0, 0].set_ylabel("bias, ln(observed) − ln(predicted)")
    axes[0, 1].set_ylabel("sigma (ln units)" if told else "standard deviation (ln units)")
    axes[0, 2].set_ylabel("root mean square of residuals (ln units)")
    axes[0, 2].set_title("dashed: after the correction", loc="left", fontsize=8)
    axes[0, 0].set_title(PGA_NOTE, loc="left", fontsize=8)
    for axis in axes[0]:
        label_axis(axis, "period")
    legend_below(figure, axes[0, 0])
    return mark_synthetic(figure, synthetic)
